/**
 * The trace: what each event is as text and as JSON, and what the programs write of a session.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { NodeEvent } from "../mod.ts";
import { readTraceJson, traceJson } from "../lib/observe/trace_json.ts";
import { traceText } from "../lib/observe/trace_text.ts";
import { client, type RunningNode, startProxy, startServer } from "./support/program.ts";
import { masked, portOf } from "./support/told.ts";
import { Wire } from "./support/wire.ts";

const AT_PROXY = { node: "proxy", address: "127.0.0.1:6001" } as const;
const CLIENT = { ...AT_PROXY, peer: "client", peerAddress: "127.0.0.1:40312" } as const;
const SERVER = {
  node: "proxy",
  address: "127.0.0.1:51234",
  peer: "server",
  peerAddress: "127.0.0.1:6002",
} as const;
const PROXY = {
  node: "server",
  address: "127.0.0.1:6002",
  peer: "proxy",
  peerAddress: "127.0.0.1:51234",
} as const;
const holder = "127.0.0.1:51234";
const holders = [holder, "10.0.0.7:51235"];

/** Events of every type, each with what a trace says of it; `null` where another line says it. */
const TEXTS: { [T in NodeEvent["type"]]: [Extract<NodeEvent, { type: T }>, string | null][] } = {
  message: [
    [
      { type: "message", ...CLIENT, direction: "in", line: "OP=GET;IND=1,8;", renewal: false },
      "client :40312 → proxy           OP=GET;IND=1,8;",
    ],
    [
      { type: "message", ...CLIENT, direction: "out", line: "OP=CLR;", renewal: false },
      "client :40312 ← proxy           OP=CLR;",
    ],
    [
      {
        type: "message",
        ...CLIENT,
        peerAddress: "10.0.0.7:5",
        direction: "in",
        line: "OP=CLR;",
        renewal: false,
      },
      "client 10.0.0.7:5 → proxy       OP=CLR;",
    ],
    [
      { type: "message", ...SERVER, direction: "out", line: "OP=GET;IND=1;", renewal: false },
      "                proxy → server  OP=GET;IND=1;",
    ],
    [
      { type: "message", ...SERVER, direction: "in", line: "OP=INV;", renewal: false },
      "                proxy ← server  OP=INV;",
    ],
    [
      { type: "message", ...PROXY, direction: "in", line: "OP=SUB;", renewal: false },
      "proxy :51234  → server          OP=SUB;",
    ],
    [{ type: "message", ...PROXY, direction: "in", line: "OP=SUB;", renewal: true }, null],
    [
      {
        type: "message",
        node: "client",
        address: "127.0.0.1:40312",
        peer: "proxy",
        peerAddress: "127.0.0.1:6001",
        direction: "in",
        line: "OP=ERR;DATA=404;MSG=a\x1b[31m\u202e\x9bb;",
        renewal: false,
      },
      "                client ← proxy  OP=ERR;DATA=404;MSG=a\\u{1b}[31m\\u{202e}\\u{9b}b;",
    ],
  ],
  unterminated: [
    [
      { type: "unterminated", ...CLIENT, bytes: 27 },
      "                proxy  27 bytes came of client :40312 and no newline",
    ],
    [
      { type: "unterminated", ...SERVER, bytes: 1 },
      "                proxy  1 byte came of server :6002 and no newline",
    ],
  ],
  connected: [
    [
      { type: "connected", ...CLIENT, direction: "in" },
      "                proxy  client :40312 connected",
    ],
    [
      { type: "connected", ...SERVER, direction: "out" },
      "                proxy  connected to server :6002, from :51234",
    ],
  ],
  disconnected: [
    [
      { type: "disconnected", ...CLIENT, why: "it was idle" },
      "                proxy  client :40312 disconnected: it was idle",
    ],
    [
      { type: "disconnected", ...SERVER, why: "\x07" },
      "                proxy  disconnected from server :6002: \\u{7}",
    ],
  ],
  unreachable: [[
    { type: "unreachable", node: "proxy", peerAddress: "db.example:6002", why: "no" },
    "                proxy  cannot reach server db.example:6002: no",
  ]],
  hit: [[{ type: "hit", node: "proxy", ind: [7, 8] }, "                proxy  hit 7,8"]],
  miss: [[{ type: "miss", node: "proxy", ind: [1] }, "                proxy  miss 1"]],
  "part-hit": [[
    { type: "part-hit", node: "proxy", hits: [8], misses: [1, 2] },
    "                proxy  miss 1,2 (hit 8)",
  ]],
  bypass: [
    [
      { type: "bypass", node: "proxy", ind: [1], why: "in-flight" },
      "                proxy  bypass 1 (a request of this client is in flight)",
    ],
    [
      { type: "bypass", node: "proxy", ind: [1], why: "no-lease" },
      "                proxy  bypass 1 (no lease)",
    ],
    [
      { type: "bypass", node: "proxy", ind: [1], why: "dropped" },
      "                proxy  bypass 1 (what had hit was dropped)",
    ],
  ],
  enter: [
    [
      { type: "enter", node: "proxy", ind: [1, 2], data: [0, -5], evicted: [], why: "write" },
      "                proxy  enters 1=0 2=-5",
    ],
    [
      { type: "enter", node: "proxy", ind: [1], data: [0], evicted: [7], why: "read" },
      "                proxy  enters 1=0, evicts 7",
    ],
  ],
  drop: [
    [
      { type: "drop", node: "proxy", ind: [7, 8], count: 2, why: "invalidation" },
      "                proxy  drops 7,8 (invalidation)",
    ],
    [
      { type: "drop", node: "proxy", ind: "all", count: 5, why: "clear" },
      "                proxy  drops all 5 (clear)",
    ],
  ],
  "lease-granted": [
    [
      { type: "lease-granted", node: "proxy", holder, termMs: 1000 },
      "                proxy  lease granted for 1000 ms",
    ],
    [
      { type: "lease-granted", node: "server", holder, termMs: 1000 },
      "                server  grants proxy :51234 a lease of 1000 ms",
    ],
  ],
  "lease-renewed": [
    [{ type: "lease-renewed", node: "proxy", holder, termMs: 1000 }, null],
    [{ type: "lease-renewed", node: "server", holder, termMs: 1000 }, null],
  ],
  "lease-lapsed": [[
    { type: "lease-lapsed", node: "proxy", holder },
    "                proxy  lease lapsed",
  ]],
  "lease-returned": [
    [
      { type: "lease-returned", node: "proxy", holder },
      "                proxy  lease given back",
    ],
    [
      { type: "lease-returned", node: "server", holder },
      "                server  proxy :51234 gave its lease back",
    ],
  ],
  wait: [
    [
      { type: "wait", node: "server", what: "write", ind: [7, 8], holders, atMostMs: 640 },
      "                server  write of 7,8 waits for proxy :51234, proxy 10.0.0.7:51235, 640 ms at most",
    ],
    [
      {
        type: "wait",
        node: "server",
        what: "clear",
        ind: "all",
        holders: ["disconnected"],
        atMostMs: 1,
      },
      "                server  clear waits for a proxy that disconnected, 1 ms at most",
    ],
    [
      { type: "wait", node: "server", what: "end", ind: "all", holders: [holder], atMostMs: 1 },
      "                server  end waits for proxy :51234, 1 ms at most",
    ],
  ],
  "long-wait": [[
    {
      type: "long-wait",
      node: "server",
      what: "write",
      ind: [7],
      holders: [holder],
      waitedMs: 412,
    },
    "                server  write of 7 waits for proxy :51234, 412 ms so far",
  ]],
  "holder-asked": [[{ type: "holder-asked", node: "server", holder, ind: [7] }, null]],
  "holder-answered": [
    [{ type: "holder-answered", node: "server", holder, ind: [7], late: false }, null],
    [
      { type: "holder-answered", node: "server", holder, ind: [], late: true },
      "                server  proxy :51234 answered when no longer waited for",
    ],
  ],
  "holder-released": [
    [
      { type: "holder-released", node: "server", holder, ind: [7], why: "lapsed" },
      "                server  no longer waits for proxy :51234 to drop 7 (lease lapsed)",
    ],
    [
      { type: "holder-released", node: "server", holder, ind: "all", why: "returned" },
      "                server  no longer waits for proxy :51234 to drop all (lease given back)",
    ],
  ],
  commit: [
    [
      { type: "commit", node: "server", cleared: false, ind: [7, 8], data: [4, 5] },
      "                server  commits 7=4 8=5",
    ],
    [
      { type: "commit", node: "server", cleared: true, ind: [], data: [] },
      "                server  commits all=0",
    ],
    [
      { type: "commit", node: "server", cleared: true, ind: [7], data: [4] },
      "                server  commits all=0 7=4",
    ],
  ],
  "commit-refused": [[
    { type: "commit-refused", node: "server", why: "the disk is full" },
    "                server  refuses a commit: the disk is full",
  ]],
  "commit-unknown": [[
    { type: "commit-unknown", node: "server", why: "the disk fails" },
    "                server  cannot know whether a commit was made: the disk fails",
  ]],
};
const EVENTS: [NodeEvent, string | null][] = Object.values(TEXTS).flat();

