/**
 * A session in a simulated world, for a realm that has nothing of Deno: two proxies of a server, and a
 * client of each. Posts what was sent and what came.
 *
 * @module
 */

import { CacheProxy, TableServer } from "../../mod.ts";
import { Machine, Network, World } from "../../lib/simulate/mod.ts";
import type { Socket } from "../../lib/runtime/runtime.ts";

const world = new World(1), network = new Network(world);
const start = (name: string) => new Machine(name, network).start();
const lines: string[] = [];

/** Sends a line, and takes the reply, which comes in one piece. */
async function ask(who: string, socket: Socket, line: string): Promise<void> {
  await socket.write(new TextEncoder().encode(`${line}\n`));
  const buffer = new Uint8Array(1000), count = await socket.read(buffer);
  const reply = new TextDecoder().decode(buffer.subarray(0, count ?? 0)).trimEnd();
  lines.push(`${who} → ${line}`, `${who} ← ${reply}`);
}

async function session(): Promise<void> {
  await using server = await TableServer.listen({ host: "s", port: 1, runtime: start("s") });
  const proxies = { near: "p", far: "q" };
  await using stack = new AsyncDisposableStack();
  const sockets: { [name: string]: Socket } = {};
  for (const [name, host] of Object.entries(proxies)) {
    const runtime = start(host);
    stack.use(await CacheProxy.listen({ host, port: 1, server: server.address, runtime }));
    const never = new AbortController().signal;
    sockets[name] = await start(name).connect({ host, port: 1 }, never);
  }
  const { near, far } = sockets;
  await ask("near", near!, "OP=PUT;IND=1,7;DATA=5,6;");
  await ask("far", far!, "OP=ADD;IND=1,7;");
  // While the server cannot be reached, what is held is a hit.
  for (const host of ["p", "q"]) network.cut(host, "s");
  await ask("near", near!, "OP=GET;IND=7,1;");
  network.healAll();
  await ask("far", far!, "OP=PUT;IND=7;DATA=8;");
  await ask("near", near!, "OP=GET;IND=7,1;");
  near!.close();
  far!.close();
}

try {
  await world.until(session());
} catch (error) {
  lines.push(String(error));
}
(globalThis as unknown as { postMessage(lines: string[]): void }).postMessage(lines);
