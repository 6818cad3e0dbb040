/**
 * Chance that comes from a seed.
 *
 * @module
 */

/** A generator of numbers that gives the same ones for the same seed (mulberry32). */
export class Random {
  #state: number;

  /** Makes one; any 32 bits are a seed. */
  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A number from 0 on, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 on, below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** A number from `least` on, below `end`. */
  between(least: number, end: number): number {
    return least + this.next() * (end - least);
  }

  /** Whether something happens whose probability this is. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of a list. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** A list in any order. */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  /** Another generator, which what is drawn from this one later does not change. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32));
  }
}
