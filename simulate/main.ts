// deno-lint-ignore-file no-console -- what a program that reports is for
/**
 * Simulates: the real nodes on simulated clocks, network and disk, with faults, from seeds; every
 * history is checked.
 *
 * ```sh
 * deno task simulate [--seeds 500] [--from 1] [--operations 2000] [--scenario all] [--trace]
 * ```
 *
 * Ends with 0 if nothing was found, with 1 if something was.
 *
 * @module
 */

import { choice, flagsText, isGiven, readFlags, UsageError, whole } from "../lib/cli/flags.ts";
import { show } from "./check.ts";
import { makePlan, type Plan } from "./plan.ts";
import { NORMAL, SCENARIOS } from "./scenarios.ts";
import { type Outcome, run } from "./run.ts";
import { shorten } from "./shorten.ts";

const FLAGS = {
  seeds: whole({ value: "N", what: "how many seeds", least: 1, most: 1e9, standard: 500 }),
  from: whole({
    value: "SEED",
    what: "the first of them",
    least: 0,
    most: 2 ** 32 - 1,
    standard: 1,
  }),
  operations: whole({
    value: "N",
    what: "how many operations each runs",
    least: 1,
    most: 1_000_000,
    standard: 2000,
  }),
  scenario: {
    ...choice("which of those below; normal: those of a normal run in turn", [
      "normal",
      ...Object.keys(SCENARIOS),
    ]),
    value: "NAME",
  },
  "until-found": isGiven("end with the first seed in which something is wrong"),
  trace: isGiven("print the plan of each seed, and all that happens"),
  help: isGiven("print this and end", ""),
};

/** What all seeds have come to. */
class Totals {
  readonly #faults = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();
  seeds = 0;
  operations = 0;
  violations = 0;
  passedMs = 0;
  readonly #waits = { write: 0, hit: 0 };

  add({ operations, faults, violations, passedMs, waits }: Outcome): void {
    this.seeds++;
    this.operations += operations.length;
    this.violations += violations.length;
    this.passedMs += passedMs;
    this.#waits.write = Math.max(this.#waits.write, waits.write);
    this.#waits.hit = Math.max(this.#waits.hit, waits.hit);
    for (const [kind, times] of faults) count(this.#faults, kind, times);
    for (const { outcome } of operations) count(this.#outcomes, outcome, 1);
  }

  text(seconds: number): string {
    const list = (map: ReadonlyMap<string, number>) =>
      [...map].map(([name, times]) => `${times.toLocaleString("en")} ${name}`).join(", ") || "none";
    const rate = Math.round(this.operations / seconds).toLocaleString("en");
    return [
      `${this.seeds.toLocaleString("en")} seeds, ${
        this.operations.toLocaleString("en")
      } operations ` +
      `in ${seconds.toFixed(1)} s (${rate} a second, ${
        (this.seeds / seconds).toFixed(1)
      } seeds), ` +
      `${(this.passedMs / 3_600_000).toFixed(1)} simulated hours`,
      `operations: ${list(this.#outcomes)}`,
      `faults: ${list(this.#faults)}`,
      `after the faults: the longest write ${this.#waits.write.toFixed(3)} terms of a lease, ` +
      `the longest hit ${this.#waits.hit.toFixed(3)}`,
      `violations: ${this.violations}`,
    ].join("\n");
  }
}

function count(map: Map<string, number>, name: string, by: number): void {
  map.set(name, (map.get(name) ?? 0) + by);
}

/** What a person needs to know of a seed in which something is wrong. */
function report({ plan, operations, violations }: Outcome): string {
  const [first, ...others] = violations;
  const lines = [
    `seed ${plan.seed}: ${first!.what}`,
    first!.story,
    ...others.length === 0 ? [] : [`(and ${others.length} more)`],
  ];
  if (first!.operation !== undefined) {
    const short = shorten(operations, first!.operation, plan.size);
    if (short === undefined) {
      lines.push("No order of all operations contradicts it: the server's own does.");
    } else {lines.push(
        `The shortest history that shows it:`,
        ...short.map((each) => `  ${show(each)}`),
      );}
  }
  lines.push(again(plan));
  return lines.join("\n");
}

/** The command that runs a plan again. */
function again({ seed, scenario, operations }: Plan): string {
  return `Again: deno task simulate --seeds 1 --from ${seed} --scenario "${scenario}" ` +
    `--operations ${operations} --trace`;
}

async function main(): Promise<number> {
  const { values, words } = readFlags(FLAGS, Deno.args);
  if (words.length > 0) throw new UsageError(`unexpected argument: "${words[0]}"`);
  if (values.help) {
    console.log(`Usage: deno task simulate [flags]\n\nFlags:\n${flagsText(FLAGS)}`);
    console.log("Scenarios:");
    for (const [name, { what }] of Object.entries(SCENARIOS)) console.log(`  ${name}: ${what}`);
    return 0;
  }
  // Thousands of errors are made that nobody looks at.
  Error.stackTraceLimit = values.trace ? 10 : 0;
  const totals = new Totals();
  const began = performance.now();
  const interactive = Deno.stderr.isTerminal();
  let told = began;
  const seconds = () => (performance.now() - began) / 1000;
  for (let seed = values.from; seed < values.from + values.seeds; seed++) {
    const scenario = values.scenario === "normal" ? NORMAL[seed % NORMAL.length]! : values.scenario;
    const plan = makePlan(seed, scenario, values.operations);
    if (values.trace) console.log(JSON.stringify(plan, undefined, 2));
    let outcome;
    try {
      outcome = await run(plan, values.trace ? (line) => console.log(line) : undefined);
    } catch (error) {
      // A node or the program broke, or nothing goes on: no less than a violation.
      totals.violations++;
      console.log(`seed ${seed}: ${(error as Error).stack ?? error}\n${again(plan)}\n`);
      if (values["until-found"]) break;
      continue;
    }
    totals.add(outcome);
    if (outcome.violations.length > 0) {
      console.log(`${report(outcome)}\n`);
      if (values["until-found"]) break;
    }
    if (!interactive && performance.now() - told < 10_000) continue;
    told = performance.now();
    const line = `${totals.seeds} of ${values.seeds} seeds, ${totals.operations} operations, ` +
      `${totals.violations} violations, ${seconds().toFixed(0)} s`;
    await Deno.stderr.write(new TextEncoder().encode(interactive ? `\r${line} ` : `${line}\n`));
  }
  if (interactive) console.error();
  console.log(totals.text(seconds()));
  return totals.violations === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`simulate: ${error.message}; see --help`);
    Deno.exitCode = 2;
  }
}
