/**
 * A proxy played from both ends: the test is its clients and its server.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { CacheProxy, type CacheProxyOptions, CoherentCache } from "../../mod.ts";
import { format } from "../../lib/protocol/format.ts";
import type { Stage } from "./stage.ts";
import { FakeServer, type Net, Wire } from "./wire.ts";
import { HOUR_MS, within } from "./within.ts";

/** A grant whose term no test outlives, nor a third of it, of a table of ten. */
export const GRANT = `OP=SUB;DATA=${HOUR_MS},10;`;
const RELEASE = "OP=SUB;DATA=0;";

/** Sends lines, in one write. */
export function say(wire: Wire, ...lines: string[]): Promise<void> {
  return wire.send(lines.map((line) => `${line}\n`).join(""));
}

/** Checks that these are the next lines. */
export async function hear(wire: Wire, ...lines: string[]): Promise<void> {
  for (const line of lines) assertEquals(await wire.line(), line);
}

/** Checks that the next lines are errors with these codes. */
export async function hearErrors(wire: Wire, ...codes: number[]): Promise<void> {
  for (const code of codes) assertMatch(await wire.line(), new RegExp(`^OP=ERR;DATA=${code};MSG=`));
}

/** What the proxy holds, oldest first, as `7=4 8=5`; empty where it holds nothing. */
export async function held(client: Wire): Promise<string> {
  await say(client, "OP=INF;");
  return shown(await client.line());
}

/** The same of an INF's reply. */
export function shown(line: string): string {
  const match = /^OP=INF;(?:IND=([-0-9,]+);DATA=([-0-9,]+);)?MSG=[^;]+;$/.exec(line);
  if (match === null) throw new Error(`No reply to INF: ${line}`);
  const data = match[2]?.split(",");
  return match[1]?.split(",").map((index, i) => `${index}=${data?.[i]}`).join(" ") ?? "";
}

/** What a node said, and the waiting for it. */
export class Log {
  /** Every sentence so far. */
  readonly sentences: string[] = [];
  #told: (() => void)[] = [];
  #seen = 0;

