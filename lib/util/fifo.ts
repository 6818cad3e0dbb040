/**
 * A queue: first in, first out.
 *
 * @module
 */

/** A queue whose ends cost the same however long it is; an array's `shift` does not. */
export class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  /** How many are in it. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The first, left where it is. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Adds one at the end. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first out; `undefined` where there is none. */
  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.#head === this.#items.length) return undefined;
    // Not kept alive by the array, which is cut when half of it is gone.
    this.#items[this.#head++] = undefined as T;
    if (this.#head === this.#items.length) {
      this.#items.length = this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** All that are in it, first to last; they stay. */
  [Symbol.iterator](): ArrayIterator<T> {
    return this.#items.slice(this.#head).values();
  }

  /** Takes all out, first to last. */
  *drain(): Generator<T> {
    while (this.length > 0) yield this.shift()!;
  }
}
