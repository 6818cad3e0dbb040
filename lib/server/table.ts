/**
 * The table.
 *
 * @module
 */

/** `size` entries, numbered from 0; each holds one integer, at first 0. */
export class Table {
  readonly #data: Float64Array;

  /** @param init The first entries, from 0 on; the others are 0. */
  constructor(size: number, init: readonly number[] = []) {
    // A Float64Array holds every integer within ±(2^53 − 1) exactly.
    this.#data = new Float64Array(size);
    this.#data.set(init);
  }

  /** How many entries it has. */
  get size(): number {
    return this.#data.length;
  }

  /** The data of these indices, in that order. */
  read(ind: readonly number[]): number[] {
    const data: number[] = [];
    for (const index of ind) data.push(this.#data[index]!);
    return data;
  }

  /** The exact sum of these entries. */
  sum(ind: readonly number[]): bigint {
    return this.read(ind).reduce((sum, integer) => sum + BigInt(integer), 0n);
  }

  /** Writes these entries, from left to right. */
  write(ind: readonly number[], data: readonly number[]): void {
    for (let i = 0; i < ind.length; i++) this.#data[ind[i]!] = data[i]!;
  }

  /** Sets every entry to 0. */
  clear(): void {
    this.#data.fill(0);
  }
}
