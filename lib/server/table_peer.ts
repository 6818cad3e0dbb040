/**
 * A connection at the server: what its requests do.
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import { MAX_INDICES } from "../protocol/limits.ts";
import {
  type ErrorReply,
  readReply,
  type Reply,
  type Request,
  type SubRequest,
} from "../protocol/message.ts";
import { checkIndices } from "../protocol/parse.ts";
import type { Connection } from "../net/connection.ts";
import type { Peer } from "../net/serve.ts";
import type { Session } from "./session.ts";
import { ConnectionOrder, Operation } from "./line.ts";
import type { TableNode } from "./table_node.ts";

/** A connection at the server, a client's or, once it has asked for a lease, a proxy's. */
export class TablePeer implements Peer {
  /** Its session; `undefined` for a client. */
  session: Session | undefined;
  /** Its operations in line. */
  readonly order = new ConnectionOrder();
  readonly #connection: Connection;
  readonly #node: TableNode;

  /** Makes the peer of a connection. */
  constructor(connection: Connection, node: TableNode) {
    this.#connection = connection;
    this.#node = node;
  }

  /** Nothing is looked at once for many requests here. */
  begin(): void {}

  /** Takes a request: SUB and the answer to INV ahead of all that waits. */
  take(request: Request | ErrorReply): void {
    if (request.op === "SUB") return this.#subscribe(request);
    if (request.op === "INV" && this.#acknowledge()) return;
    if (this.#node.ending) return;
    if (this.closed) return;
    const { line } = this.#node;
    const operation = this.#refusal(request) ?? request;
    const ind = touched(operation);
    const writes = operation.op === "PUT" || operation.op === "CLR";
    if (!writes && line.isClear(this.order, ind)) this.send(this.perform(operation));
    else {
      line.take(new TableOperation(this, operation, ind, writes));
      if (this.session !== undefined) this.#node.leases.budget.check(this.session);
    }
  }

  /** A session is always read: the answer to an INV may be next. */
  room(): Promise<void> | undefined {
    if (this.session !== undefined) return undefined;
    const { order } = this;
    if (!order.hasRoom()) return order.waiters.until(() => order.hasRoom());
    return this.#node.line.room(order) ?? this.#connection.room();
  }

  /** Whether none of its operations is in line, and it has no running lease. */
  idle(): boolean {
    return this.order.length === 0 &&
      (this.session?.leaseEnd ?? 0) <= this.#connection.runtime.now();
  }

  /** Resolves when none of its operations is in line. */
  settled(): Promise<void> {
    return this.order.waiters.until(() => this.order.length === 0);
  }

  /** The connection is over. Its operations in line go on. */
  left(): void {
    if (this.order.length > 0) {
      this.#node.lingering++;
      this.settled().then(() => this.#node.lingering--);
    }
    if (this.session !== undefined) this.#node.leases.disconnect(this.session);
  }

  /** Whether its connection was closed, or found broken, so that nobody hears a reply. */
  get closed(): boolean {
    return this.#connection.closed;
  }

  /** Has a request take effect. */
  perform(request: Request | ErrorReply): Reply {
    const { table, leases } = this.#node;
    switch (request.op) {
      case "GET":
        if (this.session !== undefined) leases.hold(this.session, request.ind);
        return readReply(request, table.read(request.ind));
      case "ADD":
        return readReply(request, table.read(request.ind));
      case "PUT":
        if (this.session !== undefined) leases.hold(this.session, request.ind);
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
        return errorReply(400, `${request.op} stands in no line`);
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
    const { leases, table } = this.#node;
    if (end) {
      if (this.session !== undefined) leases.giveBack(this.session);
      this.#connection.leaseEnd = -Infinity;
      this.send({ op: "SUB", grant: undefined });
    } else if (!this.#node.ending) {
      this.session = leases.grant(this.#connection, this.order, this.session);
      this.#connection.peerRole = "proxy";
      this.send({ op: "SUB", grant: { termMs: leases.termMs, size: table.size } });
      this.#connection.leaseEnd = this.session.leaseEnd;
    }
  }

  #acknowledge(): boolean {
    return this.session !== undefined && this.#node.leases.answered(this.session);
  }

  #refusal(request: Request | ErrorReply): ErrorReply | undefined {
    const { size } = this.#node.table;
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

/** The indices that a request touches; `undefined` for all. */
function touched(request: Request | ErrorReply): readonly number[] | undefined {
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

/** A request in line. */
export class TableOperation extends Operation {
  /** Whose it is. */
  readonly peer: TablePeer;
  override readonly order: ConnectionOrder;
  override readonly ind: readonly number[] | undefined;
  override readonly writes: boolean;
  readonly #request: Request | ErrorReply;
  #reply: Reply | undefined;

  /** @param ind The indices it touches; `undefined` for all. */
  constructor(
    peer: TablePeer,
    request: Request | ErrorReply,
    ind: readonly number[] | undefined,
    writes: boolean,
  ) {
    super();
    this.peer = peer;
    this.order = peer.order;
    this.ind = ind;
    this.writes = writes;
    this.#request = request;
  }

  override perform(): void {
    // A read has no effect but its reply, which may be long.
    if (!this.writes && this.peer.closed) return;
    this.#reply = this.peer.perform(this.#request);
  }

  override undo(): void {
    if (this.writes) this.#reply = errorReply(500, "the server could not store this write");
    else this.perform();
  }

  override answer(): void {
    if (this.#reply !== undefined) this.peer.send(this.#reply);
  }
}
