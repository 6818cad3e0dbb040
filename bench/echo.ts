/**
 * A bare echo: the least that a program on this runtime does to answer over TCP, and so the limit.
 *
 * @module
 */

import { ready } from "./ready.ts";

const BUFFER_BYTES = 16 * 1024;

async function echo(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    for (let count; (count = await conn.read(buffer)) !== null;) {
      for (let rest = buffer.subarray(0, count); rest.length > 0;) {
        rest = rest.subarray(await conn.write(rest));
      }
    }
  } catch {
    // The generator has gone with replies unread.
  }
  conn.close();
}

async function main(): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  ready(listener.addr.port);
  for await (const conn of listener) {
    conn.setNoDelay(true);
    echo(conn);
  }
}

if (import.meta.main) await main();
