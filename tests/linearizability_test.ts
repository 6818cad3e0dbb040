/** The checker of histories is itself checked: on written cases, at random, against brute force. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { checkHistory, type Recorded, SearchGaveUpError } from "../simulate/linearizability.ts";

type Action = Recorded["action"];

const get = (ind: number[], data: number[]): Action => ({ kind: "GET", ind, data });
const put = (ind: number[], data: number[]): Action => ({ kind: "PUT", ind, data });
const add = (ind: number[], sum: bigint): Action => ({ kind: "ADD", ind, sum });
const clr: Action = { kind: "CLR" };

/** A history from rows of connection, invoked, returned and action; each connection's in order. */
type Row = [connection: number, invoked: number, returned: number | undefined, action: Action];
const history = (rows: Row[]): Recorded[] =>
  rows.map(([connection, invoked, returned, action], sequence) => ({
    connection,
    sequence,
    invoked,
    returned,
    action,
  }));

const BIG = Number.MAX_SAFE_INTEGER;

const GOOD: Record<string, Row[]> = {
  "no operation": [],
  "sequential reads and writes": [
    [0, 1, 2, get([0, 1], [0, 0])],
    [0, 3, 4, put([0, 1], [5, 6])],
    [1, 5, 6, get([1, 0], [6, 5])],
    [1, 7, 8, add([0, 1, 1], 17n)],
  ],
  "overlapping writes, read in either order": [
    [0, 1, 10, put([0], [1])],
    [1, 1, 10, put([0], [2])],
    [2, 2, 3, get([0], [2])],
    [2, 4, 5, get([0], [1])],
  ],
  "a write seen before its reply, by one that overlaps it": [
    [0, 1, 10, put([0], [1])],
    [1, 2, 3, get([0], [1])],
  ],
  "a read that overlaps a write and sees the old value": [
    [0, 1, 10, put([0], [1])],
    [1, 2, 3, get([0], [0])],
  ],
  "pipelined operations that take effect in the order sent": [
    [0, 1, 10, put([0], [1])],
    [0, 1, 10, get([0, 1], [1, 0])],
    [0, 1, 10, put([0], [2])],
    [1, 1, 10, put([1], [3])],
    [1, 1, 10, get([1, 0], [3, 1])],
  ],
  "a write of unknown outcome that is seen": [
    [0, 1, undefined, put([0], [1])],
    [1, 2, 3, get([0], [1])],
  ],
  "a write of unknown outcome that is not seen": [
    [0, 1, undefined, put([0], [1])],
    [1, 2, 3, get([0], [0])],
  ],
  "a write of unknown outcome that takes effect late": [
    [0, 1, undefined, put([0], [1])],
    [0, 2, 3, get([0], [0])],
    [0, 4, 5, put([0], [2])],
    [1, 6, 7, get([0], [2])],
    [1, 8, 9, get([0], [1])],
  ],
  "a write of unknown outcome that only a sum shows": [
    [0, 1, undefined, put([0], [1])],
    [0, 1, undefined, put([1], [20])],
    [1, 2, 3, add([0, 1], 0n)],
    [1, 4, 5, add([0, 1], 21n)],
  ],
  "a write of unknown outcome on two indices, one of which is overwritten unseen": [
    [0, 1, undefined, put([0, 1], [1, 2])],
    [1, 2, 3, add([0, 1], 0n)],
    [1, 4, 5, put([0], [40])],
    [1, 6, 7, add([0, 1], 42n)],
  ],
  "a CLR of unknown outcome that takes effect late": [
    [0, 1, undefined, clr],
    [1, 2, 3, put([0, 1], [1, 2])],
    [1, 4, 5, get([0, 1], [1, 2])],
    [1, 6, 7, get([0, 1], [0, 0])],
  ],
  "a read of unknown outcome, whatever it holds": [
    [0, 1, undefined, get([0], [99])],
    [1, 2, 3, get([0], [0])],
  ],
  "a sum that is exact beyond 2^53": [
    [0, 1, 2, put([0, 1, 2], [BIG, BIG, 2])],
    [0, 3, 4, add([0, 1, 2], 18014398509481984n)],
  ],
  "a PUT that repeats an index: the last one wins": [
    [0, 1, 2, put([0, 1, 0], [1, 2, 3])],
    [0, 3, 4, get([0, 1, 0], [3, 2, 3])],
  ],
  "a CLR": [
    [0, 1, 2, put([0, 1], [1, 2])],
    [0, 3, 4, clr],
    [1, 5, 6, get([0, 1], [0, 0])],
    [1, 7, 8, add([0, 1], 0n)],
  ],
  "operations that meet in one instant, which may stand in either order": [
    [0, 1, 2, put([0], [1])],
    [1, 2, 3, get([0], [0])],
  ],
  "overlapping writes that only a sum orders, and it is too large to be taken apart": [
    [0, 1, 10, put([0], [BIG])],
    [1, 1, 11, put([0], [BIG - 1])],
    [2, 1, 10, put([1, 2], [BIG, BIG])],
    [2, 12, 13, put([1], [BIG - 5])],
    [2, 14, 15, add([0, 1, 2], 3n * BigInt(BIG) - 5n)],
  ],
  "the same writes in the other order": [
    [0, 1, 10, put([0], [BIG])],
    [1, 1, 11, put([0], [BIG - 1])],
    [2, 1, 10, put([1, 2], [BIG, BIG])],
    [2, 12, 13, put([1], [BIG - 5])],
    [2, 14, 15, add([0, 1, 2], 3n * BigInt(BIG) - 6n)],
  ],
  "a write of unknown outcome that must not be spent where a known one serves as well": [
    [1, 1, 2, put([1, 2], [BIG, BIG])],
    [0, 1, undefined, put([0], [5])],
    [2, 3, 10, put([0, 1], [5, BIG])],
    [3, 3, 10, add([0, 1, 2], 2n * BigInt(BIG) + 5n)],
    [1, 11, 12, put([0], [7])],
    [1, 13, 14, add([0, 1, 2], 2n * BigInt(BIG) + 7n)],
    [1, 15, 16, add([0, 1, 2], 2n * BigInt(BIG) + 5n)],
  ],
  "the same value written twice": [
    [0, 1, 2, put([0], [1])],
    [0, 3, 4, put([0], [2])],
    [1, 1, 9, get([0], [1])],
    [0, 5, 6, put([0], [1])],
    [2, 7, 8, get([0], [1])],
  ],
};

