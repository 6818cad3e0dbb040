/**
 * What a proxy holds and what it asks of the server, by the messages at both of its ends.
 */
import { assertEquals, assertMatch } from "@std/assert";
import {
  BothEnds,
  type BothEndsOptions,
  hear,
  hearErrors,
  held,
  say,
} from "./support/both_ends.ts";

Deno.test("proxy: SUB is the first message on every connection to the server", async () => {
  await using ends = await BothEnds.start(); // its first line was SUB
  const client = await ends.client();
  await ends.lose();
  await say(client, "OP=GET;IND=1;"); // waits for a connection, and goes behind SUB
  await ends.greet();
  await hear(ends.upstream, "OP=GET;IND=1;");
  await say(ends.upstream, "OP=GET;IND=1;DATA=11;");
  await hear(client, "OP=GET;IND=1;DATA=11;");
  await ends.finish();
});

Deno.test("proxy: a hit sends nothing to the server", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 2);
  await say(client, "OP=GET;IND=2;", "OP=GET;IND=1,2,1;", "OP=ADD;IND=1,2,2;");
  await hear(client, "OP=GET;IND=2;DATA=102;", "OP=GET;IND=1,2,1;DATA=101,102,101;");
  await hear(client, "OP=ADD;IND=1,2,2;DATA=305;");
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("proxy: a miss fetches just the missing indices, in one message, each once", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 3);
  await say(client, "OP=GET;IND=3,5,1,7,5;");
  await hear(ends.upstream, "OP=GET;IND=5,7;");
  await say(ends.upstream, "OP=GET;IND=5,7;DATA=-5,-7;");
  await hear(client, "OP=GET;IND=3,5,1,7,5;DATA=103,-5,101,-7,-5;");
  assertEquals(await held(client), "1=101 3=103 5=-5 7=-7");
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("proxy: a read that misses everything is asked as it is", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(client, "OP=GET;IND=4,2,4;");
  await hear(ends.upstream, "OP=GET;IND=4,2,4;");
  await say(ends.upstream, "OP=GET;IND=4,2,4;DATA=1,2,1;");
  await hear(client, "OP=GET;IND=4,2,4;DATA=1,2,1;");
  assertEquals(await held(client), "4=1 2=2");
  await ends.finish();
});

Deno.test("proxy: ADD asks the server a GET of its distinct missing indices, and sums", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 2);
  await say(client, "OP=ADD;IND=1,1,2,3;"); // in part
  await hear(ends.upstream, "OP=GET;IND=1,3;");
  await say(ends.upstream, "OP=GET;IND=1,3;DATA=-7,3;");
  await hear(client, "OP=ADD;IND=1,1,2,3;DATA=91;");
  await say(client, "OP=ADD;IND=4,5,4;"); // nothing of it
  await hear(ends.upstream, "OP=GET;IND=4,5;");
  await say(ends.upstream, "OP=GET;IND=4,5;DATA=40,50;");
  await hear(client, "OP=ADD;IND=4,5,4;DATA=130;");
  assertEquals(await held(client), "2=102 1=-7 3=3 4=40 5=50");
  await ends.finish();
});

Deno.test("proxy: a sum is exact beyond 2^53", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  const most = "9007199254740991";
  for (
    const [index, data, sum] of [[1, most, "45035996273704955"], [
      2,
      `-${most}`,
      "-45035996273704955",
    ]]
  ) {
    const add = `OP=ADD;IND=${Array(5).fill(index)};`;
    await say(client, add);
    await hear(ends.upstream, `OP=GET;IND=${index};`);
    await say(ends.upstream, `OP=GET;IND=${index};DATA=${data};`);
    await hear(client, `${add}DATA=${sum};`);
    await say(client, add); // the same of what is held
    await hear(client, `${add}DATA=${sum};`);
  }
  await say(client, "OP=ADD;IND=1,1,2,2;");
  await hear(client, "OP=ADD;IND=1,1,2,2;DATA=0;");
  await ends.finish();
});

