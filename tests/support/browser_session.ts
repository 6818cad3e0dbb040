/**
 * A session in a simulated world, for a realm that has nothing of Deno: a server, two proxies of it, a
 * client of each, and a cache. Posts what passed at the clients, and what happened at the first proxy.
 *
 * @module
 */

import {
  CacheProxy,
  CoherentCache,
  type NodeEvent,
  TableClient,
  TableError,
  TableServer,
  UnreachableError,
} from "../../mod.ts";
import { Machine, Network, World } from "../../lib/simulate/mod.ts";

const world = new World(1), network = new Network(world);
const start = (name: string) => new Machine(name, network).start();
const lines: string[] = [];

/** Notes what passes at a client, and what a proxy does about it. */
function note(who: string): (event: NodeEvent) => void {
  return (event) => {
    if (event.type === "message" && event.node === "client") {
      lines.push(`${who} ${event.direction === "out" ? "→" : "←"} ${event.line}`);
    } else if (event.type === "hit") lines.push(`${who}: hit ${event.ind}`);
    else if (event.type === "miss") lines.push(`${who}: miss ${event.ind}`);
    else if (event.type === "drop") lines.push(`${who}: drop ${event.ind} (${event.why})`);
    else if (event.type === "lease-lapsed") lines.push(`${who}: lease lapsed`);
  };
}

/** The error that something ends with. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(() => undefined, (error: unknown) => error);
  if (error instanceof TableError) return `TableError ${error.code}`;
  return error instanceof UnreachableError ? `UnreachableError ${error.message}` : String(error);
}

async function session(): Promise<void> {
  await using server = await TableServer.listen({ host: "s", port: 1, runtime: start("s") });
  const p = { host: "p", port: 1, server: server.address, runtime: start("p") };
  const q = { host: "q", port: 1, server: server.address, runtime: start("q") };
  await using one = await CacheProxy.listen({ ...p, events: note("p") });
  await using two = await CacheProxy.listen(q);
  const options = (name: string) => ({ runtime: start(name), events: note(name) });
  await using near = await TableClient.connect(one.address, options("near"));
  await using far = await TableClient.connect(two.address, options("far"));
  await near.put([[1, 5], [7, 6]]);
  await far.add([1, 7]);
  // While the server cannot be reached, what is held is a hit.
  network.cut("p", "s");
  await near.get([7, 1]);
  network.heal("p", "s");
  await far.put([[7, 8]]);
  await near.get([7]);
  await near.add([1, 7]);
  lines.push(await failure(near.get([99])));
  lines.push(await failure(TableClient.connect("s:2", { runtime: start("lost") })));
  await using cache = await CoherentCache.connect(server.address, { runtime: start("c") });
  lines.push(`cache: ${await cache.get([1, 7])}`);
}

try {
  await world.until(session());
} catch (error) {
  lines.push((error as Error).stack ?? String(error));
}
(globalThis as unknown as { postMessage(lines: string[]): void }).postMessage(lines);
