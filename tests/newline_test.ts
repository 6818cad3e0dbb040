/** Who sends no newline is told so, or those who wait for it are. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { lineStream, type Rest } from "../lib/wire/framing.ts";
import {
  CacheProxy,
  CoherentCache,
  type NodeEvent,
  TableClient,
  TableServer,
  UnreachableError,
} from "../mod.ts";
import { BothEnds, GRANT, hear, Log, say } from "./support/both_ends.ts";
import { run } from "./support/program.ts";
import { openProxy, openServer } from "./support/targets.ts";
import { simulated } from "./support/stage.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

const encoder = new TextEncoder();

Deno.test("newline: lineStream tells how much has come since the last one, after each read", async () => {
  const long = "x".repeat(40_000);
  const pieces = ["a\n", "b\nc", "\xe9", "\n", "d\ne\nfgh", long, "\nij"];
  const told: [count: number, ended: boolean][] = [];
  const rest: Rest = {
    bytes: 0,
    left: () => told.push([rest.bytes, false]),
    ended: () => told.push([rest.bytes, true]),
  };
  let bytes = new Uint8Array(0);
  const stream = lineStream({
    read(buffer) {
      if (bytes.length === 0) {
        const piece = pieces.shift();
        if (piece === undefined) return Promise.resolve(null);
        bytes = encoder.encode(piece);
      }
      const count = Math.min(bytes.length, buffer.length);
      buffer.set(bytes.subarray(0, count));
      bytes = bytes.subarray(count);
      return Promise.resolve(count);
    },
  }, rest);
  const texts: string[] = [];
  for await (const text of stream) texts.push(text);
  assertEquals(texts.join(""), `a\nb\nc\xe9\nd\ne\nfgh${long}\n`);
  const outgrown = told.filter(([count]) => count > 3);
  assertEquals(told.filter(([count]) => count <= 3), [
    ...[[1, false], [3, false], [3, false]],
    ...[[2, false], [2, true]],
  ]);
  assertEquals(outgrown.at(-1), [40_003, false]);
});

for (const [name, open] of [["server", openServer], ["proxy", openProxy]] as const) {
  simulated(
    `newline: a ${name} says it once of a connection that then says nothing`,
    async (stage) => {
      const log = new Log(), traced: string[] = [];
      const options = {
        log: log.log,
        events: (event: NodeEvent) => {
          if (event.type === "unterminated") traced.push(`${event.peerAddress} ${event.bytes}`);
        },
      };
      const on = { server: stage.on("server"), proxy: stage.on("proxy") };
      await using target = await open({ ...on, [name]: { ...on[name], ...options } });
      await using wire = await Wire.connect(target.address, stage);
      const { port } = wire.conn.localAddr;
      await wire.send("OP=GET;IND=1;\nOP=GET;IND=2;");
      await hear(wire, "OP=GET;IND=1;DATA=0;");
      const sentence = await log.next("no newline");
      assertEquals(sentence, `client test:${port}: 13 bytes came and no newline`);
      assertEquals(traced, [`test:${port} 13`]);
      // The line is one all the same, when its newline comes.
      await wire.send("\nOP=GET;IND=3;");
      await hear(wire, "OP=GET;IND=2;DATA=0;");
      await wire.endWriting();
      assertEquals(await wire.rest(), "");
      assertEquals(log.sentences.filter((sentence) => sentence.includes("newline")).length, 1);
    },
  );

  Deno.test(`newline: a ${name} says it of a connection that ends so`, async () => {
    const log = new Log();
    await using target = await open({ [name]: { log: log.log } });
    for (const sent of ["OP=GET;IND=1;\nO", "OP=GET;IND=1;\n", ""]) {
      await using wire = await Wire.connect(target.address);
      const { port } = wire.conn.localAddr;
      await wire.send(sent);
      await wire.endWriting();
      await wire.rest();
      if (!sent.endsWith("O")) continue;
      const sentence = await log.next("no newline");
      assertEquals(sentence, `client 127.0.0.1:${port}: 1 byte came and no newline`);
    }
    assertEquals(log.sentences.filter((sentence) => sentence.includes("newline")).length, 1);
  });
}

simulated("newline: nobody is said to send none whom the node does not read", async (stage) => {
  const log = new Log(), told: string[] = [];
  const events = (event: NodeEvent) => {
    if (event.type === "unterminated") told.push(event.peerAddress);
  };
  const options = { size: 1000, log: log.log, events, ...stage.on("server") };
  await using server = await TableServer.listen({ port: 0, ...options });
  await using deaf = await Wire.connect(server.address, stage);
  // More than the buffers take of requests, and of replies; cut anywhere.
  const flood = (async () => {
    const bytes = encoder.encode("OP=INF; \n".repeat(3000));
    for (let i = 0; i < 200; i++) {
      for (let at = 0; at < bytes.length;) at += await deaf.conn.write(bytes.subarray(at));
    }
  })().catch(() => {});
  // Said of others meanwhile, so that the moment has passed.
  for (let i = 0; i < 3; i++) {
    // It is said once a second at most, of whomever.
    await stage.pass(100);
    await using wire = await Wire.connect(server.address, stage);
    await wire.send("OP=CLR;");
    await log.next(`${wire.conn.localAddr.port}: 7 bytes`);
  }
  assertEquals(told.includes(`test:${deaf.conn.localAddr.port}`), false);
  deaf.close();
  await within(flood, "the flood to end");
});

Deno.test("newline: a client says so of a node that does not answer, and of one that closes", async () => {
  await using node = FakeServer.listen();
  await using client = await TableClient.connect(node.address, { timeoutMs: 300 });
  const wire = await node.accept();
  const call = client.get([1]);
  await hear(wire, "OP=GET;IND=1;");
  await wire.send("OP=GET;IND=1;DATA=5;");
  const silent = await assertRejects(() => within(call, "a call to fail"), UnreachableError);
  const { address } = node;
  assertEquals(
    silent.message,
    `no answer from ${address} in 300 ms: 20 bytes came and no newline`,
  );
  const other = client.get([2]);
  await hear(wire, "OP=GET;IND=2;");
  await wire.send("\nOP=GET;IND=2;DA");
  await wire.endWriting();
  const lost = await assertRejects(() => within(other, "a call to fail"), UnreachableError);
  assertEquals(
    lost.message,
    `lost ${address}: it closed the connection: 15 bytes came and no newline`,
  );
});

Deno.test("newline: the client's program prints it", async () => {
  await using node = FakeServer.listen();
  const { address } = node;
  const running = run("client", ["--proxy", address, "--timeout", "1000", "get", "1"], {
    addresses: { proxy: address },
  });
  const wire = await node.accept();
  await hear(wire, "OP=GET;IND=1;");
  await wire.send("OP=GET;IND=1;DATA=5;\r");
  const { code, stderr } = await running;
  const why = `no answer from ${address} in 1000 ms: 21 bytes came and no newline`;
  assertEquals([code, stderr], [3, `halfway-client: ${why}\n`]);
});

const AWAITED = "OP=SUB;DATA=<term>,<size>;";

simulated(
  "newline: a proxy says which reply it awaits of a server that does not answer SUB",
  async (stage) => {
    const rows: [sent: string, why: string][] = [
      ["", `it does not answer OP=SUB; (awaited: ${AWAITED} or OP=ERR;DATA=400;)`],
      [
        "OP=SUB;DATA=1000,10;",
        `it does not answer OP=SUB; (awaited: ${AWAITED} or OP=ERR;DATA=400;): ` +
        "20 bytes came and no newline",
      ],
      [
        "OP=CLR;\n",
        `CLR came before an answer to OP=SUB; (awaited: ${AWAITED} or OP=ERR;DATA=400;)`,
      ],
    ];
    for (const [sent, why] of rows) {
      await using server = FakeServer.listen(0, stage);
      const log = new Log();
      const { address } = server;
      const options = { timeoutMs: 300, log: log.log, ...stage.on("proxy") };
      const starting = CacheProxy.listen({ port: 0, server: address, ...options });
      const upstream = await server.accept();
      await hear(upstream, "OP=SUB;");
      await upstream.send(sent);
      assertEquals(await log.next("lost"), `lost the server at ${address}: ${why}`);
      server.stopListening();
      await (await starting).close();
    }
  },
);

Deno.test("newline: and of one that does not answer the renewal of a lease", async () => {
  await using ends = await BothEnds.start({ timeoutMs: 300, grant: "OP=SUB;DATA=60,10;" });
  await hear(ends.upstream, "OP=SUB;");
  await ends.upstream.send("OP=SUB");
  assertStringIncludes(
    await ends.log.next("lost"),
    `it does not answer OP=SUB; (awaited: ${AWAITED}): 6 bytes came and no newline`,
  );
  await ends.greet();
  await ends.log.next("is there again");
  await ends.finish();
});

Deno.test("newline: a cache whose server ends in the middle of a reply says so", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const starting = CoherentCache.connect(server.address, { log: log.log });
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, GRANT);
  await using _ = await within(starting, "the cache");
  await upstream.send("OP=INV;IND");
  await upstream.endWriting();
  assertEquals(
    await log.next("lost"),
    `lost the server at ${server.address}: it closed the connection: 10 bytes came and no newline`,
  );
  server.stopListening();
});
