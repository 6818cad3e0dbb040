/**
 * The library, as another program imports it.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  CacheProxy,
  CoherentCache,
  TableCalls,
  TableClient,
  TableError,
  TableServer,
  UnreachableError,
} from "../mod.ts";
import { CacheAndServer, hear, Log, say } from "./support/both_ends.ts";
import { FakeServer, NOBODY } from "./support/wire.ts";
import { HOUR_MS, within } from "./support/within.ts";

/** The code of the error that a call has to fail with. */
async function codeOf(call: Promise<unknown>): Promise<number> {
  return (await assertRejects(() => within(call, "a call to fail"), TableError)).code;
}

Deno.test("library: three nodes in one process", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
  await using client = await TableClient.connect(proxy.address);
  await client.put([[7, 4], [8, 5]]);
  assertEquals(await client.get([1, 8]), [0, 5]);
  assertEquals(await client.add([7, 8]), 9n);
  const { entries, state } = await client.info();
  assertEquals(entries, [[7, 4], [8, 5], [1, 0]]);
  assertMatch(state ?? "", /^lease \d+ ms$/);
  await client.clear();
  assertEquals(await client.get([7, 8]), [0, 0]);

  await using cache = await CoherentCache.connect(server.address);
  assertEquals(await cache.get([7]), [0]);
});

Deno.test("library: the same calls, whoever answers them", async () => {
  await using server = await TableServer.listen({ port: 0, size: 7, init: [10, 11, -12] });
  await using proxy = await CacheProxy.listen({ port: 0, server: server.address, capacity: 2 });
  await using direct = await TableClient.connect(server.address);
  await using through = await TableClient.connect(proxy.address);
  await using cache = await CoherentCache.connect(server.address);
  const targets: [name: string, table: TableCalls][] = [
    ["the server", direct],
    ["the proxy", through],
    ["the cache", cache],
  ];
  for (const [name, table] of targets) {
    assert(table instanceof TableCalls, name);
    await table.clear();
    assertEquals(await table.get([0, 1, 2, 3, 4, 5, 6]), Array(7).fill(0), name);
    await table.put([[0, Number.MAX_SAFE_INTEGER], [1, 1], [1, -2]]);
    assertEquals(await table.get([1, 0, 1]), [-2, Number.MAX_SAFE_INTEGER, -2], name);
    assertEquals(await table.add([0, 0, 0, 0, 0]), 45035996273704955n, name);
    await table.put(new Map([[3, 33]])); // any iterable of pairs
    assertEquals(await table.get([3]), [33], name);

    assertEquals(await codeOf(table.get([])), 400, name);
    assertEquals(await codeOf(table.get([0.5])), 400, name);
    assertEquals(await codeOf(table.get([NaN])), 400, name);
    assertEquals(await codeOf(table.add([])), 400, name);
    assertEquals(await codeOf(table.put([])), 400, name);
    assertEquals(await codeOf(table.put([[0, 2 ** 53]])), 400, name);
    assertEquals(await codeOf(table.put([[0, Infinity]])), 400, name);
    assertEquals(await codeOf(table.get([7])), 404, name);
    assertEquals(await codeOf(table.get([-1])), 404, name);
    assertEquals(await codeOf(table.add([0, 7])), 404, name);
    assertEquals(await codeOf(table.put([[0, 5], [7, 5]])), 404, name);
    assertEquals(await codeOf(table.add([0, 0, 0, 0, 0, 0])), 413, name);
    assertEquals(await codeOf(table.get(Array(1025).fill(0))), 413, name);
    assertEquals(await codeOf(table.put(Array(1025).fill([0, 0]))), 413, name);
    assertEquals(await table.get([0]), [Number.MAX_SAFE_INTEGER], name); // none changed anything
    assertEquals((await table.get(Array(1024).fill(1))).length, 1024, name);
  }
  assertEquals(await direct.info(), {
    entries: [[0, Number.MAX_SAFE_INTEGER], [1, -2], [2, 0], [3, 33], [4, 0], [5, 0], [6, 0]],
    state: undefined,
  });
});

