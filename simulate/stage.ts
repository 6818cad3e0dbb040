/**
 * The nodes of a plan in their world, and what is noted of them.
 *
 * @module
 */

import { CacheProxy } from "../lib/proxy/cache_proxy.ts";
import { CoherentCache } from "../lib/proxy/coherent_cache.ts";
import { TableClient } from "../lib/client/table_client.ts";
import type { EventSink } from "../lib/events.ts";
import { traceText } from "../lib/observe/trace_text.ts";
import { Disk } from "../lib/simulate/disk.ts";
import { Machine, type Process } from "../lib/simulate/machine.ts";
import { Network } from "../lib/simulate/network.ts";
import { World } from "../lib/simulate/world.ts";
import type { Action, Operation, Violation } from "./check.ts";
import type { CachePlan, Plan } from "./plan.ts";

/** The host of the server. */
export const SERVER = "server";
const SERVER_PORT = 6002;
const PROXY_PORT = 6001;
/** Where proxies and caches connect. */
export const SERVER_ADDRESS = `${SERVER}:${SERVER_PORT}`;

/** Of the time of day before a line of a trace. */
const TIME_LENGTH = "12:00:00.000".length;

/** A node that can be ended and started again. */
export interface Place {
  readonly machine: Machine;
  process: Process;
  /** The node that runs; a cache, where it is one. */
  node: { close(): Promise<void> } | undefined;
}

/** The nodes of a plan, each on a machine of its own. */
export class Stage {
  readonly plan: Plan;
  readonly world: World;
  readonly network: Network;
  readonly disk: Disk;
  /** Each node's, by host. */
  readonly places = new Map<string, Place>();
  /** All that was asked, on each connection in the order asked. */
  readonly operations: Operation[] = [];
  /** What was found wrong while it ran. */
  readonly violations: Violation[] = [];
  readonly #callers: Machine;
  readonly #trace: ((line: string) => void) | undefined;
  #connections = 0;
  #serverStarts = 0;
  #values = 0;

  /** Makes it; nothing runs yet. */
  constructor(plan: Plan, trace: ((line: string) => void) | undefined) {
    this.plan = plan;
    this.#trace = trace;
    this.world = new World(plan.seed);
    this.network = new Network(this.world, plan.network);
    this.disk = new Disk(plan.size);
    this.disk.lateMs = plan.commitMs;
    for (const host of [SERVER, ...plan.caches.map(({ name }) => name)]) {
      const machine = new Machine(host, this.network, plan.clocks[host]!);
      this.places.set(host, { machine, process: machine.start(), node: undefined });
    }
    this.#callers = new Machine("callers", this.network, plan.clocks.callers!);
  }

  /** Where the node of a host is. */
  place(host: string): Place {
    return this.places.get(host)!;
  }

  /** Takes the log lines of a host. */
  log(host: string): (sentence: string) => void {
    return (sentence) => this.#trace?.(`${this.world.now.toFixed(3)} ${host} [${sentence}]`);
  }

  /** Takes what happens at a host; `undefined` where nobody reads the trace. */
  #events(host: string): EventSink | undefined {
    const trace = this.#trace;
    if (trace === undefined) return undefined;
    return (event) => {
      // Without the time of day, which the world's takes the place of.
      const text = traceText(event, new Date(0), true)?.slice(TIME_LENGTH).trim();
      if (text !== undefined) trace(`${this.world.now.toFixed(3)} ${host}: ${text}`);
    };
  }

  /** Notes something that may not be, and is no operation. */
  note(what: string, story: string): void {
    this.violations.push({ what, operation: undefined, story });
  }

  /** The number of a new connection. */
  connection(): number {
    return this.#connections++;
  }

  /**
   * So many values that nobody has written yet: who reads one has seen that write. They are far apart,
   * so that a sum tells its terms.
   */
  values(count: number): number[] {
    return Array.from({ length: count }, () => ++this.#values * 1_000_003);
  }

  /** A process of somebody who asks. */
  caller(): Process {
    return this.#callers.start();
  }

  /** Connects a client to the node of a host. */
  connect(host: string, timeoutMs?: number): Promise<TableClient> {
    const port = host === SERVER ? SERVER_PORT : PROXY_PORT;
    const runtime = this.caller();
    const options = timeoutMs === undefined ? { runtime } : { runtime, timeoutMs };
    return TableClient.connect(`${host}:${port}`, options);
  }

  /** Starts what does not run; `host` is the server or a cache. */
  start(host: string): void {
    if (host === SERVER) this.#startServer();
    else this.#startCache(this.plan.caches.find(({ name }) => name === host)!);
  }

  /** Kills the server, and starts it again in `ms` milliseconds. */
  async restartServer(ms: number): Promise<void> {
    const place = this.place(SERVER);
    place.process.kill();
    await this.world.pass(ms);
    if (place.process.dead) this.#startServer();
  }

  /** Ends a node in order, and its process with it. */
  async end({ process, node }: Place): Promise<void> {
    await Promise.race([process.killed, node!.close()]);
    process.kill();
  }

  #startServer(): void {
    const place = this.place(SERVER);
    if (place.process.dead) place.process = place.machine.start();
    const { process } = place;
    const server = this.disk.serve(process, {
      port: SERVER_PORT,
      leaseMs: this.#nextLeaseMs(),
      log: this.log(SERVER),
      events: this.#events(SERVER),
    });
    place.node = server;
    // It ends by itself where it cannot know what its disk has done; somebody starts it again.
    server.failure.then(() => process.dead ? undefined : this.restartServer(1));
  }

  /** The term under which the server grants leases when it starts now. */
  #nextLeaseMs(): number {
    const { leaseMs, nextLeasesMs } = this.plan;
    const start = this.#serverStarts++;
    return start === 0 ? leaseMs : nextLeasesMs[(start - 1) % nextLeasesMs.length]!;
  }

  async #startCache(cache: CachePlan): Promise<void> {
    const place = this.place(cache.name);
    if (place.process.dead) place.process = place.machine.start();
    const { process } = place;
    const { capacity, eviction, onWrite, timeoutMs, name } = cache;
    const options = {
      capacity,
      eviction,
      onWrite,
      timeoutMs,
      log: this.log(name),
      events: this.#events(name),
      runtime: process,
    };
    place.node = undefined;
    const node = cache.embedded
      ? await CoherentCache.connect(SERVER_ADDRESS, options)
      : await CacheProxy.listen({
        host: name,
        port: PROXY_PORT,
        server: SERVER_ADDRESS,
        ...options,
      });
    if (!process.dead) place.node = node;
  }
}

/** An operation that has its place among the others, and gets its end later. */
export function begun(stage: Stage, by: string, connection: number): (
  action: Action,
  outcome: Operation["outcome"],
) => void {
  const invoked = stage.world.now, at = stage.operations.length;
  const set = (action: Action, outcome: Operation["outcome"]) => {
    const returned = outcome === "unknown" ? Infinity : stage.world.now;
    stage.operations[at] = { by, connection, invoked, returned, outcome, action };
  };
  set({ kind: "GET", ind: [], data: [] }, "unknown");
  return set;
}
