/**
 * The bounded cache: which entries are held, in what order they go.
 *
 * @module
 */

/** Which entry is the oldest: the first that entered, or the one used longest ago. */
export type Eviction = "fifo" | "lru";

const NONE = -1;
const FIRST_SLOTS = 16;

/**
 * Entries by index, `capacity` of them at most; one more takes the place of the oldest.
 *
 * The entries stand in slots of a few typed arrays, which grow with what is held, linked from the
 * oldest to the newest: nothing is allocated per entry, and a `Map`'s own order, in which finding the
 * oldest after many deletions means stepping over all of them, is not used.
 */
export class BoundedCache {
  /** How many entries it holds at most. */
  readonly capacity: number;
  readonly #eviction: Eviction;
  readonly #slotOf = new Map<number, number>();
  #index = new Float64Array(0);
  #data = new Float64Array(0);
  #older = new Int32Array(0);
  #newer = new Int32Array(0);
  #oldest = NONE;
  #newest = NONE;
  /** The first of the slots that were used and are free, linked by `#newer`. */
  #free = NONE;
  /** How many slots were ever used. */
  #used = 0;

  /** Makes an empty one. */
  constructor(capacity: number, eviction: Eviction) {
    this.capacity = capacity;
    this.#eviction = eviction;
  }

  /** How many entries it holds. */
  get size(): number {
    return this.#slotOf.size;
  }

  /** The data of an entry; `undefined` where it is not held. Its age stays. */
  get(index: number): number | undefined {
    const slot = this.#slotOf.get(index);
    return slot === undefined ? undefined : this.#data[slot];
  }

  /** Notes that an entry was used, by which it becomes the newest under LRU. */
  touch(index: number): void {
    if (this.#eviction === "fifo") return;
    const slot = this.#slotOf.get(index);
    if (slot === undefined || slot === this.#newest) return;
    this.#unlink(slot);
    this.#link(slot);
  }

  /** Puts an entry in, as the newest; one that is held keeps its age and gets the new data. */
  set(index: number, data: number): void {
    const held = this.#slotOf.get(index);
    if (held !== undefined) {
      this.#data[held] = data;
      return;
    }
    if (this.capacity === 0) return;
    if (this.size === this.capacity) this.delete(this.#index[this.#oldest]!);
    const slot = this.#take();
    this.#index[slot] = index;
    this.#data[slot] = data;
    this.#slotOf.set(index, slot);
    this.#link(slot);
  }

  /** Drops an entry, if it is held. */
  delete(index: number): void {
    const slot = this.#slotOf.get(index);
    if (slot === undefined) return;
    this.#slotOf.delete(index);
    this.#unlink(slot);
    this.#newer[slot] = this.#free;
    this.#free = slot;
  }

  /** Drops all. */
  clear(): void {
    this.#slotOf.clear();
    this.#oldest = this.#newest = this.#free = NONE;
    this.#used = 0;
  }

  /** The entries held, `[index, data]`, the oldest first. */
  *[Symbol.iterator](): Generator<[index: number, data: number]> {
    for (let slot = this.#oldest; slot !== NONE; slot = this.#newer[slot]!) {
      yield [this.#index[slot]!, this.#data[slot]!];
    }
  }

  #take(): number {
    if (this.#free !== NONE) {
      const slot = this.#free;
      this.#free = this.#newer[slot]!;
      return slot;
    }
    if (this.#used === this.#index.length) this.#grow();
    return this.#used++;
  }

  #grow(): void {
    const slots = Math.min(this.capacity, Math.max(FIRST_SLOTS, 2 * this.#used));
    const grown = <A extends Float64Array | Int32Array>(from: A, to: A): A => (to.set(from), to);
    this.#index = grown(this.#index, new Float64Array(slots));
    this.#data = grown(this.#data, new Float64Array(slots));
    this.#older = grown(this.#older, new Int32Array(slots));
    this.#newer = grown(this.#newer, new Int32Array(slots));
  }

  #link(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NONE;
    if (this.#newest === NONE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  #unlink(slot: number): void {
    const older = this.#older[slot]!, newer = this.#newer[slot]!;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }
}
