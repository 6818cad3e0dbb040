/** Random operations through a proxy, against a plain array for the table and a list for the cache. */
import { assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import { fc } from "./support/fast_check.ts";
import { integers } from "./support/messages.ts";
import { openProxy } from "./support/targets.ts";
import { Wire } from "./support/wire.ts";

type Operation =
  | { op: "GET" | "ADD"; ind: number[] }
  | { op: "PUT"; ind: number[]; data: number[] }
  | { op: "CLR" | "INF" };

interface Setting {
  size: number;
  capacity: number;
  eviction: "fifo" | "lru";
  onWrite: "allocate" | "around";
}

/** What the table and the cache are to be, said as simply as can be. */
class Model {
  readonly #setting: Setting;
  readonly table: number[];
  /** The indices held, the oldest first. */
  held: number[] = [];

  constructor(setting: Setting) {
    this.#setting = setting;
    this.table = Array(setting.size).fill(0);
  }

  /** Does an operation one after the other, as one client sees it. The reply; of an error its code. */
  do(operation: Operation): string {
    switch (operation.op) {
      case "CLR":
        this.table.fill(0);
        this.held = [];
        return "OP=CLR;";
      case "INF":
        return this.held.length === 0
          ? "OP=INF;"
          : `OP=INF;IND=${this.held};DATA=${this.held.map((i) => this.table[i])};`;
      case "PUT": {
        const { ind, data } = operation;
        if (data.length !== ind.length) return "OP=ERR;DATA=400;";
        if (this.#outside(ind)) return "OP=ERR;DATA=404;";
        ind.forEach((index, i) => this.table[index] = data[i]!);
        this.held = this.held.filter((index) => !ind.includes(index));
        if (this.#setting.onWrite === "allocate") {
          for (const index of ind) this.#enter(index);
        }
        return `OP=PUT;IND=${ind};DATA=${data};`;
      }
      case "GET":
      case "ADD": {
        const { op, ind } = operation;
        if (op === "ADD" && ind.length > 5) return "OP=ERR;DATA=413;";
        if (this.#outside(ind)) return "OP=ERR;DATA=404;";
        const missing = ind.filter((index) => !this.held.includes(index));
        if (this.#setting.eviction === "lru") {
          for (const index of ind) if (this.held.includes(index)) this.#toTheEnd(index);
        }
        for (const index of new Set(missing)) this.#enter(index);
        const data = ind.map((index) => this.table[index]!);
        return op === "GET"
          ? `OP=GET;IND=${ind};DATA=${data};`
          : `OP=ADD;IND=${ind};DATA=${data.reduce((sum, integer) => sum + BigInt(integer), 0n)};`;
      }
    }
  }

  #outside(ind: number[]): boolean {
    return ind.some((index) => this.table[index] === undefined);
  }

  #enter(index: number): void {
    if (this.held.includes(index)) return this.#toTheEnd(index);
    if (this.held.length === this.#setting.capacity) this.held.shift();
    this.held.push(index);
  }

  #toTheEnd(index: number): void {
    this.held = [...this.held.filter((other) => other !== index), index];
  }
}

const settings: fc.Arbitrary<Setting> = fc.integer({ min: 1, max: 8 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    capacity: fc.integer({ min: 1, max: size }),
    eviction: fc.constantFrom("fifo", "lru"),
    onWrite: fc.constantFrom("allocate", "around"),
  })
);

/** Good indices mostly, repeated ones among them; of a small table many are outside. */
const indices = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: fc.nat(3) },
    { weight: 10, arbitrary: fc.nat(7) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 8, Number.MAX_SAFE_INTEGER) },
  ),
  { minLength: 1, maxLength: 6 },
);

const operations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: indices.map((ind) => ({ op: "GET" as const, ind })) },
    { weight: 3, arbitrary: indices.map((ind) => ({ op: "ADD" as const, ind })) },
    {
      weight: 4,
      arbitrary: fc.array(fc.tuple(indices.map((ind) => ind[0]!), integers), {
        minLength: 1,
        maxLength: 5,
      }).map((pairs) => ({
        op: "PUT" as const,
        ind: pairs.map(([index]) => index),
        data: pairs.map(([, integer]) => integer),
      })),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(indices, integers).map(([ind, integer]) => ({
        op: "PUT" as const,
        ind: [...ind, 0],
        data: [integer],
      })),
    },
    { weight: 1, arbitrary: fc.constant({ op: "CLR" as const }) },
    { weight: 1, arbitrary: fc.constant({ op: "INF" as const }) },
  ),
  { maxLength: 40 },
);

/** An operation as its line. */
function lineOf(operation: Operation): string {
  const ind = "ind" in operation ? `IND=${operation.ind};` : "";
  const data = "data" in operation ? `DATA=${operation.data};` : "";
  return `OP=${operation.op};${ind}${data}\n`;
}

/** A reply as the model has it: without its MSG. */
function withoutMsg(reply: string): string {
  return reply.replace(/MSG=[^;]+;$/, "");
}

function open({ size, capacity, eviction, onWrite }: Setting) {
  return openProxy({ server: { size }, proxy: { capacity, eviction, onWrite } });
}

Deno.test("a proxy answers and holds what a plain model does, after any operations", async () => {
  await fc.assert(
    fc.asyncProperty(settings, operations, async (setting, list) => {
      await using proxy = await open(setting);
      await using wire = await Wire.connect(proxy.address);
      const model = new Model(setting);
      for (const operation of list) {
        await wire.send(lineOf(operation));
        assertEquals(withoutMsg(await wire.line()), model.do(operation));
        await wire.send("OP=INF;\n");
        assertEquals(withoutMsg(await wire.line()), model.do({ op: "INF" }), "what is held");
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("a proxy answers any operations in one write as it does one by one", async () => {
  await fc.assert(
    fc.asyncProperty(settings, operations, async (setting, list) => {
      await using proxy = await open(setting);
      await using wire = await Wire.connect(proxy.address);
      const model = new Model(setting);
      await wire.send([...list, { op: "INF" } as const].map(lineOf).join(""));
      for (const operation of list) {
        const reply = withoutMsg(await wire.line());
        // Which entries are held depends on what was on its way; what they hold does not.
        if (operation.op === "INF") checkHeld(reply, model, setting);
        else assertEquals(reply, model.do(operation));
      }
      checkHeld(withoutMsg(await wire.line()), model, setting);
    }),
    { numRuns: 200 },
  );
});

/** Asserts that what a proxy shows is in the table, and no more than it may hold. */
function checkHeld(info: string, model: Model, { capacity }: Setting): void {
  assertMatch(info, /^OP=INF;(?:IND=[^;]+;DATA=[^;]+;)?$/);
  const [, ind, data] = /IND=([^;]+);DATA=([^;]+);/.exec(info) ?? [];
  if (ind === undefined || data === undefined) return;
  const indices = ind.split(",").map(Number);
  assertLessOrEqual(indices.length, capacity);
  assertEquals(new Set(indices).size, indices.length, "each index once");
  assertEquals(data, indices.map((index) => model.table[index]).join(), info);
}
