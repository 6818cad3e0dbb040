/**
 * A proxy's one connection to the server: kept up, leased, and read in order.
 *
 * ```text
 *   away ──connect──→ SUB sent ──grant──→ leased ⇄ lapsed      a SUB at every third of the term
 *     ↑                  └──ERR 400──→ no SUB there: solo, or nothing is cached
 *     └──── the connection ends: everything is dropped, what was sent is lost ────┘
 * ```
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { TableError } from "../protocol/error.ts";
import {
  LINGER_MS,
  MAX_CLIENTS_BYTES,
  MAX_LEASE_TERM_MS,
  MAX_UPSTREAM_UNSENT_BYTES,
  RECONNECT_FIRST_MS,
  RECONNECT_LAST_MS,
  RECONNECT_LASTED_MS,
  SILENT_TERMS,
} from "../protocol/limits.ts";
import { bytesInHand, type Reply, type SubReply } from "../protocol/message.ts";
import { parseReply } from "../protocol/parse.ts";
import { connect } from "../net/connect.ts";
import type { Connection } from "../net/connection.ts";
import { Patience } from "../net/patience.ts";
import { RequestQueue } from "../net/request_queue.ts";
import { Waiters } from "../net/waiters.ts";
import { within } from "../net/within.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { Entries } from "./entries.ts";
import { Lease, type Moment, moment } from "./lease.ts";

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
  /** What it runs on. */
  readonly runtime: Runtime;
  /** Told of what goes wrong here and is nobody's answer. */
  readonly log: (sentence: string) => void;
}

/** So many different complaints are logged until a connection has lasted, and no more. */
const MOST_COMPLAINTS = 8;

/** What is known of the server: `new`, its SUB is not answered yet. */
type Standing = "away" | "new" | "leasing" | "solo" | "uncached";

/** How much of all clients' requests waits, at the server or for what does. */
export class Load {
  #requests = 0;
  #indices = 0;
  readonly #waiters = new Waiters();

  /** A request begins to wait. */
  begin(indices: number): void {
    this.#requests++;
    this.#indices += indices;
  }

  /** It waits no more. */
  end(indices: number): void {
    this.#requests--;
    this.#indices -= indices;
    this.look();
  }

  /** Has those who wait look again. */
  look(): void {
    this.#waiters.look();
  }

