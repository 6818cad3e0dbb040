/**
 * The leases that the server has granted, what is held under them, and its invalidations.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import type { Connection } from "../wire/connection.ts";
import { Recurrence } from "../runtime/recurrence.ts";
import { MAX_LAPSED_TERMS, SHUTDOWN_MS } from "../protocol/limits.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { DisconnectedHoldings } from "./disconnected_holdings.ts";
import { type Asking, type Backlog, Session } from "./session.ts";
import { SessionBudget } from "./session_budget.ts";
import { type Wait, WaitWatch } from "./wait_watch.ts";

/** What grants need to know. */
export interface GrantsOptions {
  /** The term of a lease, in milliseconds. */
  readonly termMs: number;
  /** How many entries the table has. */
  readonly tableSize: number;
  /** What the operations that are not done take up, in bytes of memory. */
  readonly pendingBytes: () => number;
  /** Its clocks and timers. */
  readonly runtime: Runtime;
  /** Told of what happens to leases. */
  readonly events: EventSink | undefined;
  /** Told why a session is closed, and for whom a write waits long. */
  readonly log: (sentence: string) => void;
}

/** All sessions, and what they hold. */
export class Grants {
  /** The term of a lease, in milliseconds. */
  readonly termMs: number;
  /** How much all sessions may take up. */
  readonly budget: SessionBudget;
  readonly #options: GrantsOptions;
  /** Those that are connected, one that has given its lease back among them: it is always read. */
  readonly #sessions = new Set<Session>();
  readonly #disconnected: DisconnectedHoldings;
  /** What waits for the leases of those who are disconnected. */
  readonly #outwaiting = new Set<Asking>();
  readonly #events: EventSink | undefined;
  readonly #waits: WaitWatch;
  /** Sessions that were closed: in an attack many are. */
  readonly #closings: Recurrence;

