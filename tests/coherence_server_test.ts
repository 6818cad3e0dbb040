/**
 * The server's rules of consistency, each by the interleaving that goes wrong without it: the test is
 * the proxies P and Q, the writers W and the readers R.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { hear, hearErrors, say } from "./support/both_ends.ts";
import { simulated } from "./support/stage.ts";
import { HOUR_MS, Owed, PlayedServer, StoppedClocks } from "./support/coherence.ts";
import { within } from "./support/within.ts";

Deno.test("rule 1, effects come in connection order: an INV does not pass a reply that is held back", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy();
  const w = await played.client(), w2 = await played.client();
  await played.hold(q, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(q, "OP=INV;IND=0;");
  // GET 0 waits for W. GET 1 waits for nobody but GET 0, and so has no effect yet.
  await say(p, "OP=GET;IND=0;", "OP=GET;IND=1;");
  await played.renew(p);
  await say(w2, "OP=PUT;IND=1;DATA=6;");
  await played.stillOwed();
  await played.renew(p);
  await say(q, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=GET;IND=0;DATA=5;", "OP=GET;IND=1;DATA=101;", "OP=INV;IND=1;");
  const written = new Owed(w2);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=1;");
  await written.hear("OP=PUT;IND=1;DATA=6;");
  await played.finish();
});

Deno.test("rule 1, effect and reply are one step: the INV of the next write comes behind the reply", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w2 = await played.proxy();
  const w = await played.client();
  await played.hold(q, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(q, "OP=INV;IND=0;");
  await say(p, "OP=GET;IND=0;");
  await played.renew(p);
  await say(w2, "OP=PUT;IND=0;DATA=6;");
  await played.renew(w2);
  // One answer frees all three: W takes effect, P becomes a holder, and is asked by W2.
  await say(q, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=GET;IND=0;DATA=5;", "OP=INV;IND=0;");
  await say(p, "OP=INV;IND=0;");
  await hear(w2, "OP=PUT;IND=0;DATA=6;");
  await played.finish();
});

Deno.test("rule 2, its own PUT makes a session a holder", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await say(p, "OP=PUT;IND=1;DATA=5;");
  await hear(p, "OP=PUT;IND=1;DATA=5;");
  await say(w, "OP=PUT;IND=1;DATA=6;");
  await hear(p, "OP=INV;IND=1;");
  const written = new Owed(w);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=1;");
  await written.hear("OP=PUT;IND=1;DATA=6;");
  await played.finish();
});

Deno.test("rule 3, holders are looked up when the turn has come: one that came in while the write waited is asked", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w2 = await played.proxy();
  const w = await played.client();
  await played.hold(q, 5);
  await say(w, "OP=PUT;IND=0,5;DATA=1,1;");
  await hear(q, "OP=INV;IND=5;");
  await say(p, "OP=GET;IND=0;");
  await played.renew(p);
  // When this write arrives, nobody holds 0.
  await say(w2, "OP=PUT;IND=0;DATA=2;");
  await played.renew(w2);
  await say(q, "OP=INV;IND=5;");
  await hear(w, "OP=PUT;IND=0,5;DATA=1,1;");
  await hear(p, "OP=GET;IND=0;DATA=1;", "OP=INV;IND=0;");
  const written = new Owed(w2);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=0;");
  await written.hear("OP=PUT;IND=0;DATA=2;");
  await played.finish();
});

Deno.test("rule 3, every other session is asked: also the one by which the writer's proxy came back", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 200;
  await using played = await PlayedServer.start({ leaseMs });
  const p = await played.proxy(), again = await played.proxy(), r = await played.client();
  await played.hold(again, 0);
  // Left on the connection that is broken; the holder is the same proxy, from the same host.
  await say(p, "OP=PUT;IND=0;DATA=5;");
  played.gone(p);
  await hear(again, "OP=INV;IND=0;");
  await say(r, "OP=GET;IND=0;");
  const read = new Owed(r);
  await played.stillOwed(read);
  await say(again, "OP=INV;IND=0;");
  await read.hear("OP=GET;IND=0;DATA=5;");
  clocks.pass(leaseMs);
  await played.finish();
});

simulated(
  "rule 3, a session is waited for until its lease as it stood when INV was sent: renewals do not prolong it",
  async (stage) => {
    await using played = await PlayedServer.start({ stage, leaseMs: 1000 });
    const p = await played.proxy(), w = await played.client();
    await played.hold(p, 0);
    await say(w, "OP=PUT;IND=0;DATA=5;");
    await hear(p, "OP=INV;IND=0;");
    const written = new Owed(w);
    // P hears nothing, but its SUBs arrive and are granted.
    const renewing = (async () => {
      while (!written.came) await played.renew(p);
    })();
    await within(renewing, "the write to be answered while the holder renews its lease");
    await written.hear("OP=PUT;IND=0;DATA=5;");
    await played.finish();
  },
);

Deno.test("rule 3, a lapsed session is asked too, and not waited for", async () => {
  using clocks = new StoppedClocks();
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  clocks.pass(HOUR_MS);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  // P has not looked at its lease; a new grant would make its old entries good again.
  await say(p, "OP=SUB;");
  await hear(p, "OP=INV;IND=0;", played.grant);
  // That it was not waited for has ended the holding.
  await say(w, "OP=PUT;IND=0;DATA=6;");
  await hear(w, "OP=PUT;IND=0;DATA=6;");
  await played.renew(p);
  await played.finish();
});

Deno.test("rule 3, a write goes on when its client has left", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 200;
  await using played = await PlayedServer.start({ leaseMs });
  const p = await played.proxy(), w = await played.proxy();
  const r = await played.client(), r2 = await played.client();
  await played.hold(p, 0);
  await played.hold(w, 5);
  await say(w, "OP=GET;IND=6;", "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  // The reply that nobody has read makes this a reset, and what the server sends there now fails.
  played.gone(w);
  await say(r2, "OP=PUT;IND=5;DATA=6;");
  await say(r, "OP=GET;IND=0;");
  const read = new Owed(r), written = new Owed(r2);
  await played.stillOwed(read, written);
  await say(p, "OP=INV;IND=0;");
  await read.hear("OP=GET;IND=0;DATA=5;");
  clocks.pass(leaseMs);
  await written.hear("OP=PUT;IND=5;DATA=6;");
  await played.finish();
});

Deno.test("rule 4, an answer to INV is taken ahead of the line: it may stand behind a GET that waits for it", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await say(p, "OP=GET;IND=0;", "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=GET;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("rule 4, SUB is taken ahead of the line: a silent holder does not hold up another's renewal", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await say(q, "OP=GET;IND=0;", "OP=SUB;");
  await hear(q, played.grant);
  await say(p, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await hear(q, "OP=GET;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("rule 4, a session is always read: the answer to INV is found behind 3,000 requests that wait for it", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  const gets = Array<string>(3000).fill("OP=GET;IND=0;");
  await say(p, ...gets, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, ...gets.map((get) => `${get}DATA=5;`));
  await played.finish();
});

Deno.test("rule 4, the k-th answer is to the k-th INV: a late one is not taken for the next", async () => {
  using clocks = new StoppedClocks();
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  clocks.pass(HOUR_MS);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  // P has not come to the first INV yet. It holds 0 anew, and is asked once more.
  await say(p, "OP=SUB;", "OP=GET;IND=0;");
  await hear(p, "OP=INV;IND=0;", played.grant, "OP=GET;IND=0;DATA=5;");
  await say(w, "OP=PUT;IND=0;DATA=6;");
  await hear(p, "OP=INV;IND=0;");
  const written = new Owed(w);
  await say(p, "OP=INV;IND=0;");
  await played.renew(p);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=0;");
  await written.hear("OP=PUT;IND=0;DATA=6;");
  await played.finish();
});

Deno.test("rule 4, a session with more than 1 MiB unsent, that takes nothing of it, is closed", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 1000;
  await using played = await PlayedServer.start({ leaseMs, init: [Number.MIN_SAFE_INTEGER] });
  const p = await played.proxy(), r = await played.client();
  let closed = false;
  const ask = (text: string) =>
    p.send(text).catch((error) => {
      const { BrokenPipe, ConnectionReset } = Deno.errors;
      closed = error instanceof BrokenPipe || error instanceof ConnectionReset;
      if (!closed) throw error;
    });
  // P asks and does not read: each request is 2 KiB, each reply 19. That is more than the buffers
  // between the two take, and less than what closes any session at once.
  const many = `OP=GET;IND=${Array(1024).fill(0)};\n`.repeat(100);
  for (let i = 0; i < 8 && !closed; i++) await ask(many);
  const untilClosed = async () => {
    while (!closed) {
      await ask("OP=GET;IND=0;\n");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  await within(untilClosed(), "the deaf session to be closed");
  played.gone(p);
  await say(r, "OP=GET;IND=1;");
  await hear(r, "OP=GET;IND=1;DATA=0;");
  clocks.pass(leaseMs);
  await played.finish();
});

simulated("rule 4, a session whose lease has been over for ten terms is closed", async (stage) => {
  await using played = await PlayedServer.start({ stage, leaseMs: 100 });
  const p = await played.proxy();
  await played.hold(p, 0);
  assertEquals(await p.rest(), "");
  played.gone(p);
  await played.finish();
});

Deno.test("rule 5, what a connection that has ended held is held until its lease is over", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 200;
  await using played = await PlayedServer.start({ leaseMs });
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  // The server sees the end; P may not, and serves on.
  await played.leave(p);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  const written = new Owed(w);
  await played.stillOwed(written);
  clocks.pass(leaseMs);
  await written.hear("OP=PUT;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("rule 5, and no longer, whoever else comes and goes meanwhile and holds something else", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 200;
  await using played = await PlayedServer.start({ leaseMs });
  const w = await played.client(), p = await played.proxy();
  await played.hold(p, 7);
  await played.leave(p);
  for (let round = 0; round < 3; round++) {
    clocks.pass(leaseMs / 2);
    const q = await played.proxy();
    await played.hold(q, 0);
    await played.leave(q);
  }
  // The lease on 7 ended half a term ago; that of the last of the others runs.
  await say(w, "OP=PUT;IND=7;DATA=5;");
  await hear(w, "OP=PUT;IND=7;DATA=5;");
  await say(w, "OP=PUT;IND=0;DATA=5;");
  const written = new Owed(w);
  await played.stillOwed(written);
  clocks.pass(leaseMs);
  await written.hear("OP=PUT;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("rule 5, a holding ends when its INV is answered: the next write asks nobody", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0, 1);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await say(p, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await say(w, "OP=PUT;IND=0;DATA=6;");
  await hear(w, "OP=PUT;IND=0;DATA=6;");
  await played.renew(p);
  // What that INV did not name is held still.
  await say(w, "OP=PUT;IND=1;DATA=7;");
  await hear(p, "OP=INV;IND=1;");
  await say(p, "OP=INV;IND=1;");
  await hear(w, "OP=PUT;IND=1;DATA=7;");
  await played.finish();
});

Deno.test("rule 5, a late answer to INV ends nothing", async () => {
  using clocks = new StoppedClocks();
  const leaseMs = 200;
  await using played = await PlayedServer.start({ leaseMs });
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 7);
  await say(w, "OP=PUT;IND=7;DATA=5;");
  await hear(p, "OP=INV;IND=7;");
  // P is slow: its GET 7 comes before its answer, and stands behind W.
  await say(p, "OP=GET;IND=7;");
  await played.renew(p);
  clocks.pass(leaseMs);
  await hear(w, "OP=PUT;IND=7;DATA=5;");
  await hear(p, "OP=GET;IND=7;DATA=5;");
  await say(p, "OP=INV;IND=7;");
  await played.renew(p);
  await say(w, "OP=PUT;IND=7;DATA=6;");
  await hear(p, "OP=INV;IND=7;");
  const written = new Owed(w);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=7;");
  await written.hear("OP=PUT;IND=7;DATA=6;");
  await played.finish();
});

Deno.test("restart, an orderly end grants nothing more, sends every session INV without IND and waits for the answers", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy();
  await played.hold(p, 0, 1);
  const closing = played.server.close();
  let closed = false;
  closing.then(() => closed = true);
  // Q holds nothing; it is asked like any other.
  await hear(p, "OP=INV;");
  await hear(q, "OP=INV;");
  await say(p, "OP=SUB;", "OP=INV;");
  await say(p, "OP=SUB;DATA=0;");
  await hear(p, "OP=SUB;DATA=0;");
  assert(!closed, "the server has closed before all have answered");
  await say(q, "OP=SUB;", "OP=INV;");
  await played.leave(p);
  await played.leave(q);
  await within(closing, "the server to close");
});

simulated(
  "restart, an orderly end waits for a silent session until its lease is over",
  async (stage) => {
    await using played = await PlayedServer.start({ stage, leaseMs: 1000 });
    const p = await played.proxy();
    await played.hold(p, 0);
    const closing = played.server.close();
    await hear(p, "OP=INV;");
    await played.leave(p);
    await within(closing, "the server to close");
  },
);

Deno.test("a write with no other holder waits for nobody", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy();
  await played.hold(p, 0);
  await played.hold(q, 1);
  await say(p, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=PUT;IND=0;DATA=5;");
  // Neither was asked anything.
  await played.renew(p);
  await played.renew(q);
  await played.finish();
});

Deno.test("what shares neither an index nor a connection with a delayed write goes on", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client(), r = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0,1;DATA=5,5;", "OP=GET;IND=8;");
  await hear(p, "OP=INV;IND=0;");
  const written = new Owed(w);
  await say(r, "OP=GET;IND=2,3;", "OP=PUT;IND=2;DATA=7;", "OP=ADD;IND=2,3;");
  await hear(
    r,
    "OP=GET;IND=2,3;DATA=102,103;",
    "OP=PUT;IND=2;DATA=7;",
    "OP=ADD;IND=2,3;DATA=110;",
  );
  await say(p, "OP=GET;IND=4;");
  await hear(p, "OP=GET;IND=4;DATA=104;");
  // What shares one of its indices waits, and what touches all.
  await say(r, "OP=GET;IND=1;");
  const r2 = await played.client();
  await say(r2, "OP=INF;");
  const read = new Owed(r), shown = new Owed(r2);
  const r3 = await played.client();
  await say(r3, "OP=ADD;IND=9;");
  const sum = new Owed(r3);
  await say(p, "OP=SUB;");
  await hear(p, played.grant);
  assert(!written.came && !read.came && !shown.came, "the write was not waited for");
  await say(p, "OP=INV;IND=0;");
  await written.hear("OP=PUT;IND=0,1;DATA=5,5;");
  await hear(w, "OP=GET;IND=8;DATA=108;");
  await read.hear("OP=GET;IND=1;DATA=5;");
  await shown.hear("OP=INF;IND=0,1,2,3,4,5,6,7,8,9;DATA=5,5,7,103,104,105,106,107,108,109;");
  await sum.hear("OP=ADD;IND=9;DATA=109;");
  await played.finish();
});

simulated("a holder that never answers delays a write until its lease is over", async (stage) => {
  await using played = await PlayedServer.start({ stage, leaseMs: 1000 });
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("a holder whose lease runs delays a write until it answers", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w = await played.client();
  await played.hold(p, 0);
  await played.hold(q, 0);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await hear(q, "OP=INV;IND=0;");
  const written = new Owed(w);
  await played.stillOwed(written);
  await say(p, "OP=INV;IND=0;");
  await played.renew(p);
  await played.stillOwed(written);
  await say(q, "OP=INV;IND=0;");
  await written.hear("OP=PUT;IND=0;DATA=5;");
  await played.finish();
});

Deno.test("a lease given back releases the writes that wait for it, and ends its holdings", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  await played.hold(p, 0, 1);
  await say(w, "OP=PUT;IND=0;DATA=5;");
  await hear(p, "OP=INV;IND=0;");
  await say(p, "OP=SUB;DATA=0;");
  await hear(p, "OP=SUB;DATA=0;");
  await hear(w, "OP=PUT;IND=0;DATA=5;");
  // Without a lease nothing is held, whatever is read or written.
  await say(p, "OP=GET;IND=0;", "OP=PUT;IND=2;DATA=6;");
  await hear(p, "OP=GET;IND=0;DATA=5;", "OP=PUT;IND=2;DATA=6;");
  await say(w, "OP=PUT;IND=0,1,2;DATA=7,7,7;");
  await hear(w, "OP=PUT;IND=0,1,2;DATA=7,7,7;");
  await played.renew(p);
  await played.finish();
});

Deno.test("INV names just what that session holds", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w = await played.client();
  await played.hold(p, 1, 2);
  await played.hold(q, 3, 2, 0);
  await say(w, "OP=PUT;IND=1,2,3,4;DATA=5,6,7,8;");
  await hear(p, "OP=INV;IND=1,2;");
  await hear(q, "OP=INV;IND=2,3;");
  await say(p, "OP=INV;IND=1,2;");
  await say(q, "OP=INV;IND=2,3;");
  await hear(w, "OP=PUT;IND=1,2,3,4;DATA=5,6,7,8;");
  // What was dropped is not asked for again; what was not named is held still.
  await say(w, "OP=PUT;IND=0,1,2,3;DATA=1,1,1,1;");
  await hear(q, "OP=INV;IND=0;");
  await played.renew(p);
  await say(q, "OP=INV;IND=0;");
  await hear(w, "OP=PUT;IND=0,1,2,3;DATA=1,1,1,1;");
  await played.finish();
});

Deno.test("CLR sends INV without IND to whoever holds anything", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), q = await played.proxy(), w = await played.client();
  await played.hold(p, 1, 2);
  await say(w, "OP=CLR;");
  await hear(p, "OP=INV;");
  const cleared = new Owed(w);
  // Every read shares an index with CLR; renewals do not. Q, which holds nothing, is not asked.
  await played.renew(q);
  await played.renew(q);
  assert(!cleared.came, "CLR was answered before the holder was");
  await say(p, "OP=INV;");
  await cleared.hear("OP=CLR;");
  await say(w, "OP=PUT;IND=1,2;DATA=1,2;");
  await hear(w, "OP=PUT;IND=1,2;DATA=1,2;");
  await played.finish();
});

Deno.test("INV from a peer that was asked nothing is 400, and its connection goes on", async () => {
  await using played = await PlayedServer.start();
  const p = await played.proxy(), w = await played.client();
  for (const wire of [p, w]) {
    await say(wire, "OP=INV;IND=0;", "OP=INV;", "OP=GET;IND=0;");
    await hearErrors(wire, 400, 400);
    await hear(wire, "OP=GET;IND=0;DATA=100;");
  }
  await played.finish();
});
