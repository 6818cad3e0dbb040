/**
 * What a proxy does when things go wrong, by the messages at both of its ends.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { CacheProxy, CoherentCache } from "../mod.ts";
import {
  BothEnds,
  CacheAndServer,
  GRANT,
  hear,
  hearErrors,
  held,
  Log,
  readInLane,
  say,
} from "./support/both_ends.ts";
import { simulated, type Stage } from "./support/stage.ts";
import { FakeServer, listenAgain, NOBODY, Wire } from "./support/wire.ts";
import { HOUR_MS, within } from "./support/within.ts";

// The server is away.

simulated(
  "failures: with nobody at the server's address a request gets 503 at its deadline",
  async (stage) => {
    await using proxy = await CacheProxy.listen({
      port: 0,
      ...stage.on("proxy"),
      server: NOBODY,
      timeoutMs: 1000,
    });
    await using client = await Wire.connect(proxy.address, stage);
    await say(client, "OP=INF;");
    await hear(client, "OP=INF;MSG=no server;");
    await say(client, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=2;", "OP=CLR;", "OP=ADD;IND=1,2;");
    await say(client, "nonsense", "OP=INF;");
    // Not even the writes were sent, so that nothing was changed is known.
    await hearErrors(client, 503, 503, 503, 503, 400);
    await hear(client, "OP=INF;MSG=no server;");
    await client.endWriting();
    assertEquals(await client.rest(), "");
  },
);

Deno.test("failures: what is asked while the server is away is answered when it comes in time", async () => {
  await using server = FakeServer.listen();
  const starting = CacheProxy.listen({ port: 0, server: server.address, timeoutMs: HOUR_MS });
  (await server.accept()).close(); // the proxy starts all the same
  await using proxy = await within(starting, "the proxy to listen");
  await using client = await Wire.connect(proxy.address);
  await say(client, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1;");
  await using upstream = await server.accept();
  await hear(upstream, "OP=SUB;", "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1;");
  await say(upstream, GRANT, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1;DATA=2;");
  await hear(client, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1;DATA=2;");
  assertEquals(await held(client), "1=2");
});

simulated("failures: what was not sent before its deadline never is", async (stage) => {
  await using before = FakeServer.listen(0, stage);
  const starting = CacheProxy.listen({
    port: 0,
    ...stage.on("proxy"),
    server: before.address,
    timeoutMs: 1000,
  });
  (await before.accept()).close();
  before.stopListening();
  await using proxy = await within(starting, "the proxy to listen");
  await using client = await Wire.connect(proxy.address, stage);
  await say(client, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1;");
  assertMatch(await client.line(), /^OP=ERR;DATA=50[34];/); // 504: it went to what was just lost
  await hearErrors(client, 503);
  await say(client, "OP=PUT;IND=1;DATA=3;", "OP=GET;IND=1;");
  await hearErrors(client, 503, 503);
  const port = Number(before.address.split(":")[1]);
  await using server = await listenAgain(() => FakeServer.listen(port, stage));
  await using upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, GRANT, "OP=INV;");
  await hear(upstream, "OP=INV;"); // and nothing before it
});

// The server is silent.

simulated(
  "failures: no answer before the deadline is 503 for a read and 504 for a write",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
    const client = await ends.client();
    await say(client, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=2;", "OP=ADD;IND=1,2;", "OP=CLR;");
    await hear(
      ends.upstream,
      "OP=GET;IND=1;",
      "OP=PUT;IND=1;DATA=2;",
      "OP=GET;IND=1,2;",
      "OP=CLR;",
    );
    await hearErrors(client, 503, 504, 503, 504);
    await say(ends.upstream, "OP=GET;IND=1;DATA=1;", "OP=PUT;IND=1;DATA=2;");
    await say(ends.upstream, "OP=GET;IND=1,2;DATA=2,2;", "OP=CLR;");
    await ends.finish(); // the late answers go to nobody
  },
);

simulated(
  "failures: a late answer is taken for its own request, and those behind are not shifted",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
    const a = await ends.client(), b = await ends.client();
    await say(a, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;");
    await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;");
    await hearErrors(a, 503, 504);
    await say(b, "OP=GET;IND=3;");
    await hear(ends.upstream, "OP=GET;IND=3;");
    await say(
      ends.upstream,
      "OP=GET;IND=1;DATA=1;",
      "OP=PUT;IND=2;DATA=2;",
      "OP=GET;IND=3;DATA=3;",
    );
    await hear(b, "OP=GET;IND=3;DATA=3;");
    await say(a, "OP=GET;IND=1,2;"); // what came late is known
    await hear(a, "OP=GET;IND=1,2;DATA=1,2;");
    await ends.finish();
  },
);

simulated("failures: what waited behind a part-hit that got no answer runs then", async (stage) => {
  await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
  const client = await ends.client();
  await ends.hold(client, 1);
  await say(client, "OP=GET;IND=1,2;", "OP=GET;IND=1;", "OP=GET;IND=3;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await hearErrors(client, 503);
  await hear(client, "OP=GET;IND=1;DATA=101;");
  await hear(ends.upstream, "OP=GET;IND=3;");
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;", "OP=GET;IND=3;DATA=3;");
  await hear(client, "OP=GET;IND=3;DATA=3;");
  assertEquals(await held(client), "1=101 2=2 3=3");
  await ends.finish();
});

// The connection to the server is lost.

Deno.test("failures: a lost connection is 503 for a read and 504 for a write, at once", async () => {
  await using ends = await BothEnds.start({ timeoutMs: HOUR_MS });
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 5);
  await say(b, "OP=GET;IND=5,6;", "OP=CLR;");
  await hear(ends.upstream, "OP=GET;IND=6;");
  await say(a, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=2;", "nonsense", "OP=ADD;IND=1,2;", "OP=CLR;");
  await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=1,2;", "OP=CLR;");
  ends.upstream.close();
  await hearErrors(a, 503, 504, 400, 503, 504);
  await hearErrors(b, 503);
  await ends.greet();
  await hear(ends.upstream, "OP=CLR;"); // held behind the part-hit: it had not been sent
  await say(ends.upstream, "OP=CLR;");
  await hear(b, "OP=CLR;");
  await ends.finish();
});

Deno.test("failures: a request is sent once: after a reconnect only what had not been sent goes", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await say(a, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;", "OP=CLR;");
  await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;", "OP=CLR;");
  await ends.lose();
  await hearErrors(a, 503, 504, 504);
  await say(b, "OP=GET;IND=3;", "OP=PUT;IND=4;DATA=4;");
  const upstream = await ends.greet(""); // it waits for no answer to SUB
  await hear(upstream, "OP=GET;IND=3;", "OP=PUT;IND=4;DATA=4;");
  await say(upstream, GRANT, "OP=GET;IND=3;DATA=3;", "OP=PUT;IND=4;DATA=4;");
  await hear(b, "OP=GET;IND=3;DATA=3;", "OP=PUT;IND=4;DATA=4;");
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("failures: with the connection all that was held is dropped", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 2, 3);
  await ends.lose();
  assertEquals(await held(client), "");
  await ends.greet();
  await ends.log.next("is there again");
  assertEquals(await held(client), "");
  await ends.hold(client, 1); // is a miss
  await ends.finish();
});

Deno.test("failures: a write under way on a lost connection does not keep its entry out of the next", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(client, "OP=PUT;IND=1;DATA=2;", "OP=CLR;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=2;", "OP=CLR;");
  await ends.lose();
  await hearErrors(client, 504, 504);
  await ends.greet();
  await ends.log.next("is there again");
  await ends.hold(client, 1);
  assertEquals(await held(client), "1=101");
  await ends.finish();
});

simulated("failures: nor does one that got 504 before the connection was lost", async (stage) => {
  await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
  const client = await ends.client();
  await say(client, "OP=PUT;IND=1;DATA=2;", "OP=CLR;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=2;", "OP=CLR;");
  await hearErrors(client, 504, 504);
  await ends.lose();
  await ends.greet();
  await ends.log.next("is there again");
  await ends.hold(client, 1);
  assertEquals(await held(client), "1=101");
  await ends.finish();
});

Deno.test("failures: the log names the first error of a lost connection, not what follows from it", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const starting = CoherentCache.connect(server.address, { log: log.log });
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, GRANT);
  await using cache = await within(starting, "the cache");
  const unread = cache.get([1]).catch((error) => error.code);
  // It is sent in a microtask; the server does not read it, so that its close is a reset.
  for (let i = 0; i < 10; i++) await undefined;
  upstream.close();
  // Sent before anything is read here: it is the write that finds the reset.
  const write = cache.put([[1, 2]]).catch((error) => error.code);
  assertEquals(await within(Promise.all([unread, write]), "the answers"), [503, 504]);
  const sentence = await log.next("lost the server");
  assertEquals(/resource|cancel|interrupt/i.test(sentence), false, sentence);
  server.stopListening();
});

// Rule 9: what a write under way keeps out.

Deno.test("failures: the answer to an older GET does not put the old value back", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client(), c = await ends.client();
  await say(b, "OP=GET;IND=1,2;");
  await hear(ends.upstream, "OP=GET;IND=1,2;");
  await say(a, "OP=PUT;IND=1;DATA=9;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=9;");
  await say(ends.upstream, "OP=GET;IND=1,2;DATA=0,2;");
  await hear(b, "OP=GET;IND=1,2;DATA=0,2;");
  assertEquals(await held(c), "2=2");
  await say(c, "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=1;");
  await say(ends.upstream, "OP=PUT;IND=1;DATA=9;", "OP=GET;IND=1;DATA=9;");
  await hear(a, "OP=PUT;IND=1;DATA=9;");
  await hear(c, "OP=GET;IND=1;DATA=9;");
  assertEquals(await held(c), "2=2 1=9");
  await ends.finish();
});

Deno.test("failures: nor does it while a CLR is under way", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await say(b, "OP=GET;IND=1,2;");
  await hear(ends.upstream, "OP=GET;IND=1,2;");
  await say(a, "OP=CLR;");
  await hear(ends.upstream, "OP=CLR;");
  await say(ends.upstream, "OP=GET;IND=1,2;DATA=8,9;");
  await hear(b, "OP=GET;IND=1,2;DATA=8,9;");
  assertEquals(await held(b), "");
  await say(ends.upstream, "OP=CLR;");
  await hear(a, "OP=CLR;");
  await ends.hold(b, 1);
  await ends.finish();
});

/** Two writes under way at once, their answers, and what is held after the first and the second. */
const pairs: [
  reason: string,
  first: [request: string, answer: string],
  second: [request: string, answer: string],
  held: [after: string, afterBoth: string],
][] = [
  [
    "of two PUTs, the first answer does not put its value in",
    [
      "OP=PUT;IND=1;DATA=5;",
      "OP=PUT;IND=1;DATA=5;",
    ],
    ["OP=PUT;IND=1;DATA=6;", "OP=PUT;IND=1;DATA=6;"],
    ["", "1=6"],
  ],
  [
    "of two PUTs that overlap, the first puts in just what the second leaves",
    [
      "OP=PUT;IND=1,2;DATA=5,6;",
      "OP=PUT;IND=1,2;DATA=5,6;",
    ],
    ["OP=PUT;IND=2,3;DATA=7,8;", "OP=PUT;IND=2,3;DATA=7,8;"],
    ["1=5", "1=5 2=7 3=8"],
  ],
  [
    "of two PUTs, the last was refused: neither enters",
    [
      "OP=PUT;IND=1;DATA=5;",
      "OP=PUT;IND=1;DATA=5;",
    ],
    ["OP=PUT;IND=1;DATA=6;", "OP=ERR;DATA=500;MSG=failed;"],
    ["", ""],
  ],
  [
    "of two PUTs, the first was refused: the last enters",
    [
      "OP=PUT;IND=1;DATA=5;",
      "OP=ERR;DATA=500;MSG=failed;",
    ],
    ["OP=PUT;IND=1;DATA=6;", "OP=PUT;IND=1;DATA=6;"],
    ["", "1=6"],
  ],
  [
    "a PUT with a CLR behind it does not enter",
    [
      "OP=PUT;IND=1;DATA=5;",
      "OP=PUT;IND=1;DATA=5;",
    ],
    ["OP=CLR;", "OP=CLR;"],
    ["", ""],
  ],
  ["a PUT behind a CLR enters", ["OP=CLR;", "OP=CLR;"], [
    "OP=PUT;IND=1;DATA=5;",
    "OP=PUT;IND=1;DATA=5;",
  ], ["", "1=5"]],
  [
    "a refused PUT and a refused CLR put nothing in",
    [
      "OP=PUT;IND=1;DATA=5;",
      "OP=ERR;DATA=404;MSG=none;",
    ],
    ["OP=CLR;", "OP=ERR;DATA=500;MSG=failed;"],
    ["", ""],
  ],
];

