// deno-lint-ignore-file no-console -- what a program that reports is for
/**
 * Proves that the simulation can fail: applies each mutant to a copy of the project, and simulates that
 * until it is found out.
 *
 * ```sh
 * deno task mutants [--only wall] [--operations 100000]
 * ```
 *
 * Ends with 0 if every mutant was found out, otherwise with 1.
 *
 * @module
 */

import { flagsText, isGiven, readFlags, UsageError, whole } from "../lib/cli/flags.ts";
import { packageFlags } from "../lib/cli/permissions.ts";
import type { Mutant } from "./mutant.ts";
import { MUTANTS } from "./mutant_table.ts";

const FLAGS = {
  only: {
    value: "WORD",
    what: "those whose name or rule holds the word",
    standard: "",
    shown: "all",
    must: "must be a word",
    read: (text: string) => text,
  },
  operations: whole({
    value: "N",
    what: "how many operations each may survive",
    least: 1000,
    most: 1e9,
    standard: 100_000,
  }),
  from: whole({
    value: "SEED",
    what: "the first of the seeds",
    least: 0,
    most: 2 ** 32 - 1,
    standard: 1,
  }),
  "at-once": whole({
    value: "N",
    what: "how many are simulated at once",
    least: 1,
    most: 1000,
    standard: 2,
  }),
  help: isGiven("print this and end", ""),
};

/** Operations of a seed: as many as make it likely that faults meet, and few enough to be quick. */
const PER_SEED = 1000;

/** What came of a mutant. */
export interface Found {
  /** How it was found out: the violation; `undefined` where it survived. */
  readonly what: string | undefined;
  readonly seeds: number;
  /** How many operations were checked in all. */
  readonly operations: number;
}

/** Applies a mutant to a copy, and simulates that. */
export async function findOut(
  mutant: Mutant,
  operations: number,
  from: number = 1,
): Promise<Found> {
  const copy = await Deno.makeTempDir();
  try {
    for (const name of ["deno.json", "lib", "simulate", "airgap"]) await copyTo(name, copy);
    for (const { file, from, to } of mutant.edits) {
      const text = await Deno.readTextFile(`${copy}/${file}`);
      const parts = text.split(from);
      if (parts.length !== 2) {
        throw new Error(`${file} holds ${parts.length - 1} times what "${mutant.name}" changes`);
      }
      await Deno.writeTextFile(`${copy}/${file}`, parts.join(to));
    }
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        ...packageFlags(),
        "--no-check",
        "--no-prompt",
        "--allow-env=NO_COLOR",
        "simulate/main.ts",
        "--until-found",
        `--from=${from}`,
        `--seeds=${Math.ceil(operations / PER_SEED)}`,
        `--operations=${PER_SEED}`,
        `--scenario=${mutant.scenario ?? "normal"}`,
      ],
      cwd: copy,
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    const found = /^(?:error: .*?)?seed (\d+).*?: (.*)$/m.exec(text);
    const totals = /^([\d,]+) seeds, ([\d,]+) operations/m.exec(text);
    if (found === null && !text.includes("violations: 0")) {
      throw new Error(`"${mutant.name}": ${text}`);
    }
    // A run that hangs, or a node that breaks, ends without totals.
    const seeds = found === null ? number(totals![1]!) : Number(found[1]) - from + 1;
    const checked = totals === null ? seeds * PER_SEED : number(totals[2]!);
    return { what: found?.[2], seeds, operations: checked };
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

function number(text: string): number {
  return Number(text.replaceAll(",", ""));
}

async function copyTo(name: string, folder: string): Promise<void> {
  const from = new URL(`../${name}`, import.meta.url);
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, `${folder}/${name}`);
  await Deno.mkdir(`${folder}/${name}`);
  for await (const entry of Deno.readDir(from)) await copyTo(`${name}/${entry.name}`, folder);
}

/** Does all, the first ones first, no more than `most` at once. */
function atOnce<T>(tasks: readonly (() => Promise<T>)[], most: number): Promise<T>[] {
  const results = tasks.map(() => Promise.withResolvers<T>());
  let next = 0;
  const work = async () => {
    while (next < tasks.length) {
      const { resolve, reject } = results[next]!;
      await tasks[next++]!().then(resolve, reject);
    }
  };
  for (let i = 0; i < most; i++) work();
  return results.map(({ promise }) => promise);
}

async function main(): Promise<number> {
  const { values, words } = readFlags(FLAGS, Deno.args);
  if (words.length > 0) throw new UsageError(`unexpected argument: "${words[0]}"`);
  if (values.help) {
    console.log(`Usage: deno task mutants [flags]\n\nFlags:\n${flagsText(FLAGS)}`);
    return 0;
  }
  const word = values.only.toLowerCase();
  const mutants = MUTANTS.filter(({ name, rule }) =>
    `${rule} ${name}`.toLowerCase().includes(word)
  );
  if (mutants.length === 0) throw new UsageError(`no mutant's name or rule holds "${values.only}"`);
  let survived = 0;
  const began = performance.now();
  console.log("| rule | mutant | scenario | found out by | seeds | operations |");
  console.log("| ---- | ------ | -------- | ------------ | ----: | ---------: |");
  const all = atOnce(
    mutants.map((mutant) => () => findOut(mutant, values.operations, values.from)),
    values["at-once"],
  );
  for (const [i, finding] of all.entries()) {
    const { what, seeds, operations } = await finding;
    if (what === undefined) survived++;
    const { rule, name, scenario = "normal" } = mutants[i]!;
    const count = operations.toLocaleString("en");
    console.log(
      `| ${[rule, name, scenario, what ?? "**survived**", seeds, count].join(" | ")} |`,
    );
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `\n${mutants.length - survived} of ${mutants.length} were found out, in ${seconds} s`,
  );
  return survived === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`mutants: ${error.message}; see --help`);
    Deno.exitCode = 2;
  }
}
