/**
 * A proxy's lease, over one connection to the server.
 *
 * ```text
 *   new ── SUB; is granted ──────→ leased      a SUB; at every third of the term, granted or not
 *    │                                         in time: an entry may be served while the lease runs
 *    ├── ERR 400 ─────────────────→ solo       nobody else writes there: entries may be served
 *    ├── ERR 400, not --solo ─────→ uncached   no entry may be served
 *    └─┬ giveBack() ──────────────→ returning  SUB;DATA=0; was sent: no entry may be served
 *      └ from each of the others, too
 * ```
 *
 * @module
 */

import { Lease, type Moment, moment } from "../coherence/lease.ts";
import type { EventSink } from "../events.ts";
import { TableError } from "../protocol/error.ts";
import { MAX_LEASE_TERM_MS, SILENT_TERMS } from "../protocol/limits.ts";
import type { ErrorReply, Reply, SubReply } from "../protocol/message.ts";
import { Patience } from "../runtime/patience.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { within } from "../runtime/within.ts";
import type { Connection } from "../wire/connection.ts";
import type { Entries } from "./entries.ts";

/** What a subscription needs to know. */
export interface SubscriptionOptions {
  /** The connection to the server. */
  readonly connection: Connection;
  /** What may be served under the lease; opened by the first grant. */
  readonly entries: Entries;
  /** What the proxy runs on. */
  readonly runtime: Runtime;
  /** How long the answer to the first SUB may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether this proxy is the only writer and the only cache of a server that does not know SUB. */
  readonly solo: boolean;
  /** Told of what happens to the lease. */
  readonly events: EventSink | undefined;
  /** Told when the first SUB is answered: whether leases are granted, or else how it goes on. */
  readonly answered: (how: "leased" | "solo" | "uncached") => void;
}

/** What is known of the lease. */
type State =
  /** The first SUB has no answer yet. */
  | { readonly name: "new" }
  /** A lease was granted; it may have lapsed, which is told once. */
  | { readonly name: "leased"; readonly lease: Lease; lapseTold: boolean }
  | { readonly name: "solo" }
  | { readonly name: "uncached" }
  /** The lease is given back; where the first SUB has no answer yet, that still comes first. */
  | { readonly name: "returning"; isNew: boolean; readonly returned: () => void };

/** What the proxy may serve, and what it says to the server for that. */
export class Subscription {
  readonly #options: SubscriptionOptions;
  #state: State = { name: "new" };
  /** When the SUB was sent that has no answer yet. */
  #asked: Moment | undefined;
  /** For the next SUB. */
  #renewal: Timer | undefined;
  /** For the answer to the last. */
  #patience: Patience | undefined;