for (const [reason, first, second, [afterFirst, afterBoth]] of pairs) {
  Deno.test(`failures: ${reason}`, async () => {
    await using ends = await BothEnds.start();
    const a = await ends.client(), b = await ends.client(), c = await ends.client();
    await ends.hold(c, 1);
    await say(a, first[0]);
    await hear(ends.upstream, first[0]);
    await say(b, second[0]);
    await hear(ends.upstream, second[0]);
    await say(ends.upstream, first[1]);
    await hear(a, first[1]);
    assertEquals(await held(c), afterFirst);
    await say(ends.upstream, second[1]);
    await hear(b, second[1]);
    assertEquals(await held(c), afterBoth);
    await ends.hold(c, 4); // and nothing is kept out any more
    assertEquals(await held(c), `${afterBoth} 4=104`.trim());
    await ends.finish();
  });
}

simulated(
  "failures: after the proxy's own 504 a write is under way until the server answers it",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
    const a = await ends.client(), b = await ends.client();
    await say(b, "OP=GET;IND=1,2;");
    await hear(ends.upstream, "OP=GET;IND=1,2;");
    await say(a, "OP=PUT;IND=1;DATA=9;");
    await hear(ends.upstream, "OP=PUT;IND=1;DATA=9;");
    await hearErrors(b, 503);
    await hearErrors(a, 504);
    await say(ends.upstream, "OP=GET;IND=1,2;DATA=0,2;"); // late, and older than the write
    await say(b, "OP=GET;IND=3;");
    await hear(ends.upstream, "OP=GET;IND=3;");
    await say(ends.upstream, "OP=PUT;IND=1;DATA=9;", "OP=GET;IND=3;DATA=3;");
    await hear(b, "OP=GET;IND=3;DATA=3;");
    assertEquals(await held(b), "2=2 1=9 3=3");
    await ends.finish();
  },
);

