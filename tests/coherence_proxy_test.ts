/**
 * The proxy's rules of consistency, each by the interleaving that goes wrong without it: the test is
 * its clients and its server.
 *
 * What a client says and what the server says reach the proxy by different connections, so each step
 * waits for what proves that the step before has been taken.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { CacheProxy, CoherentCache, TableError } from "../mod.ts";
import { Lease } from "../lib/coherence/lease.ts";
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
  shown,
} from "./support/both_ends.ts";
import { simulated } from "./support/stage.ts";
import { HOUR_MS, later, StoppedClocks } from "./support/coherence.ts";
import { FakeServer } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** The term of {@linkcode GRANT}, and how long a proxy uses it. */
const TERM_MS = HOUR_MS, USED_MS = 3_528_000;
/** What a server says that does not know SUB. */
const UNKNOWN = 'OP=ERR;DATA=400;MSG=unknown operation: "SUB";';

Deno.test("rule 6, entries enter in the reader: an INV in the same read does not pass the reply before it", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await say(a, "OP=GET;IND=1;");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=101;", "OP=INV;IND=1;");
  await hear(upstream, "OP=INV;IND=1;");
  await hear(a, "OP=GET;IND=1;DATA=101;");
  await say(a, "OP=GET;IND=1;");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=5;");
  await hear(a, "OP=GET;IND=1;DATA=5;");
  await ends.finish();
});

Deno.test("rule 6, entries are dropped in the reader: a reply in the same read does not pass the INV before it", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await ends.hold(a, 0);
  await say(a, "OP=GET;IND=0,1;");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=INV;IND=0;", "OP=GET;IND=1;DATA=5;");
  await hear(upstream, "OP=INV;IND=0;", "OP=GET;IND=0,1;");
  await say(upstream, "OP=GET;IND=0,1;DATA=5,5;");
  await hear(a, "OP=GET;IND=0,1;DATA=5,5;");
  await ends.finish();
});

Deno.test("rule 6, the hits of a part-hit are read when the misses arrive: one that is gone has all asked again", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await ends.hold(a, 0);
  for (const inv of ["OP=INV;IND=0;", "OP=INV;"]) {
    await say(a, "OP=GET;IND=1,0,1;");
    await hear(upstream, "OP=GET;IND=1;");
    // Both were written between: the old 0 beside the new 1 was never in the table.
    await say(upstream, inv);
    await hear(upstream, inv);
    await say(upstream, "OP=GET;IND=1;DATA=5;");
    await hear(upstream, "OP=GET;IND=1,0,1;");
    await say(upstream, "OP=GET;IND=1,0,1;DATA=5,6,5;");
    await hear(a, "OP=GET;IND=1,0,1;DATA=5,6,5;");
    await say(upstream, "OP=INV;IND=1;");
    await hear(upstream, "OP=INV;IND=1;");
  }
  await ends.finish();
});

Deno.test("rule 6, the hits of a part-hit are read before the new entries go in, which may push them out", async () => {
  await using ends = await BothEnds.start({ capacity: 1 });
  const { upstream } = ends, a = await ends.client();
  await ends.hold(a, 0);
  await say(a, "OP=GET;IND=0,1;");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=5;");
  await hear(a, "OP=GET;IND=0,1;DATA=100,5;");
  assertEquals(await held(a), "1=5");
  await ends.finish();
});

Deno.test("rule 6, a part-hit whose lease has run out meanwhile is asked again whole", async () => {
  using clocks = new StoppedClocks();
  await using ends = await BothEnds.start({ timeoutMs: 2 * TERM_MS });
  const { upstream } = ends, a = await ends.client();
  await ends.hold(a, 0);
  await say(a, "OP=GET;IND=0,1;");
  await hear(upstream, "OP=GET;IND=1;");
  clocks.pass(USED_MS);
  await say(upstream, "OP=GET;IND=1;DATA=5;");
  await hear(upstream, "OP=GET;IND=0,1;");
  await say(upstream, "OP=GET;IND=0,1;DATA=5,5;");
  await hear(a, "OP=GET;IND=0,1;DATA=5,5;");
  await ends.finish();
});

