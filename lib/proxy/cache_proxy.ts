/**
 * The proxy: a coherent cache behind a listener.
 *
 * ```text
 *  clients                         proxy                                   server
 *  ───────    lines   ┌──────────────────────────────────────┐
 *  client a ────────→ │ Connection → serve → Lane a ─┐       │
 *  client b ────────→ │ Connection → serve → Lane b ─┤ hits  │   one connection,
 *           ←──────── │                              ▼       │   in order
 *            replies  │                           Entries    │
 *                     │  misses, writes ──→ Upstream ────────│──────→ GET PUT CLR SUB
 *                     │  answers, INV   ←── (lease, queue) ←─│─────── replies, INV
 *                     └──────────────────────────────────────┘
 * ```
 *
 * Each client connection has a lane, which owns the slots of its replies: a reply finds its request
 * by its place there. The upstream owns the queue of what was sent to the server: the k-th answer is
 * the k-th request's. An answer puts entries in and fills a slot where it is read, not later.
 *
 * @module
 */

import { HOST, PROXY_PORT, SERVER_PORT, SHUTDOWN_MS } from "../protocol/limits.ts";
import type { ErrorReply, Request } from "../protocol/message.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { formatAddress } from "../wire/address.ts";
import type { Connection } from "../wire/connection.ts";
import { Listener } from "../wire/listener.ts";
import { listenerOptions, type NodeOptions } from "../wire/node_options.ts";
import { type Peer, serve } from "../wire/serve.ts";
import { CoherentCache, type CoherentCacheOptions } from "./coherent_cache.ts";
import type { Lane } from "./lane.ts";

/** Options of a {@linkcode CacheProxy}. */
export interface CacheProxyOptions extends NodeOptions, CoherentCacheOptions {
  /**
   * The server, `host:port`.
   *
   * @default {"127.0.0.1:6002"}
   */
  server?: string;
}

/** A proxy: a {@linkcode CoherentCache} behind a listener. */
export class CacheProxy implements AsyncDisposable {
  readonly #cache: CoherentCache;
  readonly #listener: Listener;
  readonly #runtime: Runtime;
  #closing: Promise<void> | undefined;

  private constructor(cache: CoherentCache, listener: Listener, runtime: Runtime) {
    this.#runtime = runtime;
    this.#cache = cache;
    this.#listener = listener;
  }

  /**
   * Listens for clients; the server may be away.
   *
   * @throws {TypeError} If the server's address is none, an option is not of its type, or `solo` comes
   * without `capacity`.
   * @throws {RangeError} If an option is outside its range.
   * @throws {Deno.errors.AddrInUse} If another listens there.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids one of the addresses.
   */
  static async listen(options: CacheProxyOptions = {}): Promise<CacheProxy> {
    const listening = listenerOptions("proxy", PROXY_PORT, options);
    const { server = formatAddress({ host: HOST, port: SERVER_PORT }) } = options;
    const listener = new Listener(listening);
    let cache: CoherentCache;
    try {
      // Guarded once, so that what a sink throws is logged once.
      cache = await CoherentCache.connect(server, { ...options, events: listening.events });
    } catch (error) {
      await listener.stop();
      throw error;
    }
    listener.start((connection) =>
      serve(connection, new LanePeer(connection, cache), options.idleTimeoutMs)
    );
    return new CacheProxy(cache, listener, listening.runtime);
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return this.#listener.address;
  }

  /**
   * Takes no more connections and no more requests, answers those in hand, gives the lease back and
   * closes; within 5 s.
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
    const until = this.#runtime.now() + SHUTDOWN_MS;
    await this.#listener.close(SHUTDOWN_MS);
    await this.#cache.close(Math.max(0, until - this.#runtime.now()));
  }
}

/** A client's connection, which is not read while its replies are not. */
class LanePeer implements Peer {
  readonly #connection: Connection;
  readonly #lane: Lane;

  constructor(connection: Connection, cache: CoherentCache) {
    this.#connection = connection;
    this.#lane = cache.lane((reply) => connection.send(reply));
  }

  begin(): void {
    this.#lane.begin();
  }

  take(request: Request | ErrorReply): void {
    this.#lane.take(request);
  }

  room(): Promise<void> | undefined {
    return this.#connection.room() ?? this.#lane.room();
  }

  idle(): boolean {
    return this.#lane.idle();
  }

  settled(): Promise<void> {
    return this.#lane.settled();
  }

  left(): void {}
}
