/**
 * Entries that tell what becomes of them.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { BoundedCache, type Eviction } from "./bounded_cache.ts";
import { Entries, type EntriesOptions } from "./entries.ts";
import type { Written } from "./writes_under_way.ts";

/**
 * Entries that tell a sink of hits and misses, and of what enters and is dropped.
 *
 * A class of its own, so that entries that nobody is told of look at nothing more for it.
 */
export class ToldEntries extends Entries {
  readonly #events: EventSink;
  /** Why entries are dropped, at this moment. */
  #why: "invalidation" | "write" | "clear" = "invalidation";

  /** Makes empty ones, closed. */
  constructor(options: EntriesOptions, events: EventSink) {
    super(options);
    this.#events = events;
  }

  protected override makeCache(capacity: number, eviction: Eviction): ToldCache {
    return new ToldCache(capacity, eviction);
  }

  override open(tableSize: number | undefined): void {
    const { cache } = this;
    super.open(tableSize);
    if (cache !== this.cache) this.#tellAll(cache.size, "resized");
  }

  override close(): void {
    this.#tellAll(this.cache.size, "disconnected");
    super.close();
  }

  override read(ind: readonly number[]): number[] | undefined {
    const data = super.read(ind);
    if (data !== undefined) this.#events({ type: "hit", node: "proxy", ind });
    return data;
  }

  override readAgain(ind: readonly number[]): number[] | undefined {
    return super.read(ind);
  }

  override missing(ind: readonly number[]): number[] {
    const misses = super.missing(ind);
    const hits = [...new Set(ind).difference(new Set(misses))];
    if (hits.length === 0) this.#events({ type: "miss", node: "proxy", ind: misses });
    else this.#events({ type: "part-hit", node: "proxy", hits, misses });
    return misses;
  }

  override enter(ind: readonly number[], data: readonly number[]): void {
    super.enter(ind, data);
    this.#tellEntered("read");
  }

  override enterWritten(ind: readonly number[], data: readonly number[]): void {
    super.enterWritten(ind, data);
    this.#tellEntered("write");
  }

  override beginWrite(written: Written): void {
    this.#why = written === undefined ? "clear" : "write";
    super.beginWrite(written);
    this.#why = "invalidation";
  }

  override drop(written: Written): void {
    if (written === undefined) {
      this.#tellAll(this.cache.size, this.#why);
    } else {
      const ind = [...new Set(written)].filter((index) => this.cache.get(index) !== undefined);
      const count = ind.length, why = this.#why;
      if (count > 0) this.#events({ type: "drop", node: "proxy", ind, count, why });
    }
    super.drop(written);
  }

  #tellAll(
    count: number,
    why: "invalidation" | "write" | "clear" | "disconnected" | "resized",
  ): void {
    if (count > 0) this.#events({ type: "drop", node: "proxy", ind: "all", count, why });
  }

  #tellEntered(why: "read" | "write"): void {
    const { ind, data, evicted } = (this.cache as ToldCache).takeEntered();
    if (ind.length > 0) this.#events({ type: "enter", node: "proxy", ind, data, evicted, why });
  }
}

/** What has entered a cache, and what was evicted for it. */
interface Entered {
  readonly ind: number[];
  readonly data: number[];
  readonly evicted: number[];
}

/** A cache that notes what enters. */
class ToldCache extends BoundedCache {
  #entered: Entered = { ind: [], data: [], evicted: [] };

  /** What has entered since this was called last. */
  takeEntered(): Entered {
    const entered = this.#entered;
    this.#entered = { ind: [], data: [], evicted: [] };
    return entered;
  }

  override set(index: number, data: number): number | undefined {
    const evicted = super.set(index, data);
    if (this.get(index) !== undefined) {
      this.#entered.ind.push(index);
      this.#entered.data.push(data);
      if (evicted !== undefined) this.#entered.evicted.push(evicted);
    }
    return evicted;
  }
}
