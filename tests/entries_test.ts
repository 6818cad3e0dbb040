/**
 * The parts of a proxy that need no connection: its entries, the writes under way, its lease, and
 * the queue of what it asks.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import type { Connection } from "../lib/wire/connection.ts";
import { Fifo } from "../lib/util/fifo.ts";
import { Asked, type Failure, RequestQueue } from "../lib/wire/request_queue.ts";
import { TableError } from "../lib/protocol/error.ts";
import { format } from "../lib/protocol/format.ts";
import type { Reply, Request } from "../lib/protocol/message.ts";
import { parseReply, parseRequest } from "../lib/protocol/parse.ts";
import { Entries, type EntriesOptions } from "../lib/proxy/entries.ts";
import { Lease } from "../lib/coherence/lease.ts";
import { WritesUnderWay } from "../lib/proxy/writes_under_way.ts";
import { fc } from "./support/fast_check.ts";
import { within } from "./support/within.ts";

// Entries.

function openEntries(options: Partial<EntriesOptions> = {}, tableSize = 10): Entries {
  const entries = new Entries({
    capacity: undefined,
    eviction: "fifo",
    onWrite: "allocate",
    ...options,
  });
  entries.open(tableSize);
  return entries;
}

/** The indices held, the oldest first. */
function indices(entries: Entries): number[] {
  return entries.held().map(([index]) => index);
}

function enter(entries: Entries, ...ind: number[]): void {
  entries.enter(ind, ind.map((index) => 100 + index));
}

Deno.test("entries: the capacity is half of the table, rounded up, unless it is given", () => {
  const rows = [[1, undefined, 1], [2, undefined, 1], [9, undefined, 5], [10, undefined, 5], [
    10,
    7,
    7,
  ], [3, 9, 3]] as const;
  for (const [size, capacity, held] of rows) {
    const entries = openEntries({ capacity }, size);
    enter(entries, ...Array(size).keys());
    assertEquals(indices(entries).length, held, `${size} entries, capacity ${capacity}`);
  }
});

Deno.test("entries: closed, they let nothing in", () => {
  const entries = new Entries({ capacity: 5, eviction: "fifo", onWrite: "allocate" });
  enter(entries, 1);
  entries.enterWritten([2], [2]);
  assertEquals(entries.held(), []);
  assertEquals(entries.tableSize, undefined);
  entries.open(10);
  enter(entries, 1);
  assertEquals(entries.tableSize, 10);
  entries.close();
  assertEquals(entries.held(), []);
  enter(entries, 1);
  entries.enterWritten([2], [2]);
  assertEquals(entries.held(), []);
});

Deno.test("entries: a grant anew keeps what is held; a table of another size does not", () => {
  const entries = openEntries();
  enter(entries, 1, 2);
  entries.open(10);
  assertEquals(indices(entries), [1, 2]);
  entries.open(4);
  assertEquals(indices(entries), []);
});

Deno.test("entries: a read finds all or nothing, and uses just what it finds", () => {
  const entries = openEntries({ eviction: "lru", capacity: 3 });
  enter(entries, 1, 2, 3);
  assertEquals(entries.read([1, 4]), undefined);
  assertEquals(indices(entries), [1, 2, 3]);
  assertEquals(entries.read([2, 1, 2]), [102, 101, 102]);
  assertEquals(indices(entries), [3, 1, 2]);
  assertEquals(entries.missing([4, 1, 5, 4]), [4, 5]);
});

Deno.test("entries: what is fetched and was held is used, and is not brought back when pushed out", () => {
  const entries = openEntries({ capacity: 2 });
  enter(entries, 0, 1);
  enter(entries, 2, 3, 0);
  assertEquals(indices(entries), [2, 3]);
  enter(entries, 5, 6, 5);
  assertEquals(indices(entries), [5, 6]);
  enter(entries, 7, 8, 9, 7); // entered once, though it was pushed out at once
  assertEquals(indices(entries), [8, 9]);
  const lru = openEntries({ capacity: 3, eviction: "lru" });
  enter(lru, 1, 2, 3);
  enter(lru, 4, 2, 1);
  assertEquals(indices(lru), [2, 1, 4]);
});

Deno.test("entries: a write under way keeps its indices out until the last one is answered", () => {
  const entries = openEntries();
  enter(entries, 1, 2, 3);
  entries.beginWrite([1, 2]);
  entries.beginWrite([2]);
  assertEquals(indices(entries), [3]);
  enter(entries, 1, 2, 4);
  assertEquals(indices(entries), [3, 4]);
  entries.endWrite([1, 2]);
  entries.enterWritten([1, 2], [11, 12]);
  assertEquals(entries.held(), [[3, 103], [4, 104], [1, 11]]);
  entries.endWrite([2]);
  entries.enterWritten([2], [22]);
  assertEquals(entries.held(), [[3, 103], [4, 104], [1, 11], [2, 22]]);
});

