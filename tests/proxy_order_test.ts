/**
 * The order a proxy keeps, by the messages at both of its ends.
 */
import { assertEquals } from "@std/assert";
import {
  BothEnds,
  CacheAndServer,
  hear,
  hearErrors,
  held,
  say,
  shown,
} from "./support/both_ends.ts";
import { within } from "./support/within.ts";

Deno.test("order: with nothing outstanding a hit is answered at once, whatever others wait for", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1);
  await say(a, "OP=GET;IND=2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(b, "OP=GET;IND=1;");
  await hear(b, "OP=GET;IND=1;DATA=101;");
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(a, "OP=GET;IND=2;DATA=2;");
  await ends.finish();
});

Deno.test("order: behind something outstanding a request is forwarded whole, hit or not", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 3);
  const sent = [
    "OP=GET;IND=2;",
    "OP=GET;IND=1;",
    "OP=GET;IND=3,4,3;",
    "OP=GET;IND=1,3;",
    "OP=GET;IND=5;",
  ];
  await say(client, ...sent.with(3, "OP=ADD;IND=1,3,1;"));
  await hear(ends.upstream, ...sent);
  await say(
    ends.upstream,
    "OP=GET;IND=2;DATA=2;",
    "OP=GET;IND=1;DATA=101;",
    "OP=GET;IND=3,4,3;DATA=103,4,103;",
    "OP=GET;IND=1,3;DATA=101,103;",
    "OP=GET;IND=5;DATA=5;",
  );
  await hear(
    client,
    "OP=GET;IND=2;DATA=2;",
    "OP=GET;IND=1;DATA=101;",
    "OP=GET;IND=3,4,3;DATA=103,4,103;",
    "OP=ADD;IND=1,3,1;DATA=305;",
    "OP=GET;IND=5;DATA=5;",
  );
  assertEquals(await held(client), "1=101 3=103 2=2 4=4 5=5");
  await say(client, "OP=GET;IND=5,1;"); // nothing outstanding any more
  await hear(client, "OP=GET;IND=5,1;DATA=5,101;");
  await ends.finish();
});

Deno.test("order: a read whole behind another lets its misses enter in the order asked, its hits stay", async () => {
  await using ends = await BothEnds.start({ capacity: 2 });
  const client = await ends.client();
  await ends.hold(client, 0, 1);
  await say(client, "OP=CLR;", "OP=GET;IND=0,1;", "OP=GET;IND=2,3,0;");
  await hear(ends.upstream, "OP=CLR;", "OP=GET;IND=0,1;", "OP=GET;IND=2,3,0;");
  await say(ends.upstream, "OP=CLR;", "OP=GET;IND=0,1;DATA=0,0;", "OP=GET;IND=2,3,0;DATA=0,0,0;");
  await hear(client, "OP=CLR;", "OP=GET;IND=0,1;DATA=0,0;", "OP=GET;IND=2,3,0;DATA=0,0,0;");
  assertEquals(await held(client), "2=0 3=0");
  await ends.finish();
});

Deno.test("order: a read behind a write is not answered from what is held", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 2);
  await say(client, "OP=PUT;IND=1;DATA=9;", "OP=GET;IND=2;", "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=9;", "OP=GET;IND=2;", "OP=GET;IND=1;");
  await say(
    ends.upstream,
    "OP=PUT;IND=1;DATA=9;",
    "OP=GET;IND=2;DATA=102;",
    "OP=GET;IND=1;DATA=9;",
  );
  await hear(client, "OP=PUT;IND=1;DATA=9;", "OP=GET;IND=2;DATA=102;", "OP=GET;IND=1;DATA=9;");
  await ends.finish();
});

Deno.test("order: what follows a part-hit waits for it, then runs as if it had come then", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1);
  await say(
    client,
    "OP=GET;IND=1,2;",
    "OP=GET;IND=2;", // a hit by then
    "OP=INF;",
    "nonsense",
    "OP=GET;IND=1,3;", // a part-hit of its own
    "OP=PUT;IND=5;DATA=5;",
    "OP=GET;IND=1;",
    "OP=GET;IND=6;",
  );
  await hear(ends.upstream, "OP=GET;IND=2;");
  await ends.nothingSent(9, "OP=GET;IND=2;DATA=2;");
  await hear(client, "OP=GET;IND=1,2;DATA=101,2;", "OP=GET;IND=2;DATA=2;");
  assertEquals(shown(await client.line()), "1=101 2=2");
  await hearErrors(client, 400);
  await hear(ends.upstream, "OP=GET;IND=3;");
  await ends.nothingSent(8, "OP=GET;IND=3;DATA=3;");
  await hear(ends.upstream, "OP=PUT;IND=5;DATA=5;", "OP=GET;IND=1;", "OP=GET;IND=6;");
  await say(
    ends.upstream,
    "OP=PUT;IND=5;DATA=5;",
    "OP=GET;IND=1;DATA=101;",
    "OP=GET;IND=6;DATA=6;",
  );
  await hear(client, "OP=GET;IND=1,3;DATA=101,3;", "OP=PUT;IND=5;DATA=5;");
  await hear(client, "OP=GET;IND=1;DATA=101;", "OP=GET;IND=6;DATA=6;");
  await ends.finish();
});

