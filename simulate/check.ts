/**
 * Checks a history of a simulated table against the order in which its server did what was asked.
 *
 * In the simulated world it is known when each write took effect: the disk is simulated, too. So no
 * order has to be searched for. A history is strictly serializable if each operation has a moment
 * between its request and its reply at which the table is as it says: then the order of those moments
 * is one that respects real time. That is more than the promise asks, since another order might do; it
 * is what the protocol does, and it is decided in one pass.
 *
 * @module
 */

import type { Effect } from "../lib/simulate/disk.ts";

/** What was asked and, of a read, what was seen. */
export type Action =
  | { readonly kind: "GET"; readonly ind: readonly number[]; readonly data: readonly number[] }
  | { readonly kind: "ADD"; readonly ind: readonly number[]; readonly sum: bigint }
  | { readonly kind: "PUT"; readonly ind: readonly number[]; readonly data: readonly number[] }
  | { readonly kind: "CLR" };

/** One operation, as who asked saw it. */
export interface Operation {
  /** Who asked, for people. */
  readonly by: string;
  /** The connection it was sent on; in one connection, in the order sent. */
  readonly connection: number;
  /** When it was asked, by the world's time. */
  readonly invoked: number;
  /** When it was answered; `Infinity` where it was not. */
  readonly returned: number;
  /** What became of it: `refused`, an error says that nothing was changed. */
  readonly outcome: "done" | "refused" | "unknown";
  /** What was asked. */
  readonly action: Action;
}

export type { Effect };

/** Something that may not be. */
export interface Violation {
  /** What it is, in a word or two. */
  readonly what: string;
  /** The operation that shows it, if it is one. */
  readonly operation: Operation | undefined;
  /** What happened, for people. */
  readonly story: string;
}

/**
 * Checks a history.
 *
 * @param operations In the order in which they were asked on each connection. Each value was written
 * by one operation at most, and none is 0.
 * @param effects What took effect, in order.
 * @param size How many entries the table has, all 0 at first.
 */
export function check(
  operations: readonly Operation[],
  effects: readonly Effect[],
  size: number,
): Violation[] {
  const table = new Versions(effects, size);
  const writes = new Writes(operations, effects);
  const violations = [...writes.violations];
  /** For each connection, the version that its next operation may see at the earliest. */
  const least = new Map<number, number>();
  for (const operation of operations) {
    const { action, connection, outcome } = operation;
    if (outcome !== "done") continue;
    const from = least.get(connection) ?? 0;
    if (action.kind === "CLR") {
      // It is one of those that took effect meanwhile, and behind what its connection has seen.
      const version = table.firstClear(operation, from + 1);
      if (version === undefined) violations.push(outOfOrder(operation, "no CLR took effect later"));
      else least.set(connection, version);
      continue;
    }
    if (action.kind === "PUT") {
      const version = writes.versionOf(operation);
      if (version === undefined) continue;
      if (version <= from) {
        const { at } = effects[version - 1]!;
        violations.push(
          outOfOrder(operation, `it took effect at ${at}, before what was sent earlier`),
        );
      }
      least.set(connection, Math.max(from, version));
      continue;
    }
    const { first, last } = table.during(operation.invoked, operation.returned);
    let version = Math.max(first, from);
    while (version <= last && !table.shows(action, version)) version++;
    if (version <= last) least.set(connection, version);
    else violations.push(unseen(operation, table, Math.max(first, from), last));
  }
  return violations;
}

/** The table after each effect; version 0 is the table at first. */
class Versions {
  readonly #effects: readonly Effect[];
  /** For each index, the versions in which it was written, and what. */
  readonly #written: { readonly versions: number[]; readonly data: number[] }[];

  constructor(effects: readonly Effect[], size: number) {
    this.#effects = effects;
    this.#written = Array.from({ length: size }, () => ({ versions: [0], data: [0] }));
    effects.forEach(({ entries }, i) => {
      for (let index = 0; index < size; index++) {
        const data = entries === undefined ? 0 : entries.get(index);
        if (data === undefined) continue;
        this.#written[index]!.versions.push(i + 1);
        this.#written[index]!.data.push(data);
      }
    });
  }

