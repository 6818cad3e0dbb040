/**
 * The bounded cache by itself, and against a plain model.
 */
import { assert, assertEquals } from "@std/assert";
import { BoundedCache, type Eviction } from "../lib/proxy/bounded_cache.ts";
import { fc } from "./support/fast_check.ts";

/** The same, as one would write it down: an array from the oldest to the newest. */
class Model {
  entries: [index: number, data: number][] = [];
  readonly capacity: number;
  readonly eviction: Eviction;

  constructor(capacity: number, eviction: Eviction) {
    this.capacity = capacity;
    this.eviction = eviction;
  }

  at(index: number): number {
    return this.entries.findIndex(([held]) => held === index);
  }

  touch(index: number): void {
    const at = this.at(index);
    if (this.eviction === "lru" && at >= 0) this.entries.push(...this.entries.splice(at, 1));
  }

  set(index: number, data: number): void {
    const at = this.at(index);
    if (at >= 0) this.entries[at] = [index, data];
    else this.entries = [...this.entries, [index, data] as [number, number]].slice(-this.capacity);
  }

  delete(index: number): void {
    this.entries = this.entries.filter(([held]) => held !== index);
  }
}

type Step = readonly [
  what: "set" | "touch" | "delete" | "get" | "clear",
  index: number,
  data: number,
];

function steps(most: number): fc.Arbitrary<Step[]> {
  const what = fc.constantFrom<Step[0][]>(
    ..."set set set set touch touch delete get clear".split(" ") as Step[0][],
  );
  return fc.array(fc.tuple(what, fc.nat(most), fc.maxSafeInteger()), { maxLength: 200 });
}

function play(capacity: number, eviction: Eviction, all: readonly Step[]): void {
  const cache = new BoundedCache(capacity, eviction), model = new Model(capacity, eviction);
  for (const [what, index, data] of all) {
    switch (what) {
      case "set":
        cache.set(index, data);
        model.set(index, data);
        break;
      case "touch":
        cache.touch(index);
        model.touch(index);
        break;
      case "delete":
        cache.delete(index);
        model.delete(index);
        break;
      case "get":
        assertEquals(cache.get(index), model.entries[model.at(index)]?.[1]);
        break;
      case "clear":
        if (data % 4 !== 0) break; // not too often: it is to fill now and then
        cache.clear();
        model.entries = [];
    }
    assertEquals([...cache], model.entries);
    assertEquals(cache.size, model.entries.length);
  }
}

for (const eviction of ["fifo", "lru"] as const) {
  Deno.test(`bounded cache: ${eviction} behaves as a plain list does`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), steps(50), (capacity, all) => {
        play(capacity, eviction, all);
      }),
      { numRuns: 150 },
    );
  });

  Deno.test(`bounded cache: ${eviction} with room for one or two`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 }), steps(4), (capacity, all) => {
        play(capacity, eviction, all);
      }),
      { numRuns: 150 },
    );
  });
}

Deno.test("bounded cache: without room it holds nothing", () => {
  const cache = new BoundedCache(0, "fifo");
  cache.set(1, 1);
  cache.touch(1);
  cache.delete(1);
  assertEquals([...cache], []);
  assertEquals(cache.get(1), undefined);
});

Deno.test("bounded cache: asking for data leaves the ages as they are", () => {
  const cache = new BoundedCache(2, "lru");
  cache.set(1, 10);
  cache.set(2, 20);
  assertEquals(cache.get(1), 10);
  cache.set(3, 30);
  assertEquals([...cache], [[2, 20], [3, 30]]);
});

Deno.test("bounded cache: a 0 is held like any other integer", () => {
  const cache = new BoundedCache(2, "fifo");
  cache.set(0, 0);
  assertEquals(cache.get(0), 0);
  assertEquals([...cache], [[0, 0]]);
});

Deno.test("bounded cache: it holds every integer of the range exactly", () => {
  const cache = new BoundedCache(3, "fifo");
  const integers = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1];
  integers.forEach((integer, index) => cache.set(index, integer));
  assertEquals([...cache].map(([, integer]) => integer), integers);
});

Deno.test("bounded cache: a large one fills, turns over and empties, in order", () => {
  const cache = new BoundedCache(5000, "fifo");
  for (let i = 0; i < 20_000; i++) {
    cache.set(i, -i);
    if (i % 3 === 0) cache.delete(i - 10);
  }
  const held = [...cache];
  assertEquals(held.length, cache.size);
  assert(cache.size <= 5000);
  assertEquals(held, held.toSorted(([a], [b]) => a - b));
  assertEquals(held.at(-1), [19_999, -19_999]);
  cache.clear();
  assertEquals([...cache], []);
  cache.set(7, 7);
  assertEquals([...cache], [[7, 7]]);
});
