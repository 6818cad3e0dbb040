/**
 * A simulated world, to test a program that uses this library against networks that are cut, machines
 * that sleep and leases that lapse. The nodes are the real ones; clocks, timers, chance, network and
 * disk come from a seed. What happens is the same each time, takes no time, and needs no permission
 * and no Deno: it runs in a browser, too.
 *
 * A {@linkcode World} has a {@linkcode Network}, which connects {@linkcode Machine}s; a machine starts
 * {@linkcode Process}es, and a process is the `runtime` of the server, proxy, cache or client that runs
 * in it. Without a {@linkcode Disk}, a server that is started again has an empty table. Time passes
 * while {@linkcode World.until} waits for what is played, and nowhere else: let what is played wait for
 * nothing but the nodes, {@linkcode World.pass}, and promises of its own.
 *
 * @example A program that reads a limit, cut off from its server until its lease has lapsed
 * ```ts
 * import { CoherentCache, TableError, TableServer } from "@halfway/halfway";
 * import { Machine, Network, World } from "@halfway/halfway/simulate";
 * import { assertEquals } from "@std/assert";
 *
 * // The program: a limit stands in entry 7; where it cannot be known, it is 1.
 * async function limit(cache: CoherentCache): Promise<number> {
 *   try {
 *     return (await cache.get([7]))[0]!;
 *   } catch (error) {
 *     if (error instanceof TableError) return 1;
 *     throw error;
 *   }
 * }
 *
 * const world = new World(1), network = new Network(world);
 * const there = new Machine("there", network), here = new Machine("here", network);
 *
 * await world.until(async () => {
 *   await using server = await TableServer.listen({
 *     host: "there",
 *     port: 6002,
 *     leaseMs: 1000,
 *     runtime: there.start(),
 *   });
 *   const options = { timeoutMs: 500, runtime: here.start() };
 *   await using cache = await CoherentCache.connect(server.address, options);
 *   await cache.put([[7, 40]]);
 *
 *   network.cut("there", "here");
 *   network.cut("here", "there");
 *   const from = world.now;
 *   assertEquals(await limit(cache), 40); // held, and the lease runs: nobody is asked
 *   assertEquals(world.now, from);
 *
 *   await world.pass(1000); // it has lapsed: somebody may write now
 *   assertEquals(await limit(cache), 1); // after 500 ms without an answer
 *
 *   network.healAll();
 *   await world.pass(1000);
 *   assertEquals(await limit(cache), 40);
 * });
 * ```
 *
 * @module
 */

export { Disk, type DiskState, type Effect } from "./disk.ts";
export type { ClockOptions } from "./clock.ts";
export { Machine, Process } from "./machine.ts";
export { CALM_NETWORK, Network, type NetworkOptions } from "./network.ts";
export { Random } from "./random.ts";
export { type Happening, World } from "./world.ts";
export type {
  Address,
  FailureKind,
  Listening,
  Runtime,
  Socket,
  Timer,
} from "../runtime/runtime.ts";