Deno.test("rule 6, a part-hit whose connection is lost is not joined from two connections", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await ends.hold(a, 0);
  await say(a, "OP=GET;IND=0,1;");
  await hear(ends.upstream, "OP=GET;IND=1;");
  await ends.lose();
  await hearErrors(a, 503);
  await ends.greet();
  await ends.hold(a, 0, 1);
  await ends.finish();
});

Deno.test("rule 7, SUB is the first message on every connection: a request that waits for one comes behind it", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const connecting = CoherentCache.connect(server.address, { log: log.log, timeoutMs: HOUR_MS });
  const first = await server.accept();
  await hear(first, "OP=SUB;");
  await say(first, GRANT);
  await using cache = await within(connecting, "the cache to connect");
  first.close();
  await log.next("lost the server");
  const read = later(cache.get([1]));
  const second = await server.accept();
  await hear(second, "OP=SUB;", "OP=GET;IND=1;");
  await say(second, GRANT, "OP=GET;IND=1;DATA=101;");
  assertEquals(await within(read, "the read"), [101]);
  second.close();
});

Deno.test("rule 7, the lease runs from before SUB was sent: a late grant makes it no longer", async () => {
  using clocks = new StoppedClocks();
  const late = 10_000;
  await using ends = await BothEnds.start({ grant: GRANT });
  await ends.lose();
  await ends.greet("");
  clocks.pass(late);
  await say(ends.upstream, GRANT);
  const a = await ends.client();
  await ends.hold(a, 1);
  clocks.pass(USED_MS - late);
  await ends.hold(a, 1);
  await ends.finish();
});

Deno.test("rule 7, the lease runs for the term less 2 %, and until then", async () => {
  using clocks = new StoppedClocks();
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await ends.hold(a, 1);
  clocks.pass(USED_MS - 1);
  await say(a, "OP=GET;IND=1;", "OP=INF;");
  await hear(a, "OP=GET;IND=1;DATA=101;", "OP=INF;IND=1;DATA=101;MSG=lease 1 ms;");
  clocks.pass(1);
  await ends.hold(a, 1);
  await ends.finish();
});

Deno.test("rule 7, the lease is over when either clock says so: the monotonic one stands still in sleep", async () => {
  using clocks = new StoppedClocks();
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await ends.hold(a, 1);
  clocks.sleep(USED_MS);
  await ends.hold(a, 1);
  await ends.finish();
});

Deno.test("rule 7, the lease is over when either clock says so: the wall clock may be set back", async () => {
  using clocks = new StoppedClocks();
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await ends.hold(a, 1);
  clocks.setBack(TERM_MS);
  clocks.pass(USED_MS);
  await ends.hold(a, 1);
  await ends.finish();
});

Deno.test("rule 7, Lease.left is by the clock that has gone farther", () => {
  for (
    const [monotonic, wall, left] of [
      [100, 5000, 980], // at once
      [400, 5300, 680], // both alike
      [400, 5000, 680], // the wall clock stands still
      [100, 5300, 680], // the machine slept
      [200, 5300, 680],
      [400, 1000, 680], // the wall clock was set back
      [1080, 5000, 0],
      [100, 5980, 0],
      [100, 9_000_000, 0],
    ] as const
  ) {
    const lease = new Lease({ monotonic: 100, wall: 5000 }, 1000);
    assertEquals(lease.left({ monotonic, wall }), left, `at ${monotonic}, ${wall}`);
  }
});

