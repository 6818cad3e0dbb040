/**
 * What the library says of wrong arguments and options, and of calls at the wrong time.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CacheProxy,
  CoherentCache,
  type NodeEvent,
  TableCalls,
  TableClient,
  TableError,
  TableServer,
  UnreachableError,
} from "../mod.ts";
import { CacheAndServer, hear, say } from "./support/both_ends.ts";
import { FakeServer, NOBODY } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** A call that has to fail: why, the call, and the class and the message of the error. */
type Row<Nodes> = [
  reason: string,
  call: (nodes: Nodes) => Promise<unknown>,
  kind: new (...args: never[]) => Error,
  message: string,
];

/** Makes every call, none of which may succeed. */
async function refuse<Nodes>(nodes: Nodes, rows: Row<Nodes>[], whose: string = ""): Promise<void> {
  for (const [reason, call, kind, message] of rows) {
    const what = `${whose} ${reason}`;
    let made: unknown;
    try {
      made = await within(call(nodes), what);
    } catch (error) {
      assert(error instanceof kind, `${what}: ${error}`);
      assertEquals(error.message, message, what);
      if (error instanceof TableError) assertEquals(error.code, codeOf(message), what);
      continue;
    }
    await (made as AsyncDisposable | undefined)?.[Symbol.asyncDispose]?.();
    throw new Error(`${what} was taken`);
  }
}

/** The code that belongs to a message here. */
function codeOf(message: string): number {
  if (message.includes("closed")) return 503;
  return message.includes("at most") ? 413 : 400;
}

/** Anything, for a parameter that does not take it. */
function wrong(value: unknown): never {
  return value as never;
}

const NO_ARRAY = "Cannot take indices that are no array: current value is ";
const NO_INDEX = "Cannot take an index that is no number: current value is ";
const NO_INTEGER = "IND holds no integer within ±(2^53 - 1): ";
const NO_ITERABLE = "Cannot put entries that are not iterable: current value is ";
const NO_PAIR = "Cannot put an entry that is no [index, data]: current value is ";
const NO_DATA = "Cannot take data that is no number: current value is ";

