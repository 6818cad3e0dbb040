/**
 * A connection at the server: what its requests do.
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import { MAX_INDICES } from "../protocol/limits.ts";
import {
  type ErrorReply,
  isWrite,
  readReply,
  type Reply,
  type Request,
  type SubRequest,
} from "../protocol/message.ts";
import { checkIndices } from "../protocol/parse.ts";
import type { Connection } from "../wire/connection.ts";
import type { Peer } from "../wire/serve.ts";
import type { Session } from "../coherence/session.ts";
import { ConnectionOrder, Operation, type Requester, touched } from "./operation.ts";
import type { TableCore } from "./table_core.ts";

/** A connection at the server, a client's or, once it has asked for a lease, a proxy's. */
export class TablePeer implements Peer, Requester {
  /** Its session; `undefined` for a client. */
  session: Session | undefined;
  /** Its operations that are not done. */
  readonly order = new ConnectionOrder();
  readonly #connection: Connection;
  readonly #core: TableCore;

  /** Makes the peer of a connection. */
  constructor(connection: Connection, core: TableCore) {
    this.#connection = connection;
    this.#core = core;
  }

  /** Nothing is looked at once for many requests here. */
  begin(): void {}

  /** Takes a request: SUB and the answer to INV ahead of all that waits. */
  take(request: Request | ErrorReply): void {
    if (request.op === "SUB") return this.#subscribe(request);
    if (request.op === "INV" && this.#acknowledge()) return;
    if (this.#core.ending) return;
    if (this.closed) return;
    const { schedule } = this.#core;
    const operation = this.#refusal(request) ?? request;
    const ind = touched(operation);
    const writes = isWrite(operation);
    if (!writes && schedule.isClear(this.order, ind)) this.send(this.perform(operation));
    else {
      schedule.take(new Operation(this, operation, ind, writes));
      if (this.session !== undefined) this.#core.grants.budget.check(this.session);
    }
  }

  /** A session is always read: the answer to an INV may be next. */
  room(): Promise<void> | undefined {
    if (this.session !== undefined) return undefined;
    const { order } = this;
    if (!order.hasRoom()) return order.waiters.until(() => order.hasRoom());
    return this.#core.schedule.room(order) ?? this.#connection.room();
  }

  /** Whether all its operations are done, and it has no running lease. */
  idle(): boolean {
    return this.order.length === 0 &&
      (this.session?.leaseEnd ?? 0) <= this.#connection.runtime.now();
  }

  /** Resolves when all its operations are done. */
  settled(): Promise<void> {
    return this.order.waiters.until(() => this.order.length === 0);
  }

  /** The connection is over. Its operations go on. */
  left(): void {
    if (this.order.length > 0) {
      this.#core.lingering++;
      this.settled().then(() => this.#core.lingering--);
    }
    if (this.session !== undefined) this.#core.grants.disconnect(this.session);
  }

  /** Whether its connection was closed, or found broken, so that nobody hears a reply. */
  get closed(): boolean {
    return this.#connection.closed;
  }

  /** Has a request take effect. */
  perform(request: Request | ErrorReply): Reply {
    const { table, grants } = this.#core;
    switch (request.op) {
      case "GET":
        if (this.session !== undefined) grants.hold(this.session, request.ind);
        return readReply(request, table.read(request.ind));
      case "ADD":
        return readReply(request, table.read(request.ind));
      case "PUT":
        if (this.session !== undefined) grants.hold(this.session, request.ind);
        table.write(request.ind, request.data);
        return request;
      case "CLR":
        table.clear();
        return request;
      case "INF": {
        const ind = Array.from({ length: table.size }, (_, index) => index);
        return { op: "INF", ind, data: table.read(ind), msg: undefined };
      }
      case "SUB":
      case "INV":
        return errorReply(400, `${request.op} is answered at once`);
      case "ERR":
        return request;
    }
  }

  /** Sends a reply. */
  send(reply: Reply): void {
    if (this.session === undefined) this.#connection.send(reply);
    else this.session.send(reply);
  }

  #subscribe({ end }: SubRequest): void {
    const { grants, table } = this.#core;
    if (end) {
      if (this.session !== undefined) grants.giveBack(this.session);
      this.#connection.leaseEnd = -Infinity;
      this.send({ op: "SUB", grant: undefined });
    } else if (!this.#core.ending) {
      this.session = grants.grant(this.#connection, this.order, this.session);
      this.#connection.peerRole = "proxy";
      this.send({ op: "SUB", grant: { termMs: grants.termMs, size: table.size } });
      this.#connection.leaseEnd = this.session.leaseEnd;
    }
  }

  #acknowledge(): boolean {
    return this.session !== undefined && this.#core.grants.answered(this.session);
  }

  #refusal(request: Request | ErrorReply): ErrorReply | undefined {
    const { size } = this.#core.table;
    switch (request.op) {
      case "GET":
      case "ADD":
      case "PUT":
        return checkIndices(request.ind, size);
      case "INV":
        return errorReply(400, "INV answers nothing: it was not asked");
      case "INF":
        if (size <= MAX_INDICES) return undefined;
        return errorReply(413, `the table has ${size} entries: INF shows ${MAX_INDICES}`);
    }
  }
}
