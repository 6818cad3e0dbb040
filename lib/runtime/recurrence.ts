/**
 * What goes wrong again and again, as a log tells of it.
 *
 * @module
 */

import { RECURRENCE_OVER_MS, RECURRENCE_REMINDER_MS } from "../protocol/limits.ts";
import type { Runtime, Timer } from "./runtime.ts";

/**
 * One kind of mishap, of which each instance would fill a log: one is said at once, and then, as long
 * as it goes on, how often it came, once in a while and when it is over.
 *
 * ```text
 *  happened() ×1 → "a commit failed: disk is full"
 *  happened() ×n → "a commit failed: disk is full: 1,234 times more in 60 s"     a minute later
 *                → "a commit failed: disk is full: 17 times more in 12 s, and not since"    when it is over
 * ```
 *
 * It is over when it has not happened for 10 seconds: where some succeed and some fail, what
 * succeeds ends nothing.
 */
export class Recurrence {
  readonly #log: (sentence: string) => void;
  readonly #runtime: Runtime;
  readonly #overMs: number;
  readonly #reminderMs: number;
  /** What was not said yet: the last sentence, and how many there were. */
  #sentence = "";
  #unsaid = 0;
  /** By the monotonic clock: when it was last spoken of, and when it last happened. */
  #said = 0;
  #last = 0;
  /** For when it may be over; there is one exactly while it goes on. */
  #timer: Timer | undefined;

  /** Makes one that has not happened; `log` is told of it. */
  constructor(
    log: (sentence: string) => void,
    runtime: Runtime,
    overMs: number = RECURRENCE_OVER_MS,
    reminderMs: number = RECURRENCE_REMINDER_MS,
  ) {
    this.#log = log;
    this.#runtime = runtime;
    this.#overMs = overMs;
    this.#reminderMs = reminderMs;
  }

  /** It has happened; the sentence says what and why, and may differ from one time to the next. */
  happened(sentence: string): void {
    this.#last = this.#runtime.now();
    if (this.#timer === undefined) {
      this.#said = this.#last;
      this.#awaitEnd(this.#overMs);
      this.#log(sentence);
      return;
    }
    this.#sentence = sentence;
    this.#unsaid++;
    if (this.#last - this.#said >= this.#reminderMs) this.#summarize("");
  }

  /** Says what is unsaid: whoever tells of it ends. */
  close(): void {
    this.#runtime.clearTimer(this.#timer);
    this.#timer = undefined;
    this.#summarize("");
  }

  #awaitEnd(ms: number): void {
    this.#timer = this.#runtime.setTimer(() => {
      const leftMs = this.#last + this.#overMs - this.#runtime.now();
      if (leftMs > 0) return this.#awaitEnd(leftMs);
      this.#timer = undefined;
      this.#summarize(", and not since");
    }, Math.ceil(ms));
  }

  #summarize(end: string): void {
    if (this.#unsaid === 0) return;
    const count = this.#unsaid.toLocaleString("en");
    const times = this.#unsaid === 1 ? "once" : `${count} times`;
    const seconds = Math.max(1, Math.round((this.#last - this.#said) / 1000));
    this.#said = this.#last;
    this.#unsaid = 0;
    this.#log(`${this.#sentence}: ${times} more in ${seconds} s${end}`);
  }
}