Deno.test("entries: a CLR under way keeps everything out", () => {
  const entries = openEntries();
  enter(entries, 1, 2);
  entries.beginWrite(undefined);
  enter(entries, 3);
  entries.enterWritten([4], [4]);
  assertEquals(entries.held(), []);
  entries.endWrite(undefined);
  enter(entries, 3);
  assertEquals(indices(entries), [3]);
});

Deno.test("entries: what is written enters anew, from left to right; around, it does not", () => {
  const entries = openEntries();
  enter(entries, 1, 2, 3);
  entries.beginWrite([1, 2, 1]);
  entries.endWrite([1, 2, 1]);
  entries.enterWritten([1, 2, 1], [5, 6, 7]);
  assertEquals(entries.held(), [[3, 103], [2, 6], [1, 7]]);
  const around = openEntries({ onWrite: "around" });
  around.enterWritten([1], [1]);
  assertEquals(around.held(), []);
});

Deno.test("entries: an invalidation drops what it names, or all", () => {
  const entries = openEntries();
  enter(entries, 1, 2, 3);
  entries.drop([2, 9]);
  assertEquals(indices(entries), [1, 3]);
  entries.drop(undefined);
  assertEquals(indices(entries), []);
});

Deno.test("entries: closing does not end the writes under way: their connection's end does", () => {
  const entries = openEntries();
  entries.beginWrite([1]); // waits for a connection, say
  entries.close();
  entries.open(10);
  enter(entries, 1);
  assertEquals(indices(entries), []);
  entries.endWrite([1]);
  enter(entries, 1);
  assertEquals(indices(entries), [1]);
});

// Writes under way.

Deno.test("writes under way: counted as a list of them would be", () => {
  const written = fc.option(fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }), {
    nil: undefined,
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(written, fc.boolean(), fc.nat())), (steps) => {
      const writes = new WritesUnderWay();
      const model: (number[] | undefined)[] = [];
      for (const [begun, ends, which] of steps) {
        if (ends && model.length > 0) {
          writes.end(model.splice(which % model.length, 1)[0]);
        } else {
          writes.begin(begun);
          model.push(begun);
        }
        for (let index = 0; index <= 6; index++) {
          const expected = model.some((write) => write === undefined || write.includes(index));
          assertEquals(writes.has(index), expected, `index ${index}`);
        }
      }
    }),
  );
});

// The lease.

Deno.test("lease: it runs from its asking, for the term less the margin for drift", () => {
  const lease = new Lease({ monotonic: 5000, wall: 1_700_000_000_000 }, 1000);
  assertEquals(lease.left({ monotonic: 5000, wall: 1_700_000_000_000 }), 980);
  assertEquals(lease.left({ monotonic: 5979, wall: 1_700_000_000_979 }), 1);
  assertEquals(lease.left({ monotonic: 5980, wall: 1_700_000_000_980 }), 0);
  assertEquals(Math.round(lease.renewal), 5333);
});

Deno.test("lease: it is over when either clock says so", () => {
  const rows: [reason: string, monotonic: number, wall: number, left: number][] = [
    ["both have gone on alike", 500, 500, 480],
    ["the monotonic clock stood still, in a sleep", 0, 1000, 0],
    ["the wall clock was set back", 1000, -60_000, 0],
    ["the wall clock was set back a little", 500, 400, 480],
    ["the wall clock was set ahead", 10, 60_000, 0],
  ];
  for (const [reason, monotonic, wall, left] of rows) {
    const asked = { monotonic: 5000, wall: 1_700_000_000_000 };
    const now = { monotonic: asked.monotonic + monotonic, wall: asked.wall + wall };
    assertEquals(new Lease(asked, 1000).left(now), left, reason);
  }
});

Deno.test("lease: one that was found over stays over, though the wall clock is set back", () => {
  const lease = new Lease({ monotonic: 0, wall: 0 }, 1000);
  assertEquals(lease.left({ monotonic: 100, wall: 979 }), 1);
  assertEquals(lease.left({ monotonic: 100, wall: 980 }), 0);
  assertEquals(lease.left({ monotonic: 200, wall: 200 }), 0);
});

// The queue.

