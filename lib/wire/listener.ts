/**
 * The accept loop.
 *
 * @module
 */

import type { EventSink, Role } from "../events.ts";
import { errorReply } from "../protocol/error.ts";
import {
  ACCEPT_PAUSE_MS,
  DESCRIPTORS_ASIDE,
  DESCRIPTORS_ASIDE_MS,
  DESCRIPTORS_PAUSE_MS,
  LINGER_MS,
  UNTERMINATED_MS,
} from "../protocol/limits.ts";
import type { ErrorReply } from "../protocol/message.ts";
import type { Listening, Runtime, Socket, Timer } from "../runtime/runtime.ts";
import { formatAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import { addHolder, type DescriptorHolder, removeHolder, withDescriptor } from "./descriptors.ts";
import { Patience } from "../runtime/patience.ts";
import { Recurrence } from "../runtime/recurrence.ts";
import type { Serving } from "./serve.ts";
import { within } from "../runtime/within.ts";

/** What a listener needs to know. */
export interface ListenerOptions {
  /** What this node is. */
  readonly role: Role;
  /** The host to listen on. */
  readonly host: string;
  /** The port to listen on; 0 for any that is free. */
  readonly port: number;
  /** How many connections are taken at a time; one more is answered 429 and closed. */
  readonly maxConnections: number;
  /** Told of what happens on the connections. */
  readonly events: EventSink | undefined;
  /** What it listens by. */
  readonly runtime: Runtime;
  /** Told of what goes wrong here and is nobody's answer. */
  readonly log: (sentence: string) => void;
}

/** Why connections are closed when a node ends. */
const ENDS = "this node ends";

/** Serves a connection to its end. */
export type Serve = (connection: Connection) => Serving;

/** Takes connections until it is closed. */
export class Listener implements DescriptorHolder {
  /** Where it listens, `host:port`. */
  readonly address: string;
  readonly #listener: Listening;
  readonly #options: ListenerOptions;
  readonly #served = new Map<Connection, Serving>();
  readonly #refused = new Set<Connection>();
  #lingering = () => 0;
  /** Connections that could not be taken. */
  readonly #untaken: Recurrence;
  /** While it leaves descriptors free: how many, how many connections it takes, and until when. */
  #short: { readonly aside: number; readonly most: number; readonly until: number } | undefined;
  /** When descriptors were last given back. */
  #gaveBack = -Infinity;
  /** When it was last said that somebody sends no newline. */
  #restTold = -Infinity;
  /** Says so; somebody who makes many such connections is not to fill the log. */
  readonly #tellRest = (connection: Connection, sentence: string): void => {
    const now = this.#options.runtime.now();
    if (now - this.#restTold < UNTERMINATED_MS) return;
    this.#restTold = now;
    this.#options.log(`${connection.peerRole} ${connection.ends.peerAddress}: ${sentence}`);
  };
  #closing = false;
  #pause: { timer: Timer; resolve: () => void } | undefined;
  #accepting: Promise<void> | undefined;

  /**
   * Listens; those who connect wait until it is started.
   *
   * @throws {Deno.errors.AddrInUse} If another listens there.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids it.
   * @throws {Error} Whatever else `Deno.listen` throws. All but NotCapable name the address.
   */
  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#untaken = new Recurrence(options.log, options.runtime);
    const { host, port, runtime } = options;
    try {
      this.#listener = runtime.listen({ host, port });
    } catch (error) {
      if (error instanceof Error && runtime.kindOf(error) !== "forbidden") {
        error.message = `cannot listen on ${formatAddress({ host, port })}: ${error.message}`;
      }
      throw error;
    }
    this.address = formatAddress(this.#listener.address);
  }

  /**
   * Begins to take connections, and has each served.
   *
   * @param lingering How many that have ended count all the same, since what they asked is in hand.
   */
  start(serve: Serve, lingering: () => number = () => 0): void {
    this.#lingering = lingering;
    addHolder(this.#options.runtime, this);
    this.#accepting = this.#accept(serve);
  }

  /** Takes no more connections. */
  async stop(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    removeHolder(this.#options.runtime, this);
    this.#listener.close();
    this.#untaken.close();
    if (this.#pause !== undefined) {
      this.#options.runtime.clearTimer(this.#pause.timer);
      this.#pause.resolve();
    }
    await this.#accepting;
  }

  /**
   * Takes no more connections and reads no more requests; resolves when all that was in hand is
   * answered, or after `ms` milliseconds.
   */
  async close(ms: number): Promise<void> {
    await this.stop();
    for (const connection of this.#refused) connection.close(ENDS);
    for (const connection of this.#served.keys()) connection.stopReading(ENDS);
    await within(this.#allEnded(), ms, this.#options.runtime);
    // What is not done by now is nobody's any more.
    for (const connection of this.#served.keys()) connection.close();
  }

  /** Closes every connection at once, whatever is in hand. */
  async abandon(): Promise<void> {
    const stopped = this.stop();
    for (const connection of [...this.#refused, ...this.#served.keys()]) connection.close(ENDS);
    await stopped;
    await this.#allEnded();
  }

  #allEnded(): Promise<unknown> {
    return Promise.all([...this.#served.values()].map((serving) => serving.ended));
  }

  async #accept(serve: Serve): Promise<void> {
    while (!this.#closing) {
      let socket;
      try {
        socket = await withDescriptor(this.#options.runtime, () => this.#listener.accept());
      } catch (error) {
        if (this.#closing) return;
        if (this.#options.runtime.kindOf(error) === "gone") continue;
        // No file descriptor is left, say. Those served go on.
        this.#untaken.happened(`cannot take a connection: ${(error as Error).message}`);
        await new Promise<void>((resolve) => {
          this.#pause = {
            timer: this.#options.runtime.setTimer(resolve, ACCEPT_PAUSE_MS),
            resolve,
          };
        });
        continue;
      }
      this.#take(socket, serve);
    }
  }

  #take(socket: Socket, serve: Serve): void {
    const { role, events, runtime } = this.#options;
    const connection = new Connection(socket, runtime, role, "client", events);
    if (this.#served.size + this.#lingering() >= this.#most) {
      this.#refuse(connection);
      return;
    }
    connection.watchRest(this.#tellRest);
    const serving = serve(connection);
    this.#served.set(connection, serving);
    serving.ended.then(() => this.#served.delete(connection));
  }

  /** How many connections it takes at present. */
  get #most(): number {
    if (this.#short !== undefined && this.#options.runtime.now() >= this.#short.until) {
      this.#short = undefined;
    }
    return Math.min(this.#options.maxConnections, this.#short?.most ?? Infinity);
  }

  #refusal(): ErrorReply {
    return errorReply(429, `this node takes ${this.#most} connections, and has them`);
  }

  #refuse(connection: Connection): void {
    connection.because("this node has as many connections as it takes");
    connection.send(this.#refusal());
    // As many as are served may be on their way out with the reply; the rest go without.
    const most = this.#short === undefined ? this.#most : this.#short.aside / 2;
    if (this.#refused.size >= most) return connection.close();
    this.#refused.add(connection);
    connection.end().finally(() => this.#refused.delete(connection));
  }

  /** {@linkcode DescriptorHolder.noneLeft}. */
  noneLeft(): boolean {
    const { runtime } = this.#options;
    try {
      // It cannot be had twice; but that is found out with a descriptor.
      runtime.listen(this.#listener.address).close();
      return false;
    } catch (error) {
      return runtime.kindOf(error) === "full";
    }
  }

  /**
   * Closes those that are on their way out, then the newest, but no more than half of all; and takes no
   * more than those that stay, for a while.
   */
  async giveBack(): Promise<void> {
    const now = this.#options.runtime.now();
    // Where that was not enough, others took them.
    if (now - this.#gaveBack < DESCRIPTORS_PAUSE_MS) return;
    const taken = this.#served.size + this.#refused.size;
    const count = Math.min(DESCRIPTORS_ASIDE, Math.floor(taken / 2));
    if (count === 0) return;
    const said = now - this.#gaveBack < 2 * DESCRIPTORS_ASIDE_MS;
    this.#gaveBack = now;
    this.#short = { aside: count, most: taken - count, until: now + DESCRIPTORS_ASIDE_MS };
    if (!said) {
      this.#options.log(
        `no file descriptor is left (ulimit -n): closes ${count} connections, ` +
          `and takes ${this.#most} at most for ${DESCRIPTORS_ASIDE_MS / 1000} s`,
      );
    }
    const leaving = [...this.#refused].slice(0, count);
    for (const connection of leaving) connection.close();
    const newest = [...this.#served].slice(this.#served.size - (count - leaving.length));
    for (const [connection, serving] of newest) {
      // Who waits for an answer would take this for it, and think that nothing was changed.
      if (serving.isIdle() && connection.unsent === 0) connection.dismiss(this.#refusal());
      else connection.close("no file descriptor was left");
    }
    await within(
      Promise.all(newest.map(([, serving]) => serving.ended)),
      LINGER_MS,
      this.#options.runtime,
    );
    for (const [connection] of newest) connection.close();
    // A socket is free when the read that waits on it has ended, too.
    await new Promise<unknown>((resolve) => new Patience(this.#options.runtime, 0, resolve));
  }
}
