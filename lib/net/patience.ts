/**
 * A timer for what is given up when it is over: nobody is given up who has answered in time.
 *
 * A timer that is due runs before the sockets are read. Where the process has stood still, stopped or
 * busy, what would have ended the wait may have come long ago, and stand there unread. So when the time
 * is over the event loop goes round until every socket that has something is read.
 *
 * How often? The runtime below the event loop (tokio) asks the system which sockets are ready when it
 * has nothing else to do, and after every 61 steps otherwise; then it reads up to 128 of them. An
 * immediate callback is at most one a step, so a number of them is a proof that all this has happened.
 * A number of timers is not: several may run between two looks at the sockets.
 *
 * @module
 */

import { clearImmediate, setImmediate } from "node:timers";

/** Immediate callbacks between which ready sockets are looked for, once at least. */
const STEPS_PER_LOOK = 64;
/** Looks that one ready socket needs, up to what is done with what was read; and one to spare. */
const LEAST_LOOKS = 4;
/** Sockets that are read after one look. Half of what is, for those that are not known here. */
const SOCKETS_PER_LOOK = 64;
/** How often all that is done again, as long as more is read: what had come by then has an end. */
const MOST_ROUNDS = 64;

/** Connections that are open in this process. */
let open = 0;

/** Told of each connection that is made (1) or closed (−1): it is one that may have something. */
export function countConnection(change: 1 | -1): void {
  open += change;
}

/** A wait for what may come in time. */
export class Patience {
  readonly #over: (due: number) => void;
  readonly #reads: () => number;
  readonly #timer: ReturnType<typeof setTimeout>;
  #immediate: ReturnType<typeof setImmediate> | undefined;

  /**
   * Begins to wait.
   *
   * @param ms How long, in milliseconds; fewer than none count as none.
   * @param over Called when the time is over, and all is read that had come by then; `due` is that
   * moment, by the monotonic clock.
   * @param reads How often was read where it may come from: one who has much to read is waited for.
   */
  constructor(ms: number, over: (due: number) => void, reads: () => number = () => 0) {
    this.#over = over;
    this.#reads = reads;
    this.#timer = setTimeout(() => this.#round(performance.now(), MOST_ROUNDS), Math.max(0, ms));
  }

  /** Ends it: what was waited for has come, or is not waited for any more. */
  end(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #round(due: number, rounds: number): void {
    const reads = this.#reads();
    let steps = STEPS_PER_LOOK * (LEAST_LOOKS + Math.ceil(open / SOCKETS_PER_LOOK));
    const step = () => {
      if (steps-- > 0) this.#immediate = setImmediate(step);
      else if (rounds > 1 && this.#reads() !== reads) this.#round(due, rounds - 1);
      else this.#over(due);
    };
    step();
  }
}