const BAD: Record<string, Row[]> = {
  "a stale read after an acknowledged write": [
    [0, 1, 2, put([0], [1])],
    [1, 3, 4, get([0], [0])],
  ],
  "a lost update": [
    [0, 1, 2, put([0], [1])],
    [1, 3, 4, put([0], [2])],
    [2, 5, 6, get([0], [1])],
  ],
  "a torn read of two indices": [
    [0, 1, 10, put([0, 1], [1, 2])],
    [1, 2, 3, get([0, 1], [1, 0])],
  ],
  "two reads of two writes in opposite orders": [
    [0, 1, 10, put([0], [1])],
    [1, 1, 10, put([1], [2])],
    [2, 2, 3, get([0, 1], [1, 0])],
    [3, 2, 3, get([0, 1], [0, 2])],
  ],
  "a read that goes back in time": [
    [0, 1, 10, put([0], [1])],
    [1, 2, 3, get([0], [1])],
    [2, 4, 5, get([0], [0])],
  ],
  "a value that nobody wrote": [
    [0, 1, 2, put([0], [1])],
    [1, 3, 4, get([0], [7])],
  ],
  "a value read before it was written": [
    [1, 1, 2, get([0], [1])],
    [0, 3, 4, put([0], [1])],
  ],
  "a value of unknown outcome read before it was sent": [
    [1, 1, 2, get([0], [1])],
    [0, 3, undefined, put([0], [1])],
  ],
  "a write of unknown outcome that took effect before one sent earlier on its connection": [
    [0, 1, 10, put([0], [1])],
    [0, 1, undefined, put([1], [2])],
    [1, 2, 3, get([0, 1], [0, 2])],
  ],
  "a write of unknown outcome that took effect twice": [
    [0, 1, undefined, put([0], [1])],
    [1, 2, 3, get([0], [1])],
    [1, 4, 5, put([0], [2])],
    [1, 6, 7, get([0], [2])],
    [1, 8, 9, get([0], [1])],
  ],
  "a write of unknown outcome that took effect twice, as sums show": [
    [1, 1, 2, put([1, 2], [BIG, BIG])],
    [0, 1, undefined, put([0], [5])],
    [1, 3, 4, add([0, 1, 2], 2n * BigInt(BIG) + 5n)],
    [1, 5, 6, put([0], [7])],
    [1, 7, 8, add([0, 1, 2], 2n * BigInt(BIG) + 7n)],
    [1, 9, 10, add([0, 1, 2], 2n * BigInt(BIG) + 5n)],
  ],
  "pipelines that both read the old value after their own write": [
    [0, 1, 10, put([0], [1])],
    [0, 1, 10, get([1], [0])],
    [1, 1, 10, put([1], [2])],
    [1, 1, 10, get([0], [0])],
  ],
  "a pipelined read that does not see the write sent before it": [
    [0, 1, 10, put([0], [1])],
    [0, 1, 10, get([0], [0])],
  ],
  "a sum of a torn state": [
    [0, 1, 10, put([0, 1], [1, 20])],
    [1, 2, 3, add([0, 1], 20n)],
  ],
  "a sum that was rounded": [
    [0, 1, 2, put([0, 1, 2], [BIG, BIG, 1])],
    [0, 3, 4, add([0, 1, 2], 18014398509481984n)],
  ],
  "a CLR that left an entry": [
    [0, 1, 2, put([0, 1], [1, 2])],
    [0, 3, 4, clr],
    [1, 5, 6, get([0, 1], [0, 2])],
  ],
  "a PUT that repeats an index: the first one seen": [
    [0, 1, 2, put([0, 0], [1, 3])],
    [0, 3, 4, get([0], [1])],
  ],
};

