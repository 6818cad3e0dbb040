/**
 * A server that grants no leases: what a proxy caches of it, it caches without looking at a clock.
 *
 * @module
 */

import { ready } from "./ready.ts";

async function answer(conn: Deno.TcpConn): Promise<void> {
  const lines = conn.readable.pipeThrough(new TextDecoderStream());
  const writer = conn.writable.getWriter();
  const encoder = new TextEncoder();
  let rest = "";
  for await (const text of lines) {
    const whole = (rest + text).split("\n");
    rest = whole.pop()!;
    for (const line of whole) {
      const ind = /^OP=GET;IND=([0-9,]+);$/.exec(line)?.[1];
      const data = ind?.split(",").map(() => 0).join(",");
      const reply = ind === undefined ? "OP=ERR;DATA=400;" : `OP=GET;IND=${ind};DATA=${data};`;
      await writer.write(encoder.encode(`${reply}\n`));
    }
  }
}

async function main(): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  ready(listener.addr.port);
  for await (const conn of listener) {
    answer(conn).catch(() => {
      // The proxy has gone.
    });
  }
}

if (import.meta.main) await main();