simulated(
  "failures: after the proxy's own 504 an older answer is not held, not even for a moment",
  async (stage) => {
    await using both = await CacheAndServer.start({ stage, timeoutMs: 1000 });
    const { cache, upstream } = both;
    const read = cache.get([1]).catch((error) => error.code);
    await hear(upstream, "OP=GET;IND=1;");
    const write = cache.put([[1, 9]]).catch((error) => error.code);
    await hear(upstream, "OP=PUT;IND=1;DATA=9;");
    assertEquals(await within(Promise.all([read, write]), "both deadlines"), [503, 504]);
    await say(upstream, "OP=GET;IND=1;DATA=0;", "OP=INV;IND=7;");
    await hear(upstream, "OP=INV;IND=7;"); // the late answer was handled before
    assertEquals((await cache.info()).entries, []);
    await say(upstream, "OP=ERR;DATA=500;MSG=failed;", "OP=INV;IND=7;");
    await hear(upstream, "OP=INV;IND=7;");
    assertEquals((await cache.info()).entries, []);
    await both.finish();
  },
);

// What the server sends is broken.

Deno.test("failures: a connection that ends in the middle of a reply has not answered", async () => {
  await using ends = await BothEnds.start({ timeoutMs: HOUR_MS });
  const client = await ends.client();
  await say(client, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=15;");
  await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=15;");
  await ends.upstream.send("OP=GET;IND=1;DATA=3;\nOP=PUT;IND=1;DATA=1");
  await ends.lose();
  await hear(client, "OP=GET;IND=1;DATA=3;");
  await hearErrors(client, 504);
  assertEquals(await held(client), "");
  await ends.greet();
  await ends.log.next("is there again");
  await ends.finish();
});

const broken: [reason: string, line: string | Uint8Array][] = [
  ["no message", "hello"],
  ["as a web server does", "HTTP/1.1 400 Bad Request\r"],
  ["an empty line", ""],
  ["an operation that nobody knows", "OP=POP;IND=1;DATA=1;"],
  ["another operation than asked", "OP=PUT;IND=1;DATA=5;"],
  ["CLR for a GET", "OP=CLR;"],
  ["ADD for the GET that it became", "OP=ADD;IND=1;DATA=5;"],
  ["INF for a GET", "OP=INF;IND=1;DATA=5;"],
  ["another index than asked", "OP=GET;IND=2;DATA=5;"],
  ["more indices than asked", "OP=GET;IND=1,2;DATA=5,5;"],
  ["no data", "OP=GET;IND=1;"],
  ["more data than indices", "OP=GET;IND=1;DATA=5,5;"],
  ["data that are no integer", "OP=GET;IND=1;DATA=5.5;"],
  ["data out of range", "OP=GET;IND=1;DATA=9007199254740992;"],
  ["an error of an unknown code", "OP=ERR;DATA=418;MSG=teapot;"],
  ["an error of no code", "OP=ERR;MSG=teapot;"],
  ["a grant that nobody asked for", "OP=SUB;DATA=3600000,10;"],
  ["a lease taken back that nobody gave", "OP=SUB;DATA=0;"],
  ["a field twice", "OP=GET;IND=1;DATA=5;DATA=6;"],
  ["a line over 64 KiB", `OP=GET;IND=1;DATA=5;MSG=${"x".repeat(65_600)};`],
  ["bytes that are no UTF-8", Uint8Array.of(0x4f, 0x50, 0x3d, 0xff)],
];

for (const [reason, line] of broken) {
  Deno.test(`failures: a server that answers ${reason} has its connection given up`, async () => {
    await using ends = await BothEnds.start({ timeoutMs: HOUR_MS });
    const client = await ends.client();
    await ends.hold(client, 4, 5);
    await say(client, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=5;");
    await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=5;");
    await ends.upstream.send(line);
    await ends.upstream.send("\n");
    await hearErrors(client, 503, 504);
    await ends.greet();
    await ends.log.next("is there again");
    assertEquals(await held(client), "");
    await ends.hold(client, 1);
    await ends.finish();
  });
}

Deno.test("failures: a reply that answers nothing ends the connection", async () => {
  for (const line of ["OP=GET;IND=1;DATA=1;", "OP=CLR;", "OP=ERR;DATA=500;MSG=what;"]) {
    await using ends = await BothEnds.start();
    const client = await ends.client();
    await ends.hold(client, 1);
    await say(ends.upstream, line);
    await ends.log.next("lost the server");
    assertEquals(await held(client), "");
    await ends.greet();
    await ends.log.next("is there again");
    await ends.hold(client, 1);
    await ends.finish();
  }
});

Deno.test("failures: a reply before the answer to SUB ends the connection", async () => {
  await using ends = await BothEnds.start();
  await ends.lose();
  const client = await ends.client();
  await say(client, "OP=GET;IND=1;");
  const upstream = await ends.greet("");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=1;");
  await hearErrors(client, 503);
  await ends.greet();
  await ends.log.next("is there again");
  await ends.hold(client, 1);
  await ends.finish();
});

Deno.test("failures: answers that come byte by byte are whole in the end", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  const put = `OP=PUT;IND=5;DATA=-3;`;
  await say(client, "OP=GET;IND=1,2;", put, "OP=ADD;IND=1,2;");
  await hear(ends.upstream, "OP=GET;IND=1,2;", put, "OP=GET;IND=1,2;");
  const answers = `OP=GET;IND=1,2;DATA=11,-22;\r\n${put}\nOP=ERR;DATA=500;MSG=schr\u00e4g;\n`;
  for (const byte of new TextEncoder().encode(answers)) {
    await ends.upstream.send(Uint8Array.of(byte));
  }
  await hear(client, "OP=GET;IND=1,2;DATA=11,-22;", put, "OP=ERR;DATA=500;MSG=schr\u00e4g;");
  assertEquals(await held(client), "1=11 2=-22 5=-3");
  await ends.finish();
});

Deno.test("failures: answers may be split anywhere", async () => {
  await using ends = await BothEnds.start({ onWrite: "around" });
  const client = await ends.client(), other = await ends.client();
  const answers = ["OP=GET;IND=1;DATA=11;", "OP=PUT;IND=1;DATA=-3;", "OP=ERR;DATA=500;MSG=\u00e4;"];
  const bytes = new TextEncoder().encode(answers.map((line) => `${line}\n`).join(""));
  for (let at = 1; at < bytes.length; at++) {
    const asked = ["OP=GET;IND=1;", "OP=PUT;IND=1;DATA=-3;", "OP=CLR;"];
    await say(client, ...asked);
    await hear(ends.upstream, ...asked);
    await ends.upstream.send(bytes.subarray(0, at));
    // The proxy has read the first part when it has answered another client.
    assertEquals(await held(other), "");
    await ends.upstream.send(bytes.subarray(at));
    await hear(client, ...answers);
  }
  await ends.finish();
});

// Clients that leave.

Deno.test("failures: a client that has ended its side still gets every reply", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 3);
  await say(client, "OP=GET;IND=3,4;", "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=3;", "OP=INF;");
  await client.endWriting();
  await hear(ends.upstream, "OP=GET;IND=4;");
  await say(ends.upstream, "OP=GET;IND=4;DATA=4;");
  await hear(client, "OP=GET;IND=3,4;DATA=103,4;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=3;");
  await say(ends.upstream, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=3;DATA=103;");
  await hear(client, "OP=PUT;IND=1;DATA=2;", "OP=GET;IND=3;DATA=103;");
  assertMatch(await client.rest(), /^OP=INF;IND=3,4,1;DATA=103,4,2;MSG=lease \d+ ms;\n$/);
  ends.leave(client);
  await ends.finish();
});