Deno.test("checkHistory() finds the order of a good history", async (t) => {
  for (const [name, rows] of Object.entries(GOOD)) {
    await t.step(name, () => {
      const verdict = checkHistory(history(rows), 3);
      assertEquals(verdict, { ok: true });
      assert(bruteForce(history(rows), 3), "brute force says otherwise");
    });
  }
});

Deno.test("checkHistory() finds no order of a bad history", async (t) => {
  for (const [name, rows] of Object.entries(BAD)) {
    await t.step(name, () => {
      assert(!checkHistory(history(rows), 3).ok);
      assert(!bruteForce(history(rows), 3), "brute force says otherwise");
    });
  }
});

Deno.test("checkHistory() begins with the initial table", () => {
  const rows: Row[] = [[0, 1, 2, get([0, 1], [4, 5])], [0, 3, 4, clr], [0, 5, 6, get([0], [0])]];
  assertEquals(checkHistory(history(rows), 2, [4, 5]), { ok: true });
  assert(!checkHistory(history(rows), 2, [4, 6]).ok);
});

Deno.test("checkHistory() says how far it came, the table there and what could not come next", () => {
  const rows: Row[] = [
    [0, 1, 2, put([1], [5])],
    [0, 3, 4, put([2], [6])],
    [1, 5, 6, get([1, 2], [5, 0])],
  ];
  const verdict = checkHistory(history(rows), 3);
  assert(!verdict.ok);
  assertEquals(verdict.reason.split("\n"), [
    "The longest order found has 1 operations. It ends with:",
    "  PUT 1 = 5 (connection 0, number 0, 1 to 2)",
    "The table is then 0,5,0. Next could not be:",
    "  PUT 2 = 6 (connection 0, number 1, 3 to 4): would replace what must still be seen by " +
    "GET 1,2 = 5,0 (connection 1, number 2, 5 to 6)",
  ]);
});

Deno.test("checkHistory() throws when it gives up, and gives no verdict", () => {
  // The values are too large for what it deduces from sums, so that it must search, and long.
  const rows: Row[] = [];
  for (let i = 0; i < 12; i++) rows.push([i, 1, 10, put([i % 3], [BIG - i])]);
  rows.push([12, 1, 10, add([0, 1, 2], -1n)]);
  const check = () => checkHistory(history(rows), 3, [0, 0, 0], 50);
  const error = assertThrows(check, SearchGaveUpError, "Cannot decide within 50 steps");
  assertStringIncludes(error.message, "ADD 0,1,2 = -1");
  assert(!checkHistory(history(rows.slice(6)), 3).ok);
});

Deno.test("checkHistory() refuses what is no history of the table", () => {
  const refused: Record<string, Row> = {
    "an index outside": [0, 1, 2, get([3], [0])],
    "an index outside, summed": [0, 1, 2, add([3], 0n)],
    "data that is missing": [0, 1, 2, put([0, 1], [1])],
    "a value that is no safe integer": [0, 1, 2, put([0], [0.5])],
    "a reply before the request": [0, 2, 1, clr],
  };
  for (const [name, row] of Object.entries(refused)) {
    assertThrows(() => checkHistory(history([row]), 3), RangeError, "Cannot check", name);
  }
});

/** Numbers from 0 to below `n`, the same for the same seed (xorshift32). */
function random(seed: number): (n: number) => number {
  let x = Math.imul(seed, 0x9e3779b9) | 1;
  return (n) => {
    x ^= x << 13, x ^= x >>> 17, x ^= x << 5;
    return (x >>> 0) % n;
  };
}