Deno.test("library: an error has a name, a code and a sentence", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await using client = await TableClient.connect(server.address);
  const error = await assertRejects(() => client.get([10]), TableError);
  assertEquals([error.name, error.code], ["TableError", 404]);
  assertMatch(error.message, /index 10 is outside the table: it has 0 to 9/);
});

// The cache in this process.

Deno.test("coherent cache: a hit costs no message", async () => {
  const messages: string[] = [];
  await using server = await TableServer.listen({ port: 0, init: [5, 6], leaseMs: HOUR_MS });
  await using cache = await CoherentCache.connect(server.address, {
    events: (event) => {
      if (event.type === "message") messages.push(event.line);
    },
  });
  assertEquals(await cache.get([0, 1]), [5, 6]);
  const before = messages.filter((text) => !text.startsWith("OP=SUB")).length;
  assertEquals(await cache.get([1, 0]), [6, 5]);
  assertEquals(await cache.add([1, 1]), 12n);
  await cache.info();
  assertEquals(messages.filter((text) => !text.startsWith("OP=SUB")).length, before);
});

Deno.test("coherent cache: calls that are not awaited are concurrent", async () => {
  await using both = await CacheAndServer.start();
  const { cache, upstream } = both;
  const first = cache.get([1]), second = cache.put([[2, 22]]), third = cache.get([3, 4]);
  await hear(upstream, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=22;", "OP=GET;IND=3,4;");
  await say(upstream, "OP=GET;IND=1;DATA=11;", "OP=PUT;IND=2;DATA=22;", "OP=GET;IND=3,4;DATA=3,4;");
  assertEquals(await within(third, "the third"), [3, 4]);
  assertEquals(await within(first, "the first"), [11]);
  await within(second, "the second");
  // A hit does not wait for a miss that was asked before it.
  const miss = cache.get([5]);
  assertEquals(await within(cache.get([1, 2]), "the hit"), [11, 22]);
  await hear(upstream, "OP=GET;IND=5;");
  await say(upstream, "OP=GET;IND=5;DATA=5;");
  assertEquals(await within(miss, "the miss"), [5]);
  await both.finish();
});

Deno.test("coherent cache: thousands of calls at once are all answered", async () => {
  await using server = await TableServer.listen({ port: 0, size: 100, leaseMs: HOUR_MS });
  await using cache = await CoherentCache.connect(server.address, { timeoutMs: HOUR_MS });
  const writes = Array.from({ length: 3000 }, (_, i) => cache.put([[i % 100, i]]));
  await within(Promise.all(writes), "all writes");
  const reads = Array.from({ length: 3000 }, (_, i) => cache.get([i % 100, (i * 7) % 100]));
  const data = await within(Promise.all(reads), "all reads");
  const expected = data.map((_, i) => [2900 + (i % 100), 2900 + ((i * 7) % 100)]);
  assertEquals(data, expected);
});

Deno.test("library: what a call was given may be changed while it is on its way", async () => {
  await using both = await CacheAndServer.start();
  const { cache, upstream } = both;
  const ind = [1, 2], pair: [number, number] = [3, 33], pairs = [pair], sum = [4, 5, 4];
  const calls = [cache.get(ind), cache.put(pairs), cache.add(sum)];
  ind[0] = 9;
  ind.push(9);
  pair[0] = pair[1] = 9;
  pairs.push([9, 9]);
  sum.length = 0;
  await hear(upstream, "OP=GET;IND=1,2;", "OP=PUT;IND=3;DATA=33;", "OP=GET;IND=4,5;");
  await say(
    upstream,
    "OP=GET;IND=1,2;DATA=1,2;",
    "OP=PUT;IND=3;DATA=33;",
    "OP=GET;IND=4,5;DATA=4,5;",
  );
  const [data, , total] = await within(Promise.all(calls), "the calls");
  assertEquals([data, total], [[1, 2], 13n]);
  assertEquals((await cache.info()).entries, [[1, 1], [2, 2], [3, 33], [4, 4], [5, 5]]);
  await both.finish();
});

Deno.test("library: what a call has returned is the caller's to change", async () => {
  await using both = await CacheAndServer.start();
  const { cache, upstream } = both;
  const call = cache.get([1, 2]);
  await hear(upstream, "OP=GET;IND=1,2;");
  await say(upstream, "OP=GET;IND=1,2;DATA=1,2;");
  (await within(call, "the call")).fill(9);
  (await cache.get([1, 2])).fill(9);
  (await cache.info()).entries[0]![1] = 9;
  assertEquals(await cache.get([1, 2]), [1, 2]);
  await both.finish();
});

Deno.test("coherent cache: closed, its calls fail with 503, at once", async () => {
  await using server = await TableServer.listen({ port: 0 });
  // With this deadline a call that waited for it would outlast the test.
  await using cache = await CoherentCache.connect(server.address, { timeoutMs: HOUR_MS });
  await cache.put([[1, 1]]);
  await cache.close();
  assertEquals(await codeOf(cache.get([1])), 503);
  assertEquals(await codeOf(cache.put([[1, 2]])), 503);
  assertEquals(await codeOf(cache.add([1])), 503);
  assertEquals(await codeOf(cache.clear()), 503);
  assertEquals(await codeOf(cache.info()), 503);
  await cache.close(); // once more does nothing
});

Deno.test("coherent cache: what is on its way when it is closed is answered", async () => {
  await using server = await TableServer.listen({ port: 0, init: [7] });
  await using cache = await CoherentCache.connect(server.address);
  const calls = [cache.get([0]), cache.put([[1, 1]]), cache.add([0, 0])];
  await Promise.all([cache.close(), cache.close()]);
  assertEquals(await within(Promise.all(calls), "the calls"), [[7], undefined, 14n]);
});

Deno.test("coherent cache: without a server it is there, and connects when there is one", async () => {
  const log = new Log();
  await using cache = await CoherentCache.connect(NOBODY, {
    timeoutMs: 50,
    log: log.log,
  });
  await log.next(`cannot reach the server at ${NOBODY}`);
  assertEquals(await cache.info(), { entries: [], state: "no server" });
  assertEquals(await codeOf(cache.get([1])), 503);
});

Deno.test("coherent cache: a server that goes is said once, and so is its return", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const starting = CoherentCache.connect(server.address, { log: log.log });
  for (let i = 0; i < 2; i++) {
    const upstream = await server.accept();
    await hear(upstream, "OP=SUB;");
    if (i === 1) await say(upstream, "OP=SUB;DATA=3600000,10;");
    if (i === 1) await log.next("is there again");
    upstream.close();
  }
  await using cache = await within(starting, "the cache");
  const expected = [
    `lost the server at ${server.address}: it closed the connection`,
    `the server at ${server.address} is there again`,
  ];
  assertEquals(log.sentences.slice(0, 2), expected);
  assertEquals((await cache.info()).entries, []);
});