Deno.test("order: others are not held up by a part-hit", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1);
  await say(a, "OP=GET;IND=1,2;", "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(b, "OP=GET;IND=1;", "OP=GET;IND=1,3;");
  await hear(b, "OP=GET;IND=1;DATA=101;");
  await hear(ends.upstream, "OP=GET;IND=3;");
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;", "OP=GET;IND=3;DATA=3;");
  await hear(a, "OP=GET;IND=1,2;DATA=101,2;", "OP=GET;IND=1;DATA=101;");
  await hear(b, "OP=GET;IND=1,3;DATA=101,3;");
  await ends.finish();
});

Deno.test("order: INF and the proxy's own errors are answered when all before them are", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(
    client,
    "OP=GET;IND=2;",
    "OP=INF;",
    "nonsense",
    "OP=GET;IND=10;",
    "OP=ADD;IND=1,1,1,1,1,1;",
    "OP=SUB;",
    "OP=GET;IND=3;",
    "OP=INF;",
  );
  await hear(ends.upstream, "OP=GET;IND=2;", "OP=GET;IND=3;");
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(client, "OP=GET;IND=2;DATA=2;");
  assertEquals(shown(await client.line()), "2=2"); // made in its turn
  await hearErrors(client, 400, 404, 413, 400);
  await say(ends.upstream, "OP=GET;IND=3;DATA=3;");
  await hear(client, "OP=GET;IND=3;DATA=3;");
  assertEquals(shown(await client.line()), "2=2 3=3");
  await ends.finish();
});

Deno.test("order: several clients at once each get their own replies", async () => {
  await using ends = await BothEnds.start();
  const clients = [await ends.client(), await ends.client(), await ends.client()];
  const answers: string[] = [], expected: string[][] = [[], [], []];
  for (let i = 0; i < 30; i++) {
    const who = (i * 7) % 3, index = (i * 3) % 10;
    const line = i % 4 === 3 ? `OP=PUT;IND=${index};DATA=${i};` : `OP=GET;IND=${index};`;
    const answer = i % 4 === 3 ? line : `${line}DATA=${1000 + i};`;
    await say(clients[who]!, line);
    await hear(ends.upstream, line); // nothing is answered yet, so each has something outstanding
    answers.push(answer);
    expected[who]!.push(answer);
  }
  await say(ends.upstream, ...answers);
  for (const [who, client] of clients.entries()) await hear(client, ...expected[who]!);
  await ends.finish();
});

Deno.test("order: many requests in one write, hits, misses, writes and errors mixed, keep their order", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  const server = (async () => {
    // A server of its own, answering as the messages come.
    const table = Array<number>(10).fill(0);
    for (let line; (line = await ends.upstream.line()) !== "OP=GET;IND=0,9,0;";) {
      const [, op, list = "", data = ""] = /^OP=(GET|PUT|CLR);(?:IND=([^;]+);)?(?:DATA=([^;]+);)?$/
        .exec(line) ?? [];
      const ind = list.split(",").map(Number);
      if (op === "CLR") table.fill(0);
      if (op === "PUT") data.split(",").forEach((integer, i) => table[ind[i]!] = Number(integer));
      await say(ends.upstream, op === "GET" ? `${line}DATA=${ind.map((i) => table[i])};` : line);
    }
    await say(ends.upstream, "OP=ERR;DATA=500;MSG=the end;");
  })();
  const model = Array<number>(10).fill(0);
  const asked: string[] = [], expected: (string | RegExp)[] = [];
  for (let i = 0; i < 2000; i++) {
    const one = (i * 7 + (i >> 3)) % 10, other = (i * 3 + (i >> 5)) % 10;
    switch (i % 11) {
      case 3:
        model[one] = i;
        asked.push(`OP=PUT;IND=${one};DATA=${i};`);
        expected.push(`OP=PUT;IND=${one};DATA=${i};`);
        break;
      case 5:
        asked.push("OP=GET;IND=10;");
        expected.push(/^OP=ERR;DATA=404;/);
        break;
      case 7:
        asked.push(`OP=ADD;IND=${one},${other},${one};`);
        expected.push(`OP=ADD;IND=${one},${other},${one};DATA=${2 * model[one]! + model[other]!};`);
        break;
      case 9:
        if (i % 5 === 0) model.fill(0);
        asked.push(i % 5 === 0 ? "OP=CLR;" : "OP=INF;");
        expected.push(i % 5 === 0 ? "OP=CLR;" : /^OP=INF;/);
        break;
      default:
        asked.push(`OP=GET;IND=${one},${other};`);
        expected.push(`OP=GET;IND=${one},${other};DATA=${model[one]},${model[other]};`);
    }
  }
  await say(client, ...asked);
  for (const [i, reply] of expected.entries()) {
    const line = await client.line();
    if (typeof reply === "string") assertEquals(line, reply, `the reply to ${i}, ${asked[i]}`);
    else assertEquals(reply.test(line), true, `the reply to ${i}, ${asked[i]}: ${line}`);
  }
  await say(client, "OP=CLR;", "OP=GET;IND=0,9,0;");
  await hear(client, "OP=CLR;");
  await hearErrors(client, 500);
  await within(server, "the server's part to end");
  await ends.finish();
});