simulated(
  "rule 7, one SUB at a time is outstanding, and the next follows the grant",
  async (stage) => {
    await using ends = await BothEnds.start({
      stage,
      grant: "OP=SUB;DATA=1200,10;",
      timeoutMs: 1600,
    });
    const { upstream } = ends, a = await ends.client();
    await hear(upstream, "OP=SUB;");
    await say(upstream, "OP=SUB;DATA=1200,10;");
    await hear(upstream, "OP=SUB;");
    // It has no answer. Several thirds of the term later no other has been sent.
    await say(a, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await hearErrors(a, 503);
    await say(a, "OP=GET;IND=2;");
    await hear(upstream, "OP=GET;IND=2;");
    await say(upstream, GRANT, "OP=GET;IND=1;DATA=101;", "OP=GET;IND=2;DATA=102;");
    await hear(a, "OP=GET;IND=2;DATA=102;");
    await ends.finish();
  },
);

simulated(
  "rule 7, the first reply answers SUB: an ERR that is no 400 means that the connection failed",
  async (stage) => {
    await using ends = await BothEnds.start({ stage });
    await ends.lose();
    for (const code of [429, 500]) {
      await ends.greet(`OP=ERR;DATA=${code};MSG=not now, ${code};`);
      assertStringIncludes(await ends.log.next("lost the server"), `not now, ${code}`);
      assertEquals(await ends.upstream.rest(), "");
      ends.upstream.close();
    }
    await ends.greet();
    const a = await ends.client();
    await ends.hold(a, 1);
    assertEquals(await held(a), "1=101");
    await ends.finish();
  },
);

simulated(
  "rule 8, a lapse ends nothing and drops nothing: requests are forwarded until the next grant",
  async (stage) => {
    const termMs = 3000, grant = `OP=SUB;DATA=${termMs},10;`;
    await using ends = await BothEnds.start({ stage, grant });
    const { upstream } = ends, a = await ends.client(), b = await ends.client();
    await ends.hold(a, 1, 2);
    // Under way over the lapse: a write, answered when it is over.
    await say(b, "OP=PUT;IND=3;DATA=5;");
    await hear(upstream, "OP=PUT;IND=3;DATA=5;");
    await hear(upstream, "OP=SUB;");
    await stage.pass(termMs);
    await say(a, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, "OP=PUT;IND=3;DATA=5;", "OP=GET;IND=1;DATA=101;");
    await hear(b, "OP=PUT;IND=3;DATA=5;");
    await hear(a, "OP=GET;IND=1;DATA=101;");
    await say(a, "OP=INF;");
    await hear(a, "OP=INF;IND=1,2,3;DATA=101,102,5;MSG=no lease;");
    // The grant of a SUB that was sent a term ago is over already. The one after it is not.
    await say(upstream, grant);
    await hear(upstream, "OP=SUB;");
    await say(a, "OP=GET;IND=2;");
    await hear(upstream, "OP=GET;IND=2;");
    await say(upstream, GRANT, "OP=GET;IND=2;DATA=102;");
    await hear(a, "OP=GET;IND=2;DATA=102;");
    await say(a, "OP=GET;IND=1,2,3;");
    await hear(a, "OP=GET;IND=1,2,3;DATA=101,102,5;");
    await ends.nothingSent(9);
    await ends.finish();
  },
);

Deno.test("rule 8, everything is dropped when the connection ends", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await ends.hold(a, 1, 2);
  await ends.lose();
  await say(a, "OP=INF;");
  await hear(a, "OP=INF;MSG=no server;");
  await ends.greet();
  await ends.hold(a, 1, 2);
  await ends.finish();
});

simulated("rule 8, a connection on which SUB stays unanswered is given up", async (stage) => {
  await using ends = await BothEnds.start({ stage, grant: "OP=SUB;DATA=60,10;", timeoutMs: 1000 });
  await hear(ends.upstream, "OP=SUB;");
  await ends.log.next("it does not answer");
  assertEquals(await ends.upstream.rest(), "");
  // The same where it is the first one.
  await ends.greet("");
  assertEquals(await ends.upstream.rest(), "");
  await ends.greet();
  await ends.log.next("is there again");
  await ends.finish();
});