/** What is done, whole misses and hits only or with the misses named, and what is held then. */
const ages: [
  reason: string,
  options: BothEndsOptions,
  steps: [request: string, fetched: string][],
  held: string,
][] = [
  ["fifo: a hit keeps its age", { capacity: 3 }, [
    ["GET 1,2,3", "1,2,3"],
    ["GET 1", ""],
    ["GET 4", "4"],
  ], "2 3 4"],
  ["lru: a hit is the newest", { capacity: 3, eviction: "lru" }, [
    ["GET 1,2,3", "1,2,3"],
    ["GET 1", ""],
    ["GET 4", "4"],
  ], "3 1 4"],
  ["lru: hits are touched in the order asked", { capacity: 4, eviction: "lru" }, [
    ["GET 1,2,3,4", "1,2,3,4"],
    ["GET 3,1,3,2", ""],
  ], "4 1 3 2"],
  ["lru: the hits are touched, then the misses enter", { capacity: 4, eviction: "lru" }, [
    ["GET 1,2,3,4", "1,2,3,4"],
    ["GET 3,7,1", "7"],
  ], "4 3 1 7"],
  ["fifo: of a part-hit just the misses enter", { capacity: 4 }, [
    ["GET 1,2,3,4", "1,2,3,4"],
    ["GET 3,7,1", "7"],
  ], "2 3 4 7"],
  ["lru: ADD uses what it sums", { capacity: 3, eviction: "lru" }, [
    ["GET 1,2,3", "1,2,3"],
    ["ADD 2,1", ""],
  ], "3 2 1"],
  ["misses enter in the order asked", { capacity: 3 }, [["GET 3,1,2", "3,1,2"]], "3 1 2"],
  ["more misses than fit: the last ones stay", { capacity: 3 }, [
    ["GET 0,1,2,3,4", "0,1,2,3,4"],
  ], "2 3 4"],
  ["a part-hit whose own misses push its hits out", { capacity: 3 }, [
    ["GET 1,2,3", "1,2,3"],
    ["GET 1,4,5,6", "4,5,6"],
  ], "4 5 6"],
  ["a repeated miss enters once", { capacity: 1 }, [
    ["GET 1", "1"],
    ["ADD 1,2,3,2", "2,3"],
  ], "3"],
  ["fifo: what is written enters anew", { capacity: 3 }, [
    ["GET 1,2,3", "1,2,3"],
    ["PUT 1", ""],
    ["GET 4", "4"],
  ], "3 1 4"],
  ["lru: what is written enters anew", { capacity: 3, eviction: "lru" }, [
    ["GET 1,2,3", "1,2,3"],
    ["PUT 2,1", ""],
  ], "3 2 1"],
  ["around: what is written is not held", { capacity: 3, onWrite: "around" }, [
    ["GET 1,2,3", "1,2,3"],
    ["PUT 2,5", ""],
  ], "1 3"],
];

for (const [reason, options, steps, expected] of ages) {
  Deno.test(`proxy: ${reason}`, async () => {
    await using ends = await BothEnds.start(options);
    const client = await ends.client();
    for (const [request, fetched] of steps) {
      const [op, list = ""] = request.split(" ");
      const ind = list.split(",").map(Number), data = ind.map((index) => 100 + index);
      if (op === "PUT") {
        const put = `OP=PUT;IND=${ind};DATA=${data};`;
        await say(client, put);
        await hear(ends.upstream, put);
        await say(ends.upstream, put);
        await hear(client, put);
        continue;
      }
      await say(client, `OP=${op};IND=${ind};`);
      if (fetched !== "") {
        const get = `OP=GET;IND=${fetched};`;
        await hear(ends.upstream, get);
        await say(ends.upstream, `${get}DATA=${fetched.split(",").map((index) => 100 + +index)};`);
      }
      const result = op === "ADD" ? data.reduce((sum, integer) => sum + integer) : data;
      await hear(client, `OP=${op};IND=${ind};DATA=${result};`);
    }
    const indices = (await held(client)).replaceAll(/=\d+/g, "");
    assertEquals(indices, expected);
    await ends.nothingSent(9);
    await ends.finish();
  });
}

Deno.test("proxy: what is written is a hit afterwards", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(client, "OP=PUT;IND=7,8;DATA=4,-5;");
  await hear(ends.upstream, "OP=PUT;IND=7,8;DATA=4,-5;");
  await say(ends.upstream, "OP=PUT;IND=7,8;DATA=4,-5;");
  await hear(client, "OP=PUT;IND=7,8;DATA=4,-5;");
  await say(client, "OP=GET;IND=8,7;");
  await hear(client, "OP=GET;IND=8,7;DATA=-5,4;");
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("proxy: with writes going around, what was written is fetched", async () => {
  await using ends = await BothEnds.start({ onWrite: "around" });
  const client = await ends.client();
  await ends.hold(client, 7);
  await say(client, "OP=PUT;IND=7;DATA=4;");
  await hear(ends.upstream, "OP=PUT;IND=7;DATA=4;");
  await say(ends.upstream, "OP=PUT;IND=7;DATA=4;");
  await hear(client, "OP=PUT;IND=7;DATA=4;");
  await say(client, "OP=GET;IND=7;");
  await hear(ends.upstream, "OP=GET;IND=7;");
  await say(ends.upstream, "OP=GET;IND=7;DATA=4;");
  await hear(client, "OP=GET;IND=7;DATA=4;");
  await ends.finish();
});

Deno.test("proxy: of a PUT that names an index twice, the last integer is held", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  const put = "OP=PUT;IND=1,2,1;DATA=5,6,7;";
  await say(client, put);
  await hear(ends.upstream, put);
  await say(ends.upstream, put);
  await hear(client, put);
  assertEquals(await held(client), "2=6 1=7");
  await ends.finish();
});