  /** Whether clients that have some in hand may add more. */
  get hasRoom(): boolean {
    return bytesInHand(this.#requests, this.#indices) <= MAX_CLIENTS_BYTES;
  }

  /** Resolves when they may, or `holds` does. */
  roomOr(holds: () => boolean): Promise<void> {
    return this.#waiters.until(() => this.hasRoom || holds());
  }
}

/** The connection to the server, and the lease on what is held of its table. */
export class Upstream {
  /** What is asked of the server. */
  readonly queue: RequestQueue;
  /** The requests of all clients that are in hand. */
  readonly load = new Load();
  /** Told of what happens at the proxy. */
  readonly events: EventSink | undefined;
  /** What the proxy runs on. */
  readonly runtime: Runtime;
  readonly #options: UpstreamOptions;
  readonly #entries: Entries;
  #standing: Standing = "away";
  #connection: Connection | undefined;
  #lease: Lease | undefined;
  #lapseTold = false;
  /** When the SUB was sent that has no answer yet. */
  #asked: Moment | undefined;
  /** For the next SUB. */
  #renewal: Timer | undefined;
  /** For the answer to the last. */
  #patience: Patience | undefined;
  /** Until the connection has lasted. */
  #lasting: Timer | undefined;
  /** The pause before it connects again. */
  #pauseMs = RECONNECT_FIRST_MS;
  /** How many connections in a row have answered SUB and not lasted. */
  #shortLived = 0;
  readonly #closing = new AbortController();
  #givenBack: (() => void) | undefined;
  readonly #running: Promise<void>;
  #firstTry = Promise.withResolvers<void>();
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
    if (this.#lease === undefined) return this.#standing === "solo";
    if (this.#lease.left(moment(this.runtime)) > 0) return true;
    this.#lapsed();
    return false;
  }

  /** The state of the lease, for people: `lease 640 ms`, `no lease`, `no server` or `solo`. */
  get state(): string {
    if (this.#standing === "away") return "no server";
    if (this.#standing === "solo") return "solo";
    const left = this.#lease?.left(moment(this.runtime)) ?? 0;
    return left > 0 ? `lease ${Math.ceil(left)} ms` : "no lease";
  }

  /**
   * Gives the lease back, lets what was sent be answered, and closes, after `ms` milliseconds at most.
   * Nothing is answered from what is held any more.
   */
  async close(ms: number): Promise<void> {
    const connection = this.#connection;
    this.#closing.abort();
    this.#stopTimers();
    if (connection !== undefined) {
      await within(
        this.#giveBack(connection).then(() => this.queue.idle()),
        ms,
        this.runtime,
      );
      await within(connection.end(), LINGER_MS, this.runtime);
      connection.close();
    }
    this.queue.close();
    await this.#running;
  }

  async #giveBack(connection: Connection): Promise<void> {
    const standing = this.#standing;
    const leftMs = this.#lease?.left(moment(this.runtime)) ?? 0;
    this.#lease = undefined;
    // What the server has not granted yet it may grant all the same; its answer is still to come.
    if (standing !== "new") this.#standing = "uncached";
    if ((standing !== "leasing" && standing !== "new") || connection.closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#givenBack = resolve;
    connection.leaseEnd = -Infinity;
    connection.send({ op: "SUB", end: true });
    if (standing === "leasing") {
      this.events?.({ type: "lease-returned", node: "proxy", holder: connection.ends.address });
    }
    // When the lease is over by itself, nobody needs to hear that it was given back.
    await within(promise, Math.max(0, leftMs), this.runtime);
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
    const { signal } = this.#closing;
    const { runtime } = this.#options;
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
    this.#connection = connection;
    this.#standing = "new";
    if (this.#closing.signal.aborted) connection.close();
    else this.#subscribe();
    this.queue.attach(connection);
    let why = "it closed the connection";
    try {
      for (let lines; (lines = await connection.read()) !== undefined;) {
        connection.eachLine(lines, (start, end) => this.#take(parseReply(lines!, start, end)));
      }
    } catch (error) {
      why = (error as Error).message;
    }
    this.#complain(connection.andRest(`lost the server at ${server}: ${why}`));
    this.#ended(connection, why);
    return "ended";
  }

  #ended(connection: Connection, why: string): void {
    this.#stopTimers();
    if (this.#lasting !== undefined) this.#shortLived++;
    this.runtime.clearTimer(this.#lasting);
    this.#lasting = undefined;
    connection.close(why);
    this.#connection = this.#lease = this.#asked = undefined;
    this.#standing = "away";
    this.#entries.close();
    this.#givenBack?.();
    if (this.#closing.signal.aborted) this.queue.close();
    else this.queue.detach();
  }

  /** Handles a message from the server, to its end. */
  #take(reply: Reply): void {
    if (reply.op === "INV") {
      this.#entries.drop(reply.ind);
      this.#connection!.send(reply);
      if (this.#connection!.unsent > MAX_UPSTREAM_UNSENT_BYTES) {
        throw new Error("it asks and does not read the answers");
      }
    } else if (reply.op === "SUB") {
      this.#granted(reply);
    } else if (this.#standing === "new") {
      this.#refused(reply);
    } else {
      this.queue.answer(reply);
    }
  }

  #granted({ grant }: SubReply): void {
    if (this.#closing.signal.aborted) {
      // The answer to a SUB that was on its way may still come first.
      if (grant === undefined) this.#givenBack?.();
      this.#standing = "uncached";
      return;
    }
    if (grant === undefined || this.#asked === undefined) {
      throw new TableError(400, "SUB was answered and not asked");
    }
    // A shorter lease than was granted is always right, and a timer cannot count every number.
    const termMs = Math.min(grant.termMs, MAX_LEASE_TERM_MS);
    const now = moment(this.runtime);
    const renewed = this.#lease !== undefined && this.#lease.left(now) > 0;
    if (this.#lease !== undefined && !renewed) this.#lapsed();
    this.#lease = new Lease(this.#asked, termMs);
    this.#connection!.leaseEnd = now.monotonic + this.#lease.left(now);
    this.#asked = undefined;
    this.#lapseTold = false;
    this.#entries.open(grant.size);
    this.#reached("leasing");
    const type = renewed ? "lease-renewed" : "lease-granted";
    this.events?.({ type, node: "proxy", holder: this.#connection!.ends.address, termMs });
    const pauseMs = Math.max(0, this.#lease.renewal - this.runtime.now());
    this.#renewal = this.runtime.setTimer(() => this.#subscribe(termMs), pauseMs);
  }

  /** The first reply was no grant. */
  #refused(reply: Reply): void {
    const { server, solo, log } = this.#options;
    if (reply.op !== "ERR") {
      const awaited = this.#awaited();
      throw new TableError(400, `${reply.op} came before an answer to OP=SUB; ${awaited}`);
    }
    if (reply.code !== 400) throw new TableError(reply.code, reply.message);
    this.#asked = undefined;
    if (this.#closing.signal.aborted) {
      this.#standing = "uncached";
      return;
    }
    if (solo) this.#entries.open(undefined);
    this.#reached(solo ? "solo" : "uncached");
    log(
      solo
        ? `the server at ${server} grants no leases: solo, nobody else may write there`
        : `the server at ${server} grants no leases: nothing is cached, all passes through`,
    );
  }

  #reached(standing: Standing): void {
    this.#stopTimers();
    if (this.#standing === "new") {
      this.#lasting = this.runtime.setTimer(() => this.#lasted(), RECONNECT_LASTED_MS);
      // A server whose connections break again and again is not there again each time.
      if (this.#shortLived < 2) this.#thereAgain();
    }
    this.#standing = standing;
    this.#firstTry.resolve();
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

  /** The lease is over; what is held stays, and may be answered from after the next grant. */
  #lapsed(): void {
    if (this.#lapseTold) return;
    this.#lapseTold = true;
    const connection = this.#connection!;
    connection.leaseEnd = -Infinity;
    this.events?.({ type: "lease-lapsed", node: "proxy", holder: connection.ends.address });
  }

  /** Asks for the lease, and gives the connection up where no answer comes. */
  #subscribe(termMs: number = 0): void {
    const connection = this.#connection!;
    this.#asked = moment(this.runtime);
    connection.send({ op: "SUB", end: false });
    const patienceMs = Math.max(this.#options.timeoutMs, SILENT_TERMS * termMs);
    const awaited = this.#awaited();
    const giveUp = () => connection.close(`it does not answer OP=SUB; ${awaited}`);
    this.#patience = new Patience(
      this.runtime,
      patienceMs,
      giveUp,
      () => connection.reads,
    );
  }

  /** The replies that a SUB may have, for people. */
  #awaited(): string {
    const grant = "OP=SUB;DATA=<term>,<size>;";
    return this.#standing === "new"
      ? `(awaited: ${grant} or OP=ERR;DATA=400;)`
      : `(awaited: ${grant})`;
  }

  #stopTimers(): void {
    this.runtime.clearTimer(this.#renewal);
    this.#patience?.end();
  }

  #complain(sentence: string): void {
    const { signal } = this.#closing, complaints = this.#complaints;
    if (signal.aborted || complaints.has(sentence) || complaints.size >= MOST_COMPLAINTS) return;
    complaints.add(sentence);
    this.#options.log(sentence);
  }
}
