/**
 * Peers that ask too much, or keep a node waiting: its memory stays bounded, and the others are served.
 */

import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { CacheProxy, TableClient, TableServer } from "../mod.ts";
import { hear, say } from "./support/both_ends.ts";
import { HOUR_MS, later, Owed, PlayedServer } from "./support/coherence.ts";
import { MEASURABLE, memoryOf } from "./support/memory.ts";
import { type RunningNode, startProxy, startServer } from "./support/program.ts";
import { simulated, type Stage } from "./support/stage.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

const encoder = new TextEncoder();
const GET = "OP=GET;IND=0;";
const GOT = "OP=GET;IND=0;DATA=0;";

/** Runs peers against a node; its memory may grow by so many MiB at most, whatever they do. */
async function inBounds(
  node: RunningNode,
  mostMib: number,
  peers: () => Promise<void>,
): Promise<void> {
  if (!MEASURABLE) return await peers();
  const before = (await memoryOf(node.pid)).peak;
  await peers();
  const { peak } = await memoryOf(node.pid);
  assertLess(peak - before, mostMib, `MiB that the node has grown by, from ${before} to ${peak}`);
}

/** A connection on which as much is sent as the other side takes. */
class Flood implements AsyncDisposable {
  readonly wire: Wire;
  /** How many bytes were taken so far. */
  taken = 0;
  /** Resolves when all was taken, or the connection is over. */
  readonly sent: Promise<void>;
  #stopped = false;

  /** Begins to send `text` again and again, up to `most` bytes in all. */
  constructor(wire: Wire, text: string, most: number = Infinity) {
    this.wire = wire;
    this.sent = this.#send(encoder.encode(text), most);
  }

  /** Sends no more than is under way. */
  stop(): void {
    this.#stopped = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    this.wire.close();
    await within(this.sent, "a flood to end");
  }

  async #send(bytes: Uint8Array, most: number): Promise<void> {
    try {
      while (this.taken < most && !this.#stopped) {
        for (let at = 0; at < bytes.length;) {
          const count = await this.wire.conn.write(bytes.subarray(at));
          at += count;
          this.taken += count;
        }
      }
    } catch {
      // Closed, by either side.
    }
  }
}

/** Another client's requests are answered while nothing more is taken of these floods. */
async function untilStalled(other: Wire, floods: readonly Flood[]): Promise<void> {
  const stalled = async () => {
    for (let before = -1, still = 0; still < 300;) {
      const taken = floods.reduce((sum, flood) => sum + flood.taken, 0);
      still = taken === before ? still + 1 : 0;
      before = taken;
      await say(other, GET);
      await hear(other, GOT);
    }
  };
  await within(stalled(), "the node to take no more");
}

/** A request that fills about 8 KB, of entries that a table of 2000 has. */
const LONG_GET = `OP=GET;IND=${Array.from({ length: 1024 }, (_, i) => 900 + i)};\n`;

Deno.test("overload: over --max-connections is answered 429 and closed, and who leaves makes room", async () => {
  await using server = await startServer("--max-connections", "2");
  await using proxy = await startProxy(server.address, "--max-connections", "2");
  for (const [{ address }, places] of [[proxy, 2], [server, 1]] as const) {
    const taken = [];
    for (let i = 0; i < places; i++) {
      const wire = await Wire.connect(address);
      taken.push(wire);
      await say(wire, GET);
      await hear(wire, GOT);
    }
    await using one = await Wire.connect(address);
    assertEquals(
      await one.rest(),
      "OP=ERR;DATA=429;MSG=this node takes 2 connections, and has them;\n",
    );
    await taken[0]!.endWriting();
    assertEquals(await taken[0]!.rest(), "");
    const again = within(served(address), "a place to be free");
    await using wire = await again;
    for (const each of [wire, ...taken]) each.close();
  }
});

/** A connection that is served, when there is a place for it. */
async function served(address: string): Promise<Wire> {
  while (true) {
    const wire = await Wire.connect(address);
    try {
      await say(wire, GET);
      if (await wire.line() === GOT) return wire;
    } catch {
      // Closed without a word: while many are refused, or since it was idle for too long.
    }
    wire.close();
  }
}