Deno.test("traceText: a line for every event, but for what another line says and renewals", () => {
  const time = new Date(2026, 10, 25, 9, 5, 1, 34);
  for (const [event, text] of EVENTS) {
    const wanted = text === null ? undefined : `09:05:01.034  ${text}`;
    assertEquals(traceText(event, time), wanted, JSON.stringify(event));
  }
});

Deno.test("traceText: a long line is not cut, and a short one stays within 100 columns", () => {
  const line = `OP=GET;IND=${Array(1024).fill(123456)};`;
  const event = { type: "message", ...CLIENT, direction: "in", line, renewal: false } as const;
  const text = traceText(event, new Date(0))!;
  assert(text.endsWith(`  ${line}`));
  assertEquals(text.indexOf("OP="), 46);
  assert(traceText({ ...event, line: "OP=GET;IND=1,8;DATA=0,5;" }, new Date(0))!.length < 100);
});

Deno.test("traceText: renewals are shown on request", () => {
  const renewal = { type: "message", ...PROXY, line: "OP=SUB;", renewal: true } as const;
  const renewed = { type: "lease-renewed", holder, termMs: 1000 } as const;
  const lines = [
    traceText({ ...renewal, direction: "in" }, new Date(0), true)!,
    traceText({ ...renewed, node: "server" }, new Date(0), true)!,
    traceText({ ...renewed, node: "proxy" }, new Date(0), true)!,
  ];
  assertEquals(
    masked(lines, {}),
    `
proxy :51234  → server          OP=SUB;
                server  renews proxy :51234 a lease of 1000 ms
                proxy  lease renewed for 1000 ms`,
  );
});