Deno.test("proxy: a write drops its entries before it is sent", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1, 2, 3);
  await say(a, "OP=PUT;IND=1,3;DATA=7,9;");
  await hear(ends.upstream, "OP=PUT;IND=1,3;DATA=7,9;");
  assertEquals(await held(b), "2=102");
  await say(b, "OP=GET;IND=1;"); // the server has written 1, perhaps: 101 may not be shown
  await hear(ends.upstream, "OP=GET;IND=1;");
  await say(ends.upstream, "OP=PUT;IND=1,3;DATA=7,9;", "OP=GET;IND=1;DATA=7;");
  await hear(a, "OP=PUT;IND=1,3;DATA=7,9;");
  await hear(b, "OP=GET;IND=1;DATA=7;");
  assertEquals(await held(b), "2=102 1=7 3=9");
  await ends.finish();
});

Deno.test("proxy: CLR empties it, before it is sent", async () => {
  await using ends = await BothEnds.start();
  const a = await ends.client(), b = await ends.client();
  await ends.hold(a, 1, 2, 3);
  await say(a, "OP=CLR;");
  await hear(ends.upstream, "OP=CLR;");
  assertEquals(await held(b), "");
  await say(ends.upstream, "OP=CLR;");
  await hear(a, "OP=CLR;");
  assertEquals(await held(b), "");
  await ends.hold(b, 2); // and it fills again
  assertEquals(await held(a), "2=102");
  await ends.finish();
});

Deno.test("proxy: the capacity is half of the table, rounded up, where none is given", async () => {
  for (const [size, capacity] of [[1, 1], [2, 1], [3, 2], [7, 4], [10, 5]] as const) {
    await using ends = await BothEnds.start({ grant: `OP=SUB;DATA=3600000,${size};` });
    const client = await ends.client();
    const all = Array.from({ length: size }, (_, index) => index);
    await ends.hold(client, ...all);
    const last = all.slice(size - capacity).map((index) => `${index}=${100 + index}`).join(" ");
    assertEquals(await held(client), last, `a table of ${size}`);
    await ends.finish();
  }
});

Deno.test("proxy: a capacity that is given stands, whatever the table's size", async () => {
  await using ends = await BothEnds.start({ capacity: 2, grant: "OP=SUB;DATA=3600000,7;" });
  const client = await ends.client();
  await ends.hold(client, 4, 5, 6);
  assertEquals(await held(client), "5=105 6=106");
  await ends.finish();
});

Deno.test("proxy: after a reconnect the size of the table that is there now holds", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.lose();
  await say(client, "OP=GET;IND=3;"); // answered, so SUB's answer has been handled too
  await ends.greet("OP=SUB;DATA=3600000,4;");
  await hear(ends.upstream, "OP=GET;IND=3;");
  await say(ends.upstream, "OP=GET;IND=3;DATA=3;");
  await hear(client, "OP=GET;IND=3;DATA=3;");
  await say(client, "OP=GET;IND=4;");
  await hearErrors(client, 404);
  await ends.hold(client, 0, 1);
  assertEquals(await held(client), "0=100 1=101");
  await ends.finish();
});

const refused: [reason: string, line: string, code: number][] = [
  ["no message", "hello", 400],
  ["an empty line", "", 400],
  ["an unknown operation", "OP=POP;IND=1;", 400],
  ["GET without IND", "OP=GET;", 400],
  ["a field twice", "OP=GET;IND=1;IND=2;", 400],
  ["PUT without DATA", "OP=PUT;IND=1;", 400],
  ["PUT with too few integers", "OP=PUT;IND=1,2;DATA=1;", 400],
  ["PUT of no integer", "OP=PUT;IND=1;DATA=1e3;", 400],
  ["PUT of an integer out of range", "OP=PUT;IND=1;DATA=9007199254740992;", 400],
  ["SUB, which is for servers", "OP=SUB;", 400],
  ["SUB that gives back", "OP=SUB;DATA=0;", 400],
  ["INV that nobody asked", "OP=INV;IND=1;", 400],
  ["INV of everything", "OP=INV;", 400],
  ["GET outside the table", "OP=GET;IND=1,10;", 404],
  ["GET of a negative index", "OP=GET;IND=-1;", 404],
  ["ADD outside the table", "OP=ADD;IND=1,10;", 404],
  ["PUT with one index outside", "OP=PUT;IND=1,10;DATA=5,5;", 404],
  ["six indices for ADD", "OP=ADD;IND=1,1,1,1,1,1;", 413],
  ["1,025 indices for GET", `OP=GET;IND=${Array(1025).fill(1)};`, 413],
  ["1,025 indices for PUT", `OP=PUT;IND=${Array(1025).fill(1)};DATA=${Array(1025).fill(1)};`, 413],
  ["six indices for ADD, one outside: 413 comes first", "OP=ADD;IND=1,1,1,1,1,10;", 413],
];

