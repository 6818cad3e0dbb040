/**
 * The order of one client connection at a proxy.
 *
 * ```text
 *  take() ─ nothing outstanding ──────────────→ a hit, INF, an error: answered on the spot
 *    │                                          a write, a miss:      [slot] → server
 *    │                                          a part-hit:           [slot] → server, its misses
 *    ├─ behind a part-hit ────────────────────→ held until that is answered
 *    └─ behind anything else ─────────────────→ [slot] → server, whole, hit or not
 *                                               (INF and errors: [slot], filled in its turn)
 *  slots are answered in order, each when it and all before it are filled
 * ```
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import {
  MAX_INDICES,
  MAX_OUTSTANDING_INDICES,
  MAX_OUTSTANDING_REQUESTS,
} from "../protocol/limits.ts";
import {
  type AddRequest,
  type ErrorReply,
  type GetRequest,
  readReply,
  type Reply,
  type Request,
  weight,
} from "../protocol/message.ts";
import { checkIndices } from "../protocol/parse.ts";
import { Fifo } from "../net/fifo.ts";
import { Waiters } from "../net/waiters.ts";
import type { Entries } from "./entries.ts";
import { type Forwarded, ForwardedRead, ForwardedWrite } from "./forwarded.ts";
import type { Upstream } from "./upstream.ts";

/** A reply's place; `undefined` stands for INF, whose reply is made in its turn. */
type Slot = { readonly reply: Reply | undefined } | undefined;

/** Takes requests one after the other, and answers them in that order. */
export class Lane {
  readonly #entries: Entries;
  readonly #upstream: Upstream;
  readonly #answer: (reply: Reply) => void;
  readonly #slots = new Fifo<Slot>();
  readonly #held = new Fifo<Request | ErrorReply>();
  #partHit: ForwardedRead | undefined;
  #atServer = 0;
  /** How many indices those at the server, and those held, have. */
  #indices = 0;
  #mayServe = false;
  /** When the requests were there that are taken now; `undefined` until one needs to know. */
  #now: number | undefined;
  /** Waiting until a place is free, or until all is answered. */
  readonly #waiters = new Waiters();

  /** What the errors that are found here call this node. */
  readonly name: "proxy" | "cache";

  /** @param answer Gets each reply, in order; called before `take` returns where it can be. */
  constructor(
    entries: Entries,
    upstream: Upstream,
    answer: (reply: Reply) => void,
    name: "proxy" | "cache",
  ) {
    this.name = name;
    this.#entries = entries;
    this.#upstream = upstream;
    this.#answer = answer;
  }

  /** Looks at the lease; holds for the requests that are taken before the next `await`. */
  begin(): void {
    this.#mayServe = this.#upstream.mayServe();
    this.#now = undefined;
  }

  /** Resolves when one more may be taken; `undefined` where it may now. */
  room(): Promise<void> | undefined {
    if (!this.#hasRoom()) return this.#waiters.until(() => this.#hasRoom());
    // Who has nothing in hand is read, however much others have.
    const { load } = this.#upstream;
    return this.idle() || load.hasRoom ? undefined : load.roomOr(() => this.idle());
  }

  /** Whether all that was taken is answered. */
  idle(): boolean {
    return this.#unanswered === 0;
  }

  /** Resolves when all that was taken is answered. */
  settled(): Promise<void> {
    return this.#waiters.until(() => this.idle());
  }

  /** Takes the next request, or what stood in its place. */
  take(request: Request | ErrorReply): void {
    if (this.#partHit !== undefined) {
      this.#indices += weight(request);
      this.#upstream.load.begin(weight(request));
      return this.#held.push(request);
    }
    const idle = this.#slots.length === 0;
    switch (request.op) {
      case "GET":
      case "ADD":
        return this.#read(request, idle);
      case "PUT": {
        const refusal = this.#outside(request.ind);
        if (refusal !== undefined) return this.#fill(refusal, idle);
        return this.#forward(new ForwardedWrite(request, this.#entries, this));
      }
      case "CLR":
        return this.#forward(new ForwardedWrite(request, this.#entries, this));
      case "INF":
        if (idle) this.#answer(this.#info());
        else this.#slots.push(undefined);
        return;
      case "SUB":
        return this.#fill(errorReply(400, "SUB goes to a server: a proxy grants no leases"), idle);
      case "INV":
        return this.#fill(errorReply(400, "INV answers nothing: it was not asked"), idle);
      case "ERR":
        return this.#fill(request, idle);
    }
  }

  get #unanswered(): number {
    return this.#slots.length + this.#held.length;
  }

