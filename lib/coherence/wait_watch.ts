/**
 * The watch over what waits for holders.
 *
 * @module
 */

import type { EventSink, Indices } from "../events.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { LONG_WAIT, LONG_WAIT_LOG_MS } from "../protocol/limits.ts";

/** What waits for holders. */
export interface Wait {
  /** What it is. */
  readonly what: "write" | "clear" | "end";
  /** The indices that they are to drop. */
  readonly ind: Indices;
  /** Since when, by the monotonic clock. */
  readonly since: number;
  /** The holders that it waits for still, by name. */
  holders(): string[];
}

/** How many indices and holders a log line names. */
const MOST_NAMED = 3;

/**
 * Says for whom a write waits that has waited for a tenth of the lease's term: each to the events, and
 * the longest, once in a while, to the log.
 *
 * One timer, which is set when the first begins to wait and found to be in vain where none does any
 * more: a write that waits for a moment sets none and clears none.
 */
export class WaitWatch {
  readonly #longMs: number;
  readonly #runtime: Runtime;
  readonly #events: EventSink | undefined;
  readonly #log: (sentence: string) => void;
  /** Those that wait, the first to begin first, that have not waited for long. */
  readonly #waits = new Set<Wait>();
  /** Those that have. */
  readonly #long = new Set<Wait>();
  /** When the log may be told again, by the monotonic clock. */
  #quietUntil = -Infinity;
  #timer: Timer | undefined;

  /** Makes one for leases of `termMs`. */
  constructor(
    termMs: number,
    runtime: Runtime,
    events: EventSink | undefined,
    log: (sentence: string) => void,
  ) {
    this.#runtime = runtime;
    this.#longMs = termMs * LONG_WAIT;
    this.#events = events;
    this.#log = log;
  }

  /** It begins to wait. */
  begin(wait: Wait): void {
    this.#waits.add(wait);
    this.#timer ??= this.#runtime.setTimer(() => this.#look(), Math.ceil(this.#longMs));
  }

  /** It waits no more. */
  end(wait: Wait): void {
    this.#waits.delete(wait);
    this.#long.delete(wait);
  }

  /** Watches no more. */
  close(): void {
    this.#runtime.clearTimer(this.#timer);
    this.#waits.clear();
    this.#long.clear();
  }

  #look(): void {
    const now = this.#runtime.now();
    for (const wait of this.#waits) {
      if (now - wait.since < this.#longMs) break;
      this.#waits.delete(wait);
      this.#long.add(wait);
      if (this.#events === undefined) continue;
      const { what, ind, since } = wait;
      const holders = wait.holders(), waitedMs = Math.round(now - since);
      this.#events({ type: "long-wait", node: "server", what, ind, holders, waitedMs });
    }
    const [longest] = this.#long;
    if (longest !== undefined && this.#quietUntil <= now) {
      this.#quietUntil = now + LONG_WAIT_LOG_MS;
      this.#log(sentence(longest, now, this.#long.size - 1));
    }
    const [next = longest] = this.#waits;
    if (next === undefined) {
      this.#timer = undefined;
    } else {
      // A timer may come early; who begins to wait before it comes has not waited for long by then.
      const left = next === longest ? this.#longMs : next.since + this.#longMs - now;
      this.#timer = this.#runtime.setTimer(() => this.#look(), Math.max(1, Math.ceil(left)));
    }
  }
}

function sentence(wait: Wait, now: number, others: number): string {
  const more = others === 0 ? "" : `; ${others} more wait${others === 1 ? "s" : ""}`;
  const soFar = `(${Math.round(now - wait.since)} ms so far)`;
  return `${subject(wait)} waits for ${awaited(wait.holders())} ${soFar}${more}`;
}

function awaited(holders: readonly string[]): string {
  const [holder] = holders;
  if (holders.length > 1) {
    const names = holders.map((name) => name === "disconnected" ? "a disconnected one" : name);
    return `the holders ${few(names)}`;
  }
  return holder === "disconnected" ? "a disconnected holder" : `the holder ${holder}`;
}

function subject({ what, ind }: Wait): string {
  if (what === "end") return "the end";
  return ind === "all" ? `a ${what}` : `a ${what} of ${few(ind)}`;
}

/** The first few, and how many more there are. */
function few(items: readonly (string | number)[]): string {
  const more = items.length - MOST_NAMED;
  const named = items.slice(0, MOST_NAMED).join(", ");
  return more > 0 ? `${named} and ${more} more` : named;
}
