/**
 * An output of this process, written in order while everything else goes on.
 *
 * ```text
 *  write() → [ a ][ b ][ c ] ── one chunk at a time ──→ the system, which may take its time:
 *                 unwritten                              a pipe that nobody reads, a full disk
 * ```
 *
 * @module
 */

import { Waiters } from "../util/waiters.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import { within } from "../runtime/within.ts";
import { OUTPUT_RETRY_MS } from "../protocol/limits.ts";

/**
 * Hands bytes to the system: some of them, from the first on.
 *
 * @returns How many it took. Where it rejects it took none, and may be asked again with the same bytes.
 */
export type Take = (bytes: Uint8Array) => Promise<number>;

/** Bytes that are handed over at a time: what a reader must take to be seen to read. */
const CHUNK_BYTES = 16 * 1024;

/** Bytes on their way to an output. */
export class ByteOutput {
  readonly #take: Take;
  readonly #mayPass: (error: unknown) => boolean;
  #queue: Uint8Array[] = [];
  #unwritten = 0;
  #written = 0;
  #draining = false;
  #trouble: Error | undefined;
  #failed = false;
  readonly #failure = Promise.withResolvers<never>();
  readonly #waiters = new Waiters();

  /**
   * Makes one.
   *
   * @param take Hands bytes to the system.
   * @param mayPass Whether a write that was refused so is tried again, from the same byte on. After any
   * other error nothing is written any more.
   */
  constructor(take: Take, mayPass: (error: unknown) => boolean) {
    this.#take = take;
    this.#mayPass = mayPass;
    this.#failure.promise.catch(() => {});
  }

  /** How many bytes were not taken yet. */
  get unwritten(): number {
    return this.#unwritten;
  }

  /** What the last try was refused with, where it was not just that nobody reads. */
  get trouble(): Error | undefined {
    return this.#trouble;
  }

  /** Rejects with the error after which nothing is written any more. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** Writes bytes, later than this returns. */
  write(bytes: Uint8Array): void {
    if (this.#failed) return;
    this.#queue.push(bytes);
    this.#unwritten += bytes.length;
    if (!this.#draining) this.#drain();
  }

  /** Resolves when at most `bytes` are unwritten; `undefined` where they are now. */
  room(bytes: number): Promise<void> | undefined {
    if (this.#unwritten <= bytes) return undefined;
    return this.#waiters.until(() => this.#unwritten <= bytes);
  }

  /**
   * Resolves when all is written, however long its reader takes.
   *
   * @throws {Error} If it cannot be: see {@linkcode failure}.
   */
  async flushed(): Promise<void> {
    await this.#waiters.until(() => !this.#draining);
    if (this.#failed) await this.failure;
  }

  /** Resolves when all is written, or nothing of it was taken for `ms` milliseconds, or cannot be. */
  async flushedWithin(ms: number): Promise<void> {
    while (this.#draining && this.#trouble === undefined) {
      const written = this.#written;
      const moves = () => !this.#draining || this.#trouble !== undefined || this.#written > written;
      await within(this.#waiters.until(moves), ms, denoRuntime);
      if (this.#written === written) return;
    }
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    // Behind a microtask, so that the rest of a batch comes with it.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) await this.#writeAll(this.#nextChunk());
    } catch (error) {
      this.#failed = true;
      this.#failure.reject(error);
      this.#queue = [];
      this.#unwritten = 0;
    }
    this.#draining = false;
    this.#waiters.look();
  }

  #nextChunk(): Uint8Array {
    let length = 0, count = 0;
    while (count < this.#queue.length && length < CHUNK_BYTES) {
      length += this.#queue[count++]!.length;
    }
    const chunk = new Uint8Array(length);
    let at = 0;
    for (const bytes of this.#queue.splice(0, count)) {
      chunk.set(bytes, at);
      at += bytes.length;
    }
    return chunk;
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    let pauseMs = 1;
    for (let at = 0; at < chunk.length;) {
      try {
        const count = await this.#take(chunk.subarray(at));
        at += count;
        this.#unwritten -= count;
        this.#written += count;
        this.#trouble = undefined;
        pauseMs = 1;
      } catch (error) {
        if (!this.#mayPass(error)) throw error;
        if (!isFull(error)) this.#trouble = error as Error;
        this.#waiters.look();
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        pauseMs = Math.min(2 * pauseMs, OUTPUT_RETRY_MS);
        continue;
      }
      this.#waiters.look();
    }
  }
}

/** Whether an output takes nothing for now, since somebody has set it to say so and not to wait. */
export function isFull(error: unknown): boolean {
  return error instanceof Deno.errors.WouldBlock;
}
