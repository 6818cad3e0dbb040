/**
 * What nodes tell, by the literal messages that make them tell it.
 */

import { assert, assertEquals } from "@std/assert";
import { CacheProxy, CoherentCache, type NodeEvent, TableClient, TableServer } from "../mod.ts";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { ToldEntries } from "../lib/proxy/told_entries.ts";
import { CommitError, memoryStore } from "../lib/server/store/store.ts";
import { Table } from "../lib/server/table.ts";
import { WaitWatch } from "../lib/coherence/wait_watch.ts";
import { BothEnds, hear, Log, say } from "./support/both_ends.ts";
import { PlayedServer, StoppedClocks } from "./support/coherence.ts";
import { portOf, Told } from "./support/told.ts";
import { Wire } from "./support/wire.ts";
import { HOUR_MS, within } from "./support/within.ts";

/** The event without what says whose connection it was. */
function bare(event: NodeEvent): Record<string, unknown> {
  const { address: _a, peerAddress: _p, ...rest } = { address: "", peerAddress: "", ...event };
  return rest;
}

/** Names for the ports of a proxy between a client and a server. */
function portsOf(both: BothEnds, ...clients: Wire[]): Record<string, string> {
  const { remoteAddr, localAddr } = both.upstream.conn;
  const names = [":CCCCC", ":DDDDD"];
  return {
    [remoteAddr.port]: ":UUUUU",
    [localAddr.port]: ":SSSSS",
    ...Object.fromEntries(clients.map(({ conn }, i) => [conn.localAddr.port, names[i]])),
  };
}

Deno.test("events: a proxy tells hits, misses, part-hits, evictions and invalidations", async () => {
  const told = new Told();
  await using both = await BothEnds.start({ capacity: 2, events: told.events });
  const { upstream } = both;
  const client = await both.client(), other = await both.client();
  await say(client, "OP=GET;IND=1,8;");
  await hear(upstream, "OP=GET;IND=1,8;");
  await say(upstream, "OP=GET;IND=1,8;DATA=0,5;");
  await hear(client, "OP=GET;IND=1,8;DATA=0,5;");
  await say(client, "OP=GET;IND=8;");
  await hear(client, "OP=GET;IND=8;DATA=5;");
  await say(other, "OP=ADD;IND=8,2,8;");
  await hear(upstream, "OP=GET;IND=2;");
  await say(upstream, "OP=GET;IND=2;DATA=3;");
  await hear(other, "OP=ADD;IND=8,2,8;DATA=13;");
  await say(upstream, "OP=INV;IND=1,8;");
  await hear(upstream, "OP=INV;IND=1,8;");
  // Nothing of it is held: nothing is dropped.
  await say(upstream, "OP=INV;IND=8;");
  await hear(upstream, "OP=INV;IND=8;");
  assertEquals(
    told.text(portsOf(both, client, other)),
    `
                proxy  connected to server :SSSSS, from :UUUUU
                proxy → server  OP=SUB;
                proxy ← server  OP=SUB;DATA=3600000,10;
                proxy  lease granted for 3600000 ms
                proxy  client :CCCCC connected
                proxy  client :DDDDD connected
client :CCCCC → proxy           OP=GET;IND=1,8;
                proxy  miss 1,8
                proxy → server  OP=GET;IND=1,8;
                proxy ← server  OP=GET;IND=1,8;DATA=0,5;
                proxy  enters 1=0 8=5
client :CCCCC ← proxy           OP=GET;IND=1,8;DATA=0,5;
client :CCCCC → proxy           OP=GET;IND=8;
                proxy  hit 8
client :CCCCC ← proxy           OP=GET;IND=8;DATA=5;
client :DDDDD → proxy           OP=ADD;IND=8,2,8;
                proxy  miss 2 (hit 8)
                proxy → server  OP=GET;IND=2;
                proxy ← server  OP=GET;IND=2;DATA=3;
                proxy  enters 2=3, evicts 1
client :DDDDD ← proxy           OP=ADD;IND=8,2,8;DATA=13;
                proxy ← server  OP=INV;IND=1,8;
                proxy  drops 8 (invalidation)
                proxy → server  OP=INV;IND=1,8;
                proxy ← server  OP=INV;IND=8;
                proxy → server  OP=INV;IND=8;`,
  );
  await both.finish();
});

