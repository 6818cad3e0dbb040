/**
 * What the programs write: results to standard output, everything else to standard error.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { traceJson } from "../observe/trace_json.ts";
import { traceText } from "../observe/trace_text.ts";
import { visible } from "../protocol/visible.ts";

const encoder = new TextEncoder();

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

/** What a trace shows: `text`, all but renewals of a lease; `all`; or all, as `json`. */
export type TraceForm = "text" | "all" | "json";

/** A sink that writes each event, as it happens, as a line to standard error. */
export function reportTrace(form: TraceForm): EventSink {
  return (event) => {
    const time = new Date();
    const line = form === "json" ? traceJson(event, time) : traceText(event, time, form === "all");
    if (line !== undefined) report(line);
  };
}

function writeAll(output: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) at += output.writeSync(bytes.subarray(at));
}