const calls: Row<TableCalls>[] = [
  ["get of null", (t) => t.get(wrong(null)), TypeError, `${NO_ARRAY}null`],
  ["get of nothing", (t) => t.get(wrong(undefined)), TypeError, `${NO_ARRAY}undefined`],
  ["get of a number", (t) => t.get(wrong(5)), TypeError, `${NO_ARRAY}5`],
  ["get of a text", (t) => t.get(wrong("1,2")), TypeError, `${NO_ARRAY}"1,2"`],
  [
    "get of what is like an array",
    (t) => t.get(wrong({ 0: 1, length: 1 })),
    TypeError,
    `${NO_ARRAY}an object`,
  ],
  ["get of a set", (t) => t.get(wrong(new Set([1]))), TypeError, `${NO_ARRAY}an object`],
  [
    "get of a promise",
    (t) => t.get(wrong(Promise.resolve([1]))),
    TypeError,
    `${NO_ARRAY}a promise`,
  ],
  ["get of a function", (t) => t.get(wrong(() => [1])), TypeError, `${NO_ARRAY}a function`],
  ["get of a text as index", (t) => t.get(wrong(["1"])), TypeError, `${NO_INDEX}"1"`],
  ["get of a bigint", (t) => t.get(wrong([1n])), TypeError, `${NO_INDEX}1n`],
  ["get of a hole", (t) => t.get([1, , 2] as number[]), TypeError, `${NO_INDEX}undefined`],
  ["get of holes alone", (t) => t.get(new Array(3)), TypeError, `${NO_INDEX}undefined`],
  ["get of a null as index", (t) => t.get(wrong([0, null])), TypeError, `${NO_INDEX}null`],
  ["get of a symbol", (t) => t.get(wrong([Symbol("x")])), TypeError, `${NO_INDEX}Symbol(x)`],
  ["get of nested indices", (t) => t.get(wrong([[1, 2]])), TypeError, `${NO_INDEX}an array of 2`],
  [
    "get of what has no text",
    (t) => t.get(wrong([Object.create(null)])),
    TypeError,
    `${NO_INDEX}an object`,
  ],
  ["get of nothing at all", (t) => t.get([]), TableError, "GET needs IND"],
  ["get of NaN", (t) => t.get([NaN]), TableError, `${NO_INTEGER}"NaN"`],
  ["get of a fraction", (t) => t.get([0, 0.5]), TableError, `${NO_INTEGER}"0.5"`],
  ["get of infinity", (t) => t.get([-Infinity]), TableError, `${NO_INTEGER}"-Infinity"`],
  ["get of 2^53", (t) => t.get([2 ** 53]), TableError, `${NO_INTEGER}"9007199254740992"`],
  [
    "get of too many",
    (t) => t.get(Array(1025).fill(0)),
    TableError,
    "GET takes at most 1024 indices: it has 1025",
  ],
  [
    "get of too many, and a fraction",
    (t) => t.get([...Array(1025).fill(0), 0.5]),
    TableError,
    `${NO_INTEGER}"0.5"`,
  ],
  ["add of null", (t) => t.add(wrong(null)), TypeError, `${NO_ARRAY}null`],
  ["add of numbers", (t) => t.add(wrong(1)), TypeError, `${NO_ARRAY}1`],
  ["add of a bigint", (t) => t.add(wrong([1n])), TypeError, `${NO_INDEX}1n`],
  ["add of nothing", (t) => t.add([]), TableError, "ADD needs IND"],
  [
    "add of six",
    (t) => t.add([0, 0, 0, 0, 0, 0]),
    TableError,
    "ADD takes at most 5 indices: it has 6",
  ],
  ["put of an object", (t) => t.put(wrong({ 0: 1 })), TypeError, `${NO_ITERABLE}an object`],
  ["put of null", (t) => t.put(wrong(null)), TypeError, `${NO_ITERABLE}null`],
  ["put of nothing", (t) => t.put(wrong(undefined)), TypeError, `${NO_ITERABLE}undefined`],
  [
    "put of two numbers",
    (t) => (t.put as (...numbers: unknown[]) => Promise<void>)(7, 4),
    TypeError,
    `${NO_ITERABLE}7`,
  ],
  [
    "put of an iterable of promises",
    (t) => t.put(wrong((async function* () {})())),
    TypeError,
    `${NO_ITERABLE}an object`,
  ],
  ["put of one pair", (t) => t.put(wrong([7, 4])), TypeError, `${NO_PAIR}7`],
  ["put of a text", (t) => t.put(wrong("7=4")), TypeError, `${NO_PAIR}"7"`],
  ["put of an index alone", (t) => t.put(wrong([[7]])), TypeError, `${NO_PAIR}an array of 1`],
  ["put of three", (t) => t.put(wrong([[7, 4, 5]])), TypeError, `${NO_PAIR}an array of 3`],
  ["put of a hole", (t) => t.put(wrong([, [7, 4]])), TypeError, `${NO_PAIR}undefined`],
  [
    "put of nested pairs",
    (t) => t.put(wrong([[[7, 4], [8, 5]]])),
    TypeError,
    `${NO_INDEX}an array of 2`,
  ],
  [
    "put of a pair with a hole",
    (t) => t.put([[7, ,] as never]),
    TypeError,
    `${NO_DATA}undefined`,
  ],
  ["put of a map of texts", (t) => t.put(wrong(new Map([["7", 4]]))), TypeError, `${NO_INDEX}"7"`],
  ["put of a text as data", (t) => t.put(wrong([[7, "4"]])), TypeError, `${NO_DATA}"4"`],
  ["put of a bigint", (t) => t.put(wrong([[7, 4n]])), TypeError, `${NO_DATA}4n`],
  [
    "put of a long text",
    (t) => t.put(wrong([[7, "x".repeat(1e6)]])),
    TypeError,
    `${NO_DATA}"${"x".repeat(63)}…"`,
  ],
  ["put of none", (t) => t.put([]), TableError, "PUT needs IND"],
  [
    "put of NaN",
    (t) => t.put([[0, NaN]]),
    TableError,
    'DATA holds no integer within ±(2^53 - 1): "NaN"',
  ],
  ["put at NaN", (t) => t.put([[NaN, 0]]), TableError, `${NO_INTEGER}"NaN"`],
  [
    "put of 2^53",
    (t) => t.put([[0, 2 ** 53]]),
    TableError,
    'DATA holds no integer within ±(2^53 - 1): "9007199254740992"',
  ],
  [
    "put of too many",
    (t) => t.put(Array(1025).fill([0, 666])),
    TableError,
    "PUT takes at most 1024 indices: it has more",
  ],
  [
    "put without an end",
    (t) => t.put(endless()),
    TableError,
    "PUT takes at most 1024 indices: it has more",
  ],
  ["put of what throws", (t) => t.put(throwing()), SyntaxError, "of the caller's own"],
];

