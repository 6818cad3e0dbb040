/**
 * What a seed expands to: the machines, their clocks, the nodes, who asks, and what goes wrong.
 *
 * @module
 */

import type { Eviction } from "../lib/proxy/bounded_cache.ts";
import type { ClockOptions } from "../lib/simulate/clock.ts";
import type { NetworkOptions } from "../lib/simulate/network.ts";
import { Random } from "../lib/simulate/random.ts";
import { type FaultKind, type Scenario, SCENARIOS } from "./scenarios.ts";

/** A proxy, or a cache inside a program. */
export interface CachePlan {
  /** Its host. */
  readonly name: string;
  /** Whether it is a cache inside the program that asks. */
  readonly embedded: boolean;
  readonly capacity: number;
  readonly eviction: Eviction;
  readonly onWrite: "allocate" | "around";
  readonly timeoutMs: number;
}

/** Who asks: over one connection after the other, or by the calls of a cache. */
export interface CallerPlan {
  /** Its name. */
  readonly name: string;
  /** The host of the node that it asks, or of its cache. */
  readonly node: string;
  /** How many requests it sends at most before it waits for their answers. */
  readonly burst: number;
  /** How long it thinks between those at most, in milliseconds: they are not sent at once. */
  readonly spreadMs: number;
  /** How many it sends over one connection at most. */
  readonly perConnection: number;
  /** How long it thinks between, on average, in milliseconds. */
  readonly thinkMs: number;
  /** Its patience, in milliseconds. */
  readonly timeoutMs: number;
  /** How many of its operations write. */
  readonly writes: number;
  /** How many of these are CLRs. */
  readonly clears: number;
  /** Whether it asks for one entry at a time, for as long as the others ask at all. */
  readonly watches?: boolean;
}

/** Something that goes wrong. */
export interface FaultPlan {
  readonly kind: FaultKind;
  /** How long after the one before, in milliseconds. */
  readonly afterMs: number;
  /** How long it lasts, or until a killed process is started again, in milliseconds. */
  readonly lastsMs: number;
  /** Which of the caches it meets. */
  readonly cache: string;
  /** By how much a wall clock is set, in milliseconds. */
  readonly setMs: number;
  /** Of a cut: which side learns of it, and when, in milliseconds; nobody: the way is healed. */
  readonly learns: "nobody" | "cache" | "server";
  readonly learnsMs: number;
  /** Of a half-cut: which way is whole. */
  readonly whole: "there" | "back";
}

/** All that a run is made of. */
export interface Plan {
  readonly seed: number;
  readonly scenario: string;
  readonly operations: number;
  readonly size: number;
  /** The term of leases when the server starts first, in milliseconds. */
  readonly leaseMs: number;
  /** And, in turn, when it is started again. */
  readonly nextLeasesMs: readonly number[];
  readonly network: NetworkOptions;
  /** How long a commit takes at most, in milliseconds; 0: it is one step. */
  readonly commitMs: number;
  /** The clocks of each host. */
  readonly clocks: { readonly [host: string]: ClockOptions };
  readonly caches: readonly CachePlan[];
  readonly callers: readonly CallerPlan[];
  /** They are repeated from the first when all have struck. */
  readonly faults: readonly FaultPlan[];
}

/** By how much each clock may be fast or slow: two are then within 2 % of each other. */
const DRIFT = 0.0099;