Deno.test("events: a proxy tells what it drops for a write, and what enters then", async () => {
  const told = new Told();
  await using both = await BothEnds.start({ events: told.events });
  const { upstream } = both;
  const client = await both.client();
  await both.hold(client, 7, 8);
  await say(client, "OP=PUT;IND=7,9;DATA=1,2;", "OP=CLR;");
  await hear(upstream, "OP=PUT;IND=7,9;DATA=1,2;", "OP=CLR;");
  await say(upstream, "OP=PUT;IND=7,9;DATA=1,2;", "OP=ERR;DATA=500;MSG=no;");
  await client.line();
  await client.line();
  await both.hold(client, 1, 2, 3);
  await say(upstream, "OP=INV;IND=3;");
  await hear(upstream, "OP=INV;IND=3;");
  await both.lose();
  assertEquals(told.of("drop", "enter").map(bare), [
    { type: "enter", node: "proxy", ind: [7, 8], data: [107, 108], evicted: [], why: "read" },
    { type: "drop", node: "proxy", ind: [7], count: 1, why: "write" },
    // The write of 7 and 9 was answered while that of all was under way: nothing entered.
    { type: "drop", node: "proxy", ind: "all", count: 1, why: "clear" },
    {
      type: "enter",
      node: "proxy",
      ind: [1, 2, 3],
      data: [101, 102, 103],
      evicted: [],
      why: "read",
    },
    { type: "drop", node: "proxy", ind: [3], count: 1, why: "invalidation" },
    { type: "drop", node: "proxy", ind: "all", count: 2, why: "disconnected" },
  ]);
  const again = await both.greet();
  await say(client, "OP=PUT;IND=3;DATA=4;");
  await hear(again, "OP=PUT;IND=3;DATA=4;");
  await say(again, "OP=PUT;IND=3;DATA=4;");
  await client.line();
  assertEquals(bare(told.of("enter").at(-1)!), {
    type: "enter",
    node: "proxy",
    ind: [3],
    data: [4],
    evicted: [],
    why: "write",
  });
  await both.finish();
});

Deno.test("events: a proxy tells why it asks for what it holds: in-flight, dropped, no-lease", async () => {
  using clocks = new StoppedClocks();
  const told = new Told();
  await using both = await BothEnds.start({ events: told.events });
  const { upstream } = both;
  const client = await both.client(), other = await both.client();
  await both.hold(client, 7);
  await say(client, "OP=GET;IND=1;", "OP=GET;IND=7;");
  await hear(upstream, "OP=GET;IND=1;", "OP=GET;IND=7;");
  await say(upstream, "OP=GET;IND=1;DATA=0;", "OP=GET;IND=7;DATA=107;");
  await hear(client, "OP=GET;IND=1;DATA=0;", "OP=GET;IND=7;DATA=107;");
  await say(other, "OP=GET;IND=7,2;");
  await hear(upstream, "OP=GET;IND=2;");
  await say(upstream, "OP=INV;IND=7;", "OP=GET;IND=2;DATA=0;");
  await hear(upstream, "OP=INV;IND=7;", "OP=GET;IND=7,2;");
  await say(upstream, "OP=GET;IND=7,2;DATA=1,0;");
  await hear(other, "OP=GET;IND=7,2;DATA=1,0;");
  clocks.pass(HOUR_MS);
  await say(client, "OP=GET;IND=7;", "OP=GET;IND=7;");
  await hear(upstream, "OP=GET;IND=7;", "OP=GET;IND=7;");
  await say(upstream, "OP=GET;IND=7;DATA=1;", "OP=GET;IND=7;DATA=1;");
  await hear(client, "OP=GET;IND=7;DATA=1;", "OP=GET;IND=7;DATA=1;");
  assertEquals(told.of("bypass", "part-hit", "lease-lapsed").map(bare), [
    { type: "bypass", node: "proxy", ind: [7], why: "in-flight" },
    { type: "part-hit", node: "proxy", hits: [7], misses: [2] },
    { type: "bypass", node: "proxy", ind: [7, 2], why: "dropped" },
    {
      type: "lease-lapsed",
      node: "proxy",
      holder: `127.0.0.1:${upstream.conn.remoteAddr.port}`,
    },
    { type: "bypass", node: "proxy", ind: [7], why: "no-lease" },
    { type: "bypass", node: "proxy", ind: [7], why: "no-lease" },
  ]);
  await both.finish();
});

