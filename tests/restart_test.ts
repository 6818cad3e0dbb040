/**
 * The rules of a server's end, and of the start after it: the proxies P and Q, the writer W and the
 * reader R are the test, or real ones.
 */

import { assert, assertEquals, assertGreater, fail } from "@std/assert";
import {
  CacheProxy,
  TableClient,
  TableError,
  TableServer,
  type TableServerOptions,
} from "../mod.ts";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { openTable } from "../lib/server/store/sqlite_store.ts";
import { hear, Log, say } from "./support/both_ends.ts";
import { HOUR_MS, later, Owed, PlayedServer, StoppedClocks } from "./support/coherence.ts";
import { Folder, look } from "./support/folder.ts";
import { Random } from "../lib/simulate/mod.ts";
import { runHistory } from "./support/history.ts";
import { checkHistory } from "../simulate/linearizability.ts";
import { Relay } from "./support/relay.ts";
import { startServer, startServerOn } from "./support/program.ts";
import { listenAgain, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** What a server says that starts on a file whose last server did not end in order. */
function unclean(termMs: number): string {
  return `the last end was not clean: writes wait for its leases, ${termMs} ms`;
}

/** A server grants a lease, has this written by its proxy, and is killed. */
async function die(data: string, leaseMs: number, ...writes: string[]): Promise<void> {
  await using server = await startServerOn(data, "--lease", `${leaseMs}`);
  await using p = await Wire.connect(server.address);
  await say(p, "OP=SUB;", ...writes);
  await hear(p, `OP=SUB;DATA=${leaseMs},10;`, ...writes);
  server.signal("SIGKILL");
  await server.ended();
}

/** Proves that what is owed has not come: R's reads come and go twice. */
async function stillOwed(address: string, read: string, owed: Owed): Promise<void> {
  await using r = await Wire.connect(address);
  for (let i = 0; i < 2; i++) {
    await say(r, read.replace(/DATA=.*/, ""));
    await hear(r, read);
  }
  assert(!owed.came, "what is owed has come before its time");
}

/**
 * Whether somebody who is there answers so. Where a port is free, it may have gone to another process
 * by now, which says something else, or nothing.
 */
async function answers(address: string, request: string, reply: string): Promise<boolean> {
  try {
    await using wire = await Wire.connect(address);
    await say(wire, request);
    const patience = AbortSignal.timeout(1000);
    return await Promise.race([
      wire.line(),
      new Promise<undefined>((resolve) => patience.onabort = () => resolve(undefined)),
    ]) === reply;
  } catch {
    return false;
  }
}

Deno.test("restart: after a kill reads are answered at once, and the first write waits the recorded term", async () => {
  await using folder = new Folder();
  const data = folder.path();
  const termMs = 300;
  await die(data, termMs, "OP=PUT;IND=1;DATA=5;");
  const log = new Log();
  using clocks = new StoppedClocks();
  await using server = await TableServer.listen({ port: 0, data, leaseMs: 50, log: log.log });
  assertEquals(log.sentences, [unclean(termMs)]);
  await using w = await Wire.connect(server.address);
  const writes = ["OP=PUT;IND=1;DATA=6;", "OP=PUT;IND=9;DATA=7;"];
  await say(w, ...writes);
  const first = new Owed(w);
  await stillOwed(server.address, "OP=GET;IND=2;DATA=0;", first);
  clocks.pass(termMs - 1);
  await stillOwed(server.address, "OP=GET;IND=3;DATA=0;", first);
  clocks.pass(1);
  await first.hear(writes[0]!);
  await hear(w, ...writes.slice(1));
  await say(w, "OP=CLR;", "OP=GET;IND=1;");
  await hear(w, "OP=CLR;", "OP=GET;IND=1;DATA=0;");
});

Deno.test("restart: a proxy of the new server is served while the first write waits", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await die(data, 200, "OP=PUT;IND=1;DATA=5;");
  await using server = await TableServer.listen({ port: 0, data });
  await using p = await Wire.connect(server.address);
  await say(p, "OP=SUB;", "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=6;");
  await hear(p, "OP=SUB;DATA=1000,10;", "OP=GET;IND=1;DATA=5;", "OP=PUT;IND=1;DATA=6;");
  await say(p, "OP=SUB;DATA=0;");
  await hear(p, "OP=SUB;DATA=0;");
});

