/**
 * The server: the table behind a listener.
 *
 * @module
 */

import {
  LEASE_TERM_MS,
  MAX_LEASE_TERM_MS,
  MAX_TABLE_SIZE,
  SERVER_PORT,
  SHUTDOWN_MS,
  TABLE_SIZE,
} from "../protocol/limits.ts";
import { Listener } from "../net/listener.ts";
import { listenerOptions, type NodeOptions } from "../net/node_options.ts";
import { checkOption } from "../net/options.ts";
import { serve } from "../net/serve.ts";
import { within } from "../net/within.ts";
import { TableNode, TablePeer } from "./table_peer.ts";
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
  /**
   * The term of a lease, in milliseconds, 1 to 3,600,000: how long at most a proxy that is slow or
   * gone delays a write of what it holds.
   *
   * @default {1000}
   */
  leaseMs?: number;
}

/** A server: it holds the table and is its authority. */
export class TableServer implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #node: TableNode;
  #closing: Promise<void> | undefined;

  private constructor(listener: Listener, node: TableNode) {
    this.#listener = listener;
    this.#node = node;
    listener.start((connection) => serve(connection, new TablePeer(connection, node)));
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
    const { size = TABLE_SIZE, init = [], leaseMs = LEASE_TERM_MS } = options;
    checkOption("size", size, 1, MAX_TABLE_SIZE);
    checkOption("leaseMs", leaseMs, 1, MAX_LEASE_TERM_MS);
    checkOption("the number of init's entries", init.length, 0, size);
    for (const integer of init) {
      checkOption("init", integer, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    }
    const listener = new Listener(listenerOptions("server", SERVER_PORT, options));
    return new TableServer(listener, new TableNode(new Table(size, init), leaseMs));
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return this.#listener.address;
  }

  /**
   * Takes no more connections and no more requests, answers those in hand, asks every proxy to drop
   * what it holds and waits for the answers or for the leases to end, 5 s at most; then closes.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    await this.#listener.stop();
    const until = performance.now() + SHUTDOWN_MS;
    await within(this.#node.end(), SHUTDOWN_MS);
    await this.#listener.close(until - performance.now());
    this.#node.line.stop();
    this.#node.leases.close();
  }
}
