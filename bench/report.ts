/**
 * The tables at the end.
 *
 * @module
 */

import { find, middle, ratio, type Result } from "./rounds.ts";
import { type Target, verdict } from "./targets.ts";

/** A process that ran this part of the time had no more to give. */
const BUSY = 0.9;

/** A number for people: three digits at least, and commas between thousands. */
export function shown(value: number | undefined, digits: number = 0): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A table in Markdown, its columns aligned; the first one to the left. */
export function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...body.map((row) => row[i]!.length))
  );
  const line = (cells: readonly string[]) =>
    `| ${
      cells.map((c, i) => i === 0 ? c.padEnd(widths[i]!) : c.padStart(widths[i]!)).join(" | ")
    } |`;
  const rule = `| ${
    widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  return [line(head), rule, ...body.map(line)].join("\n");
}

/** The rows that were measured; `*` where the generator was the limit, and not the node. */
export function rowsTable(results: readonly Result[]): string {
  const head = [
    "row",
    "depth",
    "per second",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "node µs",
    "busy",
    "load busy",
    "ratio",
    "by time",
    "of",
  ];
  return table(
    head,
    results.map((result) => {
      const { name, depth, of } = result.row;
      const partner = name === of ? undefined : find(results, of, depth);
      const busy = middle(result, "busy"), loadBusy = middle(result, "loadBusy");
      const limit = loadBusy >= BUSY && busy < BUSY ? "*" : "";
      return [
        name,
        String(depth),
        shown(middle(result, "perSecond")),
        shown(middle(result, "p50")),
        shown(middle(result, "p99")),
        shown(middle(result, "p999")),
        shown(middle(result, "cpu"), 2),
        shown(busy, 2),
        `${shown(loadBusy, 2)}${limit}`,
        partner === undefined ? "" : shown(ratio(result, partner, "perSecond"), 2),
        partner === undefined ? "" : shown(ratio(partner, result, "cpu"), 2),
        partner === undefined ? "" : of!,
      ];
    }),
  );
}

/** The targets, and whether they were met. */
export function targetsTable(targets: readonly Target[]): string {
  return table(
    ["target", "at least", "after", "measured", "by time", ""],
    targets.map((target) => {
      const { what, unit, better, atLeast, after, measured, byTime } = target;
      const value = (number: number | undefined) => {
        const digits = number !== undefined && Math.abs(number) < 20 ? 2 : 0;
        return `${shown(number, digits)}${unit === "" ? "" : ` ${unit}`}`;
      };
      const limit = (number: number) => `${better === "more" ? "≥" : "≤"} ${value(number)}`;
      return [
        what,
        limit(atLeast),
        limit(after),
        value(measured),
        byTime === undefined ? "" : shown(byTime, 2),
        verdict(target),
      ];
    }),
  );
}