Deno.test("failures: the replies of a client that has left go to nobody else", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(b, 6);
  await say(a, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;", "OP=GET;IND=3;");
  await hear(ends.upstream, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=2;", "OP=GET;IND=3;");
  ends.leave(a);
  await say(b, "OP=GET;IND=4;");
  await hear(ends.upstream, "OP=GET;IND=4;");
  await say(ends.upstream, "OP=GET;IND=1;DATA=1;", "OP=PUT;IND=2;DATA=2;", "OP=GET;IND=3;DATA=3;");
  await say(ends.upstream, "OP=GET;IND=4;DATA=4;");
  await hear(b, "OP=GET;IND=4;DATA=4;");
  assertEquals(await held(b), "6=106 1=1 2=2 3=3 4=4"); // all were taken in
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("failures: what a client that has left had waiting behind a part-hit still runs", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(b, 1);
  await say(a, "OP=GET;IND=1,2;", "OP=PUT;IND=3;DATA=3;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  ends.leave(a);
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(ends.upstream, "OP=PUT;IND=3;DATA=3;");
  await say(ends.upstream, "OP=PUT;IND=3;DATA=3;");
  await ends.nothingSent(9);
  assertEquals(await held(b), "1=101 2=2 3=3 9=109");
  await ends.finish();
});

// The proxy closes.

Deno.test("closing: what is in hand is answered, the lease given back, then all is closed", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(b, 1);
  await say(a, "OP=GET;IND=1,2;", "OP=PUT;IND=3;DATA=3;", "OP=GET;IND=4;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  const closing = ends.proxy.close();
  assertEquals(await b.rest(), ""); // it had nothing in hand
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(a, "OP=GET;IND=1,2;DATA=101,2;");
  await hear(ends.upstream, "OP=PUT;IND=3;DATA=3;", "OP=GET;IND=4;");
  await say(ends.upstream, "OP=PUT;IND=3;DATA=3;", "OP=GET;IND=4;DATA=4;");
  await hear(a, "OP=PUT;IND=3;DATA=3;", "OP=GET;IND=4;DATA=4;");
  assertEquals(await a.rest(), "");
  ends.leave(a);
  ends.leave(b);
  await hear(ends.upstream, "OP=SUB;DATA=0;");
  await say(ends.upstream, "OP=SUB;DATA=0;");
  assertEquals(await ends.upstream.rest(), "");
  ends.upstream.close();
  await within(closing, "the proxy to close");
});

Deno.test("closing: a client that goes on sending still gets its last reply, and an end in order", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client(), other = await ends.client();
  await say(client, "OP=GET;IND=2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  const closing = ends.proxy.close();
  assertEquals(await other.rest(), ""); // the proxy reads no more requests
  ends.leave(other);
  for (let i = 0; i < 4; i++) await client.send("OP=GET;IND=1;\n".repeat(4096));
  await client.endWriting();
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(ends.upstream, "OP=SUB;DATA=0;"); // all clients' connections are closed
  await hear(client, "OP=GET;IND=2;DATA=2;");
  assertEquals(await client.rest(), ""); // and not reset
  ends.leave(client);
  await say(ends.upstream, "OP=SUB;DATA=0;");
  assertEquals(await ends.upstream.rest(), "");
  ends.upstream.close();
  await within(closing, "the proxy to close");
});

Deno.test("closing: once the lease is given back nothing is answered from what is held", async () => {
  await using both = await CacheAndServer.start();
  const { cache, upstream } = both;
  const hold = cache.get([1, 2]);
  await hear(upstream, "OP=GET;IND=1,2;");
  await say(upstream, "OP=GET;IND=1,2;DATA=1,2;");
  await within(hold, "1 and 2 to be held");
  const partHit = cache.get([1, 3]); // its hits are read when its misses come, after the giving back
  await hear(upstream, "OP=GET;IND=3;");
  const closing = cache.close();
  const hit = readInLane(cache, 2);
  await hear(upstream, "OP=SUB;DATA=0;", "OP=GET;IND=2;");
  await say(upstream, "OP=GET;IND=3;DATA=3;", "OP=SUB;DATA=0;", "OP=GET;IND=2;DATA=22;");
  await hear(upstream, "OP=GET;IND=1,3;");
  await say(upstream, "OP=GET;IND=1,3;DATA=11,3;");
  assertEquals(await within(hit, "the answer to 2"), "OP=GET;IND=2;DATA=22;");
  assertEquals(await within(partHit, "the answer to 1 and 3"), [11, 3]);
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the cache to close");
});

simulated("closing: no SUB is sent after the lease is given back", async (stage) => {
  // The deadline of a read, which is awaited, lies behind several renewals.
  await using both = await CacheAndServer.start({
    stage,
    timeoutMs: 1500,
    grant: "OP=SUB;DATA=3000,10;",
  });
  const { cache, upstream } = both;
  const read = cache.get([1]).catch((error) => error.code);
  const closing = cache.close();
  await hear(upstream, "OP=GET;IND=1;", "OP=SUB;DATA=0;");
  assertEquals(await within(read, "the deadline"), 503);
  await say(upstream, "OP=GET;IND=1;DATA=1;", "OP=SUB;DATA=0;");
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the cache to close");
});

simulated(
  "closing: the answer to a SUB that was on its way is no answer to the giving back",
  async (stage) => {
    await using both = await CacheAndServer.start({ stage, grant: "OP=SUB;DATA=3000,10;" });
    const { cache, upstream } = both;
    await hear(upstream, "OP=SUB;"); // the renewal
    const closing = cache.close();
    await hear(upstream, "OP=SUB;DATA=0;");
    const read = readInLane(cache, 1);
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, "OP=SUB;DATA=3600000,10;", "OP=GET;IND=1;DATA=1;");
    assertEquals(await within(read, "the answer"), "OP=GET;IND=1;DATA=1;");
    const again = readInLane(cache, 1); // nothing was held, nothing is served
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, "OP=GET;IND=1;DATA=2;", "OP=SUB;DATA=0;");
    assertEquals(await within(again, "the answer"), "OP=GET;IND=1;DATA=2;");
    assertEquals(await upstream.rest(), "");
    upstream.close();
    await within(closing, "the cache to close");
  },
);

Deno.test("closing: a lease that was asked for and not granted yet is given back too", async () => {
  await using ends = await BothEnds.start();
  await ends.lose();
  const client = await ends.client();
  await say(client, "OP=GET;IND=1;");
  const upstream = await ends.greet("");
  await hear(upstream, "OP=GET;IND=1;");
  const closing = ends.proxy.close();
  await say(upstream, GRANT, "OP=GET;IND=1;DATA=1;");
  await hear(client, "OP=GET;IND=1;DATA=1;");
  assertEquals(await client.rest(), "");
  ends.leave(client);
  await hear(upstream, "OP=SUB;DATA=0;");
  await say(upstream, "OP=SUB;DATA=0;");
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the proxy to close");
});

Deno.test("closing: an error in answer to the first SUB is not taken for a request's answer", async () => {
  for (const sub of ["OP=ERR;DATA=400;MSG=unknown operation;", GRANT]) {
    await using server = FakeServer.listen();
    const logged: string[] = [];
    const starting = CoherentCache.connect(server.address, {
      log: (line) => logged.push(line),
      timeoutMs: HOUR_MS,
    });
    (await server.accept()).close();
    await using cache = await within(starting, "the cache");
    const read = cache.get([1]);
    const upstream = await server.accept();
    await hear(upstream, "OP=SUB;", "OP=GET;IND=1;");
    const closing = cache.close();
    await say(upstream, sub, "OP=GET;IND=1;DATA=1;");
    assertEquals(await within(read, "the answer"), [1]);
    // Given back, for it may be granted; whether it was, nobody waits for.
    await hear(upstream, "OP=SUB;DATA=0;");
    assertEquals(await upstream.rest(), "");
    upstream.close();
    await within(closing, "the cache to close");
  }
});

Deno.test("closing: a proxy without a server closes, and what waits gets 503", async () => {
  await using cache = await CoherentCache.connect(NOBODY, { timeoutMs: HOUR_MS });
  const waiting = cache.put([[1, 2]]).catch((error) => error.code);
  await within(cache.close(), "the cache to close");
  assertEquals(await within(waiting, "the answer"), 503);
});

// The lease.

simulated("lease: SUB is sent again and again, and just one is outstanding", async (stage) => {
  await using ends = await BothEnds.start({
    stage,
    timeoutMs: 2000,
    grant: "OP=SUB;DATA=1200,10;",
  });
  const client = await ends.client();
  for (let i = 0; i < 3; i++) {
    await hear(ends.upstream, "OP=SUB;");
    if (i < 2) await say(ends.upstream, "OP=SUB;DATA=1200,10;");
  }
  // The last is not answered: several thirds of the term later no other has been sent.
  await say(client, "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=1;");
  await hearErrors(client, 503);
  await say(client, "OP=GET;IND=2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
});

simulated("lease: a connection on which a SUB has no answer is given up", async (stage) => {
  await using ends = await BothEnds.start({ stage, timeoutMs: 1000, grant: "OP=SUB;DATA=60,10;" });
  assertEquals(await ends.upstream.rest(), "OP=SUB;\n");
  await ends.log.next("it does not answer");
  const second = await ends.greet(""); // the first SUB of a connection, for which no term is known
  assertEquals(await second.rest(), "");
  await ends.greet();
  await ends.log.next("is there again");
  await ends.hold(await ends.client(), 1);
  await ends.finish();
});

/** Asks INF until it says `no lease`; what is held then. */
async function lapsed(client: Wire, stage: Stage): Promise<string> {
  const reply = (async () => {
    while (true) {
      await say(client, "OP=INF;");
      const line = await client.line();
      if (line.endsWith("MSG=no lease;")) return line;
      await stage.pass(10);
    }
  })();
  return await within(reply, "the lease to be over");
}

simulated(
  "lease: when it is over requests are forwarded and nothing is dropped, until the next grant",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, grant: "OP=SUB;DATA=3000,10;" });
    const client = await ends.client();
    // Held under a lease of which nothing is left when the server stops answering SUB.
    await ends.hold(client, 1, 2, 3);
    await hear(ends.upstream, "OP=SUB;");
    assertEquals(await lapsed(client, stage), "OP=INF;IND=1,2,3;DATA=101,102,103;MSG=no lease;");
    const answers = ["OP=GET;IND=1;DATA=101;", "OP=GET;IND=1,4;DATA=101,4;"];
    await say(client, "OP=GET;IND=1;");
    await hear(ends.upstream, "OP=GET;IND=1;");
    await say(ends.upstream, answers[0]!);
    await hear(client, answers[0]!);
    await say(client, "OP=GET;IND=1,4;"); // no part of it is answered from what is held
    await hear(ends.upstream, "OP=GET;IND=1,4;");
    await say(ends.upstream, answers[1]!);
    await hear(client, answers[1]!);
    await say(ends.upstream, "OP=INV;IND=2;"); // drops, lease or not
    await hear(ends.upstream, "OP=INV;IND=2;");
    assertEquals(await held(client), "1=101 3=103 4=4");
    // The grant is behind on the stream of what came before: the entries are good again.
    await say(ends.upstream, GRANT, "OP=INV;IND=9;");
    await hear(ends.upstream, "OP=INV;IND=9;");
    await say(client, "OP=GET;IND=1,3,4;");
    await hear(client, "OP=GET;IND=1,3,4;DATA=101,103,4;");
    await ends.nothingSent(9);
    await say(client, "OP=GET;IND=2;");
    await hear(ends.upstream, "OP=GET;IND=2;");
    await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
    await hear(client, "OP=GET;IND=2;DATA=2;");
    await ends.finish();
  },
);

