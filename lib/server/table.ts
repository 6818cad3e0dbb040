/**
 * The table.
 *
 * @module
 */

/** What was written and is not settled. */
export interface Changes {
  /** Whether every entry was set to 0 first. */
  readonly cleared: boolean;
  /** The data written after that, by index. */
  readonly entries: ReadonlyMap<number, number>;
}

/**
 * `size` entries, numbered from 0; each holds one integer, at first 0.
 *
 * What is written is read at once, and stays apart until it is settled, or reverted.
 */
export class Table {
  readonly #data: Float64Array;
  #cleared = false;
  readonly #changed = new Map<number, number>();

  /** @param data The entries. A Float64Array holds every integer within ±(2^53 − 1) exactly. */
  constructor(data: Float64Array) {
    this.#data = data;
  }

  /** How many entries it has. */
  get size(): number {
    return this.#data.length;
  }

  /** What was written and is not settled; `undefined` where nothing was. */
  get changes(): Changes | undefined {
    if (!this.#cleared && this.#changed.size === 0) return undefined;
    return { cleared: this.#cleared, entries: this.#changed };
  }

  /** The data of these indices, in that order. */
  read(ind: readonly number[]): number[] {
    const data = new Array<number>(ind.length);
    for (let i = 0; i < ind.length; i++) {
      const index = ind[i]!;
      data[i] = this.#changed.get(index) ?? (this.#cleared ? 0 : this.#data[index]!);
    }
    return data;
  }

  /** Writes these entries, from left to right. */
  write(ind: readonly number[], data: readonly number[]): void {
    for (let i = 0; i < ind.length; i++) this.#changed.set(ind[i]!, data[i]!);
  }

  /** Sets every entry to 0. */
  clear(): void {
    this.#cleared = true;
    this.#changed.clear();
  }

  /** Makes what was written the table's. */
  settle(): void {
    if (this.#cleared) this.#data.fill(0);
    for (const [index, integer] of this.#changed) this.#data[index] = integer;
    this.revert();
  }

  /** Forgets what was written and not settled. */
  revert(): void {
    this.#cleared = false;
    this.#changed.clear();
  }
}
