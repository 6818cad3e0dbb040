/**
 * What the coherence tests need: a server played by literal messages, clocks that stand still, and what
 * is not there yet.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TableServer, type TableServerOptions } from "../../mod.ts";
import { hear, say } from "./both_ends.ts";
import type { Stage } from "./stage.ts";
import { type Net, Wire } from "./wire.ts";
import { HOUR_MS, within } from "./within.ts";

export { HOUR_MS };

const RELEASE = "OP=SUB;DATA=0;";

/** A server, between proxies and clients that the test plays. */
export class PlayedServer implements AsyncDisposable {
  /** The server. */
  readonly server: TableServer;
  /** What it answers to SUB. */
  readonly grant: string;
  readonly #sessions = new Set<Wire>();
  readonly #clients = new Set<Wire>();

  readonly #net: Net | undefined;

  private constructor(server: TableServer, grant: string, net: Net | undefined) {
    this.#net = net;
    this.server = server;
    this.grant = grant;
  }

  /**
   * Starts a server of ten entries, all of them 100 more than their index. What waits for a lease of
   * an hour waits for its holder.
   *
   * @param options `stage` is the simulated world that all this is in.
   */
  static async start(
    { stage, ...options }: TableServerOptions & { stage?: Stage } = {},
  ): Promise<PlayedServer> {
    const init = Array.from({ length: 10 }, (_, index) => 100 + index);
    const server = await TableServer.listen({
      port: 0,
      leaseMs: HOUR_MS,
      init,
      ...stage?.on("server"),
      ...options,
    });
    const { leaseMs = HOUR_MS, size = 10 } = options;
    return new PlayedServer(server, `OP=SUB;DATA=${leaseMs},${size};`, stage);
  }

  /** A new proxy: its connection, with a lease. */
  async proxy(): Promise<Wire> {
    const wire = await Wire.connect(this.server.address, this.#net);
    this.#sessions.add(wire);
    await this.renew(wire);
    return wire;
  }

  /** A new client, without one. */
  async client(): Promise<Wire> {
    const wire = await Wire.connect(this.server.address, this.#net);
    this.#clients.add(wire);
    return wire;
  }

  /**
   * A proxy renews its lease. Since SUB is answered ahead of all that waits, this also proves that the
   * server has read what the proxy sent before, and has sent it nothing that was not heard.
   */
  async renew(proxy: Wire): Promise<void> {
    await say(proxy, "OP=SUB;");
    await hear(proxy, this.grant);
  }

  /** Has a proxy hold these entries, as they are at the start. */
  async hold(proxy: Wire, ...ind: number[]): Promise<void> {
    await say(proxy, `OP=GET;IND=${ind};`);
    await hear(proxy, `OP=GET;IND=${ind};DATA=${ind.map((index) => 100 + index)};`);
  }

  /**
   * Proves that what is owed has not come: other traffic, which shares neither an index nor a
   * connection with it, comes and goes twice.
   */
  async stillOwed(...owed: Owed[]): Promise<void> {
    const other = await this.client();
    for (let i = 0; i < 2; i++) {
      await say(other, "OP=GET;IND=9;");
      await hear(other, "OP=GET;IND=9;DATA=109;");
    }
    for (const { came } of owed) assert(!came, "what is owed has come before its time");
  }

  /** One side is gone: its connection is closed at once. */
  gone(wire: Wire): void {
    this.#sessions.delete(wire);
    this.#clients.delete(wire);
    wire.close();
  }

  /** A connection ends in order, and the server has seen it. */
  async leave(wire: Wire): Promise<void> {
    await wire.endWriting();
    assertEquals(await wire.rest(), "");
    this.gone(wire);
  }

  /** Ends all in order, and proves that no stray byte was left. */
  async finish(): Promise<void> {
    for (const session of this.#sessions) {
      await say(session, RELEASE);
      await hear(session, RELEASE);
    }
    for (const wire of [...this.#sessions, ...this.#clients]) await this.leave(wire);
    await within(this.server.close(), "the server to close");
  }

  /** Closes what is still open; no lease is left for the server to wait for. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) {
      await say(session, RELEASE).catch(() => {});
      await session.endWriting().catch(() => {});
    }
    for (const wire of [...this.#sessions, ...this.#clients]) wire.close();
    await within(this.server.close(), "the server to close");
  }
}

/** The next line of a connection, which is not to come yet. */
export class Owed {
  /** Whether it has come. */
  came = false;
  readonly #line: Promise<string>;

  /** Begins to wait for it. */
  constructor(wire: Wire) {
    this.#line = wire.line();
    this.#line.then(() => this.came = true, () => {});
  }

  /** Waits for it, and checks it. */
  async hear(line: string): Promise<void> {
    assertEquals(await this.#line, line);
  }
}

/** A promise that is waited for later: if the test fails before, its rejection is nobody's. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/**
 * Both clocks of this process, standing still until they are moved.
 *
 * Timers go on: one that was set for a moment by the clock and finds it not come yet is set again.
 */
export class StoppedClocks implements Disposable {
  // A whole number, so that what passes is exact.
  #monotonic = Math.ceil(performance.now());
  #wall = Date.now();
  readonly #now = Date.now;

  /** Stops them. */
  constructor() {
    Object.defineProperty(performance, "now", {
      value: () => this.#monotonic,
      configurable: true,
    });
    Date.now = () => this.#wall;
  }

  /** Time passes, in milliseconds. */
  pass(ms: number): void {
    this.#monotonic += ms;
    this.#wall += ms;
  }

  /** Time passes while the machine sleeps: the monotonic clock stands still. */
  sleep(ms: number): void {
    this.#wall += ms;
  }

  /** Somebody sets the wall clock back. */
  setBack(ms: number): void {
    this.#wall -= ms;
  }

  /** Lets them go on. */
  [Symbol.dispose](): void {
    // The method of the prototype is there again.
    Reflect.deleteProperty(performance, "now");
    Date.now = this.#now;
  }
}
