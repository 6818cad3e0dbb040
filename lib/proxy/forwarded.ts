/**
 * Requests on their way from a lane to the server, and what their answers do to the entries held.
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import {
  type AddRequest,
  type ClrRequest,
  type ErrorReply,
  type GetRequest,
  type PutRequest,
  readReply,
  type Reply,
  weight,
} from "../protocol/message.ts";
import { Asked, type Failure } from "../net/request_queue.ts";
import type { Entries } from "./entries.ts";
import type { Upstream } from "./upstream.ts";

/** Who forwarded a request. */
export interface Forwarder {
  /** What it is, for errors. */
  readonly name: "proxy" | "cache";
  /** The request's reply is there, or a part-hit has become a request for the whole. */
  moved(forwarded: Forwarded): void;
  /** The server has answered the request, or never will: it stands there no more. */
  released(forwarded: Forwarded): void;
}

/** A request of a lane that the server is to answer. */
export abstract class Forwarded extends Asked {
  /** What the lane is to be answered, once it is known. */
  reply: Reply | undefined;
  /** How many indices the client's request has. */
  abstract readonly weight: number;
  readonly #forwarder: Forwarder;

  /** @param forwarder Told what becomes of it. */
  constructor(forwarder: Forwarder) {
    super();
    this.#forwarder = forwarder;
  }

  override answered(reply: Reply): void {
    const answer = this.takeIn(reply);
    if (answer !== undefined) {
      this.reply ??= answer;
      this.#forwarder.released(this);
    }
    this.#forwarder.moved(this);
  }

  override failed(why: Failure): void {
    this.reply ??= this.failure(why);
    if (why !== "silent") {
      this.given();
      this.#forwarder.released(this);
    }
    this.#forwarder.moved(this);
  }

  /** Does to the entries what the server's answer asks for; the lane's reply, if that was all. */
  protected abstract takeIn(reply: Reply): Reply | undefined;

  /** What the lane is answered where the server did not. */
  protected failure(_why: Failure): ErrorReply {
    const { name } = this.#forwarder;
    return errorReply(503, `the ${name} has no answer from the server, and nothing was changed`);
  }

  /** The server will never answer it. */
  protected given(): void {}
}

/** A PUT or a CLR. */
export class ForwardedWrite extends Forwarded {
  override readonly request: PutRequest | ClrRequest;
  override readonly weight: number;
  readonly #entries: Entries;

  /** Drops what the write changes, before it is sent. */
  constructor(request: PutRequest | ClrRequest, entries: Entries, forwarder: Forwarder) {
    super(forwarder);
    this.request = request;
    this.weight = weight(request);
    this.#entries = entries;
    entries.beginWrite(this.#written);
  }

  get #written(): readonly number[] | undefined {
    return this.request.op === "PUT" ? this.request.ind : undefined;
  }

  protected override takeIn(reply: Reply): Reply {
    this.#entries.endWrite(this.#written);
    if (reply.op === "PUT") this.#entries.enterWritten(reply.ind, reply.data);
    return reply;
  }

  protected override failure(why: Failure): ErrorReply {
    return why === "unsent"
      ? super.failure(why)
      : errorReply(504, "the server has not answered: whether this was written is not known");
  }

  protected override given(): void {
    this.#entries.endWrite(this.#written);
  }
}

/** A GET or an ADD: forwarded whole, or at first just what is missing of it. */
export class ForwardedRead extends Forwarded {
  override request: GetRequest;
  override readonly weight: number;
  readonly #asked: GetRequest | AddRequest;
  readonly #entries: Entries;
  readonly #upstream: Upstream;

  /**
   * @param asked What the client asked.
   * @param missing What is missing of it, where the rest is held.
   */
  constructor(
    asked: GetRequest | AddRequest,
    missing: readonly number[] | undefined,
    entries: Entries,
    upstream: Upstream,
    forwarder: Forwarder,
  ) {
    super(forwarder);
    this.#asked = asked;
    this.weight = weight(asked);
    this.#entries = entries;
    this.#upstream = upstream;
    this.request = missing === undefined ? whole(asked) : { op: "GET", ind: missing };
  }

  protected override takeIn(reply: Reply): Reply | undefined {
    if (reply.op !== "GET") return reply;
    if (this.request === this.#asked) {
      this.#entries.enter(reply.ind, reply.data);
      return reply;
    }
    const fetched = new Map(reply.ind.map((index, i) => [index, reply.data[i]!]));
    // The entries held are read now, before the new ones enter and push some of them out.
    const data = this.#asked.ind.every((index) => fetched.has(index))
      ? this.#asked.ind.map((index) => fetched.get(index)!)
      : this.#join(fetched);
    this.#entries.enter(reply.ind, reply.data);
    if (data !== undefined) return readReply(this.#asked, data);
    if (this.reply !== undefined) return this.reply;
    this.request = whole(this.#asked);
    this.#upstream.events?.({
      type: "bypass",
      node: "proxy",
      ind: this.request.ind,
      why: this.#upstream.mayServe() ? "dropped" : "no-lease",
    });
    this.#upstream.queue.again(this);
    return undefined;
  }

  #join(fetched: Map<number, number>): number[] | undefined {
    if (!this.#upstream.mayServe()) return undefined;
    const held = this.#asked.ind.filter((index) => !fetched.has(index));
    const data = this.#entries.readAgain(held);
    if (data === undefined) return undefined;
    let next = 0;
    return this.#asked.ind.map((index) => fetched.get(index) ?? data[next++]!);
  }
}

/** A read as it goes upstream: ADD as a GET of its distinct indices. */
function whole(asked: GetRequest | AddRequest): GetRequest {
  return asked.op === "GET" ? asked : { op: "GET", ind: [...new Set(asked.ind)] };
}
