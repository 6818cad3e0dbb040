/**
 * How the clocks of a simulated machine run.
 *
 * @module
 */

/**
 * How the clocks of a machine run. A lease needs the rates of two machines to be alike to within 2 %:
 * 1.0099 and 0.9901 are.
 */
export interface ClockOptions {
  /**
   * How many milliseconds of its monotonic clock pass in one of the world's; above 0.
   *
   * @default {1}
   */
  readonly rate?: number;
  /**
   * The same of its wall clock.
   *
   * @default {1}
   */
  readonly wallRate?: number;
  /**
   * How far the wall clock is ahead at first, in milliseconds; behind where it is negative.
   *
   * @default {0}
   */
  readonly wallAhead?: number;
}

/** Clocks that go right. */
export const RIGHT: Required<ClockOptions> = { rate: 1, wallRate: 1, wallAhead: 0 };
