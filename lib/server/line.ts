/**
 * The one line in which the server's operations stand.
 *
 * ```text
 *  take() → waits for those before it that share an index
 *             └─ a write: its turn to ask the holders → waits for them
 *                  └─→ waits for the one before it on its connection
 *                        └─→ ready ── turn: all that is ready is performed, committed, answered
 * ```
 *
 * @module
 */

import { Fifo } from "../net/fifo.ts";
import { Waiters } from "../net/waiters.ts";
import {
  MAX_CLIENTS_BYTES,
  MAX_OUTSTANDING_INDICES,
  MAX_OUTSTANDING_REQUESTS,
} from "../protocol/limits.ts";
import { bytesInHand } from "../protocol/message.ts";

/** The operations of one connection that are in line. */
export class ConnectionOrder {
  /** The last of them; `undefined` where there is none. */
  last: Operation | undefined;
  /** How many there are. */
  length = 0;
  /** How many indices they have. */
  indices = 0;
  /** Waiting until there are fewer. */
  readonly waiters: Waiters = new Waiters();

  /** Whether one more may come. */
  hasRoom(): boolean {
    return this.length < MAX_OUTSTANDING_REQUESTS && this.indices < MAX_OUTSTANDING_INDICES;
  }
}

/** An operation. What it does is its own matter; here is just its place. */
export abstract class Operation {
  /** The connection it came on. */
  abstract readonly order: ConnectionOrder;
  /** The indices it touches; `undefined` for all. */
  abstract readonly ind: readonly number[] | undefined;
  /** Whether it changes them. */
  abstract readonly writes: boolean;
  /** How many operations came before it. */
  arrival = 0;
  /** How many of those before it that it waits for by an index are not done. */
  blockers = 0;
  /** Whether one before it on its connection is not done. */
  behind = false;
  /** Whether nobody has to be asked, or all have answered. */
  asked = false;
  /** Those that wait for it by an index; made when the first comes, since most have none. */
  followers: Operation[] | undefined;
  /** The next on its connection. */
  next: Operation | undefined;

  /** Takes effect; its session becomes a holder. */
  abstract perform(): void;
  /** The commit has failed: a write had no effect, and a read is done again without those. */
  abstract undo(): void;
  /** Sends the reply, in the same step. */
  abstract answer(): void;
}

/** What operations need of the server, besides a table. */
export interface Conductor {
  /** Whether anybody holds what a write changes, and has to be asked. */
  mustAsk(write: Operation): boolean;
  /** Asks them, and calls `done` when all have answered or are no longer waited for; not at once. */
  ask(write: Operation, done: () => void): void;
  /** Commits what was performed: whether it was `made`, `refused`, or nobody knows: `lost`. */
  commit(): "made" | "refused" | "lost";
}

/** The line. */
export class Line {
  readonly #conductor: Conductor;
  #length = 0;
  /** How many indices those in line have. */
  #indices = 0;
  #arrivals = 0;
  /** The last in line by index. Not a Map: its discarded tables, small and many, outlive the young. */
  readonly #tails: (Operation | undefined)[];
  /** Those in line that touch all. Whoever comes later waits for the last of them. */
  readonly #wholes = new Fifo<Operation>();
  #lastWhole: Operation | undefined;
  /** How many are in line since then, it too: the next that touches all waits for so many. */
  #since = 0;
  readonly #ready = new Fifo<Operation>();
  #turnComes = false;
  #inTurn = false;
  #stopped = false;
  /** Writes whose turn to ask came while others' replies were not sent yet. */
  #askers: Operation[] = [];
  readonly #waiters = new Waiters();

  /** Makes an empty one, for a table of `size` entries. */
  constructor(size: number, conductor: Conductor) {
    this.#tails = new Array(size);
    this.#conductor = conductor;
  }

