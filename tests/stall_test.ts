/** Who has answered in time is not taken for silent, though the process that waited stood still. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { Connection } from "../lib/wire/connection.ts";
import { connect } from "../lib/wire/connect.ts";
import { Patience } from "../lib/runtime/patience.ts";
import { within as orGiveUp } from "../lib/runtime/within.ts";
import { CacheProxy, CoherentCache, TableClient, TableServer, UnreachableError } from "../mod.ts";
import { CacheAndServer, GRANT, hear, say } from "./support/both_ends.ts";
import { existsSync } from "node:fs";
import { Child, command, startProxy, startServer } from "./support/program.ts";
import { Folder } from "./support/folder.ts";
import { simulated } from "./support/stage.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** A limit that only a broken test reaches, on the busiest machine. */
const MINUTES_MS = 180_000;

/** How often each is tried: what is found first, a timer or a socket, is chance. */
const ROUNDS = 3;

/** Keeps this process busy. */
function busy(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A program that a signal stops and lets go on, with something happening in between. */
async function whileStopped(program: Child, work: () => Promise<void>): Promise<void> {
  program.signal("SIGSTOP");
  try {
    await work();
  } finally {
    program.signal("SIGCONT");
  }
}

const UNIX = { ignore: Deno.build.os === "windows" };

Deno.test(
  "stall: a proxy that was stopped passes on the answers that came meanwhile",
  UNIX,
  async () => {
    await using server = FakeServer.listen();
    const starting = startProxy(server.address, "--timeout", "2000");
    const upstream = await server.accept();
    await hear(upstream, "OP=SUB;");
    await say(upstream, "OP=SUB;DATA=600000,10;");
    await using proxy = await starting;
    await using client = await Wire.connect(proxy.address);
    for (let i = 0; i < 2; i++) {
      const put = `OP=PUT;IND=1;DATA=${i};`;
      await say(client, "OP=GET;IND=2,3;", put, "OP=CLR;");
      await hear(upstream, "OP=GET;IND=2,3;", put, "OP=CLR;");
      await whileStopped(proxy, async () => {
        await say(upstream, "OP=GET;IND=2,3;DATA=5,6;", put, "OP=CLR;");
        // By then the deadline of all is over, however long it took until here.
        await pause(2200);
      });
      await hear(client, "OP=GET;IND=2,3;DATA=5,6;", put, "OP=CLR;");
    }
  },
);

Deno.test("stall: a server that has answered SUB meanwhile is not given up", async () => {
  await using both = await CacheAndServer.start({ timeoutMs: 2000, grant: "OP=SUB;DATA=400,10;" });
  const { upstream } = both;
  await hear(upstream, "OP=SUB;");
  const said = say(upstream, "OP=SUB;DATA=400,10;");
  // Longer than the timeout and than four terms.
  busy(2500);
  await said;
  await hear(upstream, "OP=SUB;");
  await say(upstream, GRANT);
  await both.finish();
});

Deno.test(
  "stall: a client that was stopped prints the answer that came meanwhile",
  UNIX,
  async () => {
    await using server = FakeServer.listen();
    const { address } = server;
    await using client = new Child([
      ...command("client", { proxy: address }),
      ...["--proxy", address, "--timeout", "2000", "put", "1=5"],
    ]);
    const wire = await server.accept();
    await hear(wire, "OP=PUT;IND=1;DATA=5;");
    await whileStopped(client, async () => {
      await say(wire, "OP=PUT;IND=1;DATA=5;");
      await pause(2200);
    });
    await client.ended();
    assertEquals([client.stdout, client.stderr], ["OP=PUT;IND=1;DATA=5;\n", ""]);
  },
);

Deno.test("stall: a cache whose process was busy gives the answers that came meanwhile", async () => {
  await using server = await startServer("--lease", "600000");
  await using cache = await CoherentCache.connect(server.address, { timeoutMs: 2000 });
  await using client = await TableClient.connect(server.address, { timeoutMs: 2000 });
  const calls = () => [cache.get([0, 9]), cache.put([[0, 5]]), client.get([0]), client.clear()];
  const expected = [[0, 0], undefined, [5], undefined];
  // Right after the call nothing has left this process.
  const unsent = calls();
  busy(2500);
  assertEquals(await within(Promise.all(unsent), "the answers", MINUTES_MS), expected);
  // And now it has.
  const sent = calls();
  await pause(0);
  busy(2500);
  assertEquals(await within(Promise.all(sent), "the answers", MINUTES_MS), expected);
});

simulated(
  "stall: nodes that are stopped, in any order on waking, pass on the answers that came meanwhile",
  async (stage) => {
    await using server = await TableServer.listen({
      port: 0,
      leaseMs: 600_000,
      ...stage.on("server"),
    });
    const { address } = server;
    const options = { server: address, timeoutMs: 2000 };
    await using proxy = await CacheProxy.listen({ port: 0, ...stage.on("proxy"), ...options });
    const runtime = stage.process("client");
    await using cache = await CoherentCache.connect(address, { timeoutMs: 2000, runtime });
    await using client = await TableClient.connect(proxy.address, { timeoutMs: 5000, runtime });
    for (const stopped of ["client", "proxy"]) {
      const calls = stopped === "client"
        ? [cache.get([1, 9]), cache.put([[1, 5]]), cache.get([1])]
        : [client.get([1, 9]), client.put([[1, 5]]), client.get([1])];
      // Until the server has them, and has not answered.
      await stage.pass(stopped === "client" ? 0.05 : 0.2);
      stage.process(stopped).stop();
      await stage.pass(2500);
      stage.process(stopped).continue();
      assertEquals(await Promise.all(calls), [[stopped === "client" ? 0 : 5, 0], undefined, [5]]);
    }
  },
  50,
);

Deno.test("stall: a server that is silent is found out all the same", async () => {
  await using server = FakeServer.listen();
  const starting = TableClient.connect(server.address, { timeoutMs: 100 });
  const wire = await server.accept();
  const client = await starting;
  const call = client.get([1]);
  busy(1000);
  await assertRejects(() => within(call, "the deadline", MINUTES_MS), Error, "no answer from");
  wire.close();
  await client.close();
});

simulated(
  "stall: nor does it help a server to say something again and again that is no answer",
  async (stage) => {
    const runtime = stage.process("client");
    // There is always more to read, however long it takes to read what there was.
    runtime.afterReading = (callback) => runtime.setTimer(callback, 5);
    await using server = FakeServer.listen(0, stage);
    await using client = await TableClient.connect(server.address, { timeoutMs: 100, runtime });
    const wire = await server.accept();
    let told: unknown;
    const call = client.get([1]).catch((error) => told = error);
    await hear(wire, "OP=GET;IND=1;");
    for (let i = 0; i < 10_000 && told === undefined; i++) {
      await say(wire, "OP=INV;IND=1;");
      await stage.pass(1);
    }
    assertInstanceOf(told, UnreachableError);
    await call;
    wire.close();
  },
);

Deno.test("stall: with --idle-timeout one that has spoken meanwhile is not idle", async () => {
  const idleTimeoutMs = 300;
  await using server = await TableServer.listen({ port: 0, idleTimeoutMs });
  await using wire = await Wire.connect(server.address);
  for (let i = 0; i < 3; i++) {
    const said = say(wire, "OP=GET;IND=1;");
    busy(2 * idleTimeoutMs);
    await said;
    await hear(wire, "OP=GET;IND=1;DATA=0;");
  }
});

Deno.test("stall: a connection that was made meanwhile was made in time", async () => {
  await using server = FakeServer.listen();
  for (let i = 0; i < ROUNDS; i++) {
    const options = {
      role: "client",
      peerRole: "server",
      events: undefined,
      runtime: denoRuntime,
    } as const;
    const connecting = connect(server.address, { ...options, timeoutMs: 50 });
    busy(200);
    (await within(connecting, "the connection")).close();
    (await server.accept()).close();
  }
});

/** A program that connects as often as it is told, and says a line on each connection when told so. */
const CHORUS = `
  const [port, count, folder] = Deno.args;
  const conns = [];
  for (let i = 0; i < count; i++) conns.push(await Deno.connect({ port: Number(port) }));
  for await (const round of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    await Promise.all(conns.map((conn) => conn.write(new TextEncoder().encode("OP=CLR;\\n"))));
    Deno.writeTextFileSync(folder + "/" + round.trim(), "");
  }
`;

Deno.test("stall: what is over is over only when all is read that had come, on however many connections", async () => {
  const count = 300;
  await using folder = new Folder();
  const listener = denoRuntime.listen({ host: "127.0.0.1", port: 0 });
  await using chorus = new Child([
    ...[Deno.execPath(), "eval", CHORUS],
    ...[`${listener.address.port}`, `${count}`, folder.path(".")],
  ]);
  await using stack = new AsyncDisposableStack();
  const connections: Connection[] = [];
  while (connections.length < count) {
    const conn = await within(listener.accept(), "a connection", MINUTES_MS);
    const connection = new Connection(conn, denoRuntime, "client", "server", undefined);
    stack.defer(() => connection.close());
    connections.push(connection);
  }
  listener.close();
  for (let round = 0; round < 5; round++) {
    const read: Connection[] = [];
    const reading = connections.map((connection) =>
      connection.read().then(() => read.push(connection)).catch(() => {})
    );
    await chorus.writeMore(`${round}`);
    const all = new Promise<number>((resolve) =>
      new Patience(denoRuntime, 0, () => resolve(read.length))
    );
    const none = orGiveUp(Promise.race([]), 0, denoRuntime).then(() => read.length);
    // By then all has come, and nothing of it can have been read.
    while (!existsSync(folder.path(`${round}`)));
    assertEquals(await Promise.all([all, none]), [count, count]);
    await Promise.all(reading);
  }
});