function* endless(): Generator<[number, number]> {
  while (true) yield [0, 666];
}

function* throwing(): Generator<[number, number]> {
  yield [0, 666];
  throw new SyntaxError("of the caller's own");
}

Deno.test("arguments: a call says what is wrong with its arguments, and sends nothing", async () => {
  await using server = await TableServer.listen({ port: 0, init: [7] });
  let sent = 0;
  const events = ({ type }: NodeEvent) => {
    if (type === "message") sent++;
  };
  await using client = await TableClient.connect(server.address, { events });
  await refuse(client, calls, "client");
  await refuse(client, [
    [
      "send of null",
      (c) => c.send(wrong(null)),
      TypeError,
      "Cannot send a line that is no string: current value is null",
    ],
    [
      "send of bytes",
      (c) => c.send(wrong(new Uint8Array(1))),
      TypeError,
      "Cannot send a line that is no string: current value is an object",
    ],
    [
      "send of two lines",
      (c) => c.send("OP=GET;\n"),
      TypeError,
      "Cannot send a line that holds a newline",
    ],
  ]);
  assertEquals(sent, 0);
  await using cache = await CoherentCache.connect(server.address);
  await refuse(cache, calls, "cache");
  assertEquals([await cache.get([0]), await client.get([0])], [[7], [7]]);
});

Deno.test("arguments: an iteration that throws is ended, and so is one without an end", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await using client = await TableClient.connect(server.address);
  let ended = 0;
  function* pairs(pair: [number, number]): Generator<[number, number]> {
    try {
      while (true) yield pair;
    } finally {
      ended++;
    }
  }
  await assertRejects(() => client.put(pairs([0, 1])), TableError);
  await assertRejects(() => client.put(pairs(wrong("ab"))), TypeError);
  assertEquals(ended, 2);
});

const NO_ADDRESS = "Cannot take an address that is no host:port: current value is ";
const NO_OPTIONS = "Cannot take options that are no object: current value is ";
const NO_HOST = "Cannot take host that is no name or IP address: current value is ";
const SOLO = "Cannot take solo without capacity: such a server tells no size";

/** A row for each of these, at a client, a cache, a proxy and a server that all take the option. */
function everywhere(value: unknown, message: string): Row<string>[] {
  return [
    [`client: ${message}`, (s) => TableClient.connect(s, wrong(value)), TypeError, message],
    [`cache: ${message}`, (s) => CoherentCache.connect(s, wrong(value)), TypeError, message],
    [`proxy: ${message}`, () => CacheProxy.listen(wrong(value)), TypeError, message],
    [`server: ${message}`, () => TableServer.listen(wrong(value)), TypeError, message],
  ];
}

/** A cache, and a proxy over it, with one option. */
function caching(
  option: Record<string, unknown>,
  kind: new (...args: never[]) => Error,
  message: string,
): Row<string>[] {
  return [
    [`cache: ${message}`, (s) => CoherentCache.connect(s, wrong(option)), kind, message],
    [
      `proxy: ${message}`,
      (server) => CacheProxy.listen(wrong({ port: 0, server, ...option })),
      kind,
      message,
    ],
  ];
}

/** A proxy and a server with one option. */
function listening(option: Record<string, unknown>, message: string): Row<string>[] {
  return [
    [
      `proxy: ${message}`,
      (server) => CacheProxy.listen(wrong({ port: 0, server, ...option })),
      TypeError,
      message,
    ],
    [
      `server: ${message}`,
      () => TableServer.listen(wrong({ port: 0, ...option })),
      TypeError,
      message,
    ],
  ];
}

