/**
 * The one line in which the server's operations stand.
 *
 * ```text
 *  take() → waits for those before it that share an index
 *             └─ a write: its turn to ask the holders → waits for them
 *                  └─→ waits for the one before it on its connection
 *                        └─→ ready ── turn: all that is ready is performed, then answered
 * ```
 *
 * @module
 */

import { Fifo } from "../net/fifo.ts";

/** The operations of one connection that are in line. */
export class ConnectionOrder {
  /** The last of them; `undefined` where there is none. */
  last: Operation | undefined;
  #length = 0;
  #waiting: { most: number; resolve: () => void }[] = [];

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** Resolves when there are `most` or fewer. */
  downTo(most: number): Promise<void> {
    if (this.#length <= most) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ most, resolve }));
  }

  /** One has come. */
  grow(): void {
    this.#length++;
  }

  /** One is done. */
  shrink(): void {
    this.#length--;
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ most, resolve }) => {
      if (this.#length > most) return true;
      resolve();
      return false;
    });
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
  /** How many of those before it that share an index are not done. */
  blockers = 0;
  /** Whether one before it on its connection is not done. */
  behind = false;
  /** Whether nobody has to be asked, or all have answered. */
  asked = false;
  /** Those that wait for it by an index. */
  readonly followers: Operation[] = [];
  /** The next on its connection. */
  next: Operation | undefined;

  /** Takes effect; its session becomes a holder. */
  abstract perform(): void;
  /** Sends the reply, in the same step. */
  abstract answer(): void;
}

/** Asks those who hold what a write changes. */
export interface Asker {
  /** Whether anybody has to be asked. */
  mustAsk(write: Operation): boolean;
  /** Asks them, and calls `done` when all have answered or are no longer waited for; not at once. */
  ask(write: Operation, done: () => void): void;
}

/** The line. */
export class Line {
  readonly #asker: Asker;
  #length = 0;
  /** The last in line for an index. */
  readonly #tails = new Map<number, Operation>();
  /** The last that touches all, while it is in line; whoever came before it stands behind it. */
  #lastOfAll: Operation | undefined;
  /** Those in line since then, it too. */
  readonly #since = new Set<Operation>();
  readonly #ready = new Fifo<Operation>();
  #turnComes = false;
  #inTurn = false;
  #stopped = false;
  /** Writes whose turn to ask came while others' replies were not sent yet. */
  #askers: Operation[] = [];
  #whenIdle: (() => void)[] = [];

  /** Makes an empty one. */
  constructor(asker: Asker) {
    this.#asker = asker;
  }

  /** Whether nobody is in line whom a read of `ind` on this connection would wait for. */
  isClear(order: ConnectionOrder, ind: readonly number[] | undefined): boolean {
    return this.#length === 0 || (order.last === undefined && this.#before(ind).size === 0);
  }

  /** Takes an operation, which is done later than this returns. */
  take(operation: Operation): void {
    const { order, ind } = operation;
    for (const blocker of this.#before(ind)) {
      operation.blockers++;
      blocker.followers.push(operation);
    }
    if (order.last !== undefined) {
      operation.behind = true;
      order.last.next = operation;
    }
    order.last = operation;
    order.grow();
    this.#length++;
    this.#enter(operation);
    if (operation.blockers === 0) this.#unblocked(operation);
  }

  /** Resolves when nothing is in line. */
  idle(): Promise<void> {
    if (this.#length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** The last ones in line that share an index: whoever shares one too stands before them. */
  #before(ind: readonly number[] | undefined): ReadonlySet<Operation> {
    if (ind === undefined) return new Set(this.#since);
    const before = new Set<Operation>();
    for (const index of ind) {
      const last = this.#tails.get(index) ?? this.#lastOfAll;
      if (last !== undefined) before.add(last);
    }
    return before;
  }

  #enter(operation: Operation): void {
    const { ind } = operation;
    if (ind?.length === 0) return;
    if (ind === undefined) {
      this.#tails.clear();
      this.#since.clear();
      this.#lastOfAll = operation;
    } else {
      for (const index of ind) this.#tails.set(index, operation);
    }
    this.#since.add(operation);
  }

  #leave(operation: Operation): void {
    const { ind } = operation;
    if (this.#lastOfAll === operation) this.#lastOfAll = undefined;
    for (const index of ind ?? []) {
      if (this.#tails.get(index) === operation) this.#tails.delete(index);
    }
    this.#since.delete(operation);
  }

  /** Nobody before it shares an index: a write's turn to ask. */
  #unblocked(operation: Operation): void {
    if (!operation.writes || !this.#asker.mustAsk(operation)) {
      this.#wasAsked(operation);
    } else if (this.#inTurn) {
      // INV must not pass the replies of those that were performed in this turn.
      this.#askers.push(operation);
    } else {
      this.#asker.ask(operation, () => this.#wasAsked(operation));
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

  /** Performs all that is ready, and what that makes ready; then answers, in the same step. */
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
    for (const operation of performed) operation.answer();
    this.#inTurn = false;
    for (const write of this.#askers.splice(0)) this.#unblocked(write);
    if (this.#length > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #done(operation: Operation): void {
    const { order, next } = operation;
    this.#leave(operation);
    this.#length--;
    if (order.last === operation) order.last = undefined;
    order.shrink();
    for (const follower of operation.followers) {
      if (--follower.blockers === 0) this.#unblocked(follower);
    }
    if (next === undefined) return;
    next.behind = false;
    if (next.asked) this.#isReady(next);
  }
}
