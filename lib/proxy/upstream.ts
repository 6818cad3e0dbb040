/**
 * A proxy's one connection to the server at a time: kept up, subscribed, and read in order.
 *
 * ```text
 *   away ──connect──→ there: a Subscription, and the requests of all clients in flight
 *     ↑                 │
 *     │ a pause,        └── the connection ends: every entry is dropped, what was sent is lost
 *     └──────────────────────┘
 * ```
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import {
  LINGER_MS,
  MAX_UPSTREAM_UNSENT_BYTES,
  RECONNECT_FIRST_MS,
  RECONNECT_LAST_MS,
  RECONNECT_LASTED_MS,
} from "../protocol/limits.ts";
import type { Reply } from "../protocol/message.ts";
import { parseReply } from "../protocol/parse.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { within } from "../runtime/within.ts";
import { connect } from "../wire/connect.ts";
import type { Connection } from "../wire/connection.ts";
import { RequestQueue } from "../wire/request_queue.ts";
import type { Entries } from "./entries.ts";
import { Load } from "./load.ts";
import { Subscription } from "./subscription.ts";

/** What an upstream needs to know. */
export interface UpstreamOptions {
  /** The server, `host:port`. */
  readonly server: string;
  /** How long a request may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether this proxy is the only writer and the only cache of a server that does not know SUB. */
  readonly solo: boolean;
  /** Told of what happens here. */
  readonly events: EventSink | undefined;
  /** What the proxy runs on. */
  readonly runtime: Runtime;
  /** Told of what goes wrong here and is nobody's answer. */
  readonly log: (sentence: string) => void;
}

/** So many different complaints are logged until a connection has lasted, and no more. */
const MOST_COMPLAINTS = 8;

/** The server, as the proxy reaches it. */
export class Upstream {
  /** What is asked of the server. */
  readonly queue: RequestQueue;
  /** The requests of all clients that are in hand. */
  readonly load: Load = new Load();
  /** Told of what happens at the proxy. */
  readonly events: EventSink | undefined;
  /** What the proxy runs on. */
  readonly runtime: Runtime;
  readonly #options: UpstreamOptions;
  readonly #entries: Entries;
  /** The connection and the lease over it; `undefined` while the server is away. */
  #there: { readonly connection: Connection; readonly subscription: Subscription } | undefined;
  /** Until the connection has lasted. */
  #lasting: Timer | undefined;
  /** The pause before it connects again. */
  #pauseMs = RECONNECT_FIRST_MS;
  /** How many connections in a row have answered SUB and not lasted. */
  #shortLived = 0;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #firstTry = Promise.withResolvers<void>();
  /** What was said of a server that is away, so that it is said once, until it is there again. */
  readonly #complaints = new Set<string>();

  /** Begins to connect; what is read of the server's table goes in and out of `entries`. */
  constructor(options: UpstreamOptions, entries: Entries) {
    this.#options = options;
    this.events = options.events;
    this.runtime = options.runtime;
    this.#entries = entries;
    this.queue = new RequestQueue(options.timeoutMs, options.runtime);
    this.#running = this.#run();
  }

  /**
   * Resolves when the server has been reached, or not, for the first time.
   *
   * @throws {Deno.errors.NotCapable} If the sandbox forbids its address; it is not tried again.
   */
  get firstTry(): Promise<void> {
    return this.#firstTry.promise;
  }

  /** Whether entries may be answered from what is held, at this moment. */
  mayServe(): boolean {
    return this.#there !== undefined && this.#there.subscription.mayServe();
  }

  /** The state of the lease, for people: `lease 640 ms`, `no lease`, `no server` or `solo`. */
  get state(): string {
    return this.#there?.subscription.text ?? "no server";
  }

  /**
   * Gives the lease back, lets what was sent be answered, and closes, after `ms` milliseconds at most.
   * Nothing is answered from what is held any more.
   */
  async close(ms: number): Promise<void> {
    const there = this.#there;
    this.#closing.abort();
    if (there !== undefined) {
      const { connection, subscription } = there;
      await within(subscription.giveBack().then(() => this.queue.idle()), ms, this.runtime);
      await within(connection.end(), LINGER_MS, this.runtime);
      connection.close();
    }
    this.queue.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      if (await this.#connectOnce() === "forbidden") return;
      this.#firstTry.resolve();
      // Between half of the pause and all of it, so that many proxies do not come back as one.
      await this.#pause(this.#pauseMs * (1 + this.runtime.random()) / 2);
      this.#pauseMs = Math.min(2 * this.#pauseMs, RECONNECT_LAST_MS);
    }
  }