/** A server with one option. */
function serving(option: Record<string, unknown>, message: string): Row<string> {
  return [message, () => TableServer.listen(wrong({ port: 0, ...option })), TypeError, message];
}

const options: Row<string>[] = [
  ...everywhere(null, `${NO_OPTIONS}null`),
  ...everywhere(6001, `${NO_OPTIONS}6001`),
  ...everywhere("127.0.0.1", `${NO_OPTIONS}"127.0.0.1"`),
  ...everywhere({ events: "on" }, 'Cannot take events that is no function: current value is "on"'),

  ["client of a port", () => TableClient.connect(wrong(6001)), TypeError, `${NO_ADDRESS}6001`],
  ["client of null", () => TableClient.connect(wrong(null)), TypeError, `${NO_ADDRESS}null`],
  [
    "client of an array",
    (s) => TableClient.connect(wrong([s])),
    TypeError,
    `${NO_ADDRESS}an array of 1`,
  ],
  [
    "client of a URL",
    () => TableClient.connect(wrong(new URL("http://a:1"))),
    TypeError,
    `${NO_ADDRESS}an object`,
  ],
  ["client of no text", () => TableClient.connect(""), TypeError, `${NO_ADDRESS}""`],
  [
    "client of what hides",
    () => TableClient.connect("\u200b\x1b :1"),
    TypeError,
    `${NO_ADDRESS}"·· :1"`,
  ],
  [
    "cache of nothing",
    () => CoherentCache.connect(wrong(undefined)),
    TypeError,
    `${NO_ADDRESS}undefined`,
  ],
  [
    "cache of a server",
    (s) => CoherentCache.connect(wrong({ address: s })),
    TypeError,
    `${NO_ADDRESS}an object`,
  ],
  [
    "proxy of a port",
    () => CacheProxy.listen(wrong({ port: 0, server: 5 })),
    TypeError,
    `${NO_ADDRESS}5`,
  ],
  [
    "proxy of null",
    () => CacheProxy.listen(wrong({ port: 0, server: null })),
    TypeError,
    `${NO_ADDRESS}null`,
  ],

  [
    "client's timeout as text",
    (s) => TableClient.connect(s, wrong({ timeoutMs: "3" })),
    TypeError,
    'Cannot take timeoutMs that is no number: current value is "3"',
  ],
  [
    "client's timeout null",
    (s) => TableClient.connect(s, wrong({ timeoutMs: null })),
    TypeError,
    "Cannot take timeoutMs that is no number: current value is null",
  ],
  ...caching(
    { timeoutMs: 3n },
    TypeError,
    "Cannot take timeoutMs that is no number: current value is 3n",
  ),
  ...caching(
    { capacity: "3" },
    TypeError,
    'Cannot take capacity that is no number: current value is "3"',
  ),
  ...caching(
    { capacity: null },
    TypeError,
    "Cannot take capacity that is no number: current value is null",
  ),
  ...caching(
    { capacity: 0 },
    RangeError,
    "Cannot take capacity outside 1 to 9007199254740991: current value is 0",
  ),
  ...caching(
    { capacity: NaN },
    RangeError,
    "Cannot take capacity outside 1 to 9007199254740991: current value is NaN",
  ),
  ...caching(
    { eviction: "mru" },
    RangeError,
    'Cannot take eviction other than "fifo" or "lru": current value is "mru"',
  ),
  ...caching(
    { eviction: "LRU" },
    RangeError,
    'Cannot take eviction other than "fifo" or "lru": current value is "LRU"',
  ),
  ...caching(
    { eviction: 1 },
    TypeError,
    "Cannot take eviction that is no string: current value is 1",
  ),
  ...caching(
    { onWrite: "back" },
    RangeError,
    'Cannot take onWrite other than "allocate" or "around": current value is "back"',
  ),
  ...caching(
    { onWrite: true },
    TypeError,
    "Cannot take onWrite that is no string: current value is true",
  ),
  ...caching(
    { solo: "no", capacity: 1 },
    TypeError,
    'Cannot take solo that is no boolean: current value is "no"',
  ),
  ...caching({ solo: true }, TypeError, SOLO),
  ...caching(
    { log: "file" },
    TypeError,
    'Cannot take log that is no function: current value is "file"',
  ),

  ...listening({ port: "6001" }, 'Cannot take port that is no number: current value is "6001"'),
  ...listening({ port: null }, "Cannot take port that is no number: current value is null"),
  ...listening({ host: 5 }, "Cannot take host that is no string: current value is 5"),
  ...listening({ host: "" }, `${NO_HOST}""`),
  ...listening({ host: "a b" }, `${NO_HOST}"a b"`),
  ...listening({ host: "127.0.0.1:80" }, `${NO_HOST}"127.0.0.1:80"`),
  ...listening({ host: "[::1]" }, `${NO_HOST}"[::1]"`),
  ...listening(
    { maxConnections: "9" },
    'Cannot take maxConnections that is no number: current value is "9"',
  ),
  ...listening(
    { idleTimeoutMs: true },
    "Cannot take idleTimeoutMs that is no number: current value is true",
  ),
  ...listening({ log: {} }, "Cannot take log that is no function: current value is an object"),

  serving({ size: "10" }, 'Cannot take size that is no number: current value is "10"'),
  serving({ size: null }, "Cannot take size that is no number: current value is null"),
  serving({ leaseMs: "1s" }, 'Cannot take leaseMs that is no number: current value is "1s"'),
  serving({ data: 5 }, "Cannot take data that is no string: current value is 5"),
  serving({ data: "" }, 'Cannot take data that is no path of a file: current value is ""'),
  serving({ init: 5 }, "Cannot take init that is no array: current value is 5"),
  serving({ init: "123" }, 'Cannot take init that is no array: current value is "123"'),
  serving({ init: null }, "Cannot take init that is no array: current value is null"),
  serving({ init: [, 1] }, "Cannot take init that holds no number: current value is undefined"),
  serving({ init: ["1"] }, 'Cannot take init that holds no number: current value is "1"'),
  serving({ init: [1n] }, "Cannot take init that holds no number: current value is 1n"),
];