simulated(
  "lease: a part-hit whose lease is over when the misses come is asked whole",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, grant: "OP=SUB;DATA=3000,10;" });
    const a = await ends.client(), b = await ends.client();
    await ends.hold(a, 1);
    await say(a, "OP=GET;IND=1,2;");
    await hear(ends.upstream, "OP=GET;IND=2;", "OP=SUB;");
    await lapsed(b, stage);
    await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
    await hear(ends.upstream, "OP=GET;IND=1,2;");
    await say(ends.upstream, "OP=GET;IND=1,2;DATA=11,22;");
    await hear(a, "OP=GET;IND=1,2;DATA=11,22;");
    await say(ends.upstream, GRANT);
    await ends.finish();
  },
);

simulated(
  "lease: what waited behind a part-hit is not answered by a lease that is over meanwhile",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, grant: "OP=SUB;DATA=3000,10;" });
    const a = await ends.client(), b = await ends.client();
    await ends.hold(a, 1, 3);
    await say(a, "OP=GET;IND=1,2;", "OP=GET;IND=3;");
    await hear(ends.upstream, "OP=GET;IND=2;", "OP=SUB;");
    await lapsed(b, stage);
    await say(ends.upstream, "OP=ERR;DATA=500;MSG=failed inside;");
    await hear(a, "OP=ERR;DATA=500;MSG=failed inside;");
    await hear(ends.upstream, "OP=GET;IND=3;");
    await say(ends.upstream, "OP=GET;IND=3;DATA=33;");
    await hear(a, "OP=GET;IND=3;DATA=33;");
    await say(ends.upstream, GRANT);
    await ends.finish();
  },
);
