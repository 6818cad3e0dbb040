/**
 * The leases that the server has granted, what is held under them, and its invalidations.
 *
 * @module
 */

import type { Connection } from "../net/connection.ts";
import { Fifo } from "../net/fifo.ts";
import { MAX_LAPSED_TERMS, MAX_UNANSWERED_INVALIDATIONS } from "../protocol/limits.ts";
import { IndexSet } from "./index_set.ts";

/** An invalidation that was sent. */
interface Asking {
  readonly ind: readonly number[] | undefined;
  /** Until when it is waited for, by the monotonic clock. */
  readonly until: number;
  /** Called when it is answered or no longer waited for; `undefined` from then on. */
  done: (() => void) | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A subscribed connection: a proxy's. */
export class Session {
  /** The connection; `undefined` for the sessions of a server before. */
  readonly connection: Connection | undefined;
  /** What it holds. */
  readonly held: IndexSet;
  /** When its lease is over, by the monotonic clock. */
  leaseEnd = -Infinity;
  /** Invalidations it has not answered, the oldest first. */
  readonly unanswered = new Fifo<Asking>();
  /** Whether its connection has ended. */
  left = false;
  /** For when its lease has been over for too long; once it has left, for when it is over. */
  timer: ReturnType<typeof setTimeout> | undefined;

  /** Makes one that holds nothing, without a lease. */
  constructor(connection: Connection | undefined, tableSize: number) {
    this.connection = connection;
    this.held = new IndexSet(tableSize);
  }
}

/** All sessions, and what they hold. */
export class Leases {
  /** The term of a lease, in milliseconds. */
  readonly termMs: number;
  readonly #tableSize: number;
  readonly #sessions = new Set<Session>();

  /** Makes it for a table of `tableSize` entries. */
  constructor(termMs: number, tableSize: number) {
    this.termMs = termMs;
    this.#tableSize = tableSize;
  }

  /** Grants a lease to a connection, or renews it. */
  grant(connection: Connection, session?: Session): Session {
    session ??= new Session(connection, this.#tableSize);
    this.#sessions.add(session);
    session.leaseEnd = performance.now() + this.termMs;
    this.#arm(session, (1 + MAX_LAPSED_TERMS) * this.termMs, () => connection.close());
    return session;
  }

  /** A server before this one has ended with leases out: what they held is held for `ms` more. */
  inherit(ms: number): void {
    const session = new Session(undefined, this.#tableSize);
    session.held.fill();
    session.leaseEnd = performance.now() + ms;
    this.#sessions.add(session);
    this.leave(session);
  }

  /** Takes a lease back: nothing is held under it any more. */
  giveBack(session: Session): void {
    clearTimeout(session.timer);
    session.leaseEnd = -Infinity;
    session.held.delete(undefined);
    this.#sessions.delete(session);
    for (const asking of session.unanswered) this.#settle(session, asking);
  }

  /** The session's connection has ended: what it holds is held until its lease is over. */
  leave(session: Session): void {
    session.left = true;
    const left = session.leaseEnd - performance.now();
    if (left <= 0) this.giveBack(session);
    else this.#arm(session, left, () => this.leave(session));
  }

  /** Makes a session a holder of these indices, as long as it is subscribed. */
  hold(session: Session, ind: readonly number[]): void {
    if (!session.left && this.#sessions.has(session)) session.held.add(ind);
  }

  /** Whether nothing at all is held. */
  get unheld(): boolean {
    return !this.held(undefined, undefined);
  }

  /** Whether another session than `own` holds one of these indices, or any. */
  held(ind: readonly number[] | undefined, own: Session | undefined): boolean {
    for (const session of this.#sessions) {
      if (session !== own && session.held.meets(ind)) return true;
    }
    return false;
  }

  /**
   * Asks every other session that holds one of these indices to drop them.
   *
   * @param done Called once, when all have answered or are no longer waited for; not before this
   * returns.
   */
  invalidate(
    ind: readonly number[] | undefined,
    own: Session | undefined,
    done: () => void,
  ): void {
    const holders = [...this.#sessions].filter((session) =>
      session !== own && session.held.meets(ind)
    );
    this.#askAll(holders, ind, done);
  }

  /** Asks every session to drop all, whatever it holds; otherwise as {@linkcode invalidate}. */
  invalidateAll(done: () => void): void {
    const asked = [...this.#sessions].filter(({ left, held }) => !left || held.count > 0);
    this.#askAll(asked, undefined, done);
  }

  /**
   * Takes an answer to INV: the k-th on a connection answers the k-th INV.
   *
   * @returns Whether there was one.
   */
  answered(session: Session): boolean {
    const asking = session.unanswered.shift();
    if (asking === undefined) return false;
    this.#settle(session, asking);
    return true;
  }

  #askAll(sessions: Session[], ind: readonly number[] | undefined, done: () => void): void {
    // One more than there are, so that it is not called before this returns.
    let pending = sessions.length + 1;
    const one = () => {
      if (--pending === 0) done();
    };
    for (const session of sessions) {
      this.#ask(session, ind?.filter((index) => session.held.has(index)), one);
    }
    queueMicrotask(one);
  }

  #ask(session: Session, ind: readonly number[] | undefined, done: () => void): void {
    const asking: Asking = { ind, until: session.leaseEnd, done, timer: undefined };
    if (!session.left) {
      session.unanswered.push(asking);
      session.connection!.send({ op: "INV", ind });
      if (session.unanswered.length > MAX_UNANSWERED_INVALIDATIONS) session.connection!.close();
    }
    this.#await(session, asking);
  }

  /** Waits until the lease, as it stood when INV was sent, is over; a timer may come early. */
  #await(session: Session, asking: Asking): void {
    const left = asking.until - performance.now();
    if (left > 0) {
      asking.timer = setTimeout(() => this.#await(session, asking), Math.ceil(left));
    } else {
      session.connection?.tell("[lease over: INV is no longer waited for]", false);
      this.#settle(session, asking);
    }
  }

  /** The holding ends, unless it has: an answer that is no longer waited for ends nothing. */
  #settle(session: Session, asking: Asking): void {
    if (asking.done === undefined) return;
    clearTimeout(asking.timer);
    session.held.delete(asking.ind);
    asking.done();
    asking.done = undefined;
  }

  /** Forgets all. */
  close(): void {
    for (const session of [...this.#sessions]) this.giveBack(session);
  }

  #arm(session: Session, ms: number, then: () => void): void {
    clearTimeout(session.timer);
    session.timer = setTimeout(then, Math.ceil(ms));
  }
}