Deno.test("arguments: an option that is not of its type is refused by name, with what was given", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await refuse(server.address, options);
});

Deno.test("arguments: an option that is undefined is as one that is not given", async () => {
  const none = { capacity: undefined, eviction: undefined, timeoutMs: undefined, log: undefined };
  await using server = await TableServer.listen(
    wrong({ port: 0, host: undefined, size: undefined, init: undefined, data: undefined }),
  );
  await using proxy = await CacheProxy.listen(wrong({ port: 0, server: server.address, ...none }));
  await using client = await TableClient.connect(proxy.address, wrong(none));
  await using cache = await CoherentCache.connect(server.address, wrong(none));
  assertEquals([await client.get([9]), await cache.get([9])], [[0], [0]]);
});

// At the wrong time.

const closedCalls = (message: string, kind: new (...args: never[]) => Error): Row<TableCalls>[] => [
  ["get", (t) => t.get([0]), kind, message],
  ["add", (t) => t.add([0]), kind, message],
  ["put", (t) => t.put([[0, 666]]), kind, message],
  ["clear", (t) => t.clear(), kind, message],
  ["info", (t) => t.info(), kind, message],
];
const CACHE_CLOSED = closedCalls("the cache is closed, and nothing was changed", TableError);
const CLIENT_CLOSED = closedCalls("the client is closed", UnreachableError);

Deno.test("a closed cache says that it is closed, from the moment that it is", async () => {
  await using both = await CacheAndServer.start();
  const { cache, upstream } = both;
  const asked = cache.get([0]);
  await hear(upstream, "OP=GET;IND=0;");
  const closing = cache.close();
  await refuse<TableCalls>(cache, CACHE_CLOSED, "closing");
  await say(upstream, "OP=GET;IND=0;DATA=7;");
  assertEquals(await within(asked, "what was asked before"), [7]);
  await hear(upstream, "OP=SUB;DATA=0;");
  await say(upstream, "OP=SUB;DATA=0;");
  await within(closing, "the cache to close");
  await refuse<TableCalls>(cache, CACHE_CLOSED, "closed");
  await Promise.all([cache.close(), cache[Symbol.asyncDispose]()]);
  await refuse<TableCalls>(cache, CACHE_CLOSED, "closed twice");
  // What is wrong with the arguments is said all the same.
  await refuse<TableCalls>(cache, calls, "closed");
});

