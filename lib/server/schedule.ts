/**
 * The server's order of operations, and what waits for what.
 *
 * ```text
 *  take() → pending: those before it that share an index are not done
 *             └─ a write: its turn to ask the holders → they have not all answered
 *                  └─→ the one before it on its connection is not done
 *                        └─→ ready ── turn: all that is ready is performed, committed, answered
 * ```
 *
 * A turn is one step, unless its commit takes time. Then it goes on when the commit is over; until then
 * nothing else takes effect, nobody is asked to drop, and nothing is read.
 *
 * A barrier is an operation that touches every entry: it waits for all before it, and all that come
 * later wait for it.
 *
 * @module
 */

import { MAX_CLIENTS_BYTES } from "../protocol/limits.ts";
import { bytesInHand } from "../protocol/message.ts";
import { Fifo } from "../util/fifo.ts";
import { Waiters } from "../util/waiters.ts";
import type { ConnectionOrder, Operation } from "./operation.ts";

/** What the schedule needs of the server. */
export interface Conductor {
  /** Whether anybody holds what a write changes, and has to be asked. */
  mustAsk(write: Operation): boolean;
  /** Asks them, and calls `done` when all have answered or are no longer waited for; not at once. */
  ask(write: Operation, done: () => void): void;
  /** Commits what was performed. */
  commit(): Outcome | Promise<Outcome>;
}

/** Whether a commit was `made`, `refused`, or nobody knows: `lost`. A promise of it never rejects. */
export type Outcome = "made" | "refused" | "lost";

/** The schedule. */
export class Schedule {
  readonly #conductor: Conductor;
  /** How many operations are not answered. */
  #length = 0;
  /** How many indices they have. */
  #indices = 0;
  #arrivals = 0;
  /**
   * By index, the last operation that touches it, unless that is done or a barrier. Not a Map: its
   * discarded tables, small and many, outlive the young.
   */
  readonly #tails: (Operation | undefined)[];
  /** The barriers that are not done, the first to arrive first. */
  readonly #barriers = new Fifo<Operation>();
  /** The barrier that arrived last, unless it is done: all that arrive wait for it. */
  #lastBarrier: Operation | undefined;
  /**
   * How many operations with an index are not done that arrived after the last barrier, and that
   * barrier itself: the next barrier waits for so many. Invariant: the `blockers` of a barrier are
   * those that the barrier before it, or nothing, separates from it.
   */
  #sinceBarrier = 0;
  /** Operations that wait for nothing but the turn. */
  readonly #ready = new Fifo<Operation>();
  #turnComes = false;
  /** Whether a turn has begun and is not over: its commit may be under way. */
  #inTurn = false;
  #stopped = false;
  /** Writes whose turn to ask came in a turn, while others' replies were not sent yet. */
  #askers: Operation[] = [];
  /** Waiting for room, or for an empty schedule. */
  readonly #waiters = new Waiters();

  /** Makes an empty one, for a table of `size` entries. */
  constructor(size: number, conductor: Conductor) {
    this.#tails = new Array(size);
    this.#conductor = conductor;
  }