Deno.test("events: a lease is granted, renewed, lapses, and is granted anew", async () => {
  // Clocks that stand still: the lease does not lapse before its time.
  using clocks = new StoppedClocks();
  const told = new Told();
  const grant = "OP=SUB;DATA=60,10;";
  await using both = await BothEnds.start({ grant, events: told.events });
  const { upstream } = both;
  await told.until("lease-granted");
  for (let renewals = 1; renewals <= 2; renewals++) {
    await hear(upstream, "OP=SUB;");
    await say(upstream, grant);
    await told.until("lease-renewed", renewals);
  }
  await hear(upstream, "OP=SUB;");
  clocks.pass(60);
  await say(upstream, grant);
  await told.until("lease-granted", 2);
  const ports = portsOf(both);
  const begin = `
                proxy  connected to server :SSSSS, from :UUUUU
                proxy → server  OP=SUB;
                proxy ← server  OP=SUB;DATA=60,10;
                proxy  lease granted for 60 ms`;
  const renewal = `
                proxy → server  OP=SUB;
                proxy ← server  OP=SUB;DATA=60,10;
                proxy  lease renewed for 60 ms`;
  const anew = `
                proxy ← server  OP=SUB;DATA=60,10;
                proxy  lease lapsed
                proxy  lease granted for 60 ms`;
  assertEquals(told.text(ports), begin + anew);
  assertEquals(
    told.text(ports, true),
    `${begin}${renewal}${renewal}\n                proxy → server  OP=SUB;${anew}`,
  );
});

Deno.test("events: a table of another size drops what was held", () => {
  const told = new Told();
  const kept = { capacity: undefined, eviction: "fifo", onWrite: "allocate" } as const;
  const entries = new ToldEntries(kept, told.events);
  entries.open(4);
  entries.enter([1, 2], [5, 6]);
  entries.open(4);
  entries.open(6);
  assertEquals(told.of("drop"), [
    { type: "drop", node: "proxy", ind: "all", count: 2, why: "resized" },
  ]);
});

Deno.test("events: an invalidation by another proxy, as the server tells it", async () => {
  const told = new Told();
  await using played = await PlayedServer.start({ events: told.events });
  const first = await played.proxy(), second = await played.proxy();
  await played.hold(first, 7, 8);
  const before = told.all.length;
  await say(second, "OP=PUT;IND=8,9;DATA=5,6;");
  await hear(first, "OP=INV;IND=8;");
  await say(first, "OP=INV;IND=8;");
  await hear(second, "OP=PUT;IND=8,9;DATA=5,6;");
  await say(first, "OP=SUB;DATA=0;");
  await hear(first, "OP=SUB;DATA=0;");
  const ports = {
    [first.conn.localAddr.port]: ":11111",
    [second.conn.localAddr.port]: ":22222",
  };
  const atMost = told.of("wait")[0]!.atMostMs;
  assert(atMost > 0 && atMost <= 3_600_000);
  told.all.splice(0, before);
  assertEquals(
    told.text(ports).replace(`${atMost} ms`, "N ms"),
    `
proxy :22222  → server          OP=PUT;IND=8,9;DATA=5,6;
                server  write of 8,9 waits for proxy :11111, N ms at most
proxy :11111  ← server          OP=INV;IND=8;
proxy :11111  → server          OP=INV;IND=8;
                server  commits 8=5 9=6
proxy :22222  ← server          OP=PUT;IND=8,9;DATA=5,6;
proxy :11111  → server          OP=SUB;DATA=0;
                server  proxy :11111 gave its lease back
proxy :11111  ← server          OP=SUB;DATA=0;`,
  );
  const holder = `127.0.0.1:${first.conn.localAddr.port}`;
  assertEquals(told.of("holder-asked", "holder-answered").map(bare), [
    { type: "holder-asked", node: "server", holder, ind: [8] },
    { type: "holder-answered", node: "server", holder, ind: [8], late: false },
  ]);
  await played.leave(first);
  await told.until("disconnected");
  assertEquals(bare(told.of("disconnected")[0]!), {
    type: "disconnected",
    node: "server",
    peer: "proxy",
    why: "the other side ended it",
  });
});

