/**
 * A timer for what is given up when it is over: nobody is given up who has answered in time.
 *
 * A timer that is due runs before the sockets are read. Where the process has stood still, stopped or
 * busy, what would have ended the wait may have come long ago, and stand there unread. So when the time
 * is over the event loop gets so many turns that all sockets which have something are read.
 *
 * How many? A timer that is set during one turn runs after the system was asked once more which sockets
 * are ready. A turn later those have been read, the first 128 of them, since that many steps is what
 * the runtime below lets one task take at a time; and a turn later again that was handed on.
 *
 * @module
 */

/** The turns that one ready socket needs at most, and one to spare. */
const LEAST_TURNS = 4;
/** Sockets that are read in one turn, if not more. */
const SOCKETS_PER_TURN = 64;
/** How often all those turns are given, as long as more comes: there is an end to what had come. */
const MOST_ROUNDS = 64;

/** Connections that are open in this process. */
let open = 0;

/** Told of each connection that is made (1) or closed (−1): it may be one that has something. */
export function countConnection(change: 1 | -1): void {
  open += change;
}

/** A wait for what may come in time. */
export class Patience {
  readonly #over: (due: number) => void;
  readonly #reads: () => number;
  #timer: ReturnType<typeof setTimeout>;

  /**
   * Begins to wait.
   *
   * @param ms How long, in milliseconds; fewer than none count as none.
   * @param over Called when the time is over, and all is read that had come by then; `due` is that
   * moment, by the monotonic clock.
   * @param reads How often was read where it may come from; as long as there is something to read
   * there, there may be more.
   */
  constructor(ms: number, over: (due: number) => void, reads: () => number = () => 0) {
    this.#over = over;
    this.#reads = reads;
    this.#timer = setTimeout(() => {
      const turns = LEAST_TURNS + Math.ceil(open / SOCKETS_PER_TURN);
      this.#turn(performance.now(), turns, 0, MOST_ROUNDS, reads());
    }, Math.max(0, ms));
  }

  /** Ends it: it has come, or is not waited for any more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #turn(due: number, turns: number, taken: number, rounds: number, reads: number): void {
    if (taken < turns) {
      this.#timer = setTimeout(() => this.#turn(due, turns, taken + 1, rounds, reads), 0);
    } else if (rounds > 1 && this.#reads() !== reads) {
      this.#turn(due, turns, 0, rounds - 1, this.#reads());
    } else {
      this.#over(due);
    }
  }
}