Deno.test("traceJson: one line of JSON for every event, with the time and its fields, and back", () => {
  const time = new Date("2026-11-25T12:00:01.234Z");
  for (const [event] of EVENTS) {
    const line = traceJson(event, time);
    assertMatch(
      line,
      /^\{"time":"2026-11-25T12:00:01\.234Z","type":"[a-z-]+","node":"[a-z]+",.*\}$/,
    );
    assert(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line), line);
    assertEquals(readTraceJson(line), { time: "2026-11-25T12:00:01.234Z", ...event });
  }
  const [event] = TEXTS.message[0]!;
  assertEquals(
    traceJson({ ...event, line: 'a"\\\x1b\x9b\u202e\u{e0001}\u2028ü\x7f' }, time),
    String.raw`{"time":"2026-11-25T12:00:01.234Z","type":"message","node":"proxy",` +
      String.raw`"address":"127.0.0.1:6001","peer":"client","peerAddress":"127.0.0.1:40312",` +
      String.raw`"direction":"in","line":"a\"\\\u001b\u009b\u202e\udb40\udc01\u2028ü\u007f",` +
      String.raw`"renewal":false}`,
  );
  const { MAX_SAFE_INTEGER: most, MIN_SAFE_INTEGER: least } = Number;
  const written = { type: "commit", node: "server", cleared: false, ind: [0, 1] } as const;
  const read = readTraceJson(traceJson({ ...written, data: [most, least] }, time));
  assertEquals(read?.type === "commit" && read.data, [most, least]);
});