Deno.test("order: a client with 1,024 requests at the server is not read until the server answers", async () => {
  await using ends = await BothEnds.start({ grant: "OP=SUB;DATA=60000,5000;", timeoutMs: 300 });
  const client = await ends.client(), other = await ends.client();
  const gets = Array.from({ length: 1100 }, (_, index) => `OP=GET;IND=${index};`);
  await say(client, ...gets);
  await hear(ends.upstream, ...gets.slice(0, 1024));
  await say(other, "OP=GET;IND=4000;"); // were there a 1,025th, it would come first
  await hear(ends.upstream, "OP=GET;IND=4000;");

  // Its own answers free no place: 1,024 requests still stand in line at the server.
  await hearErrors(client, ...Array(1024).fill(503));
  await hearErrors(other, 503);
  await say(other, "OP=GET;IND=4001;");
  await hear(ends.upstream, "OP=GET;IND=4001;");
  await hearErrors(other, 503);

  // Each answer of the server frees one.
  for (let i = 0; i < 3; i++) {
    await say(ends.upstream, `OP=GET;IND=${i};DATA=${i};`);
    await hear(ends.upstream, gets[1024 + i]!);
    await say(other, `OP=GET;IND=${4002 + i};`);
    await hear(ends.upstream, `OP=GET;IND=${4002 + i};`);
  }
});

Deno.test("order: requests held behind a part-hit take places too", async () => {
  await using ends = await BothEnds.start({ grant: "OP=SUB;DATA=60000,5000;" });
  const client = await ends.client();
  await ends.hold(client, 1);
  const gets = Array.from({ length: 1500 }, (_, i) => `OP=GET;IND=${2000 + i};`);
  await say(client, "OP=GET;IND=1,2;", ...gets);
  await hear(ends.upstream, "OP=GET;IND=2;");
  await ends.nothingSent(4000, "OP=GET;IND=2;DATA=2;");
  await hear(client, "OP=GET;IND=1,2;DATA=101,2;");
  for (const get of gets) {
    await hear(ends.upstream, get);
    await say(ends.upstream, `${get}DATA=0;`);
    await hear(client, `${get}DATA=0;`);
  }
  await ends.finish();
});

Deno.test("order: a part-hit whose hits were invalidated meanwhile is asked whole, and what followed comes behind", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1);
  await say(client, "OP=GET;IND=1,2;", "OP=GET;IND=7;", "OP=GET;IND=2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  // In one write, so that they come in one read: the answer may not pass the invalidation.
  await say(ends.upstream, "OP=INV;IND=1;", "OP=GET;IND=2;DATA=2;");
  await hear(ends.upstream, "OP=INV;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=1,2;", "OP=GET;IND=7;", "OP=GET;IND=2;");
  await say(
    ends.upstream,
    "OP=GET;IND=1,2;DATA=11,22;",
    "OP=GET;IND=7;DATA=7;",
    "OP=GET;IND=2;DATA=22;",
  );
  await hear(client, "OP=GET;IND=1,2;DATA=11,22;", "OP=GET;IND=7;DATA=7;", "OP=GET;IND=2;DATA=22;");
  assertEquals(await held(client), "2=22 1=11 7=7");
  await ends.finish();
});