interface Shape {
  ops: number;
  connections: number;
  /** How many requests a connection sends before it has replies. */
  pipeline: number;
  size: number;
  /** How many writes have no known outcome, in a thousand. */
  unknown: number;
  /** How many different values are put, from `base` down; Infinity: each one once. */
  values: number;
  base?: number;
}

/** A history of an atomic table, with requests and replies that take their time. */
function simulate(rand: (n: number) => number, shape: Shape): Recorded[] {
  type Mutable = { -readonly [K in keyof Recorded]: Recorded[K] };
  const { ops, connections, pipeline, size, unknown, values, base = 2 } = shape;
  const table: number[] = new Array(size).fill(0);
  const sent: Mutable[][] = Array.from({ length: connections }, () => []); // not yet in effect
  const done: Mutable[][] = Array.from({ length: connections }, () => []); // not yet answered
  const limbo: Mutable[] = [];
  const result: Mutable[] = [];
  let [clock, value] = [0, 0];
  const action = (): Action => {
    const kind = rand(100);
    if (kind < 2) return clr;
    const ind = Array.from({ length: 1 + rand(Math.min(3, size)) }, () => rand(size));
    if (kind < 12) return add(ind, 0n);
    if (kind < 60) return get(ind, []);
    return put(
      ind,
      ind.map(() => values === Infinity ? ++value * 2 ** 31 + rand(2 ** 31) : base - rand(values)),
    );
  };
  const effect = (op: Mutable) => {
    const { action } = op;
    if (action.kind === "CLR") table.fill(0);
    else if (action.kind === "PUT") action.ind.forEach((at, i) => table[at] = action.data[i]!);
    else if (action.kind === "GET") {
      op.action = get(
        [...action.ind],
        action.ind.map((i) => table[i]!),
      );
    } else {
      const sum = action.ind.reduce((sum, at) => sum + BigInt(table[at]!), 0n);
      op.action = add([...action.ind], sum);
    }
  };
  while (result.length < ops || sent.some((q) => q.length > 0) || done.some((q) => q.length > 0)) {
    clock++;
    const connection = rand(connections);
    const [waiting, answered] = [sent[connection]!, done[connection]!];
    const step = rand(8);
    if (step === 0 && result.length < ops && waiting.length + answered.length < pipeline) {
      const op: Mutable = {
        connection,
        sequence: result.length,
        invoked: clock,
        returned: undefined,
        action: action(),
      };
      result.push(op);
      waiting.push(op);
    } else if (step === 1 && answered.length > 0) answered.shift()!.returned = clock;
    else if (step > 1 && waiting.length > 0) {
      const op = waiting.shift()!;
      if (rand(1000) < unknown) limbo.push(op);
      else effect(op), answered.push(op);
    }
    if (limbo.length > 0 && rand(20) === 0) {
      const [op] = limbo.splice(rand(limbo.length), 1);
      if (rand(2) === 0) effect(op!);
    }
  }
  return result;
}

/** The history with one GET, in its second half, that saw what must have been overwritten before. */
function makeStale(history: Recorded[], rand: (n: number) => number): Recorded[] {
  for (let at = (history.length >> 1) + rand(100); at < history.length; at++) {
    const { action, invoked, returned } = history[at]!;
    if (action.kind !== "GET" || returned === undefined) continue;
    const [index] = action.ind;
    const writes = history.filter(({ action: a, returned }) =>
      a.kind === "PUT" && a.ind.includes(index!) && returned !== undefined && returned < invoked
    );
    const last = Math.max(...writes.map((write) => write.invoked));
    const old = writes.findLast((write) => write.returned! < last)?.action;
    if (old?.kind !== "PUT") continue;
    const value = old.data[old.ind.lastIndexOf(index!)]!;
    const data = action.data.map((seen, i) => action.ind[i] === index ? value : seen);
    return history.with(at, { ...history[at]!, action: get([...action.ind], data) });
  }
  throw new Error("Cannot make a read stale: none follows two writes");
}