  /** Makes it; nobody has a lease. */
  constructor(options: GrantsOptions) {
    this.termMs = options.termMs;
    this.#options = options;
    this.#events = options.events;
    this.#waits = new WaitWatch(options.termMs, options.runtime, options.events, options.log);
    this.#closings = new Recurrence(options.log, options.runtime);
    this.#disconnected = new DisconnectedHoldings(options.tableSize, options.runtime);
    this.budget = new SessionBudget(this.#sessions, options.pendingBytes);
  }

  /** Grants a lease to a connection, or renews it. */
  grant(connection: Connection, backlog: Backlog, session?: Session): Session {
    const { tableSize } = this.#options;
    const granted: Session = session ?? new Session({
      connection,
      backlog,
      tableSize,
      closed: (sentence) => this.#closings.happened(sentence),
      grown: () => this.budget.check(granted),
    });
    this.#sessions.add(granted);
    const now = this.#options.runtime.now();
    if (this.#events !== undefined) {
      const type = granted.leaseEnd > now ? "lease-renewed" : "lease-granted";
      this.#events({ type, node: "server", holder: granted.name, termMs: this.termMs });
    }
    granted.leaseEnd = now + this.termMs;
    granted.closeAfter(
      (1 + MAX_LAPSED_TERMS) * this.termMs,
      `its lease has been over for ${MAX_LAPSED_TERMS} terms`,
    );
    return granted;
  }

  /** A server before this one has ended with leases out: what they held is held for `ms` more. */
  inherit(ms: number): void {
    this.#disconnected.addAll(this.#options.runtime.now() + ms);
  }

  /** Takes a lease back: nothing is held under it any more. */
  giveBack(session: Session): void {
    if (session.leaseEnd > -Infinity) {
      this.#events?.({ type: "lease-returned", node: "server", holder: session.name });
    }
    for (const asking of session.unanswered) this.#tellReleased(asking, "returned");
    this.#endLease(session);
  }

  /** The session's connection has ended: what it holds is held until its lease is over. */
  disconnect(session: Session): void {
    this.#disconnected.add(session.held, session.leaseEnd);
    session.end();
    this.#sessions.delete(session);
    this.budget.remove(session);
  }

  /** Makes a session a holder of these indices, as long as it has not given its lease back. */
  hold(session: Session, ind: readonly number[]): void {
    if (session.leaseEnd > -Infinity) session.held.add(ind);
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
    const end = this.#disconnected.end(ind);
    return end > -Infinity && end > this.#options.runtime.now();
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
    const what = ind === undefined ? "clear" : "write";
    this.#askAll(what, holders, ind, this.#disconnected.end(ind), done);
  }

  /** Asks every session to drop all, whatever it holds; otherwise as {@linkcode invalidate}. */
  invalidateAll(done: () => void): void {
    const end = this.#disconnected.end(undefined);
    // Leases that outlast the end of this server are not worth waiting for.
    const outwaited = end <= this.#options.runtime.now() + SHUTDOWN_MS;
    const leased = [...this.#sessions].filter(({ leaseEnd }) => leaseEnd > -Infinity);
    this.#askAll("end", leased, undefined, outwaited ? end : -Infinity, done);
  }

  /**
   * Takes an answer to INV: the k-th on a connection answers the k-th INV.
   *
   * @returns Whether there was one.
   */
  answered(session: Session): boolean {
    const asking = session.unanswered.shift();
    if (asking === undefined) return false;
    if (this.#events !== undefined) {
      const holder = session.name, ind = asking.ind ?? "all", late = !isAwaited(asking);
      this.#events({ type: "holder-answered", node: "server", holder, ind, late });
    }
    this.#settle(asking);
    return true;
  }

  /** Forgets all. */
  close(): void {
    for (const session of [...this.#sessions]) this.#endLease(session);
    for (const asking of this.#outwaiting) this.#settle(asking);
    this.#waits.close();
    this.#closings.close();
  }

  #askAll(
    what: Wait["what"],
    sessions: Session[],
    ind: readonly number[] | undefined,
    disconnectedEnd: number,
    done: () => void,
  ): void {
    // One more than are asked, so that it is not called before this returns.
    let pending = 1;
    const askings: Asking[] = [];
    const wait: Wait = {
      what,
      ind: ind ?? "all",
      since: this.#options.runtime.now(),
      holders: () => askings.filter(isAwaited).map(nameOf),
    };
    const one = () => {
      if (--pending > 0) return;
      this.#waits.end(wait);
      done();
    };
    for (const session of sessions) {
      const held = ind?.filter((index) => session.held.has(index));
      askings.push({ session, ind: held, until: session.leaseEnd, done: one, timer: undefined });
    }
    if (disconnectedEnd > wait.since) {
      askings.push({
        session: undefined,
        ind,
        until: disconnectedEnd,
        done: one,
        timer: undefined,
      });
    }
    pending += askings.length;
    if (this.#events !== undefined) tellWait(this.#events, wait, askings);
    for (const asking of askings) this.#ask(asking);
    if (askings.some(isAwaited)) this.#waits.begin(wait);
    queueMicrotask(one);
  }

  #ask(asking: Asking): void {
    const { session, ind } = asking;
    if (session === undefined) {
      this.#outwaiting.add(asking);
    } else {
      if (this.#events !== undefined) {
        const { name: holder } = session;
        this.#events({ type: "holder-asked", node: "server", holder, ind: ind ?? "all" });
      }
      session.ask({ op: "INV", ind }, asking);
    }
    this.#outwait(asking);
  }

  /** Waits until the lease, as it stood when INV was sent, is over; a timer may come early. */
  #outwait(asking: Asking): void {
    const ms = asking.until - this.#options.runtime.now();
    if (ms > 0) {
      asking.timer = this.#options.runtime.setTimer(() => this.#outwait(asking), Math.ceil(ms));
    } else {
      this.#tellReleased(asking, "lapsed");
      this.#settle(asking);
    }
  }

  /** The holding ends, unless it has: an answer that is no longer waited for ends nothing. */
  #settle(asking: Asking): void {
    if (asking.done === undefined) return;
    this.#options.runtime.clearTimer(asking.timer);
    // Of those who are disconnected each holding ends with its lease, and by nothing else.
    asking.session?.held.delete(asking.ind);
    asking.done();
    // Its place is still to be answered; nothing else of it is kept.
    asking.done = undefined;
    asking.ind = [];
    this.#outwaiting.delete(asking);
  }

  #tellReleased(asking: Asking, why: "returned" | "lapsed"): void {
    if (this.#events === undefined || !isAwaited(asking)) return;
    const holder = nameOf(asking), ind = asking.ind ?? "all";
    this.#events({ type: "holder-released", node: "server", holder, ind, why });
  }

  #endLease(session: Session): void {
    session.end();
    session.leaseEnd = -Infinity;
    session.held.delete(undefined);
    for (const asking of session.unanswered) this.#settle(asking);
  }
}

/** Whether it is neither answered nor given up. */
function isAwaited({ done }: Asking): boolean {
  return done !== undefined;
}

/** Who was asked, as events and the log name it. */
function nameOf({ session }: Asking): string {
  return session?.name ?? "disconnected";
}

function tellWait(events: EventSink, { what, ind, since }: Wait, askings: Asking[]): void {
  const awaited = askings.filter(({ until }) => until > since);
  if (awaited.length === 0) return;
  const atMostMs = Math.ceil(Math.max(...awaited.map(({ until }) => until)) - since);
  events({ type: "wait", node: "server", what, ind, holders: awaited.map(nameOf), atMostMs });
}