  /** The versions that were there at a moment between these two, the two among them. */
  during(from: number, to: number): { first: number; last: number } {
    return {
      first: firstWhere(this.#effects.length, (i) => this.#effects[i]!.at >= from),
      last: firstWhere(this.#effects.length, (i) => this.#effects[i]!.at > to),
    };
  }

  /** The first version, from `least` on, that a CLR has made while an operation was under way. */
  firstClear({ invoked, returned }: Operation, least: number): number | undefined {
    const { first, last } = this.during(invoked, returned);
    for (let version = Math.max(first + 1, least); version <= last; version++) {
      if (this.#effects[version - 1]!.entries === undefined) return version;
    }
    return undefined;
  }

  /** The data of an index in a version. */
  data(index: number, version: number): number {
    const { versions, data } = this.#written[index]!;
    return data[firstWhere(versions.length, (i) => versions[i]! > version) - 1]!;
  }

  /** Whether a read sees what stands in a version. */
  shows(action: Action, version: number): boolean {
    if (action.kind === "GET") {
      return action.ind.every((index, i) => this.data(index, version) === action.data[i]);
    }
    if (action.kind !== "ADD") return true;
    const sum = action.ind.reduce((sum, index) => sum + BigInt(this.data(index, version)), 0n);
    return sum === action.sum;
  }

  /** When a version was replaced. */
  replaced(version: number): number {
    return this.#effects[version]?.at ?? Infinity;
  }

  /** The versions in which an index held a value. */
  holding(index: number, value: number): number[] {
    const { versions, data } = this.#written[index]!;
    return versions.filter((_, i) => data[i] === value);
  }
}

/** Which effect is which operation's. */
class Writes {
  readonly violations: Violation[] = [];
  readonly #versions = new Map<Operation, number>();

  constructor(operations: readonly Operation[], effects: readonly Effect[]) {
    const byValue = new Map<number, number>();
    const owned = new Set<number>();
    effects.forEach(({ entries }, i) => {
      for (const value of entries?.values() ?? []) byValue.set(value, i);
    });
    for (const operation of operations) {
      const { action } = operation;
      if (action.kind !== "PUT") continue;
      const place = byValue.get(action.data.at(-1)!);
      const effect = place === undefined ? undefined : effects[place];
      if (place !== undefined) {
        if (owned.has(place)) this.#note("written twice", operation, "it took effect twice");
        owned.add(place);
      }
      this.#judge(operation, effect);
      if (effect === undefined) continue;
      this.#versions.set(operation, place! + 1);
      const asked = new Map(action.ind.map((index, i) => [index, action.data[i]!]));
      const whole = effect.entries!.size === asked.size &&
        [...asked].every(([index, data]) => effect.entries!.get(index) === data);
      if (!whole) this.#note("half a write", operation, "it took effect in part");
    }
    const clears: number[] = [];
    effects.forEach(({ entries }, i) => {
      if (entries === undefined) clears.push(i);
      else if (!owned.has(i)) {
        this.#note(
          "invented write",
          undefined,
          `nobody asked for ${[...entries]} at ${effects[i]!.at}`,
        );
      }
    });
    this.#matchClears(operations, clears.map((i) => effects[i]!.at));
  }

  /** The version that a PUT has made. */
  versionOf(operation: Operation): number | undefined {
    return this.#versions.get(operation);
  }

  #judge(operation: Operation, effect: Effect | undefined): void {
    const { outcome, invoked, returned } = operation;
    if (outcome === "refused" && effect !== undefined) {
      this.#note("dishonest refusal", operation, `it took effect at ${effect.at}`);
    } else if (outcome === "done" && effect === undefined) {
      this.#note("lost write", operation, "it was acknowledged and never took effect");
    } else if (effect !== undefined && (effect.at < invoked || effect.at > returned)) {
      this.#note("wrong moment", operation, `it took effect at ${effect.at}`);
    }
  }

  /** Each CLR that was done took effect between request and reply, and no CLR did that nobody asked. */
  #matchClears(operations: readonly Operation[], moments: readonly number[]): void {
    const asked = operations.filter(({ action, outcome }) =>
      action.kind === "CLR" && outcome !== "refused"
    ).sort((a, b) => a.invoked - b.invoked);
    const open: Operation[] = [];
    let next = 0;
    for (const at of moments) {
      while (next < asked.length && asked[next]!.invoked <= at) open.push(asked[next++]!);
      // The one that must be answered first; those whose answer never came can wait for ever.
      open.sort((a, b) => a.returned - b.returned);
      const late = firstWhere(open.length, (i) => open[i]!.returned >= at);
      for (const operation of open.splice(0, late)) this.#lostClear(operation);
      if (open.shift() === undefined) {
        this.#note("invented write", undefined, `nobody asked for a CLR that took effect at ${at}`);
      }
    }
    for (const operation of [...open, ...asked.slice(next)]) this.#lostClear(operation);
  }

  #lostClear(operation: Operation): void {
    if (operation.outcome === "done") {
      this.#note("lost write", operation, "it was acknowledged and did not take effect meanwhile");
    }
  }

  #note(what: string, operation: Operation | undefined, why: string): void {
    const story = operation === undefined ? why : `${show(operation)}: ${why}`;
    this.violations.push({ what, operation, story });
  }
}

function outOfOrder(operation: Operation, why: string): Violation {
  return { what: "out of order", operation, story: `${show(operation)}: ${why}` };
}

function unseen(operation: Operation, table: Versions, first: number, last: number): Violation {
  const { action } = operation;
  const lines = [`${show(operation)}: at no moment the table was so.`];
  if (action.kind === "GET") {
    action.ind.forEach((index, i) => {
      const value = action.data[i]!;
      const moments = table.holding(index, value).map((version) => {
        let end = version;
        while (table.data(index, end) === value && table.replaced(end) < Infinity) end++;
        return `until ${table.data(index, end) === value ? "the end" : table.replaced(end - 1)}`;
      });
      lines.push(`  ${index}=${value}: the table held it ${moments.join(", ") || "never"}`);
    });
  }
  const indices = "ind" in action ? [...new Set(action.ind)] : [];
  for (const version of new Set([first, last])) {
    lines.push(`  version ${version}: ${indices.map((i) => `${i}=${table.data(i, version)}`)}`);
  }
  const stale = action.kind !== "GET" ||
    action.ind.every((index, i) => table.holding(index, action.data[i]!).some((v) => v <= last));
  return { what: stale ? "stale read" : "invented value", operation, story: lines.join("\n") };
}

/** An operation, for a person. */
export function show({ by, action, invoked, returned, outcome }: Operation): string {
  const seen = action.kind === "GET" || action.kind === "PUT"
    ? ` ${action.ind}=${action.data}`
    : action.kind === "ADD"
    ? ` ${action.ind}=${action.sum}`
    : "";
  return `${by}: ${action.kind}${seen} (${invoked} to ${returned}, ${outcome})`;
}

/** The first number below `end` for which the test is true, as it is for all above; `end` if none. */
function firstWhere(end: number, test: (i: number) => boolean): number {
  let low = 0;
  while (low < end) {
    const middle = (low + end) >> 1;
    if (test(middle)) end = middle;
    else low = middle + 1;
  }
  return low;
}