  /** To be given to a node as its option `log`. */
  readonly log = (sentence: string): void => {
    this.sentences.push(sentence);
    for (const tell of this.#told.splice(0)) tell();
  };

  /** Resolves with the next sentence, after the last that was waited for, that holds `part`. */
  async next(part: string): Promise<string> {
    while (true) {
      for (; this.#seen < this.sentences.length; this.#seen++) {
        if (this.sentences[this.#seen]!.includes(part)) return this.sentences[this.#seen++]!;
      }
      await within(new Promise<void>((resolve) => this.#told.push(resolve)), `a log of "${part}"`);
    }
  }
}

/** How the fake server greets a proxy, and the proxy's own options; it waits an hour for answers. */
export interface BothEndsOptions extends Omit<CacheProxyOptions, "server" | "log"> {
  /** The answer to the first SUB. */
  grant?: string;
  /** The simulated world that all this is in. */
  stage?: Stage;
}

/** A proxy between clients and a server that the test plays. */
export class BothEnds implements AsyncDisposable {
  /** What listens as the server. */
  readonly server: FakeServer;
  /** The proxy between. */
  readonly proxy: CacheProxy;
  /** What the proxy said. */
  readonly log: Log;
  /** The server's end of the proxy's connection; the last one that {@linkcode greet} took. */
  upstream: Wire;
  readonly #clients = new Set<Wire>();
  readonly #net: Net | undefined;

  private constructor(
    server: FakeServer,
    proxy: CacheProxy,
    log: Log,
    upstream: Wire,
    net: Net | undefined,
  ) {
    this.#net = net;
    this.server = server;
    this.proxy = proxy;
    this.log = log;
    this.upstream = upstream;
  }

  /** Starts a proxy, takes its connection and answers its first message, which has to be SUB. */
  static async start(
    { grant = GRANT, stage, ...options }: BothEndsOptions = {},
  ): Promise<BothEnds> {
    const server = FakeServer.listen(0, stage);
    const log = new Log();
    const starting = CacheProxy.listen({
      port: 0,
      timeoutMs: HOUR_MS,
      ...stage?.on("proxy"),
      ...options,
      server: server.address,
      log: log.log,
    });
    const upstream = await server.accept();
    await hear(upstream, "OP=SUB;");
    await say(upstream, grant);
    const proxy = await within(starting, "the proxy to listen");
    return new BothEnds(server, proxy, log, upstream, stage);
  }

  /** A new client. */
  async client(): Promise<Wire> {
    const wire = await Wire.connect(this.proxy.address, this.#net);
    this.#clients.add(wire);
    return wire;
  }

  /** A client leaves, without a word. */
  leave(client: Wire): void {
    this.#clients.delete(client);
    client.close();
  }

  /** Loses the proxy's connection, and waits until the proxy has seen that. */
  async lose(): Promise<void> {
    this.upstream.close();
    await this.log.next("lost the server");
  }

  /** Takes the proxy's next connection; its first message has to be SUB, answered with `grant`. */
  async greet(grant: string | undefined = GRANT): Promise<Wire> {
    this.upstream = await this.server.accept();
    await hear(this.upstream, "OP=SUB;");
    if (grant !== "") await say(this.upstream, grant);
    return this.upstream;
  }

  /** Has these entries held, all of them 100 more than their index. */
  async hold(client: Wire, ...ind: number[]): Promise<void> {
    const get = `OP=GET;IND=${ind};`, reply = `${get}DATA=${ind.map((index) => 100 + index)};`;
    await say(client, get);
    await hear(this.upstream, get);
    await say(this.upstream, reply);
    await hear(client, reply);
  }

  /**
   * Proves that the server has been sent nothing that was not heard: what a known miss of another
   * client asks is the next to come.
   *
   * @param index Of the miss.
   * @param owed What the server answers first, to those who asked before.
   */
  async nothingSent(index: number, ...owed: string[]): Promise<void> {
    const get = `OP=GET;IND=${index};`;
    const client = await this.client();
    await say(client, get);
    await hear(this.upstream, get);
    await say(this.upstream, ...owed, `${get}DATA=${100 + index};`);
    await hear(client, `${get}DATA=${100 + index};`);
  }

  /** Ends all in order, and proves that no stray byte was left at either end. */
  async finish({ leased = true }: { leased?: boolean } = {}): Promise<void> {
    for (const client of this.#clients) {
      await client.endWriting();
      assertEquals(await client.rest(), "");
    }
    await endInOrder(this.upstream, this.proxy, leased);
  }

  /** Closes what is still open; the proxy has nobody left to wait for. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server[Symbol.asyncDispose]();
    await within(this.proxy.close(), "the proxy to close");
  }
}

/** A cache in this process, over a server that the test plays. */
export class CacheAndServer implements AsyncDisposable {
  /** What listens as the server. */
  readonly server: FakeServer;
  /** The cache. */
  readonly cache: CoherentCache;
  /** The server's end of its connection. */
  readonly upstream: Wire;

  private constructor(server: FakeServer, cache: CoherentCache, upstream: Wire) {
    this.server = server;
    this.cache = cache;
    this.upstream = upstream;
  }

  /** Starts a cache, takes its connection and answers its SUB. */
  static async start(
    { grant = GRANT, stage, ...options }: BothEndsOptions = {},
  ): Promise<CacheAndServer> {
    const server = FakeServer.listen(0, stage);
    const starting = CoherentCache.connect(server.address, {
      timeoutMs: HOUR_MS,
      ...stage && { runtime: stage.process("cache") },
      ...options,
    });
    const upstream = await server.accept();
    await hear(upstream, "OP=SUB;");
    await say(upstream, grant);
    return new CacheAndServer(server, await within(starting, "the cache to connect"), upstream);
  }

  /** Ends in order, and proves that no stray byte was left. */
  finish(): Promise<void> {
    return endInOrder(this.upstream, this.cache, true);
  }

  /** Closes what is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await within(this.cache.close(), "the cache to close");
  }
}

/** Reads entries as a proxy's client does: a cache that closes still answers a lane, as a line. */
export function readInLane(cache: CoherentCache, ...ind: number[]): Promise<string> {
  return new Promise((resolve) => {
    const lane = cache.lane((reply) => resolve(format(reply)));
    lane.begin();
    lane.take({ op: "GET", ind });
  });
}

async function endInOrder(
  upstream: Wire,
  node: { close(): Promise<void> },
  leased: boolean,
): Promise<void> {
  const closing = node.close();
  if (leased) {
    await hear(upstream, RELEASE);
    await say(upstream, RELEASE);
  }
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the node to close");
}
