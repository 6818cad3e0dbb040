/**
 * The bounded cache: which entries are held, in what order they go.
 *
 * @module
 */

import { MAX_TABLE_SIZE } from "../protocol/limits.ts";

/** Which entry is the oldest: the first that entered, or the one used longest ago. */
export type Eviction = "fifo" | "lru";

const NONE = -1;
const FIRST_LENGTH = 16;

/**
 * Entries by index, `capacity` of them at most; one more takes the place of the oldest.
 *
 * Three typed arrays by index, 16 bytes for each entry of the table up to the highest that was held,
 * linked from the oldest to the newest. A hit among hundreds of thousands then costs one look into
 * memory; in a `Map` it costs several, and finding the oldest means stepping over what was deleted.
 */
export class BoundedCache {
  /** How many entries it holds at most. */
  readonly capacity: number;
  readonly #eviction: Eviction;
  /** The data of those that are held, NaN of the others. */
  #data = new Float64Array(0);
  #older = new Int32Array(0);
  #newer = new Int32Array(0);
  #oldest = NONE;
  #newest = NONE;
  #size = 0;

  /** Makes an empty one. */
  constructor(capacity: number, eviction: Eviction) {
    this.capacity = capacity;
    this.#eviction = eviction;
  }

  /** How many entries it holds. */
  get size(): number {
    return this.#size;
  }

  /** The data of an entry; `undefined` where it is not held. Its age stays. */
  get(index: number): number | undefined {
    const data = this.#data[index];
    return data === data ? data : undefined;
  }

  /** Notes that an entry was used, by which it becomes the newest under LRU. */
  touch(index: number): void {
    if (this.#eviction === "fifo" || this.get(index) === undefined) return;
    this.#unlink(index);
    this.#link(index);
  }

  /**
   * Puts an entry in, as the newest; one that is held keeps its age and gets the new data. What is
   * outside the largest table is not held.
   *
   * @returns Which one it takes the place of; `undefined` for none.
   */
  set(index: number, data: number): number | undefined {
    let evicted;
    if (this.get(index) === undefined) {
      if (this.capacity === 0 || index < 0 || index >= MAX_TABLE_SIZE) return undefined;
      if (this.#size === this.capacity) this.delete(evicted = this.#oldest);
      if (index >= this.#data.length) this.#grow(index + 1);
      this.#link(index);
      this.#size++;
    }
    this.#data[index] = data;
    return evicted;
  }

  /** Drops an entry, if it is held. */
  delete(index: number): void {
    if (this.get(index) === undefined) return;
    this.#data[index] = NaN;
    this.#unlink(index);
    this.#size--;
  }

  /** Drops all. */
  clear(): void {
    this.#data.fill(NaN);
    this.#oldest = this.#newest = NONE;
    this.#size = 0;
  }

  /** The entries held, `[index, data]`, the oldest first. */
  *[Symbol.iterator](): Generator<[index: number, data: number]> {
    for (let index = this.#oldest; index !== NONE; index = this.#newer[index]!) {
      yield [index, this.#data[index]!];
    }
  }

  #grow(least: number): void {
    const length = Math.min(MAX_TABLE_SIZE, Math.max(FIRST_LENGTH, least, 2 * this.#data.length));
    const grown = <A extends Float64Array | Int32Array>(from: A, to: A): A => (to.set(from), to);
    this.#data = grown(this.#data, new Float64Array(length).fill(NaN));
    this.#older = grown(this.#older, new Int32Array(length));
    this.#newer = grown(this.#newer, new Int32Array(length));
  }

  #link(index: number): void {
    this.#older[index] = this.#newest;
    this.#newer[index] = NONE;
    if (this.#newest === NONE) this.#oldest = index;
    else this.#newer[this.#newest] = index;
    this.#newest = index;
  }

  #unlink(index: number): void {
    const older = this.#older[index]!, newer = this.#newer[index]!;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }
}