Deno.test("proxy: a request that it refuses drops nothing and sends nothing", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await ends.hold(client, 1, 2);
  for (const [reason, line, code] of refused) {
    await say(client, line);
    assertMatch(await client.line(), new RegExp(`^OP=ERR;DATA=${code};MSG=[^;]+;$`), reason);
    assertEquals(await held(client), "1=101 2=102", reason);
  }
  await ends.nothingSent(9);
  await ends.finish();
});

Deno.test("proxy: INF shows what it holds, the oldest first, and how the lease stands", async () => {
  await using ends = await BothEnds.start();
  const client = await ends.client();
  await say(client, "OP=INF;");
  const empty = await client.line();
  assertMatch(empty, /^OP=INF;MSG=lease \d{7} ms;$/);
  await ends.hold(client, 8, 1);
  await say(client, "OP=INF;");
  assertMatch(await client.line(), /^OP=INF;IND=8,1;DATA=108,101;MSG=lease \d{7} ms;$/);
  await ends.lose();
  await ends.greet(""); // connected, and SUB not answered
  await say(client, "OP=GET;IND=1;"); // it is: what is asked comes behind SUB
  await hear(ends.upstream, "OP=GET;IND=1;");
  const other = await ends.client();
  await say(other, "OP=INF;");
  await hear(other, "OP=INF;MSG=no lease;");
  ends.server.stopListening();
  ends.upstream.close();
  await hearErrors(client, 503); // what was asked is lost with the connection
  await say(client, "OP=INF;");
  await hear(client, "OP=INF;MSG=no server;");
});

Deno.test("proxy: a server that does not know SUB is asked everything, and nothing is held", async () => {
  await using ends = await BothEnds.start({ grant: "OP=ERR;DATA=400;MSG=unknown operation;" });
  const client = await ends.client();
  const exchanges: [asked: string, sent: string, reply: string, answer: string][] = [
    ["OP=GET;IND=1;", "OP=GET;IND=1;", "OP=GET;IND=1;DATA=4;", "OP=GET;IND=1;DATA=4;"],
    ["OP=GET;IND=1;", "OP=GET;IND=1;", "OP=GET;IND=1;DATA=5;", "OP=GET;IND=1;DATA=5;"],
    [
      "OP=ADD;IND=1,2,1;",
      "OP=GET;IND=1,2;",
      "OP=GET;IND=1,2;DATA=4,5;",
      "OP=ADD;IND=1,2,1;DATA=13;",
    ],
    [
      "OP=PUT;IND=1;DATA=6;",
      "OP=PUT;IND=1;DATA=6;",
      "OP=PUT;IND=1;DATA=6;",
      "OP=PUT;IND=1;DATA=6;",
    ],
    ["OP=GET;IND=1;", "OP=GET;IND=1;", "OP=GET;IND=1;DATA=7;", "OP=GET;IND=1;DATA=7;"],
    // The size of its table is not known here.
    [
      "OP=GET;IND=99;",
      "OP=GET;IND=99;",
      "OP=ERR;DATA=404;MSG=no 99;",
      "OP=ERR;DATA=404;MSG=no 99;",
    ],
    ["OP=CLR;", "OP=CLR;", "OP=CLR;", "OP=CLR;"],
  ];
  for (const [asked, sent, reply, answer] of exchanges) {
    await say(client, asked);
    await hear(ends.upstream, sent);
    await say(ends.upstream, reply);
    await hear(client, answer);
    await say(client, "OP=INF;");
    await hear(client, "OP=INF;MSG=no lease;");
  }
  await say(client, "OP=ADD;IND=1,1,1,1,1,1;", "nonsense"); // still refused here
  await hearErrors(client, 413, 400);
  const [sentence, ...more] = ends.log.sentences;
  assertMatch(sentence ?? "", /grants no leases: nothing is cached/);
  assertEquals(more, []);
  await ends.finish({ leased: false });
});

Deno.test("proxy: any other error in answer to the first SUB fails the connection", async () => {
  for (const code of [429, 500]) {
    await using ends = await BothEnds.start({ grant: `OP=ERR;DATA=${code};MSG=not now;` });
    await ends.log.next("lost the server");
    assertEquals(await ends.upstream.rest(), "");
    const client = await ends.client();
    await ends.greet();
    await ends.log.next("is there again");
    await ends.hold(client, 1);
    assertEquals(await held(client), "1=101");
    await ends.finish();
  }
});
