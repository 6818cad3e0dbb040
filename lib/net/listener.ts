/**
 * The accept loop.
 *
 * @module
 */

import type { EventSink, Role } from "../events.ts";
import { errorReply } from "../protocol/error.ts";
import { ACCEPT_PAUSE_MS, UNTERMINATED_MS } from "../protocol/limits.ts";
import { formatAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import { Recurrence } from "./recurrence.ts";
import { within } from "./within.ts";

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
  /** Told of what goes wrong here and is nobody's answer. */
  readonly log: (sentence: string) => void;
}

/** What accept says of a peer that had gone before it was taken. */
const GONE = [
  Deno.errors.ConnectionAborted,
  Deno.errors.ConnectionReset,
  Deno.errors.NotConnected,
];

/** Why connections are closed when a node ends. */
const ENDS = "this node ends";

/** Serves a connection to its end, and does not reject. */
export type Serve = (connection: Connection) => Promise<void>;

/** Takes connections until it is closed. */
export class Listener {
  /** Where it listens, `host:port`. */
  readonly address: string;
  readonly #listener: Deno.TcpListener;
  readonly #options: ListenerOptions;
  readonly #served = new Map<Connection, Promise<void>>();
  readonly #refused = new Set<Connection>();
  #lingering = () => 0;
  /** Connections that could not be taken. */
  readonly #untaken: Recurrence;
  /** When it was last said that somebody sends no newline. */
  #restTold = -Infinity;
  #closing = false;
  #pause: { timer: ReturnType<typeof setTimeout>; resolve: () => void } | undefined;
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
    this.#untaken = new Recurrence(options.log);
    const { host, port } = options;
    try {
      this.#listener = Deno.listen({ hostname: host, port });
    } catch (error) {
      if (error instanceof Error && !(error instanceof Deno.errors.NotCapable)) {
        error.message = `cannot listen on ${formatAddress({ host, port })}: ${error.message}`;
      }
      throw error;
    }
    this.address = formatAddress({ host, port: this.#listener.addr.port });
  }

  /**
   * Begins to take connections, and has each served.
   *
   * @param lingering How many that have ended count all the same, since what they asked is in hand.
   */
  start(serve: Serve, lingering: () => number = () => 0): void {
    this.#lingering = lingering;
    this.#accepting = this.#accept(serve);
  }

  /** Takes no more connections. */
  async stop(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#listener.close();
    this.#untaken.close();
    if (this.#pause !== undefined) {
      clearTimeout(this.#pause.timer);
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
    await within(Promise.all(this.#served.values()), ms);
    // What is not done by now is nobody's any more.
    for (const connection of this.#served.keys()) connection.close();
  }

  /** Closes every connection at once, whatever is in hand. */
  async abandon(): Promise<void> {
    const stopped = this.stop();
    for (const connection of [...this.#refused, ...this.#served.keys()]) connection.close(ENDS);
    await stopped;
    await Promise.all(this.#served.values());
  }

  async #accept(serve: Serve): Promise<void> {
    while (!this.#closing) {
      let conn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.#closing) return;
        if (GONE.some((kind) => error instanceof kind)) continue;
        // No file descriptor is left, say. Those served go on.
        this.#untaken.happened(`cannot take a connection: ${(error as Error).message}`);
        await new Promise<void>((resolve) => {
          this.#pause = { timer: setTimeout(resolve, ACCEPT_PAUSE_MS), resolve };
        });
        continue;
      }
      this.#take(conn, serve);
    }
  }

  #take(conn: Deno.TcpConn, serve: Serve): void {
    const { role, events, maxConnections } = this.#options;
    let connection: Connection;
    try {
      connection = new Connection(conn, role, "client", events);
    } catch {
      // Reset before its options could be set.
      conn.close();
      return;
    }
    if (this.#served.size + this.#lingering() >= maxConnections) {
      this.#refuse(connection);
      return;
    }
    connection.watchRest((sentence) => this.#tellRest(connection, sentence));
    const served = serve(connection).finally(() => this.#served.delete(connection));
    this.#served.set(connection, served);
  }

  /** Somebody who makes many such connections is not to fill the log. */
  #tellRest(connection: Connection, sentence: string): void {
    const now = performance.now();
    if (now - this.#restTold < UNTERMINATED_MS) return;
    this.#restTold = now;
    this.#options.log(`${connection.peerRole} ${connection.ends.peerAddress}: ${sentence}`);
  }

  #refuse(connection: Connection): void {
    const { maxConnections } = this.#options;
    connection.because("this node has as many connections as it takes");
    connection.send(errorReply(429, `this node takes ${maxConnections} connections, and has them`));
    // As many as are served may be on their way out with the reply; the rest go without.
    if (this.#refused.size >= maxConnections) return connection.close();
    this.#refused.add(connection);
    connection.end().finally(() => this.#refused.delete(connection));
  }
}