Deno.test("readTraceJson: a line that is no event is none", () => {
  const line = traceJson(EVENTS[0]![0], new Date(0));
  for (const none of ["", "halfway-proxy: lost the server", "{}", "null", line.slice(0, -1)]) {
    assertEquals(readTraceJson(none), undefined, none);
  }
});

Deno.test("PROTOCOL.md lists every event with its fields", async () => {
  const document = await Deno.readTextFile(new URL("../PROTOCOL.md", import.meta.url));
  const listed = new Map<string, string[]>();
  for (const [, type, fields] of document.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|.*\|$/gm)) {
    listed.set(type!, [...fields!.matchAll(/`(\w+)`/g)].map(([, field]) => field!));
  }
  const ends = ["address", "peer", "peerAddress"];
  const told = new Map<string, string[]>();
  for (const [event] of EVENTS) {
    const fields = Object.keys(event).filter((field) => field !== "type" && field !== "node");
    const own = "peer" in event ? fields.filter((field) => !ends.includes(field)) : fields;
    if (!told.has(event.type)) told.set(event.type, own);
    assertEquals(own.toSorted(), told.get(event.type)!.toSorted(), event.type);
  }
  listed.delete("type");
  assertEquals(Object.fromEntries(listed), Object.fromEntries(told));
});

// The programs.

/** A lease that is not renewed while a test runs. */
const LEASE = ["--lease", "3600000"];

/** Sends lines one after the other, each when the one before is answered. */
async function ask(wire: Wire, ...lines: string[]): Promise<void> {
  for (const line of lines) {
    await wire.send(`${line}\n`);
    await wire.line();
  }
}

/** What a node has written, as soon as it has written so many lines. */
async function written(node: RunningNode, lines: number): Promise<string[]> {
  await node.until(() => node.stderr.split("\n").length > lines, `${lines} lines of trace`);
  return node.stderr.trimEnd().split("\n");
}