/** Whether some permutation, with some of the writes of unknown outcome, is an order. */
function bruteForce(history: readonly Recorded[], size: number): boolean {
  const ops = history.filter(({ returned, action: { kind } }) =>
    returned !== undefined || kind === "PUT" || kind === "CLR"
  );
  const first = (a: Recorded, b: Recorded) =>
    a.returned !== undefined &&
    (a.returned < b.invoked || (a.connection === b.connection && a.sequence < b.sequence));
  const extend = (left: Recorded[], table: number[]): boolean => {
    if (left.every((op) => op.returned === undefined)) return true;
    return left.some((op) => {
      if (left.some((other) => first(other, op))) return false;
      const { action } = op;
      const after = [...table];
      if (action.kind === "CLR") after.fill(0);
      else if (action.kind === "PUT") action.ind.forEach((at, i) => after[at] = action.data[i]!);
      else if (action.kind === "GET") {
        if (action.ind.some((at, i) => table[at] !== action.data[i])) return false;
      } else if (action.ind.reduce((sum, at) => sum + BigInt(table[at]!), 0n) !== action.sum) {
        return false;
      }
      return extend(left.filter((other) => other !== op), after);
    });
  };
  return extend(ops, new Array(size).fill(0));
}

/** The history with one read that saw something else: a value that was put, or a sum off by one. */
function mutate(history: Recorded[], rand: (n: number) => number): Recorded[] {
  const reads = history.filter(({ returned, action: { kind } }) =>
    returned !== undefined && (kind === "GET" || kind === "ADD")
  );
  const read = reads[rand(reads.length)];
  if (read === undefined) return history;
  const values = history.flatMap(({ action }) => action.kind === "PUT" ? action.data : [0]);
  const { action } = read;
  let other: Action = clr;
  if (action.kind === "ADD") other = add([...action.ind], action.sum + BigInt(rand(3) - 1));
  if (action.kind === "GET") {
    const at = rand(action.data.length);
    other = get([...action.ind], action.data.with(at, values[rand(values.length)]!));
  }
  return history.map((op) => op === read ? { ...op, action: other } : op);
}

Deno.test("checkHistory() agrees with brute force on small histories, good and bad", () => {
  const counts = { good: 0, bad: 0, unknown: 0 };
  for (let seed = 1; seed <= 1500; seed++) {
    const rand = random(seed);
    const shape: Shape = {
      ops: 2 + rand(6),
      connections: 1 + rand(4),
      pipeline: 1 + rand(3),
      size: 1 + rand(3),
      unknown: seed % 3 === 0 ? 400 : 0,
      values: seed % 2 === 0 ? Infinity : 3,
      base: seed % 4 === 1 ? BIG : 2, // sums of large values are not taken apart
    };
    const good = simulate(rand, shape);
    for (const history of [good, mutate(good, rand), mutate(mutate(good, rand), rand)]) {
      const expected = bruteForce(history, shape.size);
      assertEquals(
        checkHistory(history, shape.size).ok,
        expected,
        `seed ${seed}: ${Deno.inspect(history)}`,
      );
      counts[expected ? "good" : "bad"]++;
      if (history.some(({ returned }) => returned === undefined)) counts.unknown++;
    }
    assert(bruteForce(good, shape.size), `seed ${seed}: brute force finds no order`);
  }
  assert(Math.min(counts.good, counts.bad, counts.unknown) > 500, Deno.inspect(counts));
});

const SHAPES: Shape[] = [
  { ops: 2000, connections: 8, pipeline: 16, size: 10, unknown: 0, values: Infinity },
  { ops: 2000, connections: 8, pipeline: 16, size: 10, unknown: 10, values: Infinity },
  { ops: 2000, connections: 8, pipeline: 1, size: 10, unknown: 10, values: Infinity },
  { ops: 2000, connections: 30, pipeline: 4, size: 10, unknown: 5, values: Infinity },
  { ops: 2000, connections: 30, pipeline: 16, size: 10, unknown: 0, values: Infinity },
  { ops: 2000, connections: 12, pipeline: 8, size: 64, unknown: 10, values: Infinity },
  { ops: 2000, connections: 8, pipeline: 2, size: 10, unknown: 0, values: 1000 },
  { ops: 10_000, connections: 8, pipeline: 16, size: 10, unknown: 10, values: Infinity },
];

for (const shape of SHAPES) {
  const { ops, connections, pipeline, size, unknown, values } = shape;
  const name = `${ops} operations on ${connections} connections, ${pipeline} at a time, ` +
    `${size} entries, ${values} values, ${unknown} ‰ unknown`;
  Deno.test(`checkHistory() decides ${name}`, async (t) => {
    const rand = random(1);
    const good = simulate(rand, shape);
    await t.step("an atomic table", () => {
      assertEquals(checkHistory(good, size), { ok: true });
    });
    if (values !== Infinity) return; // a stale value may have been put anew
    await t.step("the same with one stale read", () => {
      const verdict = checkHistory(makeStale(good, rand), size);
      assert(!verdict.ok);
      assertStringIncludes(verdict.reason, "Next could not be:");
    });
  });
}
