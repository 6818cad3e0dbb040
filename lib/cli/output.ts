/**
 * What the programs write: results to standard output, everything else to standard error.
 *
 * @module
 */

import type { Trace } from "../net/trace.ts";
import { UNPRINTABLE } from "../protocol/error.ts";

const encoder = new TextEncoder();

/** `text` with what could steer a terminal or hide in it replaced by its code: `\u{1b}`. */
export function visible(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}

/**
 * Writes text to standard output, to its end.
 *
 * @throws {Deno.errors.BrokenPipe} If nobody reads it any more.
 */
export function print(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Writes one line to standard error; where that cannot be written, nobody is left to be told. */
export function report(line: string): void {
  try {
    writeAll(Deno.stderr, `${visible(line)}\n`);
  } catch {
    // See above.
  }
}

/** Writes each message, as it passes, as a line to standard error. */
export const reportTrace: Trace = (from, to, text) => {
  report(`${new Date().toISOString()} ${from} -> ${to} ${text}`);
};

function writeAll(output: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += output.writeSync(bytes.subarray(at));
}