  #pause(ms: number): Promise<void> {
    const { runtime } = this, { signal } = this.#closing;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = runtime.setTimer(done, ms);
      function done() {
        runtime.clearTimer(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }

  /** Connects and reads to the end of the connection; never rejects. */
  async #connectOnce(): Promise<"ended" | "forbidden"> {
    const { server, timeoutMs, events, runtime } = this.#options;
    let connection;
    try {
      connection = await connect(server, {
        role: "proxy",
        peerRole: "server",
        timeoutMs,
        signal: this.#closing.signal,
        events,
        runtime,
      });
    } catch (error) {
      if (runtime.kindOf(error) === "forbidden") {
        this.#firstTry.promise.catch(() => {});
        this.#firstTry.reject(error);
        return "forbidden";
      }
      const why = (error as Error).message;
      events?.({ type: "unreachable", node: "proxy", peerAddress: server, why });
      this.#complain(`cannot reach the server at ${server}: ${why}`);
      return "ended";
    }
    const subscription = this.#begin(connection);
    let why = "it closed the connection";
    try {
      for (let lines; (lines = await connection.read()) !== undefined;) {
        connection.eachLine(lines, (start, end) => {
          this.#take(parseReply(lines!, start, end), connection, subscription);
        });
      }
    } catch (error) {
      why = (error as Error).message;
    }
    this.#complain(connection.andRest(`lost the server at ${server}: ${why}`));
    this.#ended(connection, subscription, why);
    return "ended";
  }

  #begin(connection: Connection): Subscription {
    const { timeoutMs, solo, events, runtime } = this.#options;
    const subscription = new Subscription({
      connection,
      entries: this.#entries,
      runtime,
      timeoutMs,
      solo,
      events,
      answered: (how) => this.#answered(how),
    });
    this.#there = { connection, subscription };
    if (this.#closing.signal.aborted) connection.close();
    else subscription.subscribe();
    // Behind SUB, so that the server knows a holder before it answers a GET of it.
    this.queue.attach(connection);
    return subscription;
  }

  #ended(connection: Connection, subscription: Subscription, why: string): void {
    if (this.#lasting !== undefined) this.#shortLived++;
    this.runtime.clearTimer(this.#lasting);
    this.#lasting = undefined;
    connection.close(why);
    this.#there = undefined;
    this.#entries.close();
    subscription.end();
    if (this.#closing.signal.aborted) this.queue.close();
    else this.queue.detach();
  }

  /** Handles a message from the server, to its end. */
  #take(reply: Reply, connection: Connection, subscription: Subscription): void {
    if (reply.op === "INV") {
      this.#entries.drop(reply.ind);
      connection.send(reply);
      if (connection.unsent > MAX_UPSTREAM_UNSENT_BYTES) {
        throw new Error("it asks and does not read the answers");
      }
    } else if (!subscription.take(reply)) {
      this.queue.answer(reply);
    }
  }

  /** The server has answered the first SUB of a connection. */
  #answered(how: "leased" | "solo" | "uncached"): void {
    this.#lasting = this.runtime.setTimer(() => this.#lasted(), RECONNECT_LASTED_MS);
    // A server whose connections break again and again is not there again each time.
    if (this.#shortLived < 2) this.#thereAgain();
    this.#firstTry.resolve();
    if (how === "leased") return;
    const then = how === "solo"
      ? "solo, nobody else may write there"
      : "nothing is cached, all passes through";
    this.#options.log(`the server at ${this.#options.server} grants no leases: ${then}`);
  }

  #lasted(): void {
    this.#lasting = undefined;
    this.#shortLived = 0;
    this.#pauseMs = RECONNECT_FIRST_MS;
    this.#thereAgain();
  }

  #thereAgain(): void {
    const { server, log } = this.#options;
    if (this.#complaints.size > 0) log(`the server at ${server} is there again`);
    this.#complaints.clear();
  }

  #complain(sentence: string): void {
    const { signal } = this.#closing, complaints = this.#complaints;
    if (signal.aborted || complaints.has(sentence) || complaints.size >= MOST_COMPLAINTS) return;
    complaints.add(sentence);
    this.#options.log(sentence);
  }
}
