/**
 * What goes wrong, while others ask.
 *
 * @module
 */

import { CoherentCache } from "../lib/proxy/coherent_cache.ts";
import type { Callers } from "./asking.ts";
import type { CachePlan, CallerPlan, FaultPlan } from "./plan.ts";
import type { FaultKind } from "./scenarios.ts";
import { type Place, SERVER, type Stage } from "./stage.ts";

/** Asks for one entry. */
const READER: CallerPlan = {
  name: "reader after sleep",
  node: "",
  burst: 1,
  spreadMs: 0,
  perConnection: 1,
  thinkMs: 0,
  timeoutMs: 0,
  writes: 0,
  clears: 0,
  watches: true,
};

/** The faults of a plan, one after the other; each may last while the next begin. */
export class Faults {
  /** How often each kind has struck. */
  readonly struck = new Map<FaultKind, number>();
  readonly #stage: Stage;
  readonly #callers: Callers;
  /** The machines that sleep, and whose clocks will be set back. */
  readonly #settingBack = new Set<string>();

  /** Those that strike while `callers` ask. */
  constructor(stage: Stage, callers: Callers) {
    this.#stage = stage;
    this.#callers = callers;
  }

  /** They strike; resolves when the last is over. */
  async strikeAll(): Promise<void> {
    const { plan: { faults }, world } = this.#stage;
    const lasting: Promise<void>[] = [];
    for (let i = 0; faults.length > 0; i++) {
      const fault = faults[i % faults.length]!, { kind, cache, lastsMs } = fault;
      await world.pass(fault.afterMs);
      if (this.#callers.done) break;
      this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
      this.#stage.log("world")(`${kind} ${cache} for ${lastsMs.toFixed(1)} ms`);
      lasting.push(this.#suffer(fault));
    }
    await Promise.all(lasting);
  }

  async #suffer(fault: FaultPlan): Promise<void> {
    const stage = this.#stage, { world } = stage;
    const { kind, lastsMs, cache: host, setMs } = fault;
    const place = stage.place(host);
    switch (kind) {
      case "stop":
      case "stop server": {
        const { process } = kind === "stop" ? place : stage.place(SERVER);
        process.stop();
        await world.pass(lastsMs);
        return process.continue();
      }
      case "sleep":
        place.machine.sleep();
        await world.pass(lastsMs);
        place.machine.setWall(setMs);
        return place.machine.wake();
      case "set clock":
        return place.machine.setWall(setMs);
      case "cut":
      case "half-cut":
        return await this.#cut(fault);
      case "kill":
        place.process.kill();
        await world.pass(lastsMs);
        if (place.process.dead) stage.start(host);
        return;
      case "end":
        if (place.process.dead || place.node === undefined) return;
        await stage.end(place);
        await world.pass(lastsMs);
        if (place.process.dead) stage.start(host);
        return;
      case "kill server":
        return await stage.restartServer(lastsMs);
      case "kill in commit":
        return await this.#killInCommit(lastsMs);
      case "end server":
        return await this.#endServer(lastsMs);
      case "cut, kill server":
        return await this.#succeed(host, async () => {
          await stage.restartServer(fault.afterMs / 50);
          await this.#passBy(host);
        });
      case "cut, sleep, set back":
        return await this.#sleepAndSetBack(place);
      case "cut, cut":
        return await this.#cutBoth(host);
      case "cut, end":
        return await this.#endBesides(host, lastsMs);
      case "cut, kill server twice":
        return await this.#succeed(host, async () => {
          await stage.restartServer(0);
          await world.pass(fault.afterMs / 50);
          await stage.restartServer(0);
        });
      case "cut, end server":
        return await this.#succeed(host, () => this.#endServer(0));
      case "cut, set back":
        return await this.#succeed(host, async () => {
          await world.pass(0.1 * stage.plan.leaseMs);
          place.machine.setWall(-stage.plan.leaseMs);
        });
      case "disk full":
        return await this.#disk("full", lastsMs);
      case "disk fails":
        return await this.#disk("failing", lastsMs);
      case "disk hangs":
        await this.#disk("silent", lastsMs);
        // Somebody who watches it.
        return await stage.restartServer(0);
      case "slow network":
        return await this.#slow(lastsMs);
    }
  }

  async #killInCommit(lastsMs: number): Promise<void> {
    const { disk, world, plan } = this.#stage;
    disk.state = "deadly";
    // Until somebody writes.
    while (disk.state === "deadly" && !this.#callers.done) await world.pass(plan.leaseMs / 10);
    disk.state = "well";
    await this.#stage.restartServer(lastsMs);
  }

  async #endServer(lastsMs: number): Promise<void> {
    const server = this.#stage.place(SERVER);
    if (server.process.dead || server.node === undefined) return;
    await this.#stage.end(server);
    await this.#stage.restartServer(lastsMs);
  }

  /** Something happens to the server, and a cache does not hear of it before its lease is over. */
  async #succeed(cache: string, happen: () => Promise<void>): Promise<void> {
    const { network, world, plan } = this.#stage;
    network.cut(cache, SERVER);
    network.cut(SERVER, cache);
    await happen();
    await world.pass(1.2 * plan.leaseMs);
    network.heal(cache, SERVER);
    network.heal(SERVER, cache);
  }

  /** Another than `host` holds something of the server for a shorter time, and is gone. */
  async #passBy(host: string): Promise<void> {
    const { world, plan } = this.#stage;
    await world.pass(0.3 * plan.leaseMs);
    const other = this.#otherThan(host, () => true);
    if (other === undefined || this.#stage.place(other.name).process.dead) return;
    this.#stage.place(other.name).process.kill();
    this.#stage.start(other.name);
  }

  /** A cache at another host. */
  #otherThan(host: string, fits: (cache: CachePlan) => boolean): CachePlan | undefined {
    return this.#stage.plan.caches.find((cache) => cache.name !== host && fits(cache));
  }

  /** The lease of the one that is cut off last ends last; the server learns of that one first. */
  async #cutBoth(host: string): Promise<void> {
    const { network, world, plan } = this.#stage;
    const other = this.#otherThan(host, () => true);
    if (other === undefined) return;
    await this.#succeed(host, async () => {
      await world.pass(0.5 * plan.leaseMs);
      await this.#succeed(other.name, () => {
        network.breakAt(SERVER, other.name);
        network.breakAt(SERVER, host);
        return Promise.resolve();
      });
    });
  }

  /** A cache inside a program ends while what it has asked waits for one that is cut off. */
  async #endBesides(host: string, lastsMs: number): Promise<void> {
    const other = this.#otherThan(host, ({ embedded }) => embedded);
    const ending = other && this.#stage.place(other.name);
    if (ending?.node === undefined || ending.process.dead) return;
    await this.#succeed(host, async () => {
      await this.#stage.world.pass(0.2 * lastsMs);
      if (ending.node === undefined || ending.process.dead) return;
      await this.#stage.end(ending);
      this.#stage.start(other!.name);
    });
  }

  /**
   * A cache in a program is cut off, and its machine sleeps until the lease is over. When that was found,
   * the wall clock is set back: then neither clock shows it any more.
   */
  async #sleepAndSetBack(place: Place): Promise<void> {
    const { network, world, plan: { leaseMs, size } } = this.#stage, { machine } = place;
    const { name } = machine;
    if (this.#settingBack.has(name)) return;
    this.#settingBack.add(name);
    network.cut(name, SERVER);
    // A grant that is under way arrives: read after the sleep, it would be taken for a new one.
    await world.pass(0.5 * leaseMs);
    network.cut(SERVER, name);
    machine.sleep();
    await world.pass(1.1 * leaseMs);
    machine.wake();
    await world.pass(1);
    const { node } = place;
    if (node instanceof CoherentCache && findsLeaseOver(place)) {
      machine.setWall(-1.1 * leaseMs);
      for (let index = 0; index < size; index++) {
        this.#callers.perform(READER, node, this.#stage.connection(), world.random).catch(() => {});
      }
    }
    await world.pass(0.5 * leaseMs);
    network.heal(name, SERVER);
    network.heal(SERVER, name);
    this.#settingBack.delete(name);
  }

  async #cut({ kind, cache, lastsMs, learns, learnsMs, whole }: FaultPlan): Promise<void> {
    const { network, world } = this.#stage;
    if (kind === "cut" || whole === "back") network.cut(cache, SERVER);
    if (kind === "cut" || whole === "there") network.cut(SERVER, cache);
    const learning = world.pass(learnsMs).then(() => {
      if (learns === "cache") network.breakAt(cache, SERVER);
      if (learns === "server") network.breakAt(SERVER, cache);
    });
    await world.pass(lastsMs);
    network.heal(cache, SERVER);
    network.heal(SERVER, cache);
    await learning;
  }

  async #disk(state: "full" | "failing" | "silent", lastsMs: number): Promise<void> {
    const { disk, world } = this.#stage;
    disk.state = state;
    await world.pass(lastsMs);
    if (disk.state === state) disk.state = "well";
  }

  async #slow(lastsMs: number): Promise<void> {
    const { network, world, plan } = this.#stage, { options } = network;
    network.options = { ...options, latencyMs: [1, plan.leaseMs / 2] };
    await world.pass(lastsMs);
    network.options = options;
  }
}

/** Has a cache in a program look at its lease: whether that is over. */
function findsLeaseOver({ node, process }: Place): boolean {
  if (!(node instanceof CoherentCache) || process.dead || process.suspended) return false;
  let over = false;
  const lane = node.lane((reply) => over = reply.op === "INF" && reply.msg === "no lease");
  lane.begin();
  lane.take({ op: "INF" });
  return over;
}
