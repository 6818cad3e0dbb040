/**
 * An operation: a request that has its place in the server's order.
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import { MAX_OUTSTANDING_INDICES, MAX_OUTSTANDING_REQUESTS } from "../protocol/limits.ts";
import type { ErrorReply, Reply, Request } from "../protocol/message.ts";
import type { Session } from "../coherence/session.ts";
import { Waiters } from "../util/waiters.ts";

/** The operations of one connection that are not answered. */
export class ConnectionOrder {
  /** The last of them, unless that has taken effect. */
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

/** Whose requests they are: a connection at the server. */
export interface Requester {
  /** Its session; `undefined` for a client. */
  readonly session: Session | undefined;
  /** Its operations that are not answered. */
  readonly order: ConnectionOrder;
  /** Whether nobody would hear a reply. */
  readonly closed: boolean;
  /** Has a request take effect, and makes its session a holder; the reply. */
  perform(request: Request | ErrorReply): Reply;
  /** Sends a reply. */
  send(reply: Reply): void;
}

/** A request in the schedule, or the error that stands in its place. */
export class Operation {
  /** Whose it is. */
  readonly requester: Requester;
  /** Its connection's operations. */
  readonly order: ConnectionOrder;
  /** The indices it touches; `undefined` for all: then it is a barrier. */
  readonly ind: readonly number[] | undefined;
  /** Whether it changes them. */
  readonly writes: boolean;
  readonly #request: Request | ErrorReply;
  #reply: Reply | undefined;

  // Its place, which is the schedule's matter.

  /** How many operations arrived before it. */
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

  /**
   * Makes one that has no place yet.
   *
   * @param ind {@linkcode touched} of the request.
   * @param writes Whether it changes the table.
   */
  constructor(
    requester: Requester,
    request: Request | ErrorReply,
    ind: readonly number[] | undefined,
    writes: boolean,
  ) {
    this.requester = requester;
    this.order = requester.order;
    this.ind = ind;
    this.writes = writes;
    this.#request = request;
  }

  /** Takes effect. */
  perform(): void {
    // A read has no effect but its reply, which may be long.
    if (!this.writes && this.requester.closed) return;
    this.#reply = this.requester.perform(this.#request);
  }

  /** The commit has failed: a write had no effect, and a read is done again without those. */
  undo(): void {
    if (this.writes) this.#reply = errorReply(500, "the server could not store this write");
    else this.perform();
  }

  /** Sends the reply. */
  answer(): void {
    if (this.#reply !== undefined) this.requester.send(this.#reply);
  }
}

/** The indices that a request touches; `undefined` for all. */
export function touched(request: Request | ErrorReply): readonly number[] | undefined {
  switch (request.op) {
    case "GET":
    case "ADD":
    case "PUT":
      return request.ind;
    case "CLR":
    case "INF":
      return undefined;
    case "SUB":
    case "INV":
    case "ERR":
      return [];
  }
}
