/**
 * Rows, measured in turn, several rounds.
 *
 * @module
 */

import type { Child } from "./child.ts";
import { WARM } from "./generator.ts";
import type { Measured } from "./load.ts";
import { median, medianRatio } from "./median.ts";
import type { Node } from "./nodes.ts";
import { busyPart, usage } from "./usage.ts";
import type { Workload } from "./workload.ts";

/** One thing that is measured. */
export interface Row {
  /** What it is; with the depth, it is unique. */
  readonly name: string;
  /** How many requests are sent before their replies are waited for. */
  readonly depth: number;
  /** How many connections. */
  readonly connections: number;
  /** Whom they connect to. */
  readonly nodes: readonly [Node, ...Node[]];
  /** The server that those ask, where they do. */
  readonly behind?: Node;
  /** What is sent. */
  readonly workload: Workload;
  /** The row of this depth that it is compared with. */
  readonly of?: string;
  /** What is to be done before it is measured. */
  readonly prepare?: () => Promise<void>;
}

/** What was measured of a row in a round. */
export interface Sample extends Measured {
  /**
   * How much of the time the process of the busiest node ran, 1 for one processor; NaN where it is
   * not known.
   */
  readonly busy: number;
  /** The same of the generator. */
  readonly loadBusy: number;
  /** Processor time of all nodes per request, in microseconds. */
  readonly cpu: number;
}

/** A row, and what was measured of it in each round. */
export interface Result {
  /** The row. */
  readonly row: Row;
  /** A sample of each round. */
  readonly samples: readonly Sample[];
}

/** How long things take. */
export interface Times {
  /** How many rounds. */
  readonly rounds: number;
  /** How long a row runs before anything is counted, in milliseconds. */
  readonly warmUpMs: number;
  /** How long it is measured, in milliseconds. */
  readonly measureMs: number;
}

/** How long each row runs once before the first round, in milliseconds, so that all code is compiled. */
const FIRST_MS = 400;

/**
 * Measures rows, in turn, in every second round backwards, so that a machine that slows down or
 * speeds up does so for both sides of a ratio.
 *
 * @param progress Told what is measured next.
 */
export async function measureRows(
  generator: Child,
  rows: readonly Row[],
  times: Times,
  progress: (text: string) => void,
): Promise<Result[]> {
  for (const row of rows) {
    progress(`warm-up: ${row.name}, depth ${row.depth}`);
    await measureRow(generator, row, 0, FIRST_MS);
  }
  const samples = rows.map((): Sample[] => []);
  for (let round = 1; round <= times.rounds; round++) {
    const order = [...rows.keys()];
    if (round % 2 === 0) order.reverse();
    for (const i of order) {
      progress(`round ${round} of ${times.rounds}: ${rows[i]!.name}, depth ${rows[i]!.depth}`);
      samples[i]!.push(await measureRow(generator, rows[i]!, times.warmUpMs, times.measureMs));
    }
  }
  return rows.map((row, i) => ({ row, samples: samples[i]! }));
}

async function measureRow(
  generator: Child,
  row: Row,
  warmUpMs: number,
  measureMs: number,
): Promise<Sample> {
  const { connections, depth, workload, nodes, behind, prepare } = row;
  await prepare?.();
  const ports = nodes.map(({ port }) => port);
  const load = { ports, connections, depth, workload, warmUpMs, measureMs };
  await generator.send(JSON.stringify({ load }));
  try {
    const said = await generator.line();
    if (said !== WARM) throw new Error(said);
    const nodePids = [...nodes, ...behind === undefined ? [] : [behind]].map(({ pid }) => pid);
    const pids = [generator.pid, ...nodePids];
    const before = await Promise.all(pids.map(usage));
    const measured: Measured = JSON.parse(await generator.line());
    const after = await Promise.all(pids.map(usage));
    const [loadBusy = NaN, ...parts] = pids.map((_, i) => busyPart(before[i], after[i]));
    const cpu = parts.reduce((sum, part) => sum + part) / measured.perSecond * 1e6;
    return { ...measured, busy: Math.max(...parts), loadBusy, cpu };
  } catch (error) {
    throw new Error(`Cannot measure ${row.name} at depth ${depth}`, { cause: error });
  }
}

/** What can be compared. */
export type Metric = keyof Sample;

/** The median of the rounds. */
export function middle(result: Result, metric: Metric): number {
  return median(result.samples.map((sample) => sample[metric]));
}

/** The median of the rounds' ratios. */
export function ratio(result: Result, other: Result, metric: Metric): number {
  return medianRatio(
    result.samples.map((sample) => sample[metric]),
    other.samples.map((sample) => sample[metric]),
  );
}

/** The result of a row; `undefined` where it was not measured. */
export function find(
  results: readonly Result[],
  name: string | undefined,
  depth: number,
): Result | undefined {
  return results.find(({ row }) => row.name === name && row.depth === depth);
}
