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
  asGet,
  type ErrorReply,
  isWrite,
  readReply,
  type ReadRequest,
  type Reply,
  type Request,
  weight,
  type WriteRequest,
  written,
} from "../protocol/message.ts";
import { checkIndices } from "../protocol/parse.ts";
import { Fifo } from "../util/fifo.ts";
import { Waiters } from "../util/waiters.ts";
import { Asked, type Failure } from "../wire/request_queue.ts";
import type { Entries } from "./entries.ts";
import type { Upstream } from "./upstream.ts";

/** A client's request that the server is to answer, and the slot of its reply. */
class Forwarded extends Asked {
  /** What the client asked. */
  readonly asking: ReadRequest | WriteRequest;
  /** What is sent for it. */
  override request: Request;
  /** What the client is answered, once it is known. */
  reply: Reply | undefined;
  /** How many indices the client's request has. */
  readonly weight: number;
  readonly #lane: Lane;

  constructor(asking: ReadRequest | WriteRequest, request: Request, lane: Lane) {
    super();
    this.asking = asking;
    this.request = request;
    this.weight = weight(asking);
    this.#lane = lane;
  }

  override answered(reply: Reply): void {
    this.#lane.answered(this, reply);
  }

  override failed(why: Failure): void {
    this.#lane.failed(this, why);
  }
}

/** A reply's place; `undefined` stands for INF, whose reply is made in its turn. */
type Slot = { readonly reply: Reply | undefined } | undefined;

/** Takes requests one after the other, and answers them in that order. */
export class Lane {
  readonly #entries: Entries;
  readonly #upstream: Upstream;
  readonly #answer: (reply: Reply) => void;
  readonly #slots = new Fifo<Slot>();
  readonly #held = new Fifo<Request | ErrorReply>();
  /** The part-hit that is not answered; what comes behind it is held. */
  #partHit: Forwarded | undefined;
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
      case "PUT":
      case "CLR":
        return this.#write(request, idle);
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

  #read(request: ReadRequest, idle: boolean): void {
    if (idle && this.#mayServe) {
      const data = this.#entries.read(request.ind);
      if (data !== undefined) return this.#answer(readReply(request, data));
    }
    const refusal = this.#outside(request.ind);
    if (refusal !== undefined) return this.#fill(refusal, idle);
    const looks = idle && this.#mayServe;
    if (!looks) this.#tellBypass(request.ind, "in-flight");
    const missing = looks ? this.#entries.missing(request.ind) : [];
    const partial = missing.length > 0 && missing.length < new Set(request.ind).size;
    const sent = partial ? { op: "GET", ind: missing } as const : asGet(request);
    const read = new Forwarded(request, sent, this);
    if (partial) this.#partHit = read;
    this.#forward(read);
  }

  /** Drops what a write changes, before it is sent. */
  #write(request: WriteRequest, idle: boolean): void {
    const ind = written(request), refusal = ind && this.#outside(ind);
    if (refusal !== undefined) return this.#fill(refusal, idle);
    this.#entries.beginWrite(ind);
    this.#forward(new Forwarded(request, request, this));
  }

  /** Tells that the cache is not looked at for these, or found nothing that may be served. */
  #tellBypass(ind: readonly number[], why: "in-flight" | "dropped"): void {
    const { events } = this.#upstream;
    if (events === undefined) return;
    const mayServe = why === "in-flight" ? this.#mayServe : this.#upstream.mayServe();
    events({ type: "bypass", node: "proxy", ind, why: mayServe ? why : "no-lease" });
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

  /** The server has answered, in time or not: does what the answer asks for, in the same step. */
  answered(forwarded: Forwarded, reply: Reply): void {
    const { asking } = forwarded;
    const answer = isWrite(asking)
      ? this.#takeWritten(asking, reply)
      : this.#takeRead(forwarded, asking, reply);
    if (answer !== undefined) {
      forwarded.reply ??= answer;
      this.#released(forwarded);
    }
    this.#moved(forwarded);
  }

  /** The server has not answered: {@linkcode Asked.failed}. */
  failed(forwarded: Forwarded, why: Failure): void {
    forwarded.reply ??= why !== "unsent" && isWrite(forwarded.asking)
      ? errorReply(504, "the server has not answered: whether this was written is not known")
      : errorReply(503, `the ${this.name} has no answer from the server, and nothing was changed`);
    if (why !== "silent") {
      // It never will.
      if (isWrite(forwarded.asking)) this.#entries.endWrite(written(forwarded.asking));
      this.#released(forwarded);
    }
    this.#moved(forwarded);
  }

  #takeWritten(asking: WriteRequest, reply: Reply): Reply {
    this.#entries.endWrite(written(asking));
    if (reply.op === "PUT") this.#entries.enterWritten(reply.ind, reply.data);
    return reply;
  }

  /** The client's reply; `undefined` where a part-hit has become a request for the whole. */
  #takeRead(forwarded: Forwarded, asking: ReadRequest, reply: Reply): Reply | undefined {
    if (reply.op !== "GET") return reply;
    if (forwarded.request === asking) {
      this.#entries.enter(reply.ind, reply.data);
      return reply;
    }
    const fetched = new Map(reply.ind.map((index, i) => [index, reply.data[i]!]));
    // The entries held are read now, before the new ones enter and push some of them out.
    const data = asking.ind.every((index) => fetched.has(index))
      ? asking.ind.map((index) => fetched.get(index)!)
      : this.#join(asking, fetched);
    this.#entries.enter(reply.ind, reply.data);
    if (data !== undefined) return readReply(asking, data);
    if (forwarded.reply !== undefined) return forwarded.reply;
    const again = forwarded.request = asGet(asking);
    this.#tellBypass(again.ind, "dropped");
    this.#upstream.queue.again(forwarded);
    return undefined;
  }

  #join({ ind }: ReadRequest, fetched: Map<number, number>): number[] | undefined {
    if (!this.#upstream.mayServe()) return undefined;
    const held = ind.filter((index) => !fetched.has(index));
    const data = this.#entries.readAgain(held);
    if (data === undefined) return undefined;
    let next = 0;
    return ind.map((index) => fetched.get(index) ?? data[next++]!);
  }

  /** The server will not answer one of the requests any more, or has. */
  #released(forwarded: Forwarded): void {
    this.#atServer--;
    this.#indices -= forwarded.weight;
    this.#upstream.load.end(forwarded.weight);
    this.#waiters.look();
  }

  /** A slot was filled, or a part-hit has become a request for the whole. */
  #moved(forwarded: Forwarded): void {
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
    const held = this.#entries.held(), { length } = held;
    if (length > MAX_INDICES) {
      return errorReply(413, `this ${this.name} holds ${length} entries: INF shows ${MAX_INDICES}`);
    }
    const ind = held.map(([index]) => index), data = held.map(([, integer]) => integer);
    return { op: "INF", ind, data, msg: this.#upstream.state };
  }
}