simulated(
  "rule 8, a connection on which SUB stays unanswered is not given up before four terms",
  async (stage) => {
    await using ends = await BothEnds.start({
      stage,
      grant: "OP=SUB;DATA=3000,10;",
      timeoutMs: 1000,
    });
    const { upstream } = ends, a = await ends.client();
    await hear(upstream, "OP=SUB;");
    // The deadline of a request that was sent after it has passed.
    await say(a, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await hearErrors(a, 503);
    await say(a, "OP=GET;IND=2;");
    await hear(upstream, "OP=GET;IND=2;");
    await say(upstream, GRANT, "OP=GET;IND=1;DATA=101;", "OP=GET;IND=2;DATA=102;");
    await hear(a, "OP=GET;IND=2;DATA=102;");
    await ends.finish();
  },
);

Deno.test("rule 9, entries are dropped before a write of them is sent", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1, 2, 3);
  for (
    const [write, reply] of [
      ["OP=PUT;IND=1,2;DATA=5,6;", "OP=GET;IND=1;DATA=5;"],
      ["OP=CLR;", "OP=GET;IND=1;DATA=0;"],
    ] as const
  ) {
    await say(a, write);
    await hear(upstream, write);
    // It has taken effect, others have seen it, and its reply is on the way.
    await say(b, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, write, reply);
    await hear(a, write);
    await hear(b, reply);
  }
  await ends.finish();
});

Deno.test("rule 9, nothing is put in while a write is under way: the reply to an older GET", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client(), b = await ends.client();
  const c = await ends.client();
  for (const write of ["OP=PUT;IND=1;DATA=5;", "OP=CLR;"]) {
    await say(a, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(b, write);
    await hear(upstream, write);
    await say(upstream, "OP=GET;IND=1;DATA=101;");
    await hear(a, "OP=GET;IND=1;DATA=101;");
    await say(c, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, write, "OP=GET;IND=1;DATA=7;");
    await hear(b, write);
    await hear(c, "OP=GET;IND=1;DATA=7;");
    await say(upstream, "OP=INV;");
    await hear(upstream, "OP=INV;");
  }
  await ends.finish();
});

Deno.test("rule 9, nothing is put in while a write is under way: the first of two PUTs", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client(), b = await ends.client();
  const c = await ends.client();
  await say(a, "OP=PUT;IND=1;DATA=5;");
  await hear(upstream, "OP=PUT;IND=1;DATA=5;");
  await say(b, "OP=PUT;IND=1;DATA=6;");
  await hear(upstream, "OP=PUT;IND=1;DATA=6;");
  await say(upstream, "OP=PUT;IND=1;DATA=5;");
  await hear(a, "OP=PUT;IND=1;DATA=5;");
  await say(c, "OP=GET;IND=1;");
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=PUT;IND=1;DATA=6;", "OP=GET;IND=1;DATA=6;");
  await hear(b, "OP=PUT;IND=1;DATA=6;");
  await hear(c, "OP=GET;IND=1;DATA=6;");
  // The last one is answered: from here on it is held.
  await say(c, "OP=GET;IND=1;");
  await hear(c, "OP=GET;IND=1;DATA=6;");
  await ends.nothingSent(9);
  await ends.finish();
});

simulated(
  "rule 9, the proxy's own 504 is not an answer: the write is under way still",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, timeoutMs: 1000 });
    const { upstream } = ends, a = await ends.client(), b = await ends.client();
    const c = await ends.client();
    await say(a, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(b, "OP=PUT;IND=1;DATA=5;");
    await hear(upstream, "OP=PUT;IND=1;DATA=5;");
    await hearErrors(a, 503);
    await hearErrors(b, 504);
    // The read is answered after all. P gets no INV for its own write, which will take effect.
    await say(upstream, "OP=GET;IND=1;DATA=101;", "OP=INV;IND=2;");
    await hear(upstream, "OP=INV;IND=2;");
    await say(c, "OP=GET;IND=1;");
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, "OP=PUT;IND=1;DATA=5;", "OP=GET;IND=1;DATA=5;");
    await hear(c, "OP=GET;IND=1;DATA=5;");
    await ends.finish();
  },
);