Deno.test("events: a holder is no longer waited for when its lease has lapsed, or is given back", async () => {
  using clocks = new StoppedClocks();
  const told = new Told();
  await using played = await PlayedServer.start({ leaseMs: 100, events: told.events });
  const proxy = await played.proxy(), gone = await played.proxy(), client = await played.client();
  await played.hold(proxy, 7);
  await played.hold(gone, 7);
  await played.leave(gone);
  await told.until("disconnected");
  await say(client, "OP=CLR;");
  await hear(proxy, "OP=INV;");
  clocks.pass(100);
  await hear(client, "OP=CLR;");
  await say(proxy, "OP=INV;");
  await played.renew(proxy);
  const holder = `127.0.0.1:${proxy.conn.localAddr.port}`;
  assertEquals(
    told.of("wait", "holder-released", "holder-answered", "commit", "lease-granted").map(bare)
      .slice(2),
    [
      {
        type: "wait",
        node: "server",
        what: "clear",
        ind: "all",
        holders: [holder, "disconnected"],
        atMostMs: 100,
      },
      { type: "holder-released", node: "server", holder, ind: "all", why: "lapsed" },
      {
        type: "holder-released",
        node: "server",
        holder: "disconnected",
        ind: "all",
        why: "lapsed",
      },
      { type: "commit", node: "server", cleared: true, ind: [], data: [] },
      { type: "holder-answered", node: "server", holder, ind: [], late: true },
      { type: "lease-granted", node: "server", holder, termMs: 100 },
    ],
  );
  await say(proxy, "OP=GET;IND=7;");
  await hear(proxy, "OP=GET;IND=7;DATA=0;");
  await say(client, "OP=PUT;IND=7;DATA=1;");
  await hear(proxy, "OP=INV;IND=7;");
  await say(proxy, "OP=SUB;DATA=0;");
  await hear(proxy, "OP=SUB;DATA=0;");
  await hear(client, "OP=PUT;IND=7;DATA=1;");
  assertEquals(told.of("lease-returned", "holder-released").slice(2).map(bare), [
    { type: "lease-returned", node: "server", holder },
    { type: "holder-released", node: "server", holder, ind: [7], why: "returned" },
  ]);
});

Deno.test("events: a write that waits longer than a tenth of the term says for whom, once in a while", async () => {
  using clocks = new StoppedClocks();
  const told = new Told(), log = new Log();
  await using played = await PlayedServer.start({
    leaseMs: 1000,
    events: told.events,
    log: log.log,
  });
  const proxy = await played.proxy(), client = await played.client();
  const others = [await played.client(), await played.client()];
  const port = proxy.conn.localAddr.port;
  await played.hold(proxy, 7, 8);
  await say(client, "OP=PUT;IND=7;DATA=1;");
  await hear(proxy, "OP=INV;IND=7;");
  clocks.pass(412);
  assertEquals(
    await log.next("waits for"),
    `a write of 7 waits for the holder 127.0.0.1:${port} (412 ms so far)`,
  );
  const holders = [`127.0.0.1:${port}`];
  const long = { type: "long-wait", node: "server", what: "write", holders } as const;
  assertEquals<NodeEvent[]>(told.of("long-wait"), [{ ...long, ind: [7], waitedMs: 412 }]);
  await say(others[0]!, "OP=PUT;IND=8;DATA=1;");
  await hear(proxy, "OP=INV;IND=8;");
  clocks.pass(100);
  // The events have each; the log has said so just now.
  await told.until("long-wait", 2);
  assertEquals(told.of("long-wait")[1], { ...long, ind: [8], waitedMs: 100 });
  assertEquals(log.sentences.length, 1);
  await say(proxy, "OP=INV;IND=7;", "OP=INV;IND=8;");
  await hear(client, "OP=PUT;IND=7;DATA=1;");
  await hear(others[0]!, "OP=PUT;IND=8;DATA=1;");
  clocks.pass(10_000);
  await played.renew(proxy);
  await say(proxy, "OP=GET;IND=7;");
  await hear(proxy, "OP=GET;IND=7;DATA=1;");
  await say(others[1]!, "OP=CLR;");
  await hear(proxy, "OP=INV;");
  clocks.pass(150);
  assertEquals(
    await log.next("waits for"),
    `a clear waits for the holder 127.0.0.1:${port} (150 ms so far)`,
  );
  await say(proxy, "OP=INV;");
  await hear(others[1]!, "OP=CLR;");
});