// Options.

const badOptions: [
  reason: string,
  call: (server: string) => Promise<unknown>,
  error: new (...args: never[]) => Error,
  message: string,
][] = [
  [
    "a cache's timeout of 0",
    (server) => CoherentCache.connect(server, { timeoutMs: 0 }),
    RangeError,
    "Cannot take timeoutMs outside 1 to 2147483647: current value is 0",
  ],
  [
    "a cache's timeout that no timer can count",
    (server) => CoherentCache.connect(server, { timeoutMs: 2 ** 31 }),
    RangeError,
    "current value is 2147483648",
  ],
  [
    "a cache's timeout that is not whole",
    (server) => CoherentCache.connect(server, { timeoutMs: 1.5 }),
    RangeError,
    "current value is 1.5",
  ],
  [
    "a capacity of 0",
    (server) => CoherentCache.connect(server, { capacity: 0 }),
    RangeError,
    "Cannot take capacity outside 1 to 9007199254740991: current value is 0",
  ],
  [
    "a capacity that is no number",
    (server) => CoherentCache.connect(server, { capacity: NaN }),
    RangeError,
    "current value is NaN",
  ],
  [
    "a cache's server without a port",
    () => CoherentCache.connect("127.0.0.1"),
    TypeError,
    'Cannot take an address that is no host:port: current value is "127.0.0.1"',
  ],
  [
    "a proxy's server that is none",
    () => CacheProxy.listen({ port: 0, server: "127.0.0.1:65536" }),
    TypeError,
    'current value is "127.0.0.1:65536"',
  ],
  [
    "a proxy's capacity",
    (server) => CacheProxy.listen({ port: 0, server, capacity: -1 }),
    RangeError,
    "Cannot take capacity outside 1 to 9007199254740991: current value is -1",
  ],
  [
    "a proxy's port",
    (server) => CacheProxy.listen({ port: 65536, server }),
    RangeError,
    "Cannot take port outside 0 to 65535: current value is 65536",
  ],
  [
    "a proxy's connections",
    (server) => CacheProxy.listen({ port: 0, server, maxConnections: 0 }),
    RangeError,
    "Cannot take maxConnections outside 1 to 1000000: current value is 0",
  ],
  [
    "a server's port",
    () => TableServer.listen({ port: -1 }),
    RangeError,
    "Cannot take port outside 0 to 65535: current value is -1",
  ],
  [
    "a table without an entry",
    () => TableServer.listen({ port: 0, size: 0 }),
    RangeError,
    "Cannot take size outside 1 to 1000000: current value is 0",
  ],
  [
    "a table that is too large",
    () => TableServer.listen({ port: 0, size: 1_000_001 }),
    RangeError,
    "current value is 1000001",
  ],
  [
    "more first entries than the table has",
    () => TableServer.listen({ port: 0, size: 2, init: [1, 2, 3] }),
    RangeError,
    "Cannot take the number of init's entries outside 0 to 2: current value is 3",
  ],
  [
    "a first entry that is no integer",
    () => TableServer.listen({ port: 0, init: [0.5] }),
    RangeError,
    "current value is 0.5",
  ],
  [
    "a client's timeout",
    (server) => TableClient.connect(server, { timeoutMs: -1 }),
    RangeError,
    "Cannot take timeoutMs outside 1 to 2147483647: current value is -1",
  ],
  [
    "a client's address",
    () => TableClient.connect("nonsense"),
    TypeError,
    'Cannot take an address that is no host:port: current value is "nonsense"',
  ],
];