Deno.test("rule 9, a write that was refused does not enter", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await say(a, "OP=PUT;IND=1;DATA=5;");
  await hear(upstream, "OP=PUT;IND=1;DATA=5;");
  await say(upstream, "OP=ERR;DATA=500;MSG=no;");
  await hear(a, "OP=ERR;DATA=500;MSG=no;");
  assertEquals(await held(a), "");
  // An ERR is an answer: what is read now may enter.
  await ends.hold(a, 1);
  assertEquals(await held(a), "1=101");
  await ends.finish();
});

Deno.test("rule 9, a write is under way until its connection has ended, and no longer", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client();
  await say(a, "OP=PUT;IND=1;DATA=5;", "OP=CLR;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=5;", "OP=CLR;");
  await ends.lose();
  await hearErrors(a, 504, 504);
  await ends.greet();
  await ends.hold(a, 1);
  await say(a, "OP=GET;IND=1;");
  await hear(a, "OP=GET;IND=1;DATA=101;");
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("rule 9, what was written enters when the write has succeeded, unless it goes around", async () => {
  for (const onWrite of ["allocate", "around"] as const) {
    await using ends = await BothEnds.start({ onWrite });
    const { upstream } = ends, a = await ends.client();
    await ends.hold(a, 1);
    await say(a, "OP=PUT;IND=1,2;DATA=5,6;");
    await hear(upstream, "OP=PUT;IND=1,2;DATA=5,6;");
    assertEquals(await held(await ends.client()), "");
    await say(upstream, "OP=PUT;IND=1,2;DATA=5,6;");
    await hear(a, "OP=PUT;IND=1,2;DATA=5,6;");
    assertEquals(await held(a), onWrite === "allocate" ? "1=5 2=6" : "", onWrite);
    await ends.finish();
  }
});

Deno.test("rule 10, the lease is given back before the proxy closes", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await ends.hold(a, 1);
  const closing = ends.proxy.close();
  await hear(upstream, "OP=SUB;DATA=0;");
  // An INV that was on its way is answered still.
  await say(upstream, "OP=INV;IND=1;");
  await hear(upstream, "OP=INV;IND=1;");
  await say(upstream, "OP=SUB;DATA=0;");
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the proxy to close");
});

Deno.test("rule 10, a lease that was asked for and not granted yet is given back too", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const connecting = CoherentCache.connect(server.address, { log: log.log, timeoutMs: HOUR_MS });
  const first = await server.accept();
  await hear(first, "OP=SUB;");
  await say(first, GRANT);
  await using cache = await within(connecting, "the cache to connect");
  first.close();
  await log.next("lost the server");
  const read = later(cache.get([1]));
  const second = await server.accept();
  await hear(second, "OP=SUB;", "OP=GET;IND=1;");
  const closing = cache.close();
  // The server makes the cache a holder all the same.
  await say(second, GRANT, "OP=GET;IND=1;DATA=101;");
  assertEquals(await within(read, "the read"), [101]);
  await hear(second, "OP=SUB;DATA=0;");
  await say(second, "OP=SUB;DATA=0;");
  assertEquals(await second.rest(), "");
  second.close();
  await within(closing, "the cache to close");
});

Deno.test("rule 10, a cache that closes does not take the refusal of its SUB for another's answer", async () => {
  await using server = FakeServer.listen();
  const log = new Log();
  const connecting = CoherentCache.connect(server.address, { log: log.log, timeoutMs: HOUR_MS });
  const first = await server.accept();
  await hear(first, "OP=SUB;");
  await say(first, UNKNOWN);
  await using cache = await within(connecting, "the cache to connect");
  first.close();
  await log.next("lost the server");
  const read = later(cache.get([1]));
  const second = await server.accept();
  await hear(second, "OP=SUB;", "OP=GET;IND=1;");
  const closing = cache.close();
  await say(second, UNKNOWN, "OP=GET;IND=1;DATA=101;");
  assertEquals(await within(read, "the read"), [101]);
  second.close();
  await within(closing, "the cache to close");
});