Deno.test("restart: the term is recorded before it is granted", async () => {
  await using folder = new Folder();
  const data = folder.path();
  for (const termMs of [300, 777]) {
    await die(data, termMs);
    const { clean, termMs: recorded } = look(data);
    assertEquals([clean, recorded], [false, termMs]);
  }
});

/** A server on a file, and the terms that it records there, in order. */
function recording(
  data: string,
  options: TableServerOptions,
): { server: TableServer; terms: number[]; lowered: Promise<void> } {
  const terms: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = TableServer.over(() => {
    const opened = openTable(data, denoRuntime, { size: undefined, init: undefined });
    const { store } = opened;
    const setTerm = (termMs: number) => {
      store.setTerm(termMs);
      terms.push(termMs);
      if (terms.length === 2) resolve();
    };
    const commit = store.commit.bind(store), close = store.close.bind(store);
    return { ...opened, store: { commit, setTerm, close } };
  }, { port: 0, ...options });
  return { server, terms, lowered: promise };
}

Deno.test("restart: a shorter term is recorded only after the wait for the longer: the third server waits that too", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await die(data, 1000);
  await die(data, 100);
  assertEquals(look(data), { entries: "", size: 10, termMs: 1000, clean: false });
  const log = new Log();
  using clocks = new StoppedClocks();
  const { server: third, terms, lowered } = recording(data, { leaseMs: 50, log: log.log });
  await using server = third;
  assertEquals([log.sentences, terms], [[unclean(1000)], [1000]]);
  await using w = await Wire.connect(server.address);
  await say(w, "OP=PUT;IND=1;DATA=5;");
  const written = new Owed(w);
  clocks.pass(999);
  await stillOwed(server.address, "OP=GET;IND=2;DATA=0;", written);
  assertEquals(terms, [1000]);
  clocks.pass(1);
  await written.hear("OP=PUT;IND=1;DATA=5;");
  await within(lowered, "the term to be lowered");
  assertEquals(terms, [1000, 50]);
});

Deno.test("restart: a longer term is recorded at once", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await die(data, 50);
  const { server, terms } = recording(data, { leaseMs: 400 });
  assertEquals(terms, [400]);
  await server.close();
});

Deno.test("restart: a term that cannot be lowered stays, and the server goes on", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await die(data, 50);
  const log = new Log();
  await using server = TableServer.over(() => {
    const opened = openTable(data, denoRuntime, { size: undefined, init: undefined });
    const { store } = opened;
    const setTerm = (termMs: number) => {
      if (termMs < 50) throw new Error("the disk is full");
    };
    const commit = store.commit.bind(store), close = store.close.bind(store);
    return { ...opened, store: { commit, setTerm, close } };
  }, { port: 0, leaseMs: 20, log: log.log });
  await log.next("the term of leases stays recorded as 50 ms: the disk is full");
  await using w = await Wire.connect(server.address);
  await say(w, "OP=PUT;IND=1;DATA=5;");
  await hear(w, "OP=PUT;IND=1;DATA=5;");
});

Deno.test("restart: an end during the wait is not clean, and the whole wait begins anew", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await die(data, HOUR_MS, "OP=PUT;IND=1;DATA=5;");
  const server = await TableServer.listen({ port: 0, data, leaseMs: 100 });
  await within(server.close(), "the server to close");
  assertEquals(look(data), { entries: "1=5", size: 10, termMs: HOUR_MS, clean: false });
  await using again = await startServerOn(data);
  assertEquals(again.logged, [unclean(HOUR_MS)]);
});