Deno.test("library: an option outside its range is refused, with its name, its range and its value", async () => {
  await using server = await TableServer.listen({ port: 0 });
  for (const [reason, call, kind, message] of badOptions) {
    let made: unknown;
    try {
      made = await within(call(server.address), reason);
    } catch (error) {
      assert(error instanceof kind, `${reason}: ${error}`);
      assert(error.message.includes(message), `${reason}: ${error.message}`);
      continue;
    }
    await (made as AsyncDisposable)[Symbol.asyncDispose]();
    throw new Error(`${reason} was taken`);
  }
});

Deno.test("library: two nodes cannot listen at one address", async () => {
  await using server = await TableServer.listen({ port: 0 });
  const port = Number(server.address.split(":")[1]);
  await assertRejects(() => TableServer.listen({ port }), Deno.errors.AddrInUse);
  await assertRejects(
    () => CacheProxy.listen({ port, server: server.address }),
    Deno.errors.AddrInUse,
  );
});

// The client.

/** A client of a node that the test plays. */
async function clientAndNode(timeoutMs?: number) {
  const node = FakeServer.listen();
  const client = await TableClient.connect(
    node.address,
    timeoutMs === undefined ? {} : { timeoutMs },
  );
  const wire = await node.accept();
  return {
    node,
    client,
    wire,
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await within(client.close(), "the client to close");
    },
  };
}

