import { assert, assertEquals } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { parseAddress } from "../lib/wire/address.ts";
import { Connection } from "../lib/wire/connection.ts";
import { Listener } from "../lib/wire/listener.ts";
import { type Peer, serve } from "../lib/wire/serve.ts";
import { CacheProxy } from "../mod.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** A peer that notes what it is told. */
class NotedPeer implements Peer {
  readonly told: string[] = [];
  readonly #room: (Promise<void> | undefined)[];
  readonly #settled: Promise<void>;

  constructor(
    room: (Promise<void> | undefined)[] = [],
    settled: Promise<void> = Promise.resolve(),
  ) {
    this.#room = room;
    this.#settled = settled;
  }

  begin(): void {
    this.told.push("begin");
  }

  take(request: { op: string }): void {
    this.told.push(request.op);
  }

  room(): Promise<void> | undefined {
    return this.#room.shift();
  }

  idle(): boolean {
    return true;
  }

  settled(): Promise<void> {
    return this.#settled;
  }

  left(): void {
    this.told.push("left");
  }
}

/** A connection that is served, and the test's end of it. */
async function served(peer: Peer) {
  const fake = FakeServer.listen();
  const socket = await denoRuntime.connect(
    parseAddress(fake.address),
    new AbortController().signal,
  );
  const connection = new Connection(socket, denoRuntime, "server", "client", undefined);
  return {
    fake,
    wire: await fake.accept(),
    connection,
    serving: serve(connection, peer, undefined).ended,
  };
}

Deno.test("serve tells its peer anew that requests begin after it has waited for room", async () => {
  // The lease is looked at then: a wait may be longer than it.
  const peer = new NotedPeer([undefined, Promise.resolve(), undefined]);
  const { fake, wire, serving } = await served(peer);
  await using _ = fake;
  await wire.send("OP=CLR;\nOP=INF;\n");
  await wire.endWriting();
  await within(serving, "the connection to be served");
  assertEquals(peer.told, ["begin", "CLR", "begin", "INF", "left"]);
  wire.close();
});

Deno.test("serve ends when the connection is gone, though no room ever comes", async () => {
  const peer = new NotedPeer([undefined, new Promise(() => {})]);
  const { fake, wire, connection, serving } = await served(peer);
  await using _ = fake;
  await wire.send("OP=CLR;\nOP=INF;\n");
  while (peer.told.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  connection.close();
  await within(serving, "the connection to be given up");
  assertEquals(peer.told, ["begin", "CLR", "left"]);
  wire.close();
});

Deno.test("serve ends when the connection is gone, though what it took is never answered", async () => {
  const peer = new NotedPeer([], new Promise(() => {}));
  const { fake, wire, connection, serving } = await served(peer);
  await using _ = fake;
  await wire.endWriting();
  while (peer.told.length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  connection.close();
  await within(serving, "the connection to be given up");
  wire.close();
});

Deno.test("a proxy's place is free again when a client has left whose requests have no answer", async () => {
  // More than may stand at the server: of requests, and of their indices.
  const many = "OP=GET;IND=1;\n".repeat(1500), long = `OP=GET;IND=${Array(1024).fill(1)};\n`;
  for (const requests of [many, long.repeat(20)]) {
    await using server = FakeServer.listen();
    const starting = CacheProxy.listen({
      port: 0,
      server: server.address,
      timeoutMs: 100,
      maxConnections: 1,
    });
    const upstream = await server.accept();
    await upstream.line();
    await upstream.send("OP=SUB;DATA=3600000,10;\n");
    await using proxy = await within(starting, "the proxy");
    const flood = await Wire.connect(proxy.address);
    // The server answers none of them.
    await flood.send(requests);
    await upstream.line();
    flood.close();
    const answered = async () => {
      const wire = await Wire.connect(proxy.address);
      try {
        await wire.send("OP=INF;\n");
        return !(await wire.line()).includes("DATA=429");
      } catch {
        // Closed without a word, while many are refused.
        return false;
      } finally {
        wire.close();
      }
    };
    await within(
      (async () => {
        while (!await answered()) await new Promise((resolve) => setTimeout(resolve, 20));
      })(),
      "a place to be free",
      180_000,
    );
    upstream.close();
  }
});

Deno.test("a listener goes on, and says nothing, when peers have gone before they were taken", async () => {
  const logged: string[] = [];
  const listener = new Listener({
    role: "server",
    host: "127.0.0.1",
    port: 0,
    maxConnections: 10,
    events: undefined,
    runtime: denoRuntime,
    log: (sentence) => logged.push(sentence),
  });
  const { createConnection } = await import("node:net");
  const port = Number(listener.address.split(":")[1]);
  // They wait in the queue, and reset there.
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      const socket = createConnection(port, "127.0.0.1", () => socket.resetAndDestroy());
      socket.on("close", () => resolve());
      socket.on("error", () => {});
    });
  }
  const taken = Promise.withResolvers<void>();
  listener.start((connection) => {
    const serving = serve(connection, new NotedPeer(), undefined);
    serving.ended.then(taken.resolve);
    return serving;
  });
  const wire = await Wire.connect(listener.address);
  await wire.endWriting();
  await wire.rest();
  await within(taken.promise, "one to be served");
  assert(logged.every((line) => !line.includes("cannot take")), logged.join("\n"));
  wire.close();
  await listener.close(1000);
});
