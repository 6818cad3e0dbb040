/**
 * The server: the table behind a listener.
 *
 * @module
 */

import { errorReply } from "../protocol/error.ts";
import {
  LEASE_TERM_MS,
  MAX_INDICES,
  MAX_TABLE_SIZE,
  SERVER_PORT,
  TABLE_SIZE,
} from "../protocol/limits.ts";
import type { ErrorReply, Reply, Request } from "../protocol/message.ts";
import { checkIndices } from "../protocol/parse.ts";
import type { Connection } from "../net/connection.ts";
import { Listener } from "../net/listener.ts";
import { listenerOptions, type NodeOptions } from "../net/node_options.ts";
import { checkOption } from "../net/options.ts";
import { type Peer, serve } from "../net/serve.ts";
import { Table } from "./table.ts";

/** Options of a {@linkcode TableServer}. */
export interface TableServerOptions extends NodeOptions {
  /**
   * How many entries the table has, 1 to 1,000,000.
   *
   * @default {10}
   */
  size?: number;
  /**
   * The first entries, from 0 on; the others are 0.
   *
   * @default {[]}
   */
  init?: readonly number[];
}

/** A server: it holds the table and is its authority. */
export class TableServer implements AsyncDisposable {
  readonly #listener: Listener;
  #closing: Promise<void> | undefined;

  private constructor(listener: Listener, table: Table) {
    this.#listener = listener;
    listener.start((connection) => serve(connection, new TablePeer(connection, table)));
  }

  /**
   * Listens for proxies and clients.
   *
   * @throws {RangeError} If an option is outside its range.
   * @throws {Deno.errors.AddrInUse} If another listens there.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids the address.
   */
  // deno-lint-ignore require-await -- an error is a rejection here as with the other nodes
  static async listen(options: TableServerOptions = {}): Promise<TableServer> {
    const { size = TABLE_SIZE, init = [] } = options;
    checkOption("size", size, 1, MAX_TABLE_SIZE);
    checkOption("the number of init's entries", init.length, 0, size);
    for (const integer of init) {
      checkOption("init", integer, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    }
    const listener = new Listener(listenerOptions("server", SERVER_PORT, options));
    return new TableServer(listener, new Table(size, init));
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return this.#listener.address;
  }

  /** Takes no more connections and no more requests, answers those in hand, 5 s at most, and ends. */
  close(): Promise<void> {
    this.#closing ??= this.#listener.close();
    return this.#closing;
  }

  /** {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A connection at the server. */
class TablePeer implements Peer {
  readonly #connection: Connection;
  readonly #table: Table;

  constructor(connection: Connection, table: Table) {
    this.#connection = connection;
    this.#table = table;
  }

  begin(): void {}

  take(request: Request | ErrorReply): void {
    this.#connection.send(this.#answer(request));
  }

  room(): Promise<void> | undefined {
    return this.#connection.room();
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  left(): void {}

  #answer(request: Request | ErrorReply): Reply {
    const table = this.#table;
    if ((request.op === "GET" || request.op === "ADD" || request.op === "PUT")) {
      const refusal = checkIndices(request.ind, table.size);
      if (refusal !== undefined) return refusal;
    }
    switch (request.op) {
      case "GET":
        return { op: "GET", ind: request.ind, data: table.read(request.ind) };
      case "ADD":
        return { op: "ADD", ind: request.ind, sum: table.sum(request.ind) };
      case "PUT":
        table.write(request.ind, request.data);
        return request;
      case "CLR":
        table.clear();
        return request;
      case "INF": {
        if (table.size > MAX_INDICES) {
          return errorReply(413, `the table has ${table.size} entries: INF shows ${MAX_INDICES}`);
        }
        const ind = Array.from({ length: table.size }, (_, index) => index);
        return { op: "INF", ind, data: table.read(ind), msg: undefined };
      }
      case "SUB":
        if (request.end) return { op: "SUB", grant: undefined };
        this.#connection.peerRole = "proxy";
        return { op: "SUB", grant: { termMs: LEASE_TERM_MS, size: table.size } };
      case "INV":
        return errorReply(400, "INV answers nothing: it was not asked");
      case "ERR":
        return request;
    }
  }
}
