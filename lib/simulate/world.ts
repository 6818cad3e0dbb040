/**
 * Simulated time: what is to happen, in its order.
 *
 * @module
 */

import { Random } from "./random.ts";

/** How much time {@linkcode World.until} lets pass unless told otherwise, in milliseconds: an hour. */
const LIMIT_MS = 3_600_000;

/** Something that is to happen. */
export interface Happening {
  /** When, in milliseconds of the world's time. */
  readonly at: number;
  /** Its place among those of one moment: the first that was asked for happens first. */
  readonly number: number;
  /** What; `undefined`, which takes it back, has nothing happen. */
  run: (() => void) | undefined;
}

/**
 * A world: its time, its chance, and what is to happen in it.
 *
 * Time passes only in {@linkcode World.until}, from one happening to the next. Between two of them all
 * that the code has begun runs to its end: a node sees no difference to a machine that is fast enough.
 *
 * The same seed gives the same run where all of it takes its time and chance from here: a program that
 * asks `Date.now()`, `setTimeout` or `Math.random()` gets those of the real world.
 */
export class World {
  /** Where all chance comes from. */
  readonly random: Random;
  #now = 0;
  #numbers = 0;
  /** A binary heap, the next at the front. */
  readonly #heap: Happening[] = [];
  #happened = 0;

  /** Makes a world of a seed, of which the lowest 32 bits count; its time is 0. */
  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** The time that has passed since the world was made, in milliseconds and parts of them. */
  get now(): number {
    return this.#now;
  }

  /** How many happenings there were. */
  get happened(): number {
    return this.#happened;
  }

  /** Has something happen in `ms` milliseconds; at once, but not before what is due, for 0 and less. */
  after(ms: number, run: () => void): Happening {
    return this.at(this.#now + Math.max(0, ms), run);
  }

  /**
   * Has something happen at a moment, in milliseconds of the world's time; at once if it has passed. Of
   * two at one moment, the one that was asked for first happens first.
   */
  at(moment: number, run: () => void): Happening {
    const happening = { at: Math.max(this.#now, moment), number: this.#numbers++, run };
    this.#push(happening);
    return happening;
  }

  /** A promise that resolves in `ms` milliseconds of the world's time. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * Lets time pass until what is played is done.
   *
   * @param play What is waited for: a promise, or a function that begins it.
   * @param limitMs How much time may pass meanwhile, in milliseconds.
   * @returns What it resolves to.
   * @throws What it rejects with.
   * @throws {Error} If nothing more is to happen, or so much time has passed, and it is not done: it
   * waits for what does not come, or for something that is not of this world.
   */
  async until<T>(play: Promise<T> | (() => Promise<T>), limitMs: number = LIMIT_MS): Promise<T> {
    const done = typeof play === "function" ? play() : play;
    const limit = this.#now + limitMs;
    let over = false;
    const end = () => {
      over = true;
    };
    done.then(end, end);
    await settled();
    while (!over) {
      const next = this.#heap[0];
      if (next === undefined) throw new Error("Nothing more is to happen, and not all is done");
      if (next.at > limit) throw new Error(`Not all is done after ${limitMs} ms`);
      this.#pop();
      this.#now = next.at;
      if (next.run === undefined) continue;
      this.#happened++;
      next.run();
      await settled();
    }
    return done;
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    let at = heap.push(happening) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(happening, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = happening;
  }

  /** Takes the next away. */
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    while (true) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++;
      if (!before(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

function before(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}

/**
 * Resolves when all that was begun has gone as far as it can: a task of the event loop runs when no
 * microtask is left.
 */
const settled: () => Promise<void> = "setImmediate" in globalThis
  ? () => new Promise((resolve) => (globalThis as unknown as Immediate).setImmediate(resolve))
  : throughChannel();

interface Immediate {
  setImmediate(callback: () => void): void;
}

/** Where there is no `setImmediate`, as in a browser. */
function throughChannel(): () => Promise<void> {
  const waiting: (() => void)[] = [];
  let channel: MessageChannel | undefined;
  return () => {
    if (channel === undefined) {
      channel = new MessageChannel();
      channel.port1.onmessage = () => waiting.shift()!();
    }
    return new Promise((resolve) => {
      waiting.push(resolve);
      channel!.port2.postMessage(null);
    });
  };
}