Deno.test("fifo: it behaves as an array does", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 600 }).map((n) => ["push", n] as const) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 600 }).map((n) => ["shift", n] as const) },
    { weight: 1, arbitrary: fc.constant(["drain", 0] as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [], next = 0;
      for (const [what, times] of steps) {
        if (what === "drain") {
          assertEquals([...fifo.drain()], model);
          model = [];
        }
        for (let i = 0; i < times; i++) {
          if (what === "push") {
            fifo.push(next);
            model.push(next++);
          } else if (fifo.shift() !== model.shift()) {
            throw new Error("another was shifted");
          }
        }
        assertEquals(fifo.length, model.length);
        assertEquals(fifo.first, model[0]);
      }
    }),
  );
});

Deno.test("fifo: an undefined is an item like any other", () => {
  const fifo = new Fifo<undefined>();
  fifo.push(undefined);
  assertEquals(fifo.length, 1);
  assertEquals(fifo.first, undefined);
  assertEquals(fifo.shift(), undefined);
  assertEquals(fifo.length, 0);
});

Deno.test("fifo: what is pushed while it is drained is drained too", () => {
  const fifo = new Fifo<number>();
  fifo.push(1);
  const seen: number[] = [];
  for (const item of fifo.drain()) {
    seen.push(item);
    if (item < 5) fifo.push(item + 1);
  }
  assertEquals(seen, [1, 2, 3, 4, 5]);
});

/** What stands for a connection: it keeps what it was given to send. */
function sink(sent: string[]): Connection {
  return {
    send: (message: Request | Reply) => sent.push(format(message)),
    sendLine: (line: string) => sent.push(line),
  } as unknown as Connection;
}

/** A request that notes what becomes of it. */
class Noted extends Asked {
  override readonly request: Request | string;
  readonly fate: string[] = [];
  readonly first: Promise<void>;
  #noted!: () => void;

