/**
 * The scenarios: what may go wrong together, and what makes it likely.
 *
 * @module
 */

/** The kinds of fault. */
export const FAULTS = [
  "stop",
  "sleep",
  "cut",
  "half-cut",
  "kill",
  "end",
  "kill server",
  "kill in commit",
  "end server",
  "stop server",
  "set clock",
  "disk full",
  "disk fails",
  "disk hangs",
  "slow network",
  "cut, kill server",
  "cut, kill server twice",
  "cut, end server",
  "cut, set back",
  "cut, sleep, set back",
  "cut, cut",
  "cut, end",
] as const;

/** A kind of fault. */
export type FaultKind = typeof FAULTS[number];

/** What a scenario makes more, or less, likely. */
export interface Scenario {
  /** What it is for, in a sentence. */
  readonly what: string;
  /** The faults that it is made of. */
  readonly faults: readonly FaultKind[];
  /** The mean time between two, in terms of a lease. */
  readonly everyTerms: number;
  /** The terms of leases, in milliseconds, one of which is taken. */
  readonly leasesMs?: readonly number[];
  /** How many of the operations write, against a normal run. */
  readonly writes?: number;
  /** How many of the callers do not send their bursts at once. */
  readonly spread?: number;
  /** How many of the caches are inside the programs that ask. */
  readonly embedded?: number;
  /** Whether clocks are always as far apart as they may be: the server's fast, the others slow. */
  readonly apart?: boolean;
  /** How far clocks may be from what is assumed: 1 keeps to it. */
  readonly drift?: number;
  /** Whether a wall clock may be set back by more than the machine slept. */
  readonly setBack?: boolean;
}

/** The scenarios, by name. */
export const SCENARIOS: { readonly [name: string]: Scenario } = {
  calm: { what: "nothing goes wrong", faults: [], everyTerms: 1 },
  all: { what: "everything that may go wrong does", faults: FAULTS, everyTerms: 1.5 },
  network: {
    what: "cuts, of both ways or one, that are learnt of late or never",
    faults: ["cut", "half-cut", "slow network"],
    everyTerms: 1.5,
  },
  pauses: {
    what: "processes stop, machines sleep, clocks are set",
    faults: ["stop", "sleep", "stop server", "set clock"],
    everyTerms: 1.2,
  },
  restarts: {
    what: "the server is killed and started again at once, and caches are cut off from it",
    faults: ["kill server", "kill in commit", "end server", "kill", "end", "cut", "half-cut"],
    everyTerms: 2,
  },
  disk: {
    what: "the disk is full, fails, or never answers",
    faults: ["disk full", "disk fails", "disk hangs", "kill in commit", "kill server"],
    everyTerms: 1.5,
  },
  leases: {
    what: "caches are cut off until their leases are over, on clocks that run apart",
    faults: ["cut", "half-cut", "cut, set back", "cut, sleep, set back", "sleep", "stop"],
    everyTerms: 0.8,
    // So long that what clocks differ by in a term is more than a message takes.
    leasesMs: [500, 5000],
    apart: true,
  },
  successors: {
    what: "a server takes over from one that a cache does not know to be gone",
    faults: ["cut, kill server", "cut, kill server twice", "cut, end server"],
    everyTerms: 1.5,
    // Longer than the pauses before a cache connects again, which grow where connections do not last.
    leasesMs: [10_000, 20_000],
  },
  "long leases": {
    what: "leases that outlast the end of a server",
    faults: ["cut, end server", "cut"],
    everyTerms: 1,
    leasesMs: [8000],
  },
  partings: {
    what:
      "the server learns at once of caches that are cut off, and what they hold is seldom written",
    faults: ["cut, cut"],
    everyTerms: 1,
    leasesMs: [500, 5000],
    writes: 0.1,
    apart: true,
  },
  pipelines: {
    what: "callers do not wait for what is on its way from caches that are cut off",
    faults: ["cut, cut"],
    everyTerms: 1,
    writes: 0.5,
    spread: 0.8,
    embedded: 0,
  },
  "embedded ends": {
    what: "caches in programs are closed while what they have asked waits for one that is cut off",
    faults: ["cut, end"],
    everyTerms: 1,
    embedded: 0.7,
  },
  ends: {
    what: "proxies end in order, in the middle of what they do",
    faults: ["end", "end", "end", "stop", "stop", "stop server", "slow network"],
    everyTerms: 0.5,
  },
  "wild clocks": {
    what: "beyond what is assumed: a machine sleeps, and its wall clock is set back meanwhile; " +
      "right after waking a cache answers an old value. Not part of a normal run",
    faults: ["sleep", "set clock", "stop"],
    everyTerms: 1.2,
    setBack: true,
  },
  "clocks apart": {
    what: "beyond what is assumed: clocks are 8 % apart; a cache that is cut off answers an old " +
      "value at the end of its term. Not part of a normal run",
    faults: ["cut", "half-cut"],
    everyTerms: 0.8,
    leasesMs: [500, 5000],
    apart: true,
    drift: 4,
  },
};

/** The scenarios of a normal run; seeds take them in turn. */
export const NORMAL = [
  "all",
  "leases",
  "network",
  "successors",
  "pauses",
  "restarts",
  "disk",
  "ends",
  "partings",
  "pipelines",
  "embedded ends",
  "long leases",
  "calm",
] as const;
