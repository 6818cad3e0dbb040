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
import { Listener } from "../wire/listener.ts";
import { listenerOptions, type NodeOptions } from "../wire/node_options.ts";
import { checkOption, checkTypes, current, optionError } from "../util/options.ts";
import { serve } from "../wire/serve.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import { within } from "../runtime/within.ts";
import { memoryStore, type OpenedStore } from "./store/store.ts";
import { Table } from "./table.ts";
import { TableCore } from "./table_core.ts";
import { TablePeer } from "./table_peer.ts";

/** Options of a {@linkcode TableServer}. */
export interface TableServerOptions extends NodeOptions {
  /**
   * The file that keeps the table, and is made where there is none. Without it nothing is kept: the
   * table, and the promise that nobody sees an old value, end with the server.
   *
   * Other processes may read and back up the file while the server runs. The process of the server
   * must not open it by itself: on POSIX, closing it would take off the locks of the server.
   */
  data?: string;
  /**
   * How many entries the table has, 1 to 1,000,000; not fewer than the file holds.
   *
   * @default {the file's size; 10 for a new one}
   */
  size?: number;
  /** The first entries of a new table, from 0 on; the others are 0. */
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
  readonly #core: TableCore;
  #closing: Promise<void> | undefined;
  #clean: boolean | undefined;

  private constructor(listener: Listener, core: TableCore, idleMs: number | undefined) {
    this.#listener = listener;
    this.#core = core;
    listener.start(
      (connection) => serve(connection, new TablePeer(connection, core), idleMs),
      () => core.lingering,
    );
    core.failure.then(() => this.#abandon());
  }

  /**
   * Listens for proxies and clients.
   *
   * @throws {RangeError} If an option is outside its range.
   * @throws {TypeError} If an option is not of its type, or `init` was given and there is a table in
   * the file.
   * @throws {StoreError} If the file is locked, damaged, none of ours, or holds a larger table, or if
   * the log that lies beside it is not its own.
   * @throws {Deno.errors.AddrInUse} If another listens there.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids the address or the file.
   */
  static async listen(options: TableServerOptions = {}): Promise<TableServer> {
    checkTypes(options, { data: "string", size: "number", leaseMs: "number" });
    const { data, size, init, log = () => {} } = options;
    if (data === "") {
      throw optionError(
        new TypeError(`Cannot take data that is no path of a file: ${current(data)}`),
      );
    }
    if (init !== undefined && !Array.isArray(init)) {
      throw optionError(new TypeError(`Cannot take init that is no array: ${current(init)}`));
    }
    checkOption("size", size ?? TABLE_SIZE, 1, MAX_TABLE_SIZE);
    checkOption("the number of init's entries", init?.length ?? 0, 0, size ?? TABLE_SIZE);
    for (const integer of init ?? []) {
      if (typeof integer !== "number") {
        throw optionError(
          new TypeError(`Cannot take init that holds no number: ${current(integer)}`),
        );
      }
      checkOption("init", integer, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    }
    if (data !== undefined) {
      // Loaded only for a file: where there is none, there may be no SQLite either.
      const { openTable } = await import("./store/sqlite_store.ts");
      const { runtime = denoRuntime } = options;
      return TableServer.over(() => openTable(data, runtime, { size, init, log }), options);
    }
    return TableServer.over(() => {
      const entries = new Float64Array(size ?? TABLE_SIZE);
      entries.set(init ?? []);
      return { store: memoryStore, table: new Table(entries), leasedMs: 0 };
    }, options);
  }

  /**
   * Listens, with a store of one's own.
   *
   * @ignore
   */
  static over(open: () => OpenedStore, options: TableServerOptions): TableServer {
    const { leaseMs = LEASE_TERM_MS } = options;
    checkOption("leaseMs", leaseMs, 1, MAX_LEASE_TERM_MS);
    const listening = listenerOptions("server", SERVER_PORT, options);
    const listener = new Listener(listening);
    let opened;
    try {
      opened = open();
      const core = new TableCore(
        opened,
        leaseMs,
        listening.log,
        listening.events,
        listening.runtime,
      );
      return new TableServer(listener, core, options.idleTimeoutMs);
    } catch (error) {
      opened?.store.close(false);
      listener.stop();
      throw error;
    }
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return this.#listener.address;
  }

  /**
   * Resolves if the server has ended by itself, since whether a commit was made cannot be known. It
   * has then answered nobody who waited, and closed every connection.
   */
  get failure(): Promise<Error> {
    return this.#core.failure;
  }

  /**
   * Whether it has ended cleanly: all in hand was answered and no lease is out, so that the next
   * server on its file need not wait before it writes. `undefined` until it is closed.
   */
  get clean(): boolean | undefined {
    return this.#clean;
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
    const { runtime } = this.#core;
    const until = runtime.now() + SHUTDOWN_MS;
    const failure = await within(
      Promise.race([this.#core.end(), this.#core.failure]),
      SHUTDOWN_MS,
      runtime,
    );
    if (failure === undefined) await this.#listener.close(until - runtime.now());
    else await this.#listener.abandon();
    this.#clean = this.#core.close();
  }

  #abandon(): void {
    this.#closing ??= this.#listener.abandon().then(() => {
      this.#clean = this.#core.close();
    });
  }
}