Deno.test("overload: peers that send and never read are read no further, and the others are served", async () => {
  await using server = await startServer("--size", "2000", "--lease", "60000");
  await using proxy = await startProxy(server.address, "--capacity", "2000");
  for (const node of [server, proxy]) {
    await using other = await Wire.connect(node.address);
    // A proxy then holds all that is asked of it.
    await other.send(`${GET}\n${LONG_GET}`);
    await hear(other, GOT);
    await other.line();
    await using stack = new AsyncDisposableStack();
    // 20 connections, each with 64 KiB of unsent replies; most of it is garbage of the replies made
    // until then, some hundred megabytes of text, which is collected late.
    await inBounds(node, 500, async () => {
      const floods = [];
      for (let i = 0; i < 20; i++) {
        floods.push(stack.use(new Flood(await Wire.connect(node.address), LONG_GET)));
      }
      await untilStalled(other, floods);
    });
  }
});

Deno.test("overload: lines that come a little at a time hold no more than a line each, and are answered in the end", async () => {
  await using server = await startServer();
  await using proxy = await startProxy(server.address);
  const connections = 200;
  // All but its end; blanks around a value are passed over.
  const line = encoder.encode(`OP=GET;IND=0${" ".repeat(60_000)}`);
  for (const node of [server, proxy]) {
    await using other = await Wire.connect(node.address);
    await using stack = new AsyncDisposableStack();
    const slow: Wire[] = [];
    // 200 times a line of 64 KiB are 13 MiB; a buffer and a socket each, and what is collected late.
    await inBounds(node, 80, async () => {
      for (let i = 0; i < connections; i++) slow.push(stack.use(await Wire.connect(node.address)));
      for (let at = 0; at < line.length; at += 20_000) {
        await Promise.all(slow.map((wire) => wire.send(line.subarray(at, at + 20_000))));
        await say(other, GET);
        await hear(other, GOT);
      }
      for (const wire of slow) await wire.send(" ");
    });
    for (const wire of slow) {
      await wire.send(";\n");
      await hear(wire, GOT);
    }
  }
});

Deno.test("overload: a gigabyte without a newline is refused at the limit, and read no further", async () => {
  await using server = await startServer();
  await using proxy = await startProxy(server.address);
  for (const node of [server, proxy]) {
    await using other = await Wire.connect(node.address);
    await inBounds(node, 40, async () => {
      const wire = await Wire.connect(node.address);
      await using flood = new Flood(wire, "x".repeat(64 * 1024), 2 ** 30);
      const reply = await wire.rest();
      flood.stop();
      assertEquals(reply, "OP=ERR;DATA=413;MSG=the line is longer than 65536 bytes;\n");
      // What the system's buffers take, and what is thrown away until the other side has seen the end.
      assertLess(flood.taken, 100 * 2 ** 20);
      await say(other, GET);
      await hear(other, GOT);
    });
  }
});

Deno.test("overload: a session that does not read is closed, and the others are served", async () => {
  await using server = await startServer("--size", "2000", "--lease", "1000");
  await using other = await Wire.connect(server.address);
  // What it asks for in a quarter of a second, in pieces that are not joined yet, or 32 MiB of it;
  // and what is collected late.
  await inBounds(server, 250, async () => {
    const wire = await Wire.connect(server.address);
    await say(wire, "OP=SUB;");
    await hear(wire, "OP=SUB;DATA=1000,2000;");
    await using deaf = new Flood(wire, LONG_GET);
    const closed = async () => {
      let over = false;
      deaf.sent.then(() => over = true);
      while (!over) {
        await say(other, GET);
        await hear(other, GOT);
      }
    };
    await within(closed(), "the session to be closed");
    // What it held is held until its lease is over, and no longer.
    await say(other, "OP=PUT;IND=1000;DATA=5;");
    await hear(other, "OP=PUT;IND=1000;DATA=5;");
  });
});