  /** Nothing is sent yet. */
  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** Whether entries may be answered from what is held, at this moment. */
  mayServe(): boolean {
    const state = this.#state;
    if (state.name !== "leased") return state.name === "solo";
    if (state.lease.left(moment(this.#options.runtime)) > 0) return true;
    this.#tellLapse(state);
    return false;
  }

  /** For people: `lease 640 ms`, `no lease` or `solo`. */
  get text(): string {
    if (this.#state.name === "solo") return "solo";
    const left = this.#leftMs();
    return left > 0 ? `lease ${Math.ceil(left)} ms` : "no lease";
  }

  /**
   * Asks for the lease, and gives the connection up where no answer comes.
   *
   * @param termMs The term of the lease that runs.
   */
  subscribe(termMs: number = 0): void {
    const { connection, runtime, timeoutMs } = this.#options;
    this.#asked = moment(runtime);
    connection.send({ op: "SUB", end: false });
    const patienceMs = Math.max(timeoutMs, SILENT_TERMS * termMs);
    const awaited = this.#awaited();
    const giveUp = () => connection.close(`it does not answer OP=SUB; ${awaited}`);
    this.#patience = new Patience(runtime, patienceMs, giveUp, () => connection.reads);
  }

  /**
   * Takes a reply that answers SUB.
   *
   * @returns Whether it was one; otherwise it answers a request.
   * @throws {TableError} If it answers what was not asked, or is no answer to SUB where one must come.
   */
  take(reply: Reply): boolean {
    if (reply.op === "SUB") this.#granted(reply);
    else if (this.#awaitsFirst) this.#refused(reply);
    else return false;
    return true;
  }

  /** Gives the lease back; resolves when the server has heard, or the lease is over by itself. */
  async giveBack(): Promise<void> {
    const { connection, events, runtime } = this.#options;
    const { name } = this.#state, leftMs = this.#leftMs();
    this.#stopTimers();
    const { promise, resolve } = Promise.withResolvers<void>();
    // What the server has not granted yet it may grant all the same; its answer is still to come.
    this.#state = { name: "returning", isNew: name === "new", returned: resolve };
    if ((name !== "leased" && name !== "new") || connection.closed) return;
    connection.leaseEnd = -Infinity;
    connection.send({ op: "SUB", end: true });
    if (name === "leased") {
      events?.({ type: "lease-returned", node: "proxy", holder: connection.ends.address });
    }
    await within(promise, leftMs, runtime);
  }

  /** The connection has ended. */
  end(): void {
    this.#stopTimers();
    if (this.#state.name === "returning") this.#state.returned();
  }

  #leftMs(): number {
    if (this.#state.name !== "leased") return 0;
    return this.#state.lease.left(moment(this.#options.runtime));
  }

  /** Whether the first SUB has no answer yet. */
  get #awaitsFirst(): boolean {
    const state = this.#state;
    return state.name === "new" || (state.name === "returning" && state.isNew);
  }

  #granted({ grant }: SubReply): void {
    const state = this.#state;
    if (state.name === "returning") {
      // The answer to a SUB that was on its way may still come first.
      if (grant === undefined) state.returned();
      state.isNew = false;
      return;
    }
    if (grant === undefined || this.#asked === undefined) {
      throw new TableError(400, "SUB was answered and not asked");
    }
    const { connection, entries, events, runtime } = this.#options;
    // A shorter lease than was granted is always right, and a timer cannot count every number.
    const termMs = Math.min(grant.termMs, MAX_LEASE_TERM_MS);
    const now = moment(runtime);
    const renewed = state.name === "leased" && state.lease.left(now) > 0;
    if (state.name === "leased" && !renewed) this.#tellLapse(state);
    const lease = new Lease(this.#asked, termMs);
    this.#state = { name: "leased", lease, lapseTold: false };
    connection.leaseEnd = now.monotonic + lease.left(now);
    this.#asked = undefined;
    entries.open(grant.size);
    this.#stopTimers();
    if (state.name === "new") this.#options.answered("leased");
    const type = renewed ? "lease-renewed" : "lease-granted";
    events?.({ type, node: "proxy", holder: connection.ends.address, termMs });
    const pauseMs = Math.max(0, lease.renewal - runtime.now());
    this.#renewal = runtime.setTimer(() => this.subscribe(termMs), pauseMs);
  }

  /** The first reply was no grant. */
  #refused(reply: Reply): void {
    const { solo, entries, answered } = this.#options;
    this.#checkRefusal(reply);
    this.#asked = undefined;
    if (this.#state.name === "returning") {
      this.#state.isNew = false;
      return;
    }
    if (solo) entries.open(undefined);
    this.#stopTimers();
    this.#state = { name: solo ? "solo" : "uncached" };
    answered(this.#state.name as "solo" | "uncached");
  }

  #checkRefusal(reply: Reply): asserts reply is ErrorReply {
    if (reply.op !== "ERR") {
      const awaited = this.#awaited();
      throw new TableError(400, `${reply.op} came before an answer to OP=SUB; ${awaited}`);
    }
    if (reply.code !== 400) throw new TableError(reply.code, reply.message);
  }

  /** The lease is over; what is held stays, and may be answered from after the next grant. */
  #tellLapse(state: Extract<State, { name: "leased" }>): void {
    if (state.lapseTold) return;
    state.lapseTold = true;
    const { connection, events } = this.#options;
    connection.leaseEnd = -Infinity;
    events?.({ type: "lease-lapsed", node: "proxy", holder: connection.ends.address });
  }

  /** The replies that a SUB may have, for people. */
  #awaited(): string {
    const grant = "OP=SUB;DATA=<term>,<size>;";
    return this.#awaitsFirst ? `(awaited: ${grant} or OP=ERR;DATA=400;)` : `(awaited: ${grant})`;
  }

  #stopTimers(): void {
    this.#options.runtime.clearTimer(this.#renewal);
    this.#patience?.end();
  }
}
