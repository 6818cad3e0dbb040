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

  /** Adds every index of the table. */
  fill(): void {
    this.#words = new Uint32Array(Math.ceil(this.#size / 32)).fill(0xffffffff);
    // What stands beyond the last index is no entry's.
    if (this.#size % 32 > 0) this.#words[this.#words.length - 1] = 2 ** (this.#size % 32) - 1;
    this.#count = this.#size;
  }

  /** Adds those of another set of the same table. */
  addAll(other: IndexSet): void {
    if (other.#words === undefined) return;
    const words = this.#words ??= new Uint32Array(Math.ceil(this.#size / 32));
    this.#count = 0;
    for (let i = 0; i < words.length; i++) {
      words[i]! |= other.#words[i]!;
      for (let rest = words[i]!; rest !== 0; rest &= rest - 1) this.#count++;
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
