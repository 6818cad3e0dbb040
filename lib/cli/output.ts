/**
 * What the programs write: results to standard output, everything else to standard error. Neither
 * makes this process stand still, whoever reads them and whether or not anybody does.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import { within } from "../runtime/within.ts";
import { traceJson } from "../observe/trace_json.ts";
import { traceText } from "../observe/trace_text.ts";
import { OUTPUT_END_MS } from "../protocol/limits.ts";
import { visible } from "../protocol/visible.ts";
import { ByteOutput, isFull } from "./byte_output.ts";
import { LineOutput } from "./line_output.ts";
import { StandardOutput } from "./standard_output.ts";

const encoder = new TextEncoder();

/** How long standard output lets the lines before it reach standard error first, in milliseconds. */
const PRECEDENCE_MS = 10;

/** Standard error, for lines. Nothing else may write there: it would wait where these do not. */
const standardError = new LineOutput(
  // A full disk may have room again, and a pipe that has a name a reader.
  new ByteOutput((bytes) => Deno.stderr.write(bytes), () => true),
);

const stdout = new StandardOutput();

/** Standard output. Nothing is written to it any more when it has failed: nobody reads it, say. */
export const standardOutput: ByteOutput = new ByteOutput(async (bytes) => {
  // At a terminal, what happened before a reply stands before it.
  await standardError.flushedWithin(PRECEDENCE_MS);
  return await stdout.take(bytes);
}, isFull);

/** Writes text to {@linkcode standardOutput}, later than this returns. */
export function print(text: string): void {
  standardOutput.write(encoder.encode(text));
}

/**
 * Writes one line to standard error, later than this returns. One that finds no room, since nobody
 * reads those before it, is dropped and counted.
 */
export function report(line: string): void {
  standardError.write(visible(line));
}

/** What a trace shows: `text`, all but renewals of a lease; `all`; or all, as `json`. */
export type TraceForm = "text" | "all" | "json";

/** A sink that writes each event, as it happens, as a line: to standard error, unless told otherwise. */
export function reportTrace(form: TraceForm, write: (line: string) => void = report): EventSink {
  return (event) => {
    const time = new Date();
    const line = form === "json" ? traceJson(event, time) : traceText(event, time, form === "all");
    if (line !== undefined) write(line);
  };
}

/** Ends this program when its last lines are written, or nobody takes them. */
export async function exit(status: number): Promise<never> {
  await Promise.all([
    within(standardOutput.flushed().catch(() => {}), OUTPUT_END_MS, denoRuntime),
    standardError.flushedWithin(OUTPUT_END_MS),
  ]);
  Deno.exit(status);
}
