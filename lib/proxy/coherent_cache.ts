/**
 * The coherent cache: a bounded cache over a server, that never shows an old value.
 *
 * @module
 */

import { type EventSink, guardLog, guardSink } from "../events.ts";
import {
  FIRST_ANSWER_MS,
  MAX_TIMEOUT_MS,
  SERVER_TIMEOUT_MS,
  SHUTDOWN_MS,
} from "../protocol/limits.ts";
import { errorReply } from "../protocol/error.ts";
import { readReply, type Reply, type Request } from "../protocol/message.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { parseAddress } from "../wire/address.ts";
import { checkChoice, checkOption, checkTypes, optionError } from "../util/options.ts";
import { TableCalls } from "../table_calls.ts";
import { within } from "../runtime/within.ts";
import type { Eviction } from "./bounded_cache.ts";
import { Entries } from "./entries.ts";
import { Lane } from "./lane.ts";
import { ToldEntries } from "./told_entries.ts";
import { Upstream } from "./upstream.ts";

/** Options of a {@linkcode CoherentCache}. */
export interface CoherentCacheOptions {
  /**
   * How many entries are held at most.
   *
   * @default {half of the server's table, rounded up}
   */
  capacity?: number;
  /**
   * Which entry goes when a new one comes: under `"fifo"` the one that entered first, under `"lru"`
   * the one used longest ago.
   *
   * @default {"fifo"}
   */
  eviction?: Eviction;
  /**
   * Whether what is written through this cache is held too (`"allocate"`) or not (`"around"`).
   *
   * @default {"allocate"}
   */
  onWrite?: "allocate" | "around";
  /**
   * How long a request may wait for the server, in milliseconds, from the moment it is asked.
   *
   * @default {2000}
   */
  timeoutMs?: number;
  /**
   * Whether this cache is the only writer and the only cache of the server, which may then be one
   * that grants no leases. Needs `capacity`, since such a server does not tell its size.
   *
   * @default {false}
   */
  solo?: boolean;
  /**
   * Told of everything that happens at this cache, where it happens and in that order: in the middle of
   * a step, so that it must return at once and call nothing of the cache. What it throws is logged, the
   * first time, and breaks nothing.
   *
   * @example Count the hits
   * ```ts
   * import { CoherentCache, TableServer } from "@halfway/halfway";
   *
   * await using server = await TableServer.listen({ port: 0 });
   * let hits = 0;
   * await using cache = await CoherentCache.connect(server.address, {
   *   events: (event) => {
   *     if (event.type === "hit") hits++;
   *   },
   * });
   * await cache.get([7]); // a miss
   * await cache.get([7]);
   * hits; // 1
   * ```
   */
  events?: EventSink | undefined;
  /**
   * What the cache needs of the world: its clocks, timers, chance and connections. In a test it may be
   * a `Process` of `@halfway/halfway/simulate`; what cannot be then fails with an `Error` that is no
   * `Deno.errors`, and has the same `name`.
   *
   * @default {Deno's}
   */
  runtime?: Runtime | undefined;
  /** Told, in a sentence, of what goes wrong and is nobody's answer: the server lost, say. */
  log?: (sentence: string) => void;
}

/**
 * A cache of a server's table inside this process.
 *
 * A read that finds all it asks for costs no message. A loop that awaits nothing but such reads gives
 * the event loop no turn, in which the lease would be renewed: when it is over, one read asks the server.
 *
 * @example A hit costs no message
 * ```ts
 * import { CoherentCache, TableServer } from "@halfway/halfway";
 *
 * await using server = await TableServer.listen({ port: 0 });
 * await using cache = await CoherentCache.connect(server.address);
 * await cache.put([[7, 4]]);
 * await cache.get([7]); // [4]
 * ```
 */
export class CoherentCache extends TableCalls implements AsyncDisposable {
  readonly #entries: Entries;
  readonly #upstream: Upstream;
  #closing: Promise<void> | undefined;