Deno.test("rule 10, what was asked is answered before the proxy closes", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client();
  await say(a, "OP=PUT;IND=1;DATA=5;");
  await hear(upstream, "OP=PUT;IND=1;DATA=5;");
  const closing = ends.proxy.close();
  await say(upstream, "OP=PUT;IND=1;DATA=5;");
  await hear(a, "OP=PUT;IND=1;DATA=5;");
  assertEquals(await a.rest(), "");
  a.close();
  await hear(upstream, "OP=SUB;DATA=0;");
  await say(upstream, "OP=SUB;DATA=0;");
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the proxy to close");
});

Deno.test("rule 10, from the moment the lease is given back nothing is answered from the cache", async () => {
  await using ends = await CacheAndServer.start();
  const { upstream, cache } = ends;
  const first = later(cache.get([1]));
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=101;");
  assertEquals(await within(first, "the first read"), [101]);
  assertEquals(await within(cache.get([1]), "a hit"), [101]);
  const closing = cache.close();
  const late = readInLane(cache, 1);
  await hear(upstream, "OP=SUB;DATA=0;");
  // Whoever reads now may see what another has written: the server has no holder to ask any more.
  upstream.close();
  assertMatch(await within(late, "the late read to fail"), /^OP=ERR;DATA=503;/);
  await within(closing, "the cache to close");
});

simulated("rule 10, from the moment the lease is given back no SUB is sent", async (stage) => {
  await using ends = await CacheAndServer.start({
    stage,
    grant: "OP=SUB;DATA=3000,10;",
    timeoutMs: 1500,
  });
  const { upstream, cache } = ends;
  // Its deadline comes after the time for the next SUB.
  const read = later(assertRejects(() => cache.get([1]), TableError));
  await hear(upstream, "OP=GET;IND=1;");
  const closing = cache.close();
  await hear(upstream, "OP=SUB;DATA=0;");
  await within(read, "the read to fail");
  await say(upstream, "OP=SUB;DATA=0;");
  assertEquals(await upstream.rest(), "");
  upstream.close();
  await within(closing, "the cache to close");
});

Deno.test("order, a request behind an outstanding one is not answered from the cache", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client(), b = await ends.client();
  await ends.hold(a, 0, 1);
  await say(a, "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=1;");
  await hear(upstream, "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=1;");
  await say(b, "OP=PUT;IND=1;DATA=6;", "OP=GET;IND=0;");
  await hear(upstream, "OP=PUT;IND=1;DATA=6;", "OP=GET;IND=0;");
  await say(
    upstream,
    "OP=PUT;IND=0;DATA=5;",
    "OP=GET;IND=1;DATA=101;",
    "OP=PUT;IND=1;DATA=6;",
    "OP=GET;IND=0;DATA=5;",
  );
  await hear(a, "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=1;DATA=101;");
  await hear(b, "OP=PUT;IND=1;DATA=6;", "OP=GET;IND=0;DATA=5;");
  await ends.finish();
});

Deno.test("order, what follows a part-hit on its connection waits for it", async () => {
  await using ends = await BothEnds.start();
  const { upstream } = ends, a = await ends.client(), b = await ends.client();
  await ends.hold(a, 0);
  await say(a, "OP=GET;IND=0,1;", "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;");
  await hear(upstream, "OP=GET;IND=1;");
  // Nothing has followed it: what another client asks is the next to come.
  await say(b, "OP=GET;IND=9;");
  await hear(upstream, "OP=GET;IND=9;");
  await say(upstream, "OP=INV;IND=0;", "OP=GET;IND=1;DATA=7;", "OP=GET;IND=9;DATA=109;");
  // It is asked again whole, in front of the write that followed it.
  await hear(upstream, "OP=INV;IND=0;", "OP=GET;IND=0,1;", "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;");
  await hear(b, "OP=GET;IND=9;DATA=109;");
  await say(upstream, "OP=GET;IND=0,1;DATA=6,7;", "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;DATA=5;");
  await hear(a, "OP=GET;IND=0,1;DATA=6,7;", "OP=PUT;IND=0;DATA=5;", "OP=GET;IND=0;DATA=5;");
  await ends.finish();
});