Deno.test("WaitWatch: a log line names three indices and holders, and counts the others", async () => {
  using clocks = new StoppedClocks();
  const log = new Log(), watch = new WaitWatch(10, denoRuntime, undefined, log.log);
  const wait = (what: "write" | "end", ind: number[] | "all", holders: string[]) => ({
    what,
    ind,
    since: performance.now(),
    holders: () => holders,
  });
  const first = wait("write", [1, 2, 3, 4], ["a:1", "b:2", "disconnected", "c:3", "d:4"]);
  watch.begin(first);
  watch.begin(wait("write", [5], ["a:1"]));
  watch.begin(wait("write", [6], ["a:1"]));
  clocks.pass(5);
  assertEquals(
    await log.next("waits"),
    "a write of 1, 2, 3 and 1 more waits for the holders a:1, b:2, a disconnected one and 2 more (5 ms so far); 2 more wait",
  );
  watch.end(first);
  clocks.pass(10_000);
  assertEquals(
    await log.next("waits"),
    "a write of 5 waits for the holder a:1 (10005 ms so far); 1 more waits",
  );
  watch.close();
  const end = new WaitWatch(10, denoRuntime, undefined, log.log);
  end.begin(wait("end", "all", ["disconnected"]));
  clocks.pass(1);
  assertEquals(await log.next("waits"), "the end waits for a disconnected holder (1 ms so far)");
  end.close();
});

Deno.test("events: why a connection has ended", async () => {
  const told = new Told();
  await using server = await TableServer.listen({
    port: 0,
    events: told.events,
    idleTimeoutMs: 40,
    maxConnections: 1,
  });
  const rows: [send: string | undefined, why: string][] = [
    ["\xff", "the line is not UTF-8"],
    ["GET / HTTP/1.1", "this is no HTTP server"],
    [undefined, "it was idle"],
    ["", "the other side ended it"],
  ];
  for (const [i, [send, why]] of rows.entries()) {
    await using wire = await Wire.connect(server.address);
    if (send !== undefined && send !== "") {
      await wire.send(Uint8Array.from([...send, "\n"], (byte) => byte.charCodeAt(0)));
    }
    if (send === "") await wire.endWriting();
    await wire.rest();
    wire.close();
    await told.until("disconnected", i + 1);
    assertEquals(told.of("disconnected")[i]!.why, why);
  }
  await using kept = await Wire.connect(server.address);
  await say(kept, "OP=GET;IND=1;");
  await kept.line();
  await using refused = await Wire.connect(server.address);
  await refused.rest();
  refused.close();
  await told.until("disconnected", rows.length + 1);
  const closing = server.close();
  await kept.rest();
  await within(closing, "the server to close");
  assertEquals(told.of("disconnected").slice(rows.length).map(({ why }) => why), [
    "this node has as many connections as it takes",
    "this node ends",
  ]);
});

Deno.test("events: a server tells commits, one that was refused, and one of which nobody knows", async () => {
  const told = new Told();
  const fails = [undefined, new CommitError("the disk is full"), new Error("the disk fails")];
  const commit = () => {
    const error = fails.shift();
    if (error !== undefined) throw error;
  };
  const store = { ...memoryStore, commit };
  const table = new Table(new Float64Array(10));
  await using server = TableServer.over(() => ({ store, table, leasedMs: 0 }), {
    port: 0,
    events: told.events,
  });
  await using wire = await Wire.connect(server.address);
  await say(wire, "OP=CLR;", "OP=PUT;IND=7,8,7;DATA=4,5,6;");
  await hear(wire, "OP=CLR;", "OP=PUT;IND=7,8,7;DATA=4,5,6;");
  await say(wire, "OP=PUT;IND=1;DATA=1;");
  assertEquals(await wire.line(), "OP=ERR;DATA=500;MSG=the server could not store this write;");
  await say(wire, "OP=PUT;IND=1;DATA=1;");
  await told.until("commit-unknown");
  assertEquals(told.of("commit", "commit-refused", "commit-unknown").map(bare), [
    { type: "commit", node: "server", cleared: true, ind: [7, 8], data: [6, 5] },
    { type: "commit-refused", node: "server", why: "the disk is full" },
    { type: "commit-unknown", node: "server", why: "the disk fails" },
  ]);
});