Deno.test("--trace: the example session, as the server, the proxy and a client show it", async () => {
  await using server = await startServer("--trace", ...LEASE);
  await using proxy = await startProxy(server.address, "--trace");
  const ports = { [portOf(server.address)]: ":SSSSS", [portOf(proxy.address)]: ":PPPPP" };
  await using wire = await Wire.connect(proxy.address);
  ports[wire.conn.localAddr.port] = ":CCCCC";
  await ask(wire, "OP=PUT;IND=7,8;DATA=4,5;", "OP=GET;IND=1,8;", "OP=GET;IND=8;");
  await ask(wire, "OP=ADD;IND=7,8;", "OP=GET;IND=2,3,4;", "op=\x1b[31mget", "OP=CLR;");
  await wire.endWriting();
  assertEquals(await wire.rest(), "");

  await proxy.until(() => proxy.stderr.includes(" disconnected: "), "the last line of trace");
  const atProxy = await written(proxy, 0);
  const upstream = /connected to server :\d+, from :(\d+)$/.exec(atProxy[0]!)![1]!;
  ports[upstream] = ":UUUUU";
  assertEquals(
    masked(atProxy, ports),
    `
                proxy  connected to server :SSSSS, from :UUUUU
                proxy → server  OP=SUB;
                proxy ← server  OP=SUB;DATA=3600000,10;
                proxy  lease granted for 3600000 ms
                proxy  client :CCCCC connected
client :CCCCC → proxy           OP=PUT;IND=7,8;DATA=4,5;
                proxy → server  OP=PUT;IND=7,8;DATA=4,5;
                proxy ← server  OP=PUT;IND=7,8;DATA=4,5;
                proxy  enters 7=4 8=5
client :CCCCC ← proxy           OP=PUT;IND=7,8;DATA=4,5;
client :CCCCC → proxy           OP=GET;IND=1,8;
                proxy  miss 1 (hit 8)
                proxy → server  OP=GET;IND=1;
                proxy ← server  OP=GET;IND=1;DATA=0;
                proxy  enters 1=0
client :CCCCC ← proxy           OP=GET;IND=1,8;DATA=0,5;
client :CCCCC → proxy           OP=GET;IND=8;
                proxy  hit 8
client :CCCCC ← proxy           OP=GET;IND=8;DATA=5;
client :CCCCC → proxy           OP=ADD;IND=7,8;
                proxy  hit 7,8
client :CCCCC ← proxy           OP=ADD;IND=7,8;DATA=9;
client :CCCCC → proxy           OP=GET;IND=2,3,4;
                proxy  miss 2,3,4
                proxy → server  OP=GET;IND=2,3,4;
                proxy ← server  OP=GET;IND=2,3,4;DATA=0,0,0;
                proxy  enters 2=0 3=0 4=0, evicts 7
client :CCCCC ← proxy           OP=GET;IND=2,3,4;DATA=0,0,0;
client :CCCCC → proxy           op=\\u{1b}[31mget
client :CCCCC ← proxy           OP=ERR;DATA=400;MSG=unknown operation: "·[31mget";
client :CCCCC → proxy           OP=CLR;
                proxy  drops all 5 (clear)
                proxy → server  OP=CLR;
                proxy ← server  OP=CLR;
client :CCCCC ← proxy           OP=CLR;
                proxy  client :CCCCC disconnected: the other side ended it`,
  );
  assertEquals(
    masked(await written(server, 14), ports),
    `
                server  client :UUUUU connected
client :UUUUU → server          OP=SUB;
                server  grants proxy :UUUUU a lease of 3600000 ms
proxy :UUUUU  ← server          OP=SUB;DATA=3600000,10;
proxy :UUUUU  → server          OP=PUT;IND=7,8;DATA=4,5;
                server  commits 7=4 8=5
proxy :UUUUU  ← server          OP=PUT;IND=7,8;DATA=4,5;
proxy :UUUUU  → server          OP=GET;IND=1;
proxy :UUUUU  ← server          OP=GET;IND=1;DATA=0;
proxy :UUUUU  → server          OP=GET;IND=2,3,4;
proxy :UUUUU  ← server          OP=GET;IND=2,3,4;DATA=0,0,0;
proxy :UUUUU  → server          OP=CLR;
                server  commits all=0
proxy :UUUUU  ← server          OP=CLR;`,
  );
  assertEquals(proxy.stdout, `halfway-proxy listening on ${proxy.address}\n`);

  const { stdout, stderr } = await client(proxy.address, ["--trace", "get", "7,8"]);
  assertEquals(stdout, "OP=GET;IND=7,8;DATA=0,0;\n");
  const atClient = stderr.trimEnd().split("\n");
  ports[/from :(\d+)$/.exec(atClient[0]!)![1]!] = ":CCCCC";
  assertEquals(
    masked(atClient, ports),
    `
                client  connected to proxy :PPPPP, from :CCCCC
                client → proxy  OP=GET;IND=7,8;
                client ← proxy  OP=GET;IND=7,8;DATA=0,0;`,
  );
});

