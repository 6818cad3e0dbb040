/**
 * What the benchmark must show, and what was measured of it.
 *
 * @module
 */

import { tableRow, TABLES } from "./growth.ts";
import { find, ratio, type Result } from "./rounds.ts";
import {
  AT_SERVER,
  DURABLE_PUT,
  ECHO,
  HIT,
  MEMCACHED_GET,
  MISS,
  PUT,
  REDIS_FSYNC,
  REDIS_GET,
} from "./rows.ts";

/** What is measured beside the rows; what was not is absent. */
export interface Others {
  /** Hits in process, per second. */
  readonly inProcess?: number;
  /** Resident memory of a proxy that holds 500,000 entries, in MiB. */
  readonly residentMiB?: number;
  /** From the start of a server to "listening", in milliseconds. */
  readonly startMs?: number;
}

/** A target. */
export interface Target {
  /** What is measured. */
  readonly what: string;
  /** Its unit; a ratio has none. */
  readonly unit: string;
  /** Whether more is better, or less. */
  readonly better: "more" | "less";
  /** What it must reach. */
  readonly atLeast: number;
  /** What is wanted. */
  readonly after: number;
  /** What was measured; `undefined` where it was not. */
  readonly measured: number | undefined;
  /** The same ratio by the nodes' processor time per request, which the generator has no part in. */
  readonly byTime: number | undefined;
}

/** What was measured, and the same by processor time. */
type Found = readonly [measured: number | undefined, byTime?: number];

/** How a target was met. */
export function verdict({ better, atLeast, after, measured }: Target): string {
  if (measured === undefined || Number.isNaN(measured)) return "not measured";
  const reached = (value: number) => better === "more" ? measured >= value : measured <= value;
  return reached(after) ? "ok, and after" : reached(atLeast) ? "ok" : "not ok";
}

/** The targets. */
export function targets(results: readonly Result[], others: Others): Target[] {
  /** The ratio of two rows, and the same by processor time. */
  function of(name: string, other: string, depth: number): Found {
    const result = find(results, name, depth), partner = find(results, other, depth);
    if (result === undefined || partner === undefined) return [undefined];
    return [ratio(result, partner, "perSecond"), ratio(partner, result, "cpu")];
  }
  /** The ratio of two rows' p99. */
  function p99Of(name: string, other: string, depth: number): Found {
    const result = find(results, name, depth), partner = find(results, other, depth);
    return result === undefined || partner === undefined
      ? [undefined]
      : [ratio(result, partner, "p99")];
  }
  const most = TABLES.at(-1)!;
  const all: [string, string, "more" | "less", number, number, Found][] = [
    ["GET hit, depth 1, of the bare echo", "", "more", 0.65, 0.85, of(HIT, ECHO, 1)],
    ["its p99, of the bare echo's", "", "less", 3, 1.5, p99Of(HIT, ECHO, 1)],
    ["GET hit, depth 32, of Redis GET", "", "more", 1.2, 2, of(HIT, REDIS_GET, 32)],
    ["GET hit, depth 32, of memcached get", "", "more", 4, 8, of(HIT, MEMCACHED_GET, 32)],
    ["GET at the server, depth 32, of Redis GET", "", "more", 1.2, 2, of(AT_SERVER, REDIS_GET, 32)],
    ["PUT through the proxy, depth 32, of GET hit", "", "more", 0.15, 0.3, of(PUT, HIT, 32)],
    ["GET miss, depth 32, of GET hit", "", "more", 0.15, 0.3, of(MISS, HIT, 32)],
    ["durable PUT, depth 1, of Redis", "", "more", 0.5, 1, of(DURABLE_PUT, REDIS_FSYNC, 1)],
    ["durable PUT, depth 32, of Redis", "", "more", 0.3, 0.6, of(DURABLE_PUT, REDIS_FSYNC, 32)],
    ["a hit in process, per second", "", "more", 2e6, 1e7, [others.inProcess]],
    ...[1, 32].map((depth): (typeof all)[number] => [
      `GET hit, depth ${depth}, large table of small`,
      "",
      "more",
      0.8,
      0.95,
      of(tableRow(most), tableRow(TABLES[0]), depth),
    ]),
    ["resident memory, capacity 500,000", "MiB", "less", 120, 60, [others.residentMiB]],
    ['start to "listening"', "ms", "less", 250, 100, [others.startMs]],
  ];
  return all.map(([what, unit, better, atLeast, after, [measured, byTime]]) => ({
    what,
    unit,
    better,
    atLeast,
    after,
    measured,
    byTime,
  }));
}
