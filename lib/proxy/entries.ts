/**
 * What a proxy holds of the table, and what may enter it.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { BoundedCache, type Eviction } from "./bounded_cache.ts";
import { WritesUnderWay, type Written } from "./writes_under_way.ts";

/** How entries are kept. */
export interface EntriesOptions {
  /** How many entries are held at most; half of the table, rounded up, where it is not given. */
  readonly capacity: number | undefined;
  /** Which entry is the oldest. */
  readonly eviction: Eviction;
  /** Whether what is written enters. */
  readonly onWrite: "allocate" | "around";
  /** Told of what enters and what is dropped. */
  readonly events?: EventSink | undefined;
}

/** Why entries are dropped. */
export type Dropped = "invalidation" | "write" | "clear" | "disconnected" | "resized";

/** What enters in one step, for `events`. */
class Entered {
  readonly #why: "read" | "write";
  readonly #ind: number[] = [];
  readonly #data: number[] = [];
  readonly #evicted: number[] = [];

  constructor(why: "read" | "write") {
    this.#why = why;
  }

  add(index: number, data: number, evicted: number | undefined): void {
    this.#ind.push(index);
    this.#data.push(data);
    if (evicted !== undefined) this.#evicted.push(evicted);
  }

  tell(events: EventSink): void {
    if (this.#ind.length === 0) return;
    const [ind, data, evicted, why] = [this.#ind, this.#data, this.#evicted, this.#why];
    events({ type: "enter", node: "proxy", ind, data, evicted, why });
  }
}

/**
 * The entries that a proxy holds.
 *
 * Whether they may be answered from is not known here: that is the lease's matter.
 */
export class Entries {
  readonly #options: EntriesOptions;
  readonly #underWay = new WritesUnderWay();
  #cache: BoundedCache;
  #tableSize: number | undefined;
  #open = false;
  readonly #events: EventSink | undefined;

  /** Makes empty ones, closed. */
  constructor(options: EntriesOptions) {
    this.#options = options;
    this.#events = options.events;
    this.#cache = new BoundedCache(options.capacity ?? 0, options.eviction);
  }

  /** The table's size; `undefined` until the server has told it. */
  get tableSize(): number | undefined {
    return this.#tableSize;
  }

  /**
   * Lets entries in.
   *
   * @param tableSize The table's size, whose half is the capacity where none was given; `undefined`
   * where the server does not tell it.
   */
  open(tableSize: number | undefined): void {
    this.#open = true;
    this.#tableSize = tableSize;
    const capacity = this.#options.capacity ?? Math.ceil((tableSize ?? 0) / 2);
    if (capacity === this.#cache.capacity) return;
    this.drop(undefined, "resized");
    this.#cache = new BoundedCache(capacity, this.#options.eviction);
  }

  /** Drops all, and lets nothing in any more. */
  close(): void {
    this.#open = false;
    this.#tableSize = undefined;
    this.drop(undefined, "disconnected");
  }

  /** The data of these indices, in that order; `undefined` where one is not held. */
  read(ind: readonly number[]): number[] | undefined {
    const data = new Array<number>(ind.length);
    for (let i = 0; i < ind.length; i++) {
      const held = this.#cache.get(ind[i]!);
      if (held === undefined) return undefined;
      data[i] = held;
    }
    for (const index of ind) this.#cache.touch(index);
    return data;
  }

  /** Those of these indices that are not held, each once. */
  missing(ind: readonly number[]): number[] {
    return [...new Set(ind)].filter((index) => this.#cache.get(index) === undefined);
  }

  /** Puts in what the server answered to a read. */
  enter(ind: readonly number[], data: readonly number[]): void {
    if (!this.#open) return;
    // What was missing enters once; what was held is not brought back when that pushes it out.
    const missing = ind.length === 1 ? undefined : new Set(this.missing(ind));
    for (const index of ind) this.#cache.touch(index);
    const entered = this.#events && new Entered("read");
    for (let i = 0; i < ind.length; i++) {
      const index = ind[i]!;
      if (this.#underWay.has(index)) continue;
      if (!missing || missing.delete(index) || this.#cache.get(index) !== undefined) {
        this.#set(index, data[i]!, entered);
      }
    }
    entered?.tell(this.#events!);
  }

  #set(index: number, data: number, entered: Entered | undefined): void {
    const evicted = this.#cache.set(index, data);
    if (entered !== undefined && this.#cache.get(index) !== undefined) {
      entered.add(index, data, evicted);
    }
  }

  /** Drops these entries, or all. */
  drop(written: Written, why: Dropped = "invalidation"): void {
    if (this.#events !== undefined) this.#tellDrop(this.#events, written, why);
    if (written === undefined) this.#cache.clear();
    else written.forEach((index) => this.#cache.delete(index));
  }

  /** A write is about to be sent. */
  beginWrite(written: Written): void {
    this.drop(written, written === undefined ? "clear" : "write");
    this.#underWay.begin(written);
  }

  /** A write was answered, or its connection has ended. */
  endWrite(written: Written): void {
    this.#underWay.end(written);
  }

  /** Puts in what was written, after the write has ended well. */
  enterWritten(ind: readonly number[], data: readonly number[]): void {
    if (!this.#open || this.#options.onWrite === "around") return;
    const entered = this.#events && new Entered("write");
    ind.forEach((index, i) => {
      if (this.#underWay.has(index)) return;
      this.#cache.delete(index);
      this.#set(index, data[i]!, entered);
    });
    entered?.tell(this.#events!);
  }

  /** Tells which of these are dropped: those that are held. */
  #tellDrop(events: EventSink, written: Written, why: Dropped): void {
    const held = written?.filter((index) => this.#cache.get(index) !== undefined);
    const ind = held === undefined ? "all" : [...new Set(held)];
    const count = ind === "all" ? this.#cache.size : ind.length;
    if (count > 0) events({ type: "drop", node: "proxy", ind, count, why });
  }

  /** The entries held, `[index, data]`, the oldest first. */
  held(): [index: number, data: number][] {
    return [...this.#cache];
  }
}
