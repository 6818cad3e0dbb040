/**
 * A timer for what is given up when it is over: nobody is given up who has answered in time.
 *
 * @module
 */

import type { Runtime, Timer } from "./runtime.ts";

/** How often is looked again, as long as more is read: what had come by then has an end. */
const MOST_LOOKS = 64;

/** A wait for what may come in time. */
export class Patience {
  readonly #runtime: Runtime;
  readonly #over: (due: number) => void;
  readonly #reads: () => number;
  #timer: Timer;

  /**
   * Begins to wait.
   *
   * A timer that is due may run before the sockets are read: where the process has stood still, what
   * would have ended the wait may have come long ago. So when the time is over, that is read first.
   *
   * @param ms How long, in milliseconds; fewer than none count as none.
   * @param over Called when the time is over, and all is read that had come by then; `due` is that
   * moment, by the monotonic clock.
   * @param reads How often was read where it may come from: one who has much to read is waited for.
   */
  constructor(
    runtime: Runtime,
    ms: number,
    over: (due: number) => void,
    reads: () => number = () => 0,
  ) {
    this.#runtime = runtime;
    this.#over = over;
    this.#reads = reads;
    this.#timer = runtime.setTimer(() => this.#look(runtime.now(), MOST_LOOKS), Math.max(0, ms));
  }

  /** Ends it: what was waited for has come, or is not waited for any more. */
  end(): void {
    this.#runtime.clearTimer(this.#timer);
  }

  #look(due: number, looks: number): void {
    const reads = this.#reads();
    this.#timer = this.#runtime.afterReading(() => {
      if (looks > 1 && this.#reads() !== reads) this.#look(due, looks - 1);
      else this.#over(due);
    });
  }
}