/** The message of the `UnreachableError` that a call has to fail with, of this node. */
async function unreachable(call: Promise<unknown>, address: string): Promise<string> {
  const error = await assertRejects(() => within(call, "a call to fail"), UnreachableError);
  assertEquals([error.name, error.address], ["UnreachableError", address]);
  return error.message;
}

Deno.test("client: with nobody listening it cannot be made", async () => {
  const message = await unreachable(TableClient.connect(NOBODY), NOBODY);
  assertMatch(message, /^cannot reach 127\.0\.0\.1:1: .+/);
});

Deno.test("client: its calls are pipelined, and answered in order", async () => {
  await using all = await clientAndNode();
  const { client, wire } = all;
  const calls = [client.get([1]), client.put([[2, 3]]), client.add([1, 2]), client.clear()];
  const sent = ["OP=GET;IND=1;", "OP=PUT;IND=2;DATA=3;", "OP=ADD;IND=1,2;", "OP=CLR;"];
  await hear(wire, ...sent);
  await say(wire, "OP=GET;IND=1;DATA=5;", sent[1]!, "OP=ADD;IND=1,2;DATA=8;", "OP=CLR;");
  assertEquals(await within(Promise.all(calls), "the calls"), [[5], undefined, 8n, undefined]);
  const infos = [client.info(), client.info()];
  await hear(wire, "OP=INF;", "OP=INF;");
  await say(wire, "OP=INF;MSG=no lease;", "OP=INF;IND=1,2;DATA=5,6;");
  assertEquals(await within(Promise.all(infos), "the calls"), [
    { entries: [], state: "no lease" },
    { entries: [[1, 5], [2, 6]], state: undefined },
  ]);
});

Deno.test("client: an error fills its own slot", async () => {
  await using all = await clientAndNode();
  const { client, wire } = all;
  const calls = [client.get([1]), client.get([99]), client.get([2])];
  await hear(wire, "OP=GET;IND=1;", "OP=GET;IND=99;", "OP=GET;IND=2;");
  await say(wire, "OP=GET;IND=1;DATA=1;", "OP=ERR;DATA=404;MSG=no 99;", "OP=GET;IND=2;DATA=2;");
  const [one, error, two] = await within(Promise.allSettled(calls), "the calls");
  assertEquals([one, two].map((result) => result?.status), ["fulfilled", "fulfilled"]);
  assert(error?.status === "rejected" && error.reason instanceof TableError);
  assertEquals([error.reason.code, error.reason.message], [404, "no 99"]);
});

Deno.test("client: any line may be sent, and has one reply", async () => {
  await using all = await clientAndNode();
  const { client, wire } = all;
  const replies = [client.send(" op=get ; ind=1"), client.send("hello"), client.send("")];
  await hear(wire, " op=get ; ind=1", "hello", "");
  await say(wire, "OP=GET;IND=1;DATA=5;", "OP=ERR;DATA=400;MSG=what;", "OP=ERR;DATA=400;MSG=so;");
  assertEquals(await within(Promise.all(replies), "the replies"), [
    { op: "GET", ind: [1], data: [5] },
    { op: "ERR", code: 400, message: "what" },
    { op: "ERR", code: 400, message: "so" },
  ]);
  await assertRejects(
    // deno-lint-ignore require-await -- a throw becomes a rejection
    async () => client.send("OP=GET;IND=1;\nOP=CLR;"),
    TypeError,
    "Cannot send a line that holds a newline",
  );
});

Deno.test("client: a lost connection fails every call that is on its way, and every later one", async () => {
  await using all = await clientAndNode();
  const { client, node, wire } = all;
  const calls = [client.get([1]), client.put([[2, 3]]), client.send("hello")];
  await hear(wire, "OP=GET;IND=1;", "OP=PUT;IND=2;DATA=3;", "hello");
  wire.close();
  for (const call of calls) {
    assertMatch(await unreachable(call, node.address), /^lost 127\.0\.0\.1:\d+: /);
  }
  assertMatch(await unreachable(client.get([1]), node.address), /^lost 127\.0\.0\.1:\d+: /);
  assertMatch(await unreachable(client.clear(), node.address), /^lost 127\.0\.0\.1:\d+: /);
});