Deno.test("order: an INV of everything, or of other entries, is taken for just that", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 3);
  await say(client, "OP=GET;IND=1,2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(ends.upstream, "OP=INV;IND=3,4;", "OP=GET;IND=2;DATA=2;");
  await hear(ends.upstream, "OP=INV;IND=3,4;");
  await hear(client, "OP=GET;IND=1,2;DATA=101,2;"); // 1 was not dropped
  await say(client, "OP=ADD;IND=1,5;", "OP=GET;IND=8;");
  await hear(ends.upstream, "OP=GET;IND=5;");
  await say(ends.upstream, "OP=INV;", "OP=GET;IND=5;DATA=5;");
  await hear(ends.upstream, "OP=INV;", "OP=GET;IND=1,5;", "OP=GET;IND=8;");
  await say(ends.upstream, "OP=GET;IND=1,5;DATA=-1,55;", "OP=GET;IND=8;DATA=8;");
  await hear(client, "OP=ADD;IND=1,5;DATA=54;", "OP=GET;IND=8;DATA=8;");
  await ends.finish();
});

Deno.test("order: an invalidation that comes in one read with the answer before it is not passed by it", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(client, "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=1;");
  await say(ends.upstream, "OP=GET;IND=1;DATA=1;", "OP=INV;IND=1;");
  await hear(client, "OP=GET;IND=1;DATA=1;");
  await hear(ends.upstream, "OP=INV;IND=1;");
  await ends.hold(client, 1); // is a miss
  await ends.finish();
});

Deno.test("order: a part-hit one of whose hits another client has written meanwhile is asked whole", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1);
  await say(a, "OP=GET;IND=1,2;", "OP=GET;IND=7;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(b, "OP=PUT;IND=1;DATA=9;");
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=9;");
  await say(ends.upstream, "OP=GET;IND=2;DATA=2;");
  await hear(ends.upstream, "OP=GET;IND=1,2;", "OP=GET;IND=7;");
  await say(ends.upstream, "OP=PUT;IND=1;DATA=9;");
  await hear(b, "OP=PUT;IND=1;DATA=9;");
  await say(ends.upstream, "OP=GET;IND=1,2;DATA=9,2;", "OP=GET;IND=7;DATA=7;");
  await hear(a, "OP=GET;IND=1,2;DATA=9,2;", "OP=GET;IND=7;DATA=7;");
  await ends.finish();
});

Deno.test("order: a part-hit whose hits have made room for others is asked whole", async () => {
  await using ends = await BothEnds.start({ capacity: 2 });
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1);
  await say(b, "OP=GET;IND=4,5;");
  await hear(ends.upstream, "OP=GET;IND=4,5;");
  await say(a, "OP=GET;IND=1,2;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(ends.upstream, "OP=GET;IND=4,5;DATA=4,5;", "OP=GET;IND=2;DATA=2;");
  await hear(b, "OP=GET;IND=4,5;DATA=4,5;");
  await hear(ends.upstream, "OP=GET;IND=1,2;");
  await say(ends.upstream, "OP=GET;IND=1,2;DATA=1,2;");
  await hear(a, "OP=GET;IND=1,2;DATA=1,2;");
  await ends.finish();
});

Deno.test("order: the server's error in answer to a part-hit is its answer, and what followed runs", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1);
  await say(client, "OP=GET;IND=1,2;", "OP=GET;IND=1;");
  await hear(ends.upstream, "OP=GET;IND=2;");
  await say(ends.upstream, "OP=ERR;DATA=500;MSG=failed inside;");
  await hear(client, "OP=ERR;DATA=500;MSG=failed inside;", "OP=GET;IND=1;DATA=101;");
  await ends.finish();
});

Deno.test("order: a part-hit that is asked whole keeps its deadline", async () => {
  // In process, where the order in which two calls fail is the order in which they were let fail.
  await using both = await CacheAndServer.start({ timeoutMs: 300 });
  const { cache, upstream } = both;
  const hold = cache.get([1]);
  await hear(upstream, "OP=GET;IND=1;");
  await say(upstream, "OP=GET;IND=1;DATA=101;");
  await within(hold, "1 to be held");
  const failed: string[] = [];
  const partHit = cache.get([1, 2]).catch(() => failed.push("the part-hit"));
  await hear(upstream, "OP=GET;IND=2;");
  const later = cache.get([8]).catch(() => failed.push("what was asked after it"));
  await hear(upstream, "OP=GET;IND=8;");
  await say(upstream, "OP=INV;IND=1;", "OP=GET;IND=2;DATA=2;");
  await hear(upstream, "OP=INV;IND=1;", "OP=GET;IND=1,2;");
  await within(Promise.all([partHit, later]), "both to fail");
  assertEquals(failed, ["the part-hit", "what was asked after it"]);
  await say(upstream, "OP=GET;IND=8;DATA=8;", "OP=GET;IND=1,2;DATA=1,2;"); // late, and taken
  const fence = cache.get([9]);
  await hear(upstream, "OP=GET;IND=9;");
  await say(upstream, "OP=GET;IND=9;DATA=9;");
  await within(fence, "the server's answer");
  assertEquals(await within(cache.get([1, 2, 8]), "a hit"), [1, 2, 8]);
  await both.finish();
});