Deno.test("events: a proxy tells that it cannot reach its server", async () => {
  const told = new Told();
  const probe = await TableServer.listen({ port: 0 });
  const { address } = probe;
  await probe.close();
  await using _cache = await CoherentCache.connect(address, { events: told.events });
  await told.until("unreachable");
  const { why, ...event } = told.of("unreachable")[0]!;
  assertEquals<unknown>(event, { type: "unreachable", node: "proxy", peerAddress: address });
  assert(why !== "");
});

Deno.test("events: a client tells its messages and its connection; a cache in process its hits", async () => {
  const atClient = new Told(), atCache = new Told();
  await using server = await TableServer.listen({ port: 0, leaseMs: 3_600_000 });
  const client = await TableClient.connect(server.address, { events: atClient.events });
  await client.put([[7, 4]]);
  await client.close();
  const ports = { [portOf(server.address)]: ":SSSSS" };
  const connected = atClient.of("connected")[0]!;
  assertEquals(
    atClient.text({ ...ports, [portOf(connected.address)]: ":CCCCC" }),
    `
                client  connected to proxy :SSSSS, from :CCCCC
                client → proxy  OP=PUT;IND=7;DATA=4;
                client ← proxy  OP=PUT;IND=7;DATA=4;
                client  disconnected from proxy :SSSSS: this side ended it`,
  );
  const cache = await CoherentCache.connect(server.address, { events: atCache.events });
  await cache.get([7]);
  await cache.get([7]);
  await cache.add([7, 1, 7]);
  await cache.close();
  assertEquals(
    atCache.text({ ...ports, [portOf(atCache.of("connected")[0]!.address)]: ":UUUUU" }),
    `
                proxy  connected to server :SSSSS, from :UUUUU
                proxy → server  OP=SUB;
                proxy ← server  OP=SUB;DATA=3600000,10;
                proxy  lease granted for 3600000 ms
                proxy  miss 7
                proxy → server  OP=GET;IND=7;
                proxy ← server  OP=GET;IND=7;DATA=4;
                proxy  enters 7=4
                proxy  hit 7
                proxy  miss 1 (hit 7)
                proxy → server  OP=GET;IND=1;
                proxy ← server  OP=GET;IND=1;DATA=0;
                proxy  enters 1=0
                proxy → server  OP=SUB;DATA=0;
                proxy  lease given back
                proxy ← server  OP=SUB;DATA=0;
                proxy  disconnected from server :SSSSS: this side ended it
                proxy  drops all 2 (disconnected)`,
  );
});

Deno.test("events: a sink that throws, or rejects, breaks nothing, and is logged once", async () => {
  const sinks: [name: string, sink: (event: NodeEvent) => void][] = [
    ["throws", () => {
      throw new Error("the sink is broken");
    }],
    ["rejects", () => Promise.reject(new Error("the sink is broken"))],
  ];
  for (const [name, events] of sinks) {
    const atServer = new Log(), atProxy = new Log();
    const server = await TableServer.listen({ port: 0, events, log: atServer.log });
    const proxy = await CacheProxy.listen({
      port: 0,
      server: server.address,
      events,
      log: atProxy.log,
    });
    const client = await TableClient.connect(proxy.address, { events });
    await client.put([[7, 4], [8, 5]]);
    assertEquals(await client.get([1, 8]), [0, 5], name);
    assertEquals(await client.add([7, 8]), 9n, name);
    await client.clear();
    for (const node of [client, proxy, server]) await node.close();
    for (const { sentences } of [atServer, atProxy]) {
      assertEquals(sentences, ['the option "events" threw: the sink is broken'], name);
    }
  }
});
