/**
 * What a node has told, and the waiting for it.
 *
 * @module
 */

import type { NodeEvent } from "../../mod.ts";
import { traceText } from "../../lib/observe/trace_text.ts";
import { within } from "./within.ts";

/** The events of a node of this process. */
export class Told {
  /** All so far. */
  readonly all: NodeEvent[] = [];
  #told = Promise.withResolvers<void>();

  /** To be given to a node as its option `events`. */
  readonly events = (event: NodeEvent): void => {
    this.all.push(event);
    this.#told.resolve();
    this.#told = Promise.withResolvers();
  };

  /** Those of these types. */
  of<T extends NodeEvent["type"]>(...types: T[]): Extract<NodeEvent, { type: T }>[] {
    return this.all.filter((event): event is Extract<NodeEvent, { type: T }> =>
      types.some((type) => type === event.type)
    );
  }

  /** Resolves when there are `count` of this type. */
  async until(type: NodeEvent["type"], count: number = 1): Promise<void> {
    while (this.of(type).length < count) {
      await within(this.#told.promise, `${count} events "${type}"`);
    }
  }

  /**
   * The trace of it, without the times.
   *
   * @param ports What stands for each port, five characters: those of two runs are not the same.
   */
  text(ports: Record<string, string>, renewals: boolean = false): string {
    return masked(
      this.all.flatMap((event) => traceText(event, new Date(0), renewals) ?? []),
      ports,
    );
  }
}

/** Lines of a trace without their times, each after a newline, with names in place of ports. */
export function masked(lines: readonly string[], ports: Record<string, string>): string {
  return lines.map((line) => {
    if (!/^\d\d:\d\d:\d\d\.\d{3} {2}/.test(line)) throw new Error(`No line of a trace: ${line}`);
    const text = line.slice("12:00:01.234  ".length);
    return `\n${text.replace(/:(\d{4,5})\b/g, (all, port) => ports[port] ?? all)}`;
  }).join("");
}

/** The port of an address. */
export function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
