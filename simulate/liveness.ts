/**
 * What must be so again when the faults have ended: hits are hits, writes go through, and nobody waits
 * for nobody.
 *
 * @module
 */

import type { TableCalls } from "../lib/table_calls.ts";
import { CoherentCache } from "../lib/proxy/coherent_cache.ts";
import { CALM_NETWORK } from "../lib/simulate/network.ts";
import { add, clear, get, put } from "./asking.ts";
import { begun, SERVER, SERVER_ADDRESS, type Stage } from "./stage.ts";

/** How long nodes may take to find each other again: their longest pause and more, in milliseconds. */
const HEALING_MS = 12_000;

/** A node that runs, as somebody who asks it. */
interface Asker {
  readonly name: string;
  readonly table: TableCalls;
  /** How many trips over the network a hit takes; `undefined` where there are none. */
  readonly hitTrips: number | undefined;
}

/** The longest waits that were seen, in terms of a lease. */
export interface Waits {
  write: number;
  hit: number;
}

/** Ends all faults, and lets the nodes find each other. */
export async function heal(stage: Stage): Promise<void> {
  stage.network.healAll();
  stage.network.options = CALM_NETWORK;
  stage.disk.state = "well";
  stage.disk.lateMs = 0;
  for (const [host, place] of stage.places) {
    place.machine.wake();
    place.process.continue();
    if (place.process.dead) stage.start(host);
  }
  await stage.world.pass(HEALING_MS + 20 * stage.plan.leaseMs);
}

/** Notes what is not as it must be. */
export async function seeThatAllIsWell(stage: Stage): Promise<Waits> {
  const { leaseMs, nextLeasesMs } = stage.plan;
  // Several times as fast as the shortest lease: it must be renewed all the same.
  const slowMs = Math.min(leaseMs, ...nextLeasesMs) / 20;
  const askers = await allAskers(stage);
  const waits = { write: 0, hit: 0 };
  const all = Array.from({ length: stage.plan.size }, (_, index) => index);
  const chance = stage.world.random.fork();
  for (const { name, table } of askers) {
    for (const reader of askers) await read(stage, reader.name, reader.table, all);
    await perform(stage, name, clear(table));
    await perform(stage, name, put(stage, table, all));
    await perform(stage, name, add(table, all.slice(0, 5)));
    // All holders are there to answer.
    const passed = await write(stage, name, table, chance.below(all.length));
    waits.write = Math.max(waits.write, passed / leaseMs);
    if (passed > slowMs) stage.note("slow write", `a write at ${name} took ${passed} ms`);
  }
  for (const { name, table, hitTrips } of askers) {
    if (hitTrips === undefined) continue;
    const passed = await hit(stage, name, table, slowMs, (hitTrips + 0.5) * slowMs);
    waits.hit = Math.max(waits.hit, (passed - hitTrips * slowMs) / leaseMs);
    if (passed <= (hitTrips + 0.5) * slowMs) continue;
    stage.note("no hit", `${name} asks for what it has just read: ${passed} ms`);
  }
  return waits;
}

async function allAskers(stage: Stage): Promise<Asker[]> {
  const askers: Asker[] = [];
  for (const { name, embedded } of [...stage.plan.caches, { name: SERVER, embedded: false }]) {
    const { node } = stage.place(name);
    if (node === undefined) stage.note("does not run", `${name} does not run`);
    else if (embedded) askers.push({ name, table: node as CoherentCache, hitTrips: 0 });
    else {
      const hitTrips = name === SERVER ? undefined : 2;
      askers.push({ name, table: await stage.connect(name), hitTrips });
    }
  }
  return askers;
}

/**
 * Reads what was just read, while all that comes over the network is late by `slowMs`.
 *
 * @returns How long it took, in milliseconds.
 */
async function hit(
  stage: Stage,
  name: string,
  table: TableCalls,
  slowMs: number,
  mostMs: number,
): Promise<number> {
  let passed = Infinity;
  // A timer that comes late may let a short lease lapse for a moment.
  for (let tries = 0; tries < 5 && passed > mostMs; tries++) {
    const ind = [stage.world.random.below(stage.plan.size)];
    await read(stage, name, table, ind);
    stage.network.options = { ...CALM_NETWORK, latencyMs: [slowMs, slowMs] };
    passed = await read(stage, name, table, ind);
    stage.network.options = CALM_NETWORK;
  }
  return passed;
}

/**
 * A program reads an entry and ends; others read another entry and end, each within a term of the one
 * before. When the lease of the first is over, nobody holds its entry, and nobody waits for it.
 */
export async function seeThatNobodyWaitsForNobody(stage: Stage): Promise<void> {
  const { world, plan: { leaseMs, size } } = stage;
  const pass = async (index: number) => {
    const runtime = stage.caller();
    const cache = await CoherentCache.connect(SERVER_ADDRESS, { runtime });
    await read(stage, "a passer", cache, [index]);
    runtime.kill();
  };
  const writer = await stage.connect(SERVER);
  await pass(0);
  for (let passed = 0; passed < 4; passed++) {
    await world.pass(0.3 * leaseMs);
    await pass(size - 1);
  }
  await read(stage, "a writer", writer, [0]);
  const passed = await write(stage, "a writer", writer, 0);
  if (passed <= leaseMs / 20) return;
  stage.note("waits for nobody", `a write of what nobody holds took ${passed} ms`);
}

/** Reads, which must succeed; how long it took, in milliseconds. */
function read(stage: Stage, by: string, table: TableCalls, ind: number[]): Promise<number> {
  return perform(stage, by, get(table, ind));
}

/** Writes, which must succeed; how long it took, in milliseconds. */
function write(stage: Stage, by: string, table: TableCalls, index: number): Promise<number> {
  return perform(stage, by, put(stage, table, [index]));
}

async function perform(
  stage: Stage,
  by: string,
  [action, done]: ReturnType<typeof put>,
): Promise<number> {
  const began = stage.world.now;
  const note = begun(stage, by, stage.connection());
  note(action, "unknown");
  try {
    note(await done, "done");
  } catch (error) {
    const what = action.kind === "GET" || action.kind === "ADD" ? "read" : "write";
    stage.note(`no ${what}`, `a ${what} at ${by}: ${(error as Error).message}`);
  }
  return stage.world.now - began;
}
