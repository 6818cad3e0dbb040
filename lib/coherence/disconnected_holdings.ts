/**
 * What is held by sessions whose connections have ended.
 *
 * @module
 */

import type { Runtime } from "../runtime/runtime.ts";
import type { IndexSet } from "./index_set.ts";

/**
 * Until when each index is held by sessions that are disconnected: nobody can ask them any more, so
 * that a write of what they hold waits for their leases to end.
 *
 * They are kept as one, so that it does not matter how many come and go, but with an end for each
 * index: who reads another index and goes does not prolong the holding of this one.
 */
export class DisconnectedHoldings {
  readonly #tableSize: number;
  readonly #runtime: Runtime;
  /** By index, by the monotonic clock. Made when the first holder goes. */
  #ends: Float64Array | undefined;
  /** Invariant: no element of `#ends` is greater. */
  #lastEnd = -Infinity;

  /** Makes it for a table of `tableSize` entries, of which none is held. */
  constructor(tableSize: number, runtime: Runtime) {
    this.#runtime = runtime;
    this.#tableSize = tableSize;
  }

  /** A session is disconnected: what it holds is held until its lease ends. */
  add(held: IndexSet, leaseEnd: number): void {
    if (held.count === 0 || leaseEnd <= this.#runtime.now()) return;
    const ends = this.#prolong(leaseEnd);
    held.each((index) => ends[index] = Math.max(ends[index]!, leaseEnd));
  }

  /** Every index is held until `leaseEnd`. */
  addAll(leaseEnd: number): void {
    const ends = this.#prolong(leaseEnd);
    for (let index = 0; index < ends.length; index++) {
      ends[index] = Math.max(ends[index]!, leaseEnd);
    }
  }

  /**
   * When none of these indices, or none at all, is held any more, by the monotonic clock; a moment
   * that has passed, or `-Infinity`, where none is held now.
   */
  end(ind: readonly number[] | undefined): number {
    if (this.#ends === undefined) return -Infinity;
    if (this.#lastEnd <= this.#runtime.now()) {
      this.#ends = undefined;
      this.#lastEnd = -Infinity;
      return -Infinity;
    }
    if (ind === undefined) return this.#lastEnd;
    let end = -Infinity;
    for (const index of ind) end = Math.max(end, this.#ends[index]!);
    return end;
  }

  #prolong(leaseEnd: number): Float64Array {
    this.#lastEnd = Math.max(this.#lastEnd, leaseEnd);
    return this.#ends ??= new Float64Array(this.#tableSize).fill(-Infinity);
  }
}