/** Expands a seed. */
export function makePlan(seed: number, scenario: string, operations: number): Plan {
  const rules = SCENARIOS[scenario];
  if (rules === undefined) throw new RangeError(`Cannot simulate the scenario "${scenario}"`);
  const random = new Random(seed);
  const size = 2 + random.below(9);
  const leaseMs = random.of(rules.leasesMs ?? [100, 200, 500, 1000]);
  const caches = Array.from({ length: 2 + random.below(3) }, (_, i): CachePlan => ({
    name: `p${i}`,
    embedded: random.chance(rules.embedded ?? 0.25),
    capacity: 1 + random.below(size),
    eviction: random.of(["fifo", "lru"]),
    onWrite: random.of(["allocate", "allocate", "around"]),
    // Where nothing goes wrong nothing is refused, however slow the network.
    timeoutMs: rules.faults.length === 0 ? 60_000 : Math.ceil(leaseMs * random.between(0.5, 8)),
  }));
  const callers: CallerPlan[] = [];
  const nodes = [...caches.map(({ name }) => name), "server"];
  for (let i = 0; i < 12; i++) {
    const fresh = random.chance(0.3);
    callers.push({
      name: `c${i}`,
      node: nodes[i % nodes.length]!,
      burst: fresh ? 1 : 1 + random.below(6),
      spreadMs: random.chance(rules.spread ?? 0.2) ? leaseMs * random.between(0, 0.5) : 0,
      perConnection: fresh ? 1 + random.below(3) : 1000,
      thinkMs: leaseMs * random.between(0.005, 0.1),
      // More patient than any pause, so that a reply that comes late is seen.
      timeoutMs: Math.ceil(leaseMs * random.between(2, 20)),
      clears: random.of([0.02, 0.1, 0.4]),
      writes: (rules.writes ?? 1) * (fresh ? random.between(0, 0.2) : random.between(0.1, 0.6)),
    });
  }
  for (const { name: node } of caches) {
    // It sees what is held for as long as it may be seen: it asks often, and is not kept waiting.
    callers.push({
      name: `reader of ${node}`,
      node,
      burst: 1,
      spreadMs: 0,
      perConnection: 1,
      thinkMs: leaseMs * random.between(0.002, 0.01),
      timeoutMs: Math.ceil(leaseMs * random.between(0.01, 0.05)),
      writes: 0,
      clears: 0,
      watches: true,
    });
  }
  const clock = (host: string): ClockOptions => {
    const drift = DRIFT * (rules.drift ?? 1);
    if (rules.apart) {
      const rate = host === "server" ? 1 + drift : 1 - drift;
      return { rate, wallRate: rate, wallAhead: random.between(-1e6, 1e6) };
    }
    const extreme = () =>
      random.chance(0.3) ? random.of([-drift, drift]) : random.between(-drift, drift);
    const rate = 1 + extreme();
    return { rate, wallRate: 1 + extreme(), wallAhead: random.between(-1e6, 1e6) };
  };
  const hosts = [...nodes, "callers"];
  return {
    seed,
    scenario,
    operations,
    size,
    leaseMs,
    nextLeasesMs: random.chance(0.5) ? [leaseMs] : [Math.ceil(leaseMs / 8), leaseMs],
    network: {
      latencyMs: random.of([[0.05, 0.1], [0.1, 3], [1, leaseMs / 10]]),
      windowBytes: random.of([256, 4096, 65_536]),
      bytesPerMs: random.of([100, 10_000, 1_000_000]),
      pieces: random.of([0, 0.1, 0.5]),
    },
    commitMs: random.of([0, 0, 1, leaseMs / 10]),
    clocks: Object.fromEntries(hosts.map((host) => [host, clock(host)])),
    caches,
    callers,
    faults: makeFaults(random, rules, caches, leaseMs),
  };
}

function makeFaults(
  random: Random,
  rules: Scenario,
  caches: readonly CachePlan[],
  leaseMs: number,
): FaultPlan[] {
  if (rules.faults.length === 0) return [];
  const faults = Array.from({ length: 12 }, () => makeFault(random, rules, caches, leaseMs));
  if (rules.setBack) return faults;
  // A wall clock that is set back hides a sleep that the monotonic clock has not seen: of one machine
  // not both happen in one lease.
  const sleepers = new Set(
    faults.filter(({ kind }) => kind === "sleep" || kind === "cut, sleep, set back")
      .map(({ cache }) => cache),
  );
  return faults.map((fault) => {
    if (!sleepers.has(fault.cache)) return fault;
    const kind = fault.kind === "cut, set back" ? "cut" : fault.kind;
    return { ...fault, kind, setMs: Math.abs(fault.setMs) };
  });
}

function makeFault(
  random: Random,
  rules: Scenario,
  caches: readonly CachePlan[],
  leaseMs: number,
): FaultPlan {
  const lastsMs = random.chance(0.4)
    ? random.between(0, leaseMs / 10)
    : leaseMs * random.between(0.1, 3);
  return {
    kind: random.of(rules.faults),
    afterMs: leaseMs * random.between(0, 2 * rules.everyTerms),
    lastsMs,
    cache: random.of(caches).name,
    setMs: rules.setBack
      ? lastsMs * random.between(-4, 2)
      : random.of([-1, -0.5, 0, 1, 5]) * lastsMs * random.next(),
    learns: random.of(["nobody", "cache", "server"]),
    learnsMs: lastsMs * random.between(0, 2),
    whole: random.of(["there", "back"]),
  };
}
