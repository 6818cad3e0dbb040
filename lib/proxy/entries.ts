/**
 * What a proxy holds of the table, and what may enter it.
 *
 * @module
 */

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

  /** Makes empty ones, closed. */
  constructor(options: EntriesOptions) {
    this.#options = options;
    this.#cache = this.makeCache(options.capacity ?? 0, options.eviction);
  }

  /** Makes an empty cache; called before anything else is made. */
  protected makeCache(capacity: number, eviction: Eviction): BoundedCache {
    return new BoundedCache(capacity, eviction);
  }

  /** Those that are held. */
  protected get cache(): BoundedCache {
    return this.#cache;
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
    this.#cache = this.makeCache(capacity, this.#options.eviction);
  }

  /** Drops all, and lets nothing in any more. */
  close(): void {
    this.#open = false;
    this.#tableSize = undefined;
    this.#cache.clear();
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

  /** The same for a part-hit, when its misses have come. */
  readAgain(ind: readonly number[]): number[] | undefined {
    return this.read(ind);
  }

  /** Those of these indices that are not held, each once, where a read has not found all. */
  missing(ind: readonly number[]): number[] {
    return this.#missing(ind);
  }

  #missing(ind: readonly number[]): number[] {
    return [...new Set(ind)].filter((index) => this.#cache.get(index) === undefined);
  }

  /** Puts in what the server answered to a read. */
  enter(ind: readonly number[], data: readonly number[]): void {
    if (!this.#open) return;
    // What was missing enters once; what was held is not brought back when that pushes it out.
    const missing = ind.length === 1 ? undefined : new Set(this.#missing(ind));
    for (const index of ind) this.#cache.touch(index);
    for (let i = 0; i < ind.length; i++) {
      const index = ind[i]!;
      if (this.#underWay.has(index)) continue;
      if (!missing || missing.delete(index) || this.#cache.get(index) !== undefined) {
        this.#cache.set(index, data[i]!);
      }
    }
  }

  /** Drops these entries, or all. */
  drop(written: Written): void {
    if (written === undefined) this.#cache.clear();
    else written.forEach((index) => this.#cache.delete(index));
  }

  /** A write is about to be sent. */
  beginWrite(written: Written): void {
    this.drop(written);
    this.#underWay.begin(written);
  }

  /** A write was answered, or its connection has ended. */
  endWrite(written: Written): void {
    this.#underWay.end(written);
  }

  /** Puts in what was written, after the write has ended well. */
  enterWritten(ind: readonly number[], data: readonly number[]): void {
    if (!this.#open || this.#options.onWrite === "around") return;
    ind.forEach((index, i) => {
      if (this.#underWay.has(index)) return;
      this.#cache.delete(index);
      this.#cache.set(index, data[i]!);
    });
  }

  /** The entries held, `[index, data]`, the oldest first. */
  held(): [index: number, data: number][] {
    return [...this.#cache];
  }
}