Deno.test("restart: an end grants no more, asks every session for all, and waits for the answers", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using played = await PlayedServer.start({ data });
  const p = await played.proxy(), q = await played.proxy(), gone = await played.proxy();
  await played.hold(p, 0);
  await say(gone, "OP=SUB;DATA=0;");
  await hear(gone, "OP=SUB;DATA=0;");
  let closed = false;
  const closing = later(played.server.close().then(() => closed = true));
  // Q holds nothing, as far as the server knows, and is asked all the same.
  await hear(p, "OP=INV;");
  await hear(q, "OP=INV;");
  // What is asked now is not done; the giving back is answered, and proves that all before was read.
  await say(p, "OP=SUB;", "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=9;", "OP=INV;", "OP=SUB;DATA=0;");
  await hear(p, "OP=SUB;DATA=0;");
  assert(!closed, "Q has not answered");
  assert(!await answers(played.server.address, "OP=GET;IND=9;", "OP=GET;IND=9;DATA=109;"));
  await say(q, "OP=INV;");
  await within(closing, "the server to close");
  for (const wire of [p, q, gone]) assertEquals(await wire.rest(), "");
  const entries = Array.from({ length: 10 }, (_, index) => `${index}=${100 + index}`).join(" ");
  assertEquals(look(data), { entries, size: 10, termMs: HOUR_MS, clean: true });

  const log = new Log();
  await using next = await TableServer.listen({ port: 0, data, leaseMs: HOUR_MS, log: log.log });
  await using w = await Wire.connect(next.address);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  assertEquals(log.sentences, []);
});

Deno.test("restart: what was in line is done and answered before an end asks for all", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using played = await PlayedServer.start({ data });
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;");
  await hear(p, "OP=INV;IND=0;");
  const closing = later(played.server.close());
  await say(p, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;DATA=5;");
  await hear(p, "OP=INV;");
  await say(p, "OP=INV;");
  await within(closing, "the server to close");
  assertEquals(look(data).clean, true);
});

Deno.test("restart: an end with a silent holder is clean once its lease is over", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using played = await PlayedServer.start({ data, leaseMs: 200 });
  const p = await played.proxy();
  await played.hold(p, 0);
  const left = await played.proxy();
  await played.hold(left, 1);
  // One that has gone without a word is a holder too, and nobody can be asked.
  played.gone(left);
  await within(played.server.close(), "the server to close");
  assertEquals(await p.rest(), "OP=INV;\n");
  assertEquals(look(data).clean, true);
});

Deno.test("restart: an end waits for silent holders no longer than its limit: a waiting write has then no effect, and the end is not clean", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using server = await startServerOn(data, "--lease", `${HOUR_MS}`, "--init", "100,101");
  await using p = await Wire.connect(server.address);
  await using w = await Wire.connect(server.address);
  await say(p, "OP=SUB;", "OP=GET;IND=0;");
  await hear(p, `OP=SUB;DATA=${HOUR_MS},10;`, "OP=GET;IND=0;DATA=100;");
  await say(w, "OP=PUT;IND=0;DATA=5;", "OP=PUT;IND=9;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  // Its limit is 5 s, and the lease an hour: that it ends at all is what is seen here.
  server.signal("SIGTERM");
  const { code } = await server.ended();
  assertEquals(code, 0);
  const said = "has ended, but not cleanly: a lease may be out";
  assertEquals(server.logged.slice(-2), ["SIGTERM: it ends", said]);
  assertEquals(await w.rest(), "");
  assertEquals(look(data), {
    entries: "0=100 1=101",
    size: 10,
    termMs: HOUR_MS,
    clean: false,
  });
});

/** The port of an address, for the server that comes next. */
function portOf(address: string): number {
  return Number(address.split(":")[1]);
}

Deno.test("restart: with proxies attached, the first write after a clean end waits for nobody, and no old value is read", async () => {
  await using folder = new Folder();
  const options = { data: folder.path(), leaseMs: HOUR_MS, size: 4 };
  let server = await TableServer.listen({ port: 0, ...options });
  const { address } = server;
  const whole = { port: 0, server: address, capacity: 4 };
  await using p = await CacheProxy.listen(whole);
  await using q = await CacheProxy.listen(whole);
  await using w = await TableClient.connect(p.address);
  await using r = await TableClient.connect(q.address);
  for (let round = 1; round <= 5; round++) {
    await w.put([[0, round], [1, -round]]);
    assertEquals(await r.get([0, 1]), [round, -round]);
    await within(server.close(), "the server to close, with proxies that answer");
    assertEquals(look(options.data), {
      entries: `0=${round} 1=${-round}`,
      size: 4,
      termMs: HOUR_MS,
      clean: true,
    });
    const log = new Log();
    server = await listenAgain(() =>
      TableServer.listen({ port: portOf(address), ...options, log: log.log })
    );
    assertEquals(log.sentences, []);
    await using direct = await TableClient.connect(address);
    assertEquals(await direct.get([0, 1]), [round, -round]);
    await within(direct.put([[0, 100 + round]]), "a write for which nobody has to be waited");
    assertEquals(await r.get([0, 1]), [100 + round, -round]);
    assertEquals(await w.get([0, 1]), [100 + round, -round]);
  }
  await server.close();
});

