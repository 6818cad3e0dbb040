/**
 * A trace for programs: an event, a line of JSON.
 *
 * @module
 */

import type { NodeEvent } from "../events.ts";
import { visibleJson } from "../protocol/visible.ts";

/** An event with its time, as a line of the trace holds it. */
export type TracedEvent = NodeEvent & {
  /** When it happened: `2026-11-25T12:00:01.234Z`. */
  readonly time: string;
};

/**
 * An event as one object of JSON, without a newline: `time`, then the event's own fields. What a peer
 * sent is escaped so that no line holds a control character, and is the same text when it is parsed.
 */
export function traceJson(event: NodeEvent, time: Date): string {
  return visibleJson(JSON.stringify({ time: time.toISOString(), ...event }));
}

/** The event of a line of such a trace; `undefined` where the line is none, but a log's. */
export function readTraceJson(line: string): TracedEvent | undefined {
  if (!line.startsWith('{"time":')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    // Cut where the node was ended.
    return undefined;
  }
}