  /** Whether nobody is in line whom a read of `ind` on this connection would wait for. */
  isClear(order: ConnectionOrder, ind: readonly number[] | undefined): boolean {
    if (this.#length === 0) return true;
    if (order.last !== undefined || this.#lastWhole !== undefined) return false;
    return ind === undefined ? this.#since === 0 : ind.every((index) => !this.#tails[index]);
  }

  /** Takes an operation, which is done later than this returns. */
  take(operation: Operation): void {
    const { order, ind } = operation;
    operation.arrival = this.#arrivals++;
    if (ind === undefined) this.#enterWhole(operation);
    else this.#enter(operation, ind);
    if (order.last !== undefined) {
      operation.behind = true;
      order.last.next = operation;
    }
    order.last = operation;
    order.length++;
    order.indices += ind?.length ?? 0;
    this.#length++;
    this.#indices += ind?.length ?? 0;
    if (operation.blockers === 0) this.#unblocked(operation);
  }

  /** How many are in line. */
  get length(): number {
    return this.#length;
  }

  /** What those in line take up, in bytes of memory: an estimate. */
  get bytes(): number {
    return bytesInHand(this.#length, this.#indices);
  }

  /**
   * Resolves when a client may add one more; `undefined` where it may now. One that has none in line
   * always may, however many others have: it may be about to ask for a lease.
   */
  room(order: ConnectionOrder): Promise<void> | undefined {
    return this.#hasRoom(order) ? undefined : this.#waiters.until(() => this.#hasRoom(order));
  }

  #hasRoom(order: ConnectionOrder): boolean {
    return order.length === 0 || this.bytes <= MAX_CLIENTS_BYTES;
  }

  /** Resolves when nothing is in line. */
  idle(): Promise<void> {
    return this.#waiters.until(() => this.#length === 0);
  }

  /** Lets an operation wait for the last ones that share an index with it, and so for all. */
  #enter(operation: Operation, ind: readonly number[]): void {
    if (ind.length === 0) return;
    this.#since++;
    const whole = this.#lastWhole;
    for (const index of ind) {
      const tail = this.#tails[index];
      this.#tails[index] = operation;
      const last = whole === undefined || (tail && tail.arrival > whole.arrival) ? tail : whole;
      if (last === undefined || last === operation) continue;
      const followers = last.followers ??= [];
      if (followers.at(-1) === operation) continue;
      followers.push(operation);
      operation.blockers++;
    }
  }

  /** Lets an operation that touches all wait for all. */
  #enterWhole(operation: Operation): void {
    operation.blockers = this.#since;
    this.#since = 1;
    this.#lastWhole = operation;
    this.#wholes.push(operation);
  }

  #leave(operation: Operation): void {
    const { ind } = operation;
    if (ind === undefined) this.#wholes.shift();
    if (this.#lastWhole === operation) this.#lastWhole = undefined;
    for (const index of ind ?? []) {
      if (this.#tails[index] === operation) this.#tails[index] = undefined;
    }
    if (ind?.length === 0) return;
    // Those that came after one that touches all wait for it: whoever is done now came before.
    const whole = this.#wholes.first;
    if (whole === undefined) this.#since--;
    else if (--whole.blockers === 0) this.#unblocked(whole);
  }

  /** Nobody before it shares an index: a write's turn to ask. */
  #unblocked(operation: Operation): void {
    if (!operation.writes || !this.#conductor.mustAsk(operation)) {
      this.#wasAsked(operation);
    } else if (this.#inTurn) {
      // INV must not pass the replies of those that were performed in this turn.
      this.#askers.push(operation);
    } else {
      this.#conductor.ask(operation, () => this.#wasAsked(operation));
    }
  }

  #wasAsked(operation: Operation): void {
    operation.asked = true;
    if (!operation.behind) this.#isReady(operation);
  }

  /** Lets nothing in line take effect any more. */
  stop(): void {
    this.#stopped = true;
  }

  #isReady(operation: Operation): void {
    this.#ready.push(operation);
    if (this.#turnComes || this.#inTurn) return;
    this.#turnComes = true;
    // Behind a microtask, so that the rest of a batch comes with it.
    queueMicrotask(() => this.#turn());
  }

  /** Performs all that is ready, and what that makes ready, commits, and answers: in one step. */
  #turn(): void {
    if (this.#stopped) return;
    this.#turnComes = false;
    this.#inTurn = true;
    const performed: Operation[] = [];
    for (let operation; (operation = this.#ready.shift()) !== undefined;) {
      operation.perform();
      performed.push(operation);
      this.#done(operation);
    }
    const outcome = this.#conductor.commit();
    // The server ends then, and nobody is told what it does not know.
    if (outcome === "lost") return;
    if (outcome === "refused") { for (const operation of performed) operation.undo(); }
    for (const operation of performed) operation.answer();
    this.#inTurn = false;
    for (const write of this.#askers.splice(0)) this.#unblocked(write);
    this.#waiters.look();
  }

  #done(operation: Operation): void {
    const { order, next, followers } = operation;
    // Nothing that is done keeps what came later: the collector would carry a whole chain along.
    operation.next = operation.followers = undefined;
    this.#leave(operation);
    const indices = operation.ind?.length ?? 0;
    this.#length--;
    this.#indices -= indices;
    if (order.last === operation) order.last = undefined;
    order.length--;
    order.indices -= indices;
    order.waiters.look();
    for (const follower of followers ?? []) {
      if (--follower.blockers === 0) this.#unblocked(follower);
    }
    if (next === undefined) return;
    next.behind = false;
    if (next.asked) this.#isReady(next);
  }
}