  private constructor(server: string, options: CoherentCacheOptions) {
    super();
    checkTypes(options, {
      capacity: "number",
      eviction: "string",
      onWrite: "string",
      timeoutMs: "number",
      solo: "boolean",
      events: "function",
      runtime: "object",
      log: "function",
    });
    const { timeoutMs = SERVER_TIMEOUT_MS, eviction = "fifo", onWrite = "allocate" } = options;
    parseAddress(server);
    checkOption("timeoutMs", timeoutMs, 1, MAX_TIMEOUT_MS);
    checkChoice("eviction", eviction, ["fifo", "lru"]);
    checkChoice("onWrite", onWrite, ["allocate", "around"]);
    const { capacity, solo = false } = options;
    if (solo && capacity === undefined) {
      throw optionError(
        new TypeError("Cannot take solo without capacity: such a server tells no size"),
      );
    }
    if (capacity !== undefined) checkOption("capacity", capacity, 1, Number.MAX_SAFE_INTEGER);
    const log = guardLog(options.log);
    const events = guardSink(options.events, log);
    const kept = { capacity, eviction, onWrite };
    this.#entries = events === undefined ? new Entries(kept) : new ToldEntries(kept, events);
    this.#upstream = new Upstream({
      server,
      timeoutMs,
      solo,
      runtime: options.runtime ?? denoRuntime,
      events,
      log,
    }, this.#entries);
  }

  /**
   * Makes a cache over a server.
   *
   * Where the server is away the cache is there all the same, and connects when it can.
   *
   * @param server The server, `host:port`.
   * @returns The cache, when the server has answered or was not reached at the first try; after 1 s
   * in any case.
   * @throws {TypeError} If the address is none, an option is not of its type, or `solo` comes without
   * `capacity`.
   * @throws {RangeError} If an option is outside its range.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids the address.
   */
  static async connect(server: string, options: CoherentCacheOptions = {}): Promise<CoherentCache> {
    const cache = new CoherentCache(server, options);
    try {
      await within(cache.#upstream.firstTry, FIRST_ANSWER_MS, options.runtime ?? denoRuntime);
    } catch (error) {
      await cache.close();
      throw error;
    }
    return cache;
  }

  /**
   * A lane: it keeps the order of what it is given, as one client connection does.
   *
   * @ignore
   * @param answer Gets each reply, in order.
   */
  lane(answer: (reply: Reply) => void): Lane {
    return new Lane(this.#entries, this.#upstream, answer, "proxy");
  }

  /**
   * Gives the lease back, and closes the connection to the server when what was asked is answered.
   * What is asked from now on fails with 503. A second time it waits for the first.
   *
   * @param ms How long that may take, in milliseconds, 0 to 2^31 − 1; what has no answer then fails.
   * @throws {TypeError} If `ms` is no number.
   * @throws {RangeError} If `ms` is outside its range; the cache stays open.
   */
  async close(ms: number = SHUTDOWN_MS): Promise<void> {
    checkTypes({ ms }, { ms: "number" });
    checkOption("ms", Math.trunc(ms), 0, MAX_TIMEOUT_MS);
    this.#closing ??= this.#upstream.close(ms);
    await this.#closing;
  }

  /** {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Has a request answered, from what is held where it may be. */
  protected override ask(request: Request): Promise<Reply> {
    if ((request.op === "GET" || request.op === "ADD") && this.#upstream.mayServe()) {
      // As a lane would, without making one.
      const data = this.#entries.read(request.ind);
      if (data !== undefined) return Promise.resolve(readReply(request, data));
    }
    if (this.#closing !== undefined) {
      return Promise.resolve(errorReply(503, "the cache is closed, and nothing was changed"));
    }
    return new Promise((resolve) => {
      const lane = new Lane(this.#entries, this.#upstream, resolve, "cache");
      lane.begin();
      lane.take(request);
    });
  }
}
