/**
 * What the three programs share: a command line in, an exit status out.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { isOptionError } from "../util/options.ts";
import {
  type Flags,
  flagsText,
  isGiven,
  optional,
  readFlags,
  UsageError,
  type Values,
} from "./flags.ts";
import { exit, print, report, standardOutput } from "./output.ts";
import { type Addresses, permissionHint } from "./permissions.ts";
import { programCommand, startHint, type TaskName } from "./program_command.ts";

/** How a program ended. */
export const EXIT = {
  /** All that was asked is done. */
  DONE: 0,
  /** An answer was an error, or showed a fault. */
  ERROR_ANSWERED: 1,
  /** The command line is no use of the program. */
  WRONG_USAGE: 2,
  /** It cannot listen or connect, the connection was lost, no answer came in time, or a fault inside. */
  UNREACHABLE: 3,
} as const;

/** The flags of what is asked for and ends at once. */
export const ASKING_FLAGS = {
  help: isGiven("print this and end", ""),
  version: isGiven("print the version and end", ""),
};

/** The flags that every program takes. */
export const COMMON_FLAGS = {
  quiet: isGiven("write no log lines to standard error"),
  trace: optional(
    "write what happens to standard error, a line each; all: lease renewals too; json: all, as JSON",
    ["text", "all", "json"],
  ),
  ...ASKING_FLAGS,
};

/** Their values. */
export type CommonValues = Values<typeof COMMON_FLAGS>;
/** The values of those that are asked for. */
export type AskingValues = Values<typeof ASKING_FLAGS>;

/** A program, as its command line and its usage text show it. */
export interface Program<V extends AskingValues> {
  /** Its name in deno.json's tasks. */
  readonly name: TaskName;
  /** What it is, in a sentence. */
  readonly what: string;
  /** Its flags, the common ones among them. */
  readonly flags: Flags<V>;
  /** What the usage text says of the words that belong to no flag; empty where it takes none. */
  readonly words: string;
  /** Command lines to begin with, each with what it does. */
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** The addresses that it listens on or connects to. */
  readonly addresses: (values: V) => Addresses;
}

/** Whether an error is about the command line: about a flag, or the option of a node that it gave. */
export function isUsageError(error: unknown): error is Error {
  return error instanceof UsageError || isOptionError(error);
}

/** Whether an error is none that a program expects: what the language throws at code that is wrong. */
export function isFault(error: unknown): boolean {
  const isKnown = error instanceof Error && !FAULTS.some((fault) => error instanceof fault);
  return !isKnown && !isUsageError(error);
}

// No URIError: Deno has it for a host that can be none.
const FAULTS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError];

/** Ends a program in which something is wrong, with where that is. */
function endFaulty(name: string, error: unknown): Promise<never> {
  const { stack = String(error) } = error instanceof Error ? error : {};
  const [first, ...rest] = stack.split("\n");
  report(`${name}: a fault inside, please report it: ${first}`);
  rest.forEach(report);
  return exit(EXIT.UNREACHABLE);
}

/**
 * Runs a program to its end: `run` gives the exit status. What was printed by then has a moment to be
 * read; whoever must not lose it waits for {@linkcode standardOutput} to be flushed.
 */
export async function runProgram<V extends AskingValues>(
  program: Program<V>,
  run: (values: V, words: string[]) => Promise<number>,
): Promise<never> {
  const name = `halfway-${program.name}`;
  const args = Deno.args;
  let addresses: Addresses = {};
  // What nobody has caught is nobody's answer, whatever it is.
  addEventListener("error", (event) => {
    event.preventDefault();
    endFaulty(name, event.error);
  });
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    endFaulty(name, event.reason);
  });
  try {
    const { values, words } = readFlags(program.flags, args);
    if (values.help || values.version) {
      print(values.help ? usage(program) : `${name} ${config.version}\n`);
      await standardOutput.flushed();
    } else {
      if (program.words === "" && words.length > 0) {
        throw new UsageError(`unexpected argument: "${words[0]}"`);
      }
      addresses = program.addresses(values);
      return await exit(await run(values, words));
    }
  } catch (error) {
    if (isUsageError(error)) {
      report(`${name}: ${error.message}; see --help`);
      return await exit(EXIT.WRONG_USAGE);
    }
    if (isFault(error)) return await endFaulty(name, error);
    if (error instanceof Deno.errors.NotCapable) {
      const what = /"(.*?)"/.exec(error.message)?.[1] ?? error.message;
      const hint = permissionHint(program.name, addresses, args);
      report(`${name}: the sandbox forbids ${what}: ${hint}`);
      return await exit(EXIT.UNREACHABLE);
    }
    // Nobody reads what it writes any more, which is no failure: `client … | head -1`.
    if (!(error instanceof Deno.errors.BrokenPipe)) {
      const { message } = error as Error;
      report(`${name}: ${message}${startHint(message, addresses)}`);
      return await exit(EXIT.UNREACHABLE);
    }
  }
  return await exit(EXIT.DONE);
}

/** The usage text of a program. */
export function usage<V extends AskingValues>(program: Program<V>): string {
  const { name, what, words, flags } = program;
  const examples = program.examples.map(([command, does]) =>
    [command.replace(`deno task ${name}`, programCommand(name)), does] as const
  );
  const width = Math.max(...examples.map(([command]) => command.length));
  return `halfway-${name} ${config.version}: ${what}

Usage: halfway-${name} [flags]${words === "" ? "" : ` ${words}`}

Flags:
${flagsText(flags as Flags)}
Examples:
${examples.map(([command, does]) => `  ${command.padEnd(width)}  ${does}\n`).join("")}`;
}
