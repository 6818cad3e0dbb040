/**
 * Simulated time: what is to happen, in its order.
 *
 * @module
 */

import { Random } from "./random.ts";

/** Something that is to happen. */
export interface Happening {
  /** When, in milliseconds of the world's time. */
  readonly at: number;
  /** Orders those of one moment. */
  readonly number: number;
  /** What; `undefined` where it was taken back. */
  run: (() => void) | undefined;
}

/**
 * A world: its time, its chance, and what is to happen in it.
 *
 * Time passes only from one happening to the next. Between two of them all that the code has begun
 * runs to its end: a node sees no difference to a machine that is fast enough.
 */
export class World {
  /** Where all chance comes from. */
  readonly random: Random;
  #now = 0;
  #numbers = 0;
  /** A binary heap, the next at the front. */
  readonly #heap: Happening[] = [];
  #happened = 0;

  /** Makes a world of a seed. */
  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** The time that has passed, in milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** How much has happened. */
  get happened(): number {
    return this.#happened;
  }

  /** Has something happen in `ms` milliseconds. */
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

  /** A promise that resolves in `ms` milliseconds. */
  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * Lets time pass until `done` resolves, or rejects as it does.
   *
   * @throws {Error} If nothing more is to happen, or the time is past `limitMs`, before that.
   */
  async until<T>(done: Promise<T>, limitMs: number = Infinity): Promise<T> {
    let over = false;
    const end = () => {
      over = true;
    };
    done.then(end, end);
    await settled();
    while (!over) {
      const next = this.#pop();
      if (next === undefined) throw new Error("Nothing more is to happen, and not all is done");
      if (next.at > limitMs) throw new Error(`Not all is done at ${limitMs} ms`);
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

  #pop(): Happening | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
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
    return first;
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