  /** The proxy's own 503 or 504 leaves a request at the server, and frees no place. */
  #hasRoom(): boolean {
    return this.#atServer < MAX_OUTSTANDING_REQUESTS &&
      this.#unanswered < MAX_OUTSTANDING_REQUESTS && this.#indices < MAX_OUTSTANDING_INDICES;
  }

  #read(request: GetRequest | AddRequest, idle: boolean): void {
    if (idle && this.#mayServe) {
      const data = this.#entries.read(request.ind);
      if (data !== undefined) return this.#answer(readReply(request, data));
    }
    const refusal = this.#outside(request.ind);
    if (refusal !== undefined) return this.#fill(refusal, idle);
    const missing = idle && this.#mayServe
      ? this.#entries.missing(request.ind)
      : this.#bypass(request.ind);
    const partial = missing.length > 0 && missing.length < new Set(request.ind).size;
    const read = new ForwardedRead(
      request,
      partial ? missing : undefined,
      this.#entries,
      this.#upstream,
      this,
    );
    if (partial) this.#partHit = read;
    this.#forward(read);
  }

  /** Tells that the cache is not looked at for these. */
  #bypass(ind: readonly number[]): number[] {
    const why = this.#mayServe ? "in-flight" : "no-lease";
    this.#upstream.events?.({ type: "bypass", node: "proxy", ind, why });
    return [];
  }

  #outside(ind: readonly number[]): ErrorReply | undefined {
    const size = this.#entries.tableSize;
    return size === undefined ? undefined : checkIndices(ind, size);
  }

  #fill(reply: Reply, idle: boolean): void {
    if (idle) this.#answer(reply);
    else this.#slots.push({ reply });
  }

  #forward(forwarded: Forwarded): void {
    this.#slots.push(forwarded);
    this.#atServer++;
    this.#indices += forwarded.weight;
    this.#upstream.load.begin(forwarded.weight);
    this.#upstream.queue.ask(forwarded, this.#now ??= this.#upstream.runtime.now());
  }

  /** The server will not answer one of the requests any more, or has. */
  released(forwarded: Forwarded): void {
    this.#atServer--;
    this.#indices -= forwarded.weight;
    this.#upstream.load.end(forwarded.weight);
    this.#waiters.look();
  }

  /** A slot was filled, or a part-hit has become a request for the whole. */
  moved(forwarded: Forwarded): void {
    if (forwarded === this.#partHit) this.#partHit = undefined;
    while (this.#slots.length > 0) {
      const slot = this.#slots.first;
      const reply = slot === undefined ? this.#info() : slot.reply;
      if (reply === undefined) break;
      this.#slots.shift();
      this.#answer(reply);
    }
    if (this.#held.length > 0) this.begin();
    while (this.#held.length > 0 && this.#partHit === undefined) {
      const request = this.#held.shift()!;
      this.#indices -= weight(request);
      this.#upstream.load.end(weight(request));
      this.take(request);
    }
    this.#waiters.look();
    if (this.idle()) this.#upstream.load.look();
  }

  #info(): Reply {
    const held = this.#entries.held();
    if (held.length > MAX_INDICES) {
      return errorReply(
        413,
        `this ${this.name} holds ${held.length} entries: INF shows ${MAX_INDICES}`,
      );
    }
    const ind = held.map(([index]) => index), data = held.map(([, integer]) => integer);
    return { op: "INF", ind, data, msg: this.#upstream.state };
  }
}