Deno.test("restart: histories with orderly ends and restarts are linearizable, and lose no acknowledged write", async (t) => {
  await using folder = new Folder();
  const size = 10;
  const options = { data: folder.path(), leaseMs: HOUR_MS, size };
  let server = await TableServer.listen({ port: 0, ...options });
  const { address } = server;
  await using p = await CacheProxy.listen({ port: 0, server: address, capacity: 5 });
  await using q = await CacheProxy.listen({ port: 0, server: address, capacity: 3 });
  let ends = 0, striking = Promise.resolve();
  const strike = async () => {
    await within(server.close(), "the server to close");
    assertEquals(look(options.data).clean, true);
    server = await listenAgain(() => TableServer.listen({ port: portOf(address), ...options }));
    ends++;
  };
  const nodes = [p, q, server].flatMap((node) => [node.address, node.address, node.address]);
  const { recorded, unknown, refused } = await runHistory({
    random: new Random(1),
    size,
    nodes,
    operations: 1500,
    burst: 3,
    fault: { every: 250, strike: () => striking = striking.then(strike) },
  });
  await using last = await TableClient.connect(address);
  const ind = Array.from({ length: size }, (_, index) => index);
  const invoked = performance.now();
  const action = { kind: "GET" as const, ind, data: await last.get(ind) };
  const returned = performance.now();
  recorded.push({ connection: -1, sequence: 0, invoked, returned, action });
  await server.close();
  assertGreater(ends, 4);
  await t.step(
    `${ends} ends; ${recorded.length} operations, ${unknown} of unknown outcome; ${refused} refused`,
    () => {
      const verdict = checkHistory(recorded, size, undefined, 5_000_000);
      if (!verdict.ok) fail(verdict.reason);
    },
  );
});

Deno.test("restart: a proxy that has not seen the server die serves nothing old once the next one has taken a write", async () => {
  await using folder = new Folder();
  const options = ["--lease", "1000", "--init", "7"];
  await using first = await startServerOn(folder.path(), ...options);
  await using relay = new Relay(first.address);
  await using p = await CacheProxy.listen({ port: 0, server: relay.address, timeoutMs: 1500 });
  await using r = await TableClient.connect(p.address);
  assertEquals(await r.get([0]), [7]);
  relay.mute("there");
  relay.mute("back");
  first.signal("SIGKILL");
  await first.ended();
  await using next = await listenAgain(() =>
    startServerOn(folder.path(), "--port", `${portOf(first.address)}`)
  );
  await using w = await TableClient.connect(next.address);
  await w.put([[0, 8]]);
  // It has no lease any more, and asks in vain, or has found the next server.
  const seen = await r.get([0]).catch((error) => error);
  if (seen instanceof TableError) assertEquals(seen.code, 503);
  else assertEquals(seen, [8]);
  relay.cut();
});

Deno.test("restart: a server in memory waits for nobody, and says nothing of it", async () => {
  for (let i = 0; i < 2; i++) {
    await using server = await startServer("--lease", `${HOUR_MS}`);
    await using w = await Wire.connect(server.address);
    await say(w, "OP=GET;IND=1;", "OP=PUT;IND=1;DATA=5;");
    await hear(w, "OP=GET;IND=1;DATA=0;", "OP=PUT;IND=1;DATA=5;");
    await using p = await Wire.connect(server.address);
    await say(p, "OP=SUB;", "OP=GET;IND=1;");
    await hear(p, `OP=SUB;DATA=${HOUR_MS},10;`, "OP=GET;IND=1;DATA=5;");
    assertEquals(server.stderr, "");
    server.signal("SIGKILL");
    await server.ended();
  }
});
