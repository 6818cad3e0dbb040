/**
 * The leases that the server has granted, what is held under them, and its invalidations.
 *
 * @module
 */

import type { Connection } from "../net/connection.ts";
import { Fifo } from "../net/fifo.ts";
import {
  DEAF_MS,
  MAX_LAPSED_TERMS,
  MAX_SESSION_BACKLOG_BYTES,
  MAX_SESSION_UNSENT_BYTES,
  MAX_UNANSWERED_INVALIDATIONS,
  SHUTDOWN_MS,
} from "../protocol/limits.ts";
import type { Reply } from "../protocol/message.ts";
import { IndexSet } from "./index_set.ts";

/** An invalidation that was sent. */
interface Asking {
  ind: readonly number[] | undefined;
  /** Until when it is waited for, by the monotonic clock. */
  readonly until: number;
  /** Called when it is answered or no longer waited for; `undefined` from then on. */
  done: (() => void) | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A subscribed connection: a proxy's. */
export class Session {
  /** The connection; `undefined` where it has ended: for those kept as one who have left. */
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

  #watch: ReturnType<typeof setTimeout> | undefined;

  /** Makes one that holds nothing, without a lease. */
  constructor(connection: Connection | undefined, tableSize: number) {
    this.connection = connection;
    this.held = new IndexSet(tableSize);
  }

  /** Sends a message. A session that is deaf is closed: its stream is read whatever it does not. */
  send(message: Reply): void {
    const connection = this.connection!;
    connection.send(message);
    if (connection.unsent <= MAX_SESSION_UNSENT_BYTES) return;
    if (connection.unsent > MAX_SESSION_BACKLOG_BYTES) return connection.close();
    // Much may be said in one step; deaf is who takes nothing of it.
    const { taken } = connection;
    this.#watch ??= setTimeout(() => {
      this.#watch = undefined;
      const deaf = connection.unsent > MAX_SESSION_UNSENT_BYTES && connection.taken === taken;
      if (deaf) connection.close();
    }, DEAF_MS);
  }

  /** Ends what was begun for it. */
  end(): void {
    clearTimeout(this.timer);
    clearTimeout(this.#watch);
  }
}

/** All sessions, and what they hold. */
export class Leases {
  /** The term of a lease, in milliseconds. */
  readonly termMs: number;
  readonly #tableSize: number;
  readonly #sessions = new Set<Session>();
  /** Those whose connections have ended while they held something, as one. */
  readonly #gone: Session;

  /** Makes it for a table of `tableSize` entries. */
  constructor(termMs: number, tableSize: number) {
    this.termMs = termMs;
    this.#tableSize = tableSize;
    this.#gone = new Session(undefined, tableSize);
    this.#gone.left = true;
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
    this.leave(session);
  }

  /** Takes a lease back: nothing is held under it any more. */
  giveBack(session: Session): void {
    session.end();
    session.leaseEnd = -Infinity;
    session.held.delete(undefined);
    this.#sessions.delete(session);
    for (const asking of session.unanswered) this.#settle(session, asking);
  }

  /**
   * The session's connection has ended: what it holds is held until its lease is over. All such
   * sessions are kept as one, until the last of their leases is, so that it does not matter how many
   * come and go: a write waits longer for it, but no longer than a term.
   */
  leave(session: Session): void {
    session.left = true;
    const { held, leaseEnd } = session;
    const gone = this.#gone;
    if (leaseEnd > performance.now() && held.count > 0) {
      if (gone.held.count === 0) gone.leaseEnd = leaseEnd;
      gone.leaseEnd = Math.max(gone.leaseEnd, leaseEnd);
      gone.held.addAll(held);
      this.#sessions.add(gone);
      this.#forget();
    }
    session.end();
    this.#sessions.delete(session);
  }

  /** Forgets those who have left when the last of their leases is over; a timer may come early. */
  #forget(): void {
    const left = this.#gone.leaseEnd - performance.now();
    if (left <= 0) this.giveBack(this.#gone);
    else this.#arm(this.#gone, left, () => this.#forget());
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
    // Whose lease outlasts the end is not worth waiting for: they cannot answer any more.
    const last = performance.now() + SHUTDOWN_MS;
    const asked = [...this.#sessions].filter(({ left, leaseEnd, held }) =>
      !left || (held.count > 0 && leaseEnd <= last)
    );
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
      session.send({ op: "INV", ind });
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
    // Who has left since with a longer lease was asked on a connection, and holds on beside those.
    if (!session.left || session.leaseEnd <= asking.until) session.held.delete(asking.ind);
    asking.done();
    // Its place is still to be answered; nothing else of it is kept.
    asking.done = undefined;
    asking.ind = [];
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