  constructor(line: string, raw = false) {
    super();
    this.request = raw ? line : parseRequest(line) as Request;
    this.first = new Promise((resolve) => this.#noted = resolve);
  }

  override answered(reply: Reply): void {
    this.fate.push(format(reply));
    this.#noted();
  }

  override failed(why: Failure): void {
    this.fate.push(why);
    this.#noted();
  }
}

Deno.test("request queue: the k-th reply answers the k-th request", () => {
  const queue = new RequestQueue(60_000, denoRuntime), sent: string[] = [];
  queue.attach(sink(sent));
  const a = new Noted("OP=GET;IND=1;"), b = new Noted("OP=CLR;"), c = new Noted("hello", true);
  for (const asked of [a, b, c]) queue.ask(asked, performance.now());
  assertEquals(sent, ["OP=GET;IND=1;", "OP=CLR;", "hello"]);
  assertEquals(queue.outstanding, 3);
  queue.answer(parseReply("OP=GET;IND=1;DATA=5;"));
  queue.answer(parseReply("OP=ERR;DATA=500;MSG=x;"));
  queue.answer(parseReply("OP=ERR;DATA=400;MSG=y;"));
  assertEquals([a.fate, b.fate, c.fate], [
    ["OP=GET;IND=1;DATA=5;"],
    ["OP=ERR;DATA=500;MSG=x;"],
    ["OP=ERR;DATA=400;MSG=y;"],
  ]);
  assertEquals(queue.outstanding, 0);
  queue.close();
});

Deno.test("request queue: a reply that answers nothing, or something else, is refused", () => {
  const queue = new RequestQueue(60_000, denoRuntime);
  queue.attach(sink([]));
  const wrong = (line: string) => {
    const error = assertThrows(() => queue.answer(parseReply(line)), TableError);
    assertEquals(error.code, 400, line);
  };
  wrong("OP=CLR;");
  const asked = new Noted("OP=PUT;IND=1,2;DATA=3,4;");
  queue.ask(asked, performance.now());
  wrong("OP=CLR;");
  wrong("OP=GET;IND=1,2;DATA=3,4;");
  wrong("OP=PUT;IND=2,1;DATA=3,4;");
  wrong("OP=PUT;IND=1;DATA=3;");
  wrong("OP=PUT;IND=1,2,3;DATA=3,4,5;");
  queue.answer(parseReply("OP=PUT;IND=1,2;DATA=3,4;"));
  assertEquals(asked.fate, ["OP=PUT;IND=1,2;DATA=3,4;"]);
  queue.close();
});

Deno.test("request queue: what is asked without a connection waits for one, and is sent once", () => {
  const queue = new RequestQueue(60_000, denoRuntime), first: string[] = [], second: string[] = [];
  const a = new Noted("OP=GET;IND=1;"), b = new Noted("OP=GET;IND=2;");
  queue.ask(a, performance.now());
  queue.attach(sink(first));
  assertEquals(first, ["OP=GET;IND=1;"]);
  queue.detach();
  assertEquals(a.fate, ["lost"]);
  queue.ask(b, performance.now());
  queue.attach(sink(second));
  assertEquals(second, ["OP=GET;IND=2;"]);
  queue.answer(parseReply("OP=GET;IND=2;DATA=2;"));
  assertEquals([a.fate, b.fate], [["lost"], ["OP=GET;IND=2;DATA=2;"]]);
  queue.close();
});

Deno.test("request queue: at its deadline a request fails, sent or not, and a late answer is its own", async () => {
  const queue = new RequestQueue(20, denoRuntime), sent: string[] = [];
  const a = new Noted("OP=GET;IND=1;"), b = new Noted("OP=GET;IND=2;"), c = new Noted("OP=CLR;");
  queue.ask(a, performance.now());
  await within(a.first, "a deadline without a connection");
  assertEquals(a.fate, ["unsent"]);
  queue.attach(sink(sent));
  assertEquals(sent, []); // it has failed: it is not sent any more
  queue.ask(b, performance.now());
  await within(b.first, "a deadline with one");
  assertEquals(b.fate, ["silent"]);
  assertEquals(queue.outstanding, 1); // it still stands at the other side
  queue.ask(c, performance.now());
  queue.answer(parseReply("OP=GET;IND=2;DATA=2;"));
  queue.answer(parseReply("OP=CLR;"));
  assertEquals([b.fate, c.fate], [["silent", "OP=GET;IND=2;DATA=2;"], ["OP=CLR;"]]);
  queue.close();
  assertEquals([a.fate, b.fate.length, c.fate.length], [["unsent"], 2, 1]);
});

Deno.test("request queue: what was silent is lost with its connection", async () => {
  const queue = new RequestQueue(20, denoRuntime);
  queue.attach(sink([]));
  const asked = new Noted("OP=CLR;");
  queue.ask(asked, performance.now());
  await within(asked.first, "the deadline");
  queue.detach();
  assertEquals(asked.fate, ["silent", "lost"]);
  queue.close();
  assertEquals(asked.fate, ["silent", "lost"]);
});

Deno.test("request queue: sent again in place of one that was answered, it keeps its deadline", async () => {
  const queue = new RequestQueue(50, denoRuntime), sent: string[] = [], order: string[] = [];
  queue.attach(sink(sent));
  class Twice extends Noted {
    override answered(reply: Reply): void {
      if (this.fate.length === 0) queue.again(this);
      super.answered(reply);
    }
    override failed(why: Failure): void {
      order.push("the first");
      super.failed(why);
    }
  }
  class Later extends Noted {
    override failed(why: Failure): void {
      order.push("the later");
      super.failed(why);
    }
  }
  const first = new Twice("OP=GET;IND=1;"), later = new Later("OP=GET;IND=2;");
  queue.ask(first, performance.now());
  queue.ask(later, performance.now());
  const { deadline } = first,
    short = new RequestQueue(1, denoRuntime),
    passed = new Noted("OP=CLR;");
  short.ask(passed, performance.now());
  await within(passed.first, "a moment to pass");
  queue.answer(parseReply("OP=GET;IND=1;DATA=1;"));
  assertEquals(first.deadline, deadline);
  assertEquals(sent, ["OP=GET;IND=1;", "OP=GET;IND=2;", "OP=GET;IND=1;"]);
  await within(later.first, "the deadlines");
  assertEquals(order, ["the first", "the later"]);
  queue.close();
  short.close();
});

Deno.test("request queue: idle when nothing is asked or all is answered, failed or given up", async () => {
  const queue = new RequestQueue(60_000, denoRuntime);
  await within(queue.idle(), "an empty queue to be idle");
  queue.attach(sink([]));
  queue.ask(new Noted("OP=CLR;"), performance.now());
  queue.ask(new Noted("OP=GET;IND=1;"), performance.now());
  let idle = false;
  const whenIdle = queue.idle().then(() => idle = true);
  assertEquals(queue.room(3), undefined);
  const one = queue.room(2)!;
  queue.answer(parseReply("OP=CLR;"));
  await within(one, "one answer");
  assert(!idle);
  queue.detach();
  await within(whenIdle, "the queue to be idle");
  queue.close();
});

Deno.test("request queue: closed, it fails what waits and what was sent, and at once what is asked then", () => {
  const queue = new RequestQueue(60_000, denoRuntime);
  queue.attach(sink([]));
  const sent = new Noted("OP=CLR;"), waiting = new Noted("OP=CLR;"), after = new Noted("OP=CLR;");
  queue.ask(sent, performance.now());
  queue.detach();
  queue.ask(waiting, performance.now());
  queue.close();
  queue.ask(after, performance.now());
  assertEquals([sent.fate, waiting.fate, after.fate], [["lost"], ["unsent"], ["unsent"]]);
  queue.close();
});