  /** Whether a read of `ind` on this connection would wait for no operation. */
  isClear(order: ConnectionOrder, ind: readonly number[] | undefined): boolean {
    // What was performed and is not committed is not to be seen yet.
    if (this.#inTurn) return false;
    if (this.#length === 0) return true;
    if (order.last !== undefined || this.#lastBarrier !== undefined) return false;
    return ind === undefined ? this.#sinceBarrier === 0 : ind.every((index) => !this.#tails[index]);
  }

  /** Takes an operation, which is done later than this returns. */
  take(operation: Operation): void {
    const { order, ind } = operation;
    operation.arrival = this.#arrivals++;
    if (ind === undefined) this.#enterBarrier(operation);
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

  /** How many operations are not answered. */
  get length(): number {
    return this.#length;
  }

  /** What they take up, in bytes of memory: an estimate. */
  get bytes(): number {
    return bytesInHand(this.#length, this.#indices);
  }

  /**
   * Resolves when a client may add one more; `undefined` where it may now. One that has none here
   * always may, however many others have: it may be about to ask for a lease.
   */
  room(order: ConnectionOrder): Promise<void> | undefined {
    return this.#hasRoom(order) ? undefined : this.#waiters.until(() => this.#hasRoom(order));
  }

  #hasRoom(order: ConnectionOrder): boolean {
    return order.length === 0 || this.bytes <= MAX_CLIENTS_BYTES;
  }

  /** Resolves when all operations are answered. */
  drained(): Promise<void> {
    return this.#waiters.until(() => this.#length === 0);
  }

  /** No operation takes effect any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets an operation wait for the last ones that share an index with it, and so for all. */
  #enter(operation: Operation, ind: readonly number[]): void {
    if (ind.length === 0) return;
    this.#sinceBarrier++;
    const barrier = this.#lastBarrier;
    for (const index of ind) {
      const tail = this.#tails[index];
      this.#tails[index] = operation;
      const last = barrier === undefined || (tail && tail.arrival > barrier.arrival)
        ? tail
        : barrier;
      if (last === undefined || last === operation) continue;
      const followers = last.followers ??= [];
      if (followers.at(-1) === operation) continue;
      followers.push(operation);
      operation.blockers++;
    }
  }

  #enterBarrier(operation: Operation): void {
    operation.blockers = this.#sinceBarrier;
    this.#sinceBarrier = 1;
    this.#lastBarrier = operation;
    this.#barriers.push(operation);
  }

  #leave(operation: Operation): void {
    const { ind } = operation;
    if (ind === undefined) this.#barriers.shift();
    if (this.#lastBarrier === operation) this.#lastBarrier = undefined;
    for (const index of ind ?? []) {
      if (this.#tails[index] === operation) this.#tails[index] = undefined;
    }
    if (ind?.length === 0) return;
    // What arrives after a barrier waits for it: an operation that is done arrived before the first.
    const barrier = this.#barriers.first;
    if (barrier === undefined) this.#sinceBarrier--;
    else if (--barrier.blockers === 0) this.#unblocked(barrier);
  }

  /** No operation before it shares an index: a write's turn to ask. */
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

  #isReady(operation: Operation): void {
    this.#ready.push(operation);
    if (!this.#inTurn) this.#callTurn();
  }

  #callTurn(): void {
    if (this.#turnComes) return;
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
    if (typeof outcome === "string") this.#endTurn(performed, outcome);
    else outcome.then((outcome) => this.#endTurn(performed, outcome));
  }

  #endTurn(performed: readonly Operation[], outcome: Outcome): void {
    // The server ends then, and nobody is told what it does not know.
    if (this.#stopped || outcome === "lost") return;
    if (outcome === "refused") { for (const operation of performed) operation.undo(); }
    for (const operation of performed) {
      operation.answer();
      this.#forget(operation);
    }
    this.#inTurn = false;
    for (const write of this.#askers.splice(0)) this.#unblocked(write);
    // What became ready while a commit was under way.
    if (this.#ready.length > 0) this.#callTurn();
    this.#waiters.look();
  }

  /** It is answered: whoever waited for that goes on. */
  #forget({ order, ind }: Operation): void {
    const indices = ind?.length ?? 0;
    this.#length--;
    this.#indices -= indices;
    order.length--;
    order.indices -= indices;
    order.waiters.look();
  }

  /** It has taken effect: whoever waits for that may follow in the same turn. */
  #done(operation: Operation): void {
    const { order, next, followers } = operation;
    // Nothing that is done keeps what came later: the collector would carry a whole chain along.
    operation.next = operation.followers = undefined;
    this.#leave(operation);
    if (order.last === operation) order.last = undefined;
    for (const follower of followers ?? []) {
      if (--follower.blockers === 0) this.#unblocked(follower);
    }
    if (next === undefined) return;
    next.behind = false;
    if (next.asked) this.#isReady(next);
  }
}
