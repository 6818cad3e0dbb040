/**
 * A simulated world for programs that use this library: clocks, network, and machines that sleep, stop
 * and are killed, all from one seed. What happens in it is the same each time, and takes no time.
 *
 * A {@linkcode World} has a {@linkcode Network}, which connects {@linkcode Machine}s; a machine starts
 * {@linkcode Process}es, and a process is the `runtime` of a server, a proxy, a cache or a client. Time
 * passes while {@linkcode World.until} waits for something, from one thing that is to happen to the
 * next, and nowhere else: what waits for real time or a real socket would wait for ever.
 *
 * @example A program that is cut off from its server
 * ```ts
 * import { CoherentCache, TableServer } from "@halfway/halfway";
 * import { Machine, Network, World } from "@halfway/halfway/simulate";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const world = new World(1), network = new Network(world);
 * const there = new Machine("there", network), here = new Machine("here", network);
 *
 * await world.until((async () => {
 *   await using server = await TableServer.listen({ host: "there", port: 1, runtime: there.start() });
 *   const options = { runtime: here.start(), timeoutMs: 500 };
 *   await using cache = await CoherentCache.connect(server.address, options);
 *   await cache.put([[7, 4]]);
 *
 *   network.cut("there", "here");
 *   network.cut("here", "there");
 *   assertEquals(await cache.get([7]), [4]); // a hit: the lease runs
 *   await world.pass(1500);
 *   await assertRejects(() => cache.get([7])); // it has lapsed
 *
 *   network.healAll();
 *   await world.pass(1500);
 *   assertEquals(await cache.get([7]), [4]);
 * })());
 * ```
 *
 * @module
 */

export { type ClockOptions, Machine, Process } from "./machine.ts";
export type { Carrier, Owner } from "./end.ts";
export { CALM_NETWORK, Network, type NetworkOptions } from "./network.ts";
export { Random } from "./random.ts";
export { type Happening, World } from "./world.ts";
