/**
 * The writes that a proxy has sent and the server has not answered.
 *
 * @module
 */

/** A write: its indices, or `undefined` for all. */
export type Written = readonly number[] | undefined;

/** Counts, for each index, the writes under way: while there is one, what is known of it may be old. */
export class WritesUnderWay {
  readonly #byIndex = new Map<number, number>();
  #ofAll = 0;

  /** Whether a write of this index is under way. */
  has(index: number): boolean {
    return this.#ofAll > 0 || (this.#byIndex.size > 0 && this.#byIndex.has(index));
  }

  /** A write is sent. */
  begin(written: Written): void {
    this.#count(written, 1);
  }

  /** A write was answered, or never will be. */
  end(written: Written): void {
    this.#count(written, -1);
  }

  #count(written: Written, step: 1 | -1): void {
    if (written === undefined) {
      this.#ofAll += step;
      return;
    }
    for (const index of written) {
      const count = (this.#byIndex.get(index) ?? 0) + step;
      if (count === 0) this.#byIndex.delete(index);
      else this.#byIndex.set(index, count);
    }
  }
}
