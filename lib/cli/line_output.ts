/**
 * Lines for whoever cares to read them: a log, a trace.
 *
 * @module
 */

import { MAX_UNREAD_LOG_BYTES } from "../protocol/limits.ts";
import type { ByteOutput } from "./byte_output.ts";

const encoder = new TextEncoder();

/**
 * Writes lines without ever making anybody wait. What is unread has a limit; a line that would exceed
 * it is dropped, and so are those after it until half of that is read. Then a line says how many.
 *
 * ```text
 *  write() → [ lines, up to the limit ]["… 1,234 lines were dropped: nobody read them"][ lines ] → output
 * ```
 */
export class LineOutput {
  readonly #output: ByteOutput;
  readonly #limit: number;
  #dropped = 0;

  /**
   * Makes one over an output that nobody else writes to.
   *
   * @param limit The most bytes that may be unread.
   */
  constructor(output: ByteOutput, limit: number = MAX_UNREAD_LOG_BYTES) {
    this.#output = output;
    this.#limit = limit;
  }

  /** Writes a line, or drops it; returns at once in any case, and never throws. */
  write(line: string): void {
    const bytes = encoder.encode(`${line}\n`);
    if (this.#dropped > 0) this.#dropped++;
    else if (this.#output.unwritten + bytes.length > this.#limit) this.#beginGap();
    else this.#output.write(bytes);
  }

  /** Resolves when all is written, or nothing of it was taken for `ms` milliseconds, or cannot be. */
  flushedWithin(ms: number): Promise<void> {
    return this.#output.flushedWithin(ms);
  }

  async #beginGap(): Promise<void> {
    this.#dropped = 1;
    const why = this.#output.trouble?.message ?? "nobody read them";
    await this.#output.room(this.#limit / 2);
    const lines = this.#dropped === 1 ? "line was" : "lines were";
    const count = this.#dropped.toLocaleString("en");
    this.#dropped = 0;
    this.#output.write(encoder.encode(`… ${count} ${lines} dropped: ${why}\n`));
  }
}
