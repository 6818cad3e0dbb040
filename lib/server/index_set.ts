/**
 * A set of indices.
 *
 * @module
 */

/** Indices of a table, a bit for each. */
export class IndexSet {
  readonly #size: number;
  readonly #words: Uint32Array;
  #count = 0;

  /** Makes an empty one for a table of `size` entries. */
  constructor(size: number) {
    this.#size = size;
    this.#words = new Uint32Array(Math.ceil(size / 32));
  }

  /** How many are in it. */
  get count(): number {
    return this.#count;
  }

  /** Whether an index is in it. */
  has(index: number): boolean {
    return (this.#words[index >>> 5]! >>> (index & 31) & 1) === 1;
  }

  /** Adds indices. */
  add(ind: readonly number[]): void {
    for (const index of ind) {
      if (this.has(index)) continue;
      this.#words[index >>> 5]! |= 1 << (index & 31);
      this.#count++;
    }
  }

  /** Adds every index of the table. */
  fill(): void {
    this.#words.fill(0xffffffff);
    this.#count = this.#size;
  }

  /** Takes indices out, or all. */
  delete(ind: readonly number[] | undefined): void {
    if (ind === undefined) {
      if (this.#count > 0) this.#words.fill(0);
      this.#count = 0;
      return;
    }
    for (const index of ind) {
      if (!this.has(index)) continue;
      this.#words[index >>> 5]! &= ~(1 << (index & 31));
      this.#count--;
    }
  }

  /** Whether one of the indices is in it, or any at all. */
  meets(ind: readonly number[] | undefined): boolean {
    return this.#count > 0 && (ind === undefined || ind.some((index) => this.has(index)));
  }
}
