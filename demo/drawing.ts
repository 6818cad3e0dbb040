/**
 * The messages between three nodes as a sequence drawing.
 *
 * @module
 */

import type { Role } from "../lib/events.ts";

/** The nodes, from left to right. */
export const NODES: readonly Role[] = ["client", "proxy", "server"];

/** A message that passed. */
export interface Passed {
  readonly from: Role;
  readonly to: Role;
  readonly text: string;
}

/** How many characters lie between two nodes. */
const GAP = 42;

/** The line with the nodes' names. */
export function head(): string {
  return NODES.map((node) => node.padEnd(GAP + 1)).join("").trimEnd();
}

/**
 * A message as an arrow between two neighbours, its text on it.
 *
 * @throws {TypeError} If they are none.
 */
export function arrow({ from, to, text }: Passed): string {
  const start = NODES.indexOf(from), end = NODES.indexOf(to);
  if (Math.abs(start - end) !== 1) {
    throw new TypeError(`Cannot draw a message from ${from} to ${to}: they are no neighbours`);
  }
  const line = "─".repeat(Math.max(1, GAP - text.length - 5));
  const drawn = start < end ? `── ${text} ${line}→` : `←${line} ${text} ──`;
  const gaps = [0, 1].map((gap) => gap === Math.min(start, end) ? drawn : " ".repeat(GAP));
  return `│${gaps[0]}│${gaps[1]}│`;
}