/** A proxy's connection whose lease was renewed twice, and a request. */
async function renewTwice(server: RunningNode): Promise<Record<string, string>> {
  await using wire = await Wire.connect(server.address);
  await ask(wire, "OP=SUB;", "OP=SUB;", "OP=SUB;", "OP=SUB;DATA=0;", "OP=GET;IND=7;");
  await server.until(() => server.stderr.includes("OP=GET;IND=7;DATA=0;"), "the last reply");
  return { [wire.conn.localAddr.port]: ":UUUUU" };
}

Deno.test("--trace leaves out the renewals of a lease, --trace=all shows them", async () => {
  const begin = `
                server  client :UUUUU connected
client :UUUUU → server          OP=SUB;
                server  grants proxy :UUUUU a lease of 3600000 ms
proxy :UUUUU  ← server          OP=SUB;DATA=3600000,10;`;
  const renewal = `
proxy :UUUUU  → server          OP=SUB;
                server  renews proxy :UUUUU a lease of 3600000 ms
proxy :UUUUU  ← server          OP=SUB;DATA=3600000,10;`;
  const end = `
proxy :UUUUU  → server          OP=SUB;DATA=0;
                server  proxy :UUUUU gave its lease back
proxy :UUUUU  ← server          OP=SUB;DATA=0;
proxy :UUUUU  → server          OP=GET;IND=7;
proxy :UUUUU  ← server          OP=GET;IND=7;DATA=0;`;
  for (const flag of ["--trace", "--trace=text", "--trace=all"]) {
    await using server = await startServer(flag, ...LEASE);
    const ports = await renewTwice(server);
    const shown = flag === "--trace=all" ? begin + renewal + renewal + end : begin + end;
    const lines = shown.trim().split("\n").length;
    assertEquals(masked((await written(server, lines)).slice(0, lines), ports), shown, flag);
  }
});

Deno.test("--trace=json writes one object a line, renewals among them", async () => {
  await using server = await startServer("--trace=json", "--quiet", ...LEASE);
  await renewTwice(server);
  await using wire = await Wire.connect(server.address);
  await ask(wire, "\x1b\u202e", "OP=PUT;IND=7;DATA=-9007199254740991;");
  await server.until(() => server.stderr.includes('"out","line":"OP=PUT'), "the last reply");
  const lines = server.stderr.trimEnd().split("\n");
  for (const line of lines) {
    assert(!/[\p{Cc}\p{Cf}]/u.test(line), line);
    assertEquals<unknown>(readTraceJson(line), JSON.parse(line));
  }
  const from = lines.findIndex((line) => line.includes("\\u202e"));
  const ends = {
    node: "server",
    address: server.address,
    peer: "client",
    peerAddress: `127.0.0.1:${wire.conn.localAddr.port}`,
  };
  const message = (direction: string, line: string) => ({
    type: "message",
    ...ends,
    direction,
    line,
    renewal: false,
  });
  const put = "OP=PUT;IND=7;DATA=-9007199254740991;";
  const data = [Number.MIN_SAFE_INTEGER];
  assertEquals(
    lines.slice(from).map((line) => {
      const { time, ...event } = JSON.parse(line);
      assertMatch(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      return event;
    }),
    [
      message("in", "\x1b\u202e"),
      message("out", 'OP=ERR;DATA=400;MSG=no NAME=VALUE: "··";'),
      message("in", put),
      { type: "commit", node: "server", cleared: false, ind: [7], data },
      message("out", put),
    ],
  );
  const renewals = lines.map((line) => JSON.parse(line)).filter(({ renewal }) => renewal);
  assertEquals(renewals.map(({ line }) => line), [
    "OP=SUB;",
    "OP=SUB;DATA=3600000,10;",
    "OP=SUB;",
    "OP=SUB;DATA=3600000,10;",
  ]);
});
