/**
 * Deno's standard output, in pieces of which it is known whether they were taken.
 *
 * @module
 */

import { isFull } from "./byte_output.ts";

const NEWLINE = 10;
const NOTHING = new Uint8Array(0);
/** Bytes that a pipe takes as a whole or not at all: PIPE_BUF, by POSIX 512 at least. */
const ATOMIC_BYTES = Deno.build.os === "linux" ? 4096 : 512;
/** Bytes that fit into the line buffer, which has 1,024. */
const BUFFERED_BYTES = 512;

/**
 * Hands bytes to standard output.
 *
 * Deno writes them through a line buffer, Rust's, and flushes it. Where the output is in non-blocking
 * mode and full, either may be refused with the same error, and the bytes are lost or in the buffer. So
 * only such pieces are written for which there is no doubt:
 *
 * - up to a newline, as much as the output takes as a whole or not at all. It goes past the buffer,
 *   and where it is refused nothing of it was taken. (A terminal takes a byte so, a pipe some more.)
 * - without a newline, less than the buffer holds. It is always taken; what may be refused is the flush.
 */
export class StandardOutput {
  readonly #atomicBytes = Deno.stdout.isTerminal() ? 1 : ATOMIC_BYTES;
  /** How much was taken into the buffer and is not flushed. */
  #buffered = 0;

  /**
   * Hands over some bytes, from the first on.
   *
   * @returns How many were taken.
   * @throws {Deno.errors.WouldBlock} If none were, and the same may be handed over again later.
   */
  async take(bytes: Uint8Array): Promise<number> {
    if (this.#buffered > 0) {
      await Deno.stdout.write(NOTHING);
      const taken = this.#buffered;
      this.#buffered = 0;
      return taken;
    }
    const piece = this.#piece(bytes);
    try {
      return await Deno.stdout.write(piece);
    } catch (error) {
      if (isFull(error) && piece.at(-1) !== NEWLINE) this.#buffered = piece.length;
      throw error;
    }
  }

  #piece(bytes: Uint8Array): Uint8Array {
    const last = bytes.lastIndexOf(NEWLINE, this.#atomicBytes - 1);
    if (last >= 0) return bytes.subarray(0, last + 1);
    const next = bytes.indexOf(NEWLINE);
    return bytes.subarray(0, Math.min(next < 0 ? bytes.length : next, BUFFERED_BYTES));
  }
}
