/**
 * A set of indices.
 *
 * @module
 */

/** Indices of a table, a bit for each. */
export class IndexSet {
  readonly #size: number;
  /** Made when the first index is added: most that ask for a lease and leave hold nothing. */
  #words: Uint32Array | undefined;
  #count = 0;

  /** Makes an empty one for a table of `size` entries. */
  constructor(size: number) {
    this.#size = size;
  }

  /** How many are in it. */
  get count(): number {
    return this.#count;
  }

  /** Whether an index is in it. */
  has(index: number): boolean {
    return this.#words !== undefined && (this.#words[index >>> 5]! >>> (index & 31) & 1) === 1;
  }

  /** Adds indices. */
  add(ind: readonly number[]): void {
    const words = this.#words ??= new Uint32Array(Math.ceil(this.#size / 32));
    for (const index of ind) {
      if (this.has(index)) continue;
      words[index >>> 5]! |= 1 << (index & 31);
      this.#count++;
    }
  }

  /** Calls `take` for each index in it, the least first. */
  each(take: (index: number) => void): void {
    const words = this.#words ?? [];
    for (let at = 0; at < words.length; at++) {
      // The lowest bit that is set, each time: a word without any costs one look.
      for (let rest = words[at]!; rest !== 0; rest &= rest - 1) {
        take(at * 32 + 31 - Math.clz32(rest & -rest));
      }
    }
  }

  /** Takes indices out, or all. */
  delete(ind: readonly number[] | undefined): void {
    if (ind === undefined) {
      this.#words = undefined;
      this.#count = 0;
      return;
    }
    for (const index of ind) {
      if (!this.has(index)) continue;
      this.#words![index >>> 5]! &= ~(1 << (index & 31));
      this.#count--;
    }
  }

  /** Whether one of the indices is in it, or any at all. */
  meets(ind: readonly number[] | undefined): boolean {
    return this.#count > 0 && (ind === undefined || ind.some((index) => this.has(index)));
  }
}
