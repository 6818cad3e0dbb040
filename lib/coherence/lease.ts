/**
 * A proxy's lease, as the proxy sees it.
 *
 * @module
 */

import { LEASE_DRIFT, LEASE_RENEWAL } from "../protocol/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** A moment by both clocks, in milliseconds: the monotonic one stands still while a machine sleeps. */
export interface Moment {
  /** By the monotonic clock. */
  readonly monotonic: number;
  /** By the wall clock. */
  readonly wall: number;
}

/** The present moment. */
export function moment(runtime: Runtime): Moment {
  return { monotonic: runtime.now(), wall: runtime.wallClock() };
}

/**
 * A lease that was granted: it runs from just before it was asked for, for its term less a margin for
 * clocks that do not run alike, and is over when either clock says so (Gray and Cheriton, "Leases: an
 * efficient fault-tolerant mechanism for distributed file cache consistency", SOSP 1989).
 */
export class Lease {
  readonly #asked: Moment;
  readonly #ms: number;
  #over = false;
  /** When it is to be renewed, by the monotonic clock. */
  readonly renewal: number;

  /** @param asked Just before SUB was handed to the socket. */
  constructor(asked: Moment, termMs: number) {
    this.#asked = asked;
    this.#ms = termMs * (1 - LEASE_DRIFT);
    this.renewal = asked.monotonic + termMs * LEASE_RENEWAL;
  }

  /**
   * How long it still runs at `now`, in milliseconds; 0 where it is over. One that was found over stays
   * over, whatever the clocks say later: the wall clock may be set back.
   */
  left(now: Moment): number {
    const passed = Math.max(now.monotonic - this.#asked.monotonic, now.wall - this.#asked.wall);
    this.#over ||= passed >= this.#ms;
    return this.#over ? 0 : this.#ms - passed;
  }
}