Deno.test("client: a write that fails is why the connection is lost, and what came before is read", async () => {
  await using all = await clientAndNode();
  const { client, wire } = all;
  const answered = client.get([1]);
  await hear(wire, "OP=GET;IND=1;");
  const unread = client.get([2]);
  // It is sent in a microtask; the other side does not read it, so that its close is a reset.
  for (let i = 0; i < 10; i++) await undefined;
  const said = wire.conn.write(new TextEncoder().encode("OP=GET;IND=1;DATA=7;\n"));
  wire.close();
  // Sent before anything is read here: it is the write that finds the reset.
  const lost = client.put([[3, 4]]);
  const [answer, ...calls] = await within(
    Promise.allSettled([answered, unread, lost, lost.catch(() => client.clear())]),
    "the calls",
  );
  assertEquals(answer, { status: "fulfilled", value: [7] });
  for (const call of calls) {
    assert(call.status === "rejected");
    const { message } = call.reason;
    assertMatch(message, /^lost 127\.0\.0\.1:\d+: /);
    assertEquals(/resource|cancel|interrupt/i.test(message), false, message);
  }
  await said;
});

Deno.test("client: what was answered before the connection was lost stays answered", async () => {
  await using all = await clientAndNode();
  const { client, node, wire } = all;
  const first = client.get([1]), second = client.get([2]);
  await hear(wire, "OP=GET;IND=1;", "OP=GET;IND=2;");
  await wire.send("OP=GET;IND=1;DATA=1;\nOP=GET;IND=2;DA");
  wire.close();
  await unreachable(second, node.address);
  assertEquals(await within(first, "the first"), [1]);
});

Deno.test("client: without an answer in time a call fails, and a late one is not another's", async () => {
  await using all = await clientAndNode(1500);
  const { client, node, wire } = all;
  const late = client.get([1]);
  await hear(wire, "OP=GET;IND=1;");
  assertEquals(await unreachable(late, node.address), `no answer from ${node.address} in 1500 ms`);
  const next = client.get([2]);
  await hear(wire, "OP=GET;IND=2;");
  await say(wire, "OP=GET;IND=1;DATA=1;", "OP=GET;IND=2;DATA=2;");
  assertEquals(await within(next, "the next call"), [2]);
});

Deno.test("client: a broken reply ends the connection", async () => {
  for (const line of ["hello", "OP=GET;IND=2;DATA=1;", "OP=CLR;", "OP=GET;IND=1;DATA=1.5;"]) {
    await using all = await clientAndNode();
    const { client, node, wire } = all;
    const call = client.get([1]);
    await hear(wire, "OP=GET;IND=1;");
    await say(wire, line);
    assertMatch(await unreachable(call, node.address), /^lost 127\.0\.0\.1:\d+: /, line);
  }
});

Deno.test("client: closed, it has had all answers, and its calls fail", async () => {
  await using all = await clientAndNode();
  const { client, node, wire } = all;
  const call = client.get([1]);
  const closing = client.close();
  await hear(wire, "OP=GET;IND=1;");
  await say(wire, "OP=GET;IND=1;DATA=1;");
  assertEquals(await within(call, "the call"), [1]);
  assertEquals(await wire.rest(), "");
  wire.close();
  await within(closing, "the client to close");
  assertEquals(await unreachable(client.get([1]), node.address), "the client is closed");
  await within(client.close(), "a second close");
});

Deno.test("library: await using closes everything, in any order", async () => {
  // That nothing is left open is what the sanitizers look at.
  const server = await TableServer.listen({ port: 0 });
  const proxy = await CacheProxy.listen({ port: 0, server: server.address });
  const cache = await CoherentCache.connect(server.address);
  const client = await TableClient.connect(proxy.address);
  await client.put([[1, 2]]);
  assertEquals(await cache.get([1]), [2]);
  for (const node of [server, cache, proxy, client]) {
    await within(node[Symbol.asyncDispose](), "a node to close");
  }
});