Deno.test("a closed client says that it is closed, from the moment that it is", async () => {
  await using node = FakeServer.listen();
  const accepted = node.accept();
  await using client = await TableClient.connect(node.address);
  const wire = await accepted;
  const asked = client.get([0]);
  await hear(wire, "OP=GET;IND=0;");
  const closing = client.close();
  const send: Row<TableClient>[] = [
    ["send", (c) => c.send("hello"), UnreachableError, "the client is closed"],
  ];
  await refuse<TableCalls>(client, CLIENT_CLOSED, "closing");
  await refuse(client, send, "closing");
  await say(wire, "OP=GET;IND=0;DATA=7;");
  assertEquals(await within(asked, "what was asked before"), [7]);
  assertEquals(await wire.rest(), "");
  wire.close();
  await within(closing, "the client to close");
  await Promise.all([client.close(), client[Symbol.asyncDispose]()]);
  await refuse<TableCalls>(client, CLIENT_CLOSED, "closed twice");
  await refuse(client, send, "closed twice");
  assertEquals((await client.ended).message, "the client is closed");
});

Deno.test("a cache's close refuses a time that is none, and stays open", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await using cache = await CoherentCache.connect(server.address);
  const range = "Cannot take ms outside 0 to 2147483647: current value is ";
  await refuse(cache, [
    [
      "a text",
      (c) => c.close(wrong("5")),
      TypeError,
      'Cannot take ms that is no number: current value is "5"',
    ],
    [
      "null",
      (c) => c.close(wrong(null)),
      TypeError,
      "Cannot take ms that is no number: current value is null",
    ],
    ["NaN", (c) => c.close(NaN), RangeError, `${range}NaN`],
    ["less than none", (c) => c.close(-1), RangeError, `${range}-1`],
    ["for ever", (c) => c.close(Infinity), RangeError, `${range}Infinity`],
  ]);
  assertEquals(await cache.get([0]), [0]);
  await cache.close(0.5);
});

Deno.test("a server and a proxy close as often as they are told to", async () => {
  const server = await TableServer.listen({ port: 0 });
  const proxy = await CacheProxy.listen({ port: 0, server: server.address });
  for (const node of [proxy, server]) {
    const { address } = node;
    await Promise.all([node.close(), node.close(), node[Symbol.asyncDispose]()]);
    await node.close();
    assertEquals(node.address, address);
  }
});

Deno.test("the errors of a cache speak of a cache, those of a proxy of a proxy", async () => {
  const options = { timeoutMs: 50 };
  await using cache = await CoherentCache.connect(NOBODY, options);
  await using proxy = await CacheProxy.listen({ port: 0, server: NOBODY, ...options });
  await using client = await TableClient.connect(proxy.address);
  for (const [table, name] of [[cache, "cache"], [client, "proxy"]] as const) {
    for (const call of [() => table.get([0]), () => table.add([0]), () => table.put([[0, 1]])]) {
      const error = await assertRejects(() => within<unknown>(call(), name), TableError);
      const message = `the ${name} has no answer from the server, and nothing was changed`;
      assertEquals([error.code, error.message], [503, message]);
    }
  }

  await using server = await TableServer.listen({ port: 0, size: 2000 });
  const all = { capacity: 2000 };
  await using large = await CoherentCache.connect(server.address, all);
  await using over = await CacheProxy.listen({ port: 0, server: server.address, ...all });
  await using asking = await TableClient.connect(over.address);
  for (const [table, name] of [[large, "cache"], [asking, "proxy"]] as const) {
    for (const from of [0, 1000]) {
      await table.get(Array.from({ length: 1000 }, (_, i) => from + i));
    }
    const error = await assertRejects(() => table.info(), TableError);
    const message = `this ${name} holds 2000 entries: INF shows 1024`;
    assertEquals([error.code, error.message], [413, message]);
  }
});