Deno.test("overload: a proxy whose server never answers reads its clients no further, and serves what it holds", async () => {
  await using server = FakeServer.listen();
  const starting = startProxy(server.address, "--timeout", "60000", "--capacity", "5");
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, "OP=SUB;DATA=3600000,2000;");
  await using proxy = await starting;
  await using other = await Wire.connect(proxy.address);
  await say(other, GET);
  await hear(upstream, GET);
  await say(upstream, GOT);
  await hear(other, GOT);
  await using stack = new AsyncDisposableStack();
  // Each of 24 may have 1024 requests at the server, and its buffers full.
  await inBounds(proxy, 80, async () => {
    const floods = [];
    for (let i = 0; i < 24; i++) {
      const wire = await Wire.connect(proxy.address);
      floods.push(stack.use(new Flood(wire, "OP=GET;IND=1;\n".repeat(500))));
    }
    await untilStalled(other, floods);
  });
});

/** Longer than a busy machine keeps a test from a connection that it has just made. */
const IDLE_MS = 400;

Deno.test("idle: a connection that says nothing stays, and is served when it speaks", async () => {
  await using server = await startServer();
  await using silent = await Wire.connect(server.address);
  await using other = await Wire.connect(server.address);
  for (let i = 0; i < 200; i++) {
    await say(other, GET);
    await hear(other, GOT);
  }
  await say(silent, GET);
  await hear(silent, GOT);
});

/** Proves that the idle timeout has passed, more than once: another's connection is closed by it. */
async function idleTimesPass(address: string, stage: Stage): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await using silent = await Wire.connect(address, stage);
    assertEquals(await silent.rest(), "");
  }
}

Deno.test("idle: with --idle-timeout one that says nothing, or no whole line, is closed in order", async () => {
  await using server = await startServer("--idle-timeout", `${IDLE_MS}`);
  await using proxy = await startProxy(server.address, "--idle-timeout", `${IDLE_MS}`);
  for (const { address } of [server, proxy]) {
    await using silent = await Wire.connect(address);
    assertEquals(await silent.rest(), "");
    await using slow = await served(address);
    const letters = (async () => {
      while (true) {
        await slow.send("x");
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS / 4));
      }
    })().catch(() => {});
    assertEquals(await slow.rest(), "");
    slow.close();
    await within(letters, "the letters to end");
    for (const line of server.logged) assertMatch(line, /: \d+ bytes came and no newline$/);
  }
});

simulated("idle: one that speaks is not idle", async (stage) => {
  const options = { idleTimeoutMs: IDLE_MS, ...stage.on("server") };
  await using server = await TableServer.listen({ port: 0, ...options });
  await using speaker = await Wire.connect(server.address, stage);
  let silentClosed = false;
  const others = later(idleTimesPass(server.address, stage).then(() => silentClosed = true));
  while (!silentClosed) {
    await say(speaker, GET);
    await hear(speaker, GOT);
    // A timer may be late by a little.
    await stage.pass(IDLE_MS * 0.8);
  }
  await others;
});

simulated("idle: one that does not read its replies is closed", async (stage) => {
  await using server = await TableServer.listen({
    port: 0,
    ...stage.on("server"),
    size: 1000,
    idleTimeoutMs: IDLE_MS,
  });
  await using flood = new Flood(
    await Wire.connect(server.address, stage),
    "OP=INF;\n".repeat(1000),
  );
  await within(flood.sent, "one that does not read to be closed");
});

simulated(
  "idle: a session with a running lease is not idle, and one whose lease is over is",
  async (stage) => {
    await using played = await PlayedServer.start({ stage, idleTimeoutMs: IDLE_MS });
    const p = await played.proxy();
    await idleTimesPass(played.server.address, stage);
    await played.renew(p);
    await say(p, "OP=SUB;DATA=0;");
    await hear(p, "OP=SUB;DATA=0;");
    assertEquals(await p.rest(), "");
    played.gone(p);
  },
);

simulated("idle: one that waits for an answer is not idle, at a server", async (stage) => {
  await using played = await PlayedServer.start({ stage, idleTimeoutMs: IDLE_MS });
  const p = await played.proxy();
  await played.hold(p, 0);
  await using w = await Wire.connect(played.server.address, stage);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  const written = new Owed(w);
  await hear(p, "OP=INV;IND=0;");
  await idleTimesPass(played.server.address, stage);
  assert(!written.came);
  await say(p, "OP=INV;IND=0;");
  await written.hear("OP=PUT;IND=0;DATA=5;");
  // And then it is.
  assertEquals(await w.rest(), "");
});