simulated(
  "order, only the server's answer frees a place: the proxy's own 503 does not",
  async (stage) => {
    await using ends = await BothEnds.start({ stage, timeoutMs: 2000 });
    const { upstream } = ends, a = await ends.client();
    const gets = Array<string>(1024).fill("OP=GET;IND=1;");
    await say(a, ...gets, "OP=GET;IND=2;");
    await hear(upstream, ...gets);
    await hearErrors(a, ...gets.map(() => 503));
    const b = await ends.client();
    await say(b, "OP=GET;IND=3;");
    await hear(upstream, "OP=GET;IND=3;");
    await say(upstream, "OP=GET;IND=1;DATA=101;");
    await hear(upstream, "OP=GET;IND=2;");
    await say(
      upstream,
      ...gets.slice(1).map((get) => `${get}DATA=101;`),
      "OP=GET;IND=3;DATA=103;",
      "OP=GET;IND=2;DATA=102;",
    );
    await hear(a, "OP=GET;IND=2;DATA=102;");
    await hear(b, "OP=GET;IND=3;DATA=103;");
    await ends.finish();
  },
);

Deno.test("solo needs a capacity", async () => {
  const solo = { port: 0, solo: true, server: "127.0.0.1:1" };
  await assertRejects(() => CacheProxy.listen(solo), TypeError, "capacity");
  await assertRejects(() => CoherentCache.connect(solo.server, solo), TypeError, "capacity");
});

Deno.test("solo caches on a server that does not know SUB, and drops all when the connection ends", async () => {
  await using ends = await BothEnds.start({ solo: true, capacity: 2, grant: UNKNOWN });
  const a = await ends.client();
  await ends.log.next("solo");
  await ends.hold(a, 1);
  await say(a, "OP=GET;IND=1;", "OP=INF;");
  await hear(a, "OP=GET;IND=1;DATA=101;", "OP=INF;IND=1;DATA=101;MSG=solo;");
  await ends.nothingSent(9);
  await say(a, "OP=PUT;IND=1;DATA=5;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=5;");
  await say(ends.upstream, "OP=PUT;IND=1;DATA=5;");
  await hear(a, "OP=PUT;IND=1;DATA=5;");
  assertEquals(await held(a), "9=109 1=5");
  await ends.lose();
  await say(a, "OP=INF;");
  await hear(a, "OP=INF;MSG=no server;");
  await ends.greet(UNKNOWN);
  await ends.hold(a, 1);
  await ends.finish({ leased: false });
});

Deno.test("without solo everything passes through to a server that does not know SUB, and one line of log says why", async () => {
  await using ends = await BothEnds.start({ capacity: 2, grant: UNKNOWN });
  const { upstream } = ends, a = await ends.client();
  await ends.log.next("grants no leases");
  for (let i = 0; i < 2; i++) {
    await ends.hold(a, 1);
    await say(a, "OP=PUT;IND=1;DATA=101;");
    await hear(upstream, "OP=PUT;IND=1;DATA=101;");
    await say(upstream, "OP=PUT;IND=1;DATA=101;");
    await hear(a, "OP=PUT;IND=1;DATA=101;");
  }
  await say(a, "OP=INF;");
  const info = await a.line();
  assertEquals(shown(info), "");
  assertEquals(info, "OP=INF;MSG=no lease;");
  assertEquals(ends.log.sentences.length, 1);
  await ends.finish({ leased: false });
});