simulated("idle: one that waits for an answer is not idle, at a proxy", async (stage) => {
  await using server = FakeServer.listen(0, stage);
  const starting = CacheProxy.listen({
    port: 0,
    ...stage.on("proxy"),
    server: server.address,
    timeoutMs: HOUR_MS,
    idleTimeoutMs: IDLE_MS,
  });
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, "OP=SUB;DATA=3600000,10;");
  const proxy = await within(starting, "the proxy to listen");
  await using client = await Wire.connect(proxy.address, stage);
  await say(client, "OP=PUT;IND=0;DATA=5;");
  const written = new Owed(client);
  await hear(upstream, "OP=PUT;IND=0;DATA=5;");
  await idleTimesPass(proxy.address, stage);
  assert(!written.came);
  await say(upstream, "OP=PUT;IND=0;DATA=5;");
  await written.hear("OP=PUT;IND=0;DATA=5;");
  assertEquals(await client.rest(), "");
  const closing = proxy.close();
  assertMatch(await upstream.line(), /^OP=SUB;DATA=0;$/);
  await say(upstream, "OP=SUB;DATA=0;");
  await within(closing, "the proxy to close");
});

Deno.test("overload: a proxy that is told much in one step is not taken for a deaf one", async () => {
  await using server = await TableServer.listen({ port: 0, size: 2000, leaseMs: 500 });
  await using proxy = await CacheProxy.listen({
    port: 0,
    server: server.address,
    capacity: 1,
    timeoutMs: HOUR_MS,
  });
  const patient = { timeoutMs: HOUR_MS };
  const ind = Array.from({ length: 1024 }, (_, index) => index);
  const long = (index: number) => [index, Number.MAX_SAFE_INTEGER - index] as const;
  await using writer = await TableClient.connect(server.address, patient);
  await writer.put(ind.map(long));
  // While this one is silent, all that the proxy's clients ask waits, and is answered in one step.
  await using silent = await Wire.connect(server.address);
  await say(silent, "OP=SUB;", GET);
  await hear(silent, "OP=SUB;DATA=500,2000;");
  await silent.line();
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => TableClient.connect(proxy.address, patient)),
  );
  const waiting = writer.put([[0, 1]]);
  const asked = clients.flatMap((client) => [
    ...[1, 2, 3].map(() => client.get(ind)),
    client.put([[0, 1]]),
  ]);
  await within(Promise.all([waiting, ...asked]), "all to be answered");
  for (const client of clients) await client.close();
});

Deno.test("overload: proxies that come and go leave no more behind than one", async () => {
  await using server = await startServer("--size", "1000000", "--lease", "3600000");
  // What 2,000 hold would be 250 MiB; what one has held is collected late.
  await inBounds(server, 125, async () => {
    for (let round = 0; round < 2000; round++) {
      await using wire = await Wire.connect(server.address);
      await say(wire, "OP=SUB;", `OP=GET;IND=${round};`);
      await hear(wire, "OP=SUB;DATA=3600000,1000000;", `OP=GET;IND=${round};DATA=0;`);
    }
  });
});

Deno.test("overload: what all clients of a proxy may have at a server that is silent is bounded", async () => {
  await using server = FakeServer.listen();
  const starting = startProxy(server.address, "--timeout", "3600000", "--capacity", "5");
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, "OP=SUB;DATA=3600000,2000;");
  await using proxy = await starting;
  await using other = await Wire.connect(proxy.address);
  await say(other, GET);
  await hear(upstream, GET);
  await say(upstream, GOT);
  await hear(other, GOT);
  let received = 0;
  const reading = (async () => {
    while (await upstream.line()) received++;
  })().catch(() => {});
  {
    await using stack = new AsyncDisposableStack();
    const floods: Flood[] = [];
    // Each of 120 might have 16 of them at the server: 1,920.
    for (let i = 0; i < 120; i++) {
      floods.push(stack.use(new Flood(await Wire.connect(proxy.address), LONG_GET)));
    }
    await untilStalled(other, floods);
    // 32 MiB of requests that count as 33,024 bytes, and one more of each.
    assertLess(received, 1016 + 120 + 1);
  }
  upstream.close();
  await reading;
});
