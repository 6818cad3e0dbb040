/**
 * The command line: one table of flags, from which it is read and its usage text is made.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { isHost, parseAddress } from "../wire/address.ts";

/** A command line that is no use of the program; the message names the flag and the value. */
export class UsageError extends Error {
  /** Makes one. */
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** A flag: one line of the table. */
export interface Flag<T> {
  /** What stands for its value in the usage text; a switch has none. */
  readonly value: string | undefined;
  /** The value that it has where it is given alone; a flag with such takes another behind a `=`. */
  readonly alone?: string;
  /** What it does. */
  readonly what: string;
  /** Its value where it is not given. */
  readonly standard: T;
  /** That value as the usage text shows it, with its unit; empty where there is nothing to show. */
  readonly shown: string;
  /** What its value must be. */
  readonly must: string;
  /** Whether it may be given again, and the last one counts: a compiled program has one already. */
  readonly again?: boolean;
  /** The value that a text stands for; `undefined` where it stands for none. */
  readonly read: (text: string) => T | undefined;
}

/** The table: the flags of a program by name, for values by name. */
export type Flags<V = Record<string, unknown>> = { readonly [Name in keyof V]: Flag<V[Name]> };

/** The values of a table of flags, by name. */
export type Values<F> = F extends Flags<infer V> ? V : never;

/** A flag that is given or not. */
export function isGiven(what: string, shown: string = "off"): Flag<boolean> {
  return { value: undefined, what, standard: false, shown, must: "", read: () => true };
}

/** A flag whose value is a whole number, in decimal digits alone. */
export function whole<T extends number | undefined>(flag: {
  value: string;
  what: string;
  least: number;
  most: number;
  standard: T;
  shown?: string;
}): Flag<number | T> {
  const { value, what, least, most, standard, shown = String(standard) } = flag;
  const must = `must be a whole number from ${least} to ${most}`;
  function read(text: string): number | undefined {
    const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
    return number >= least && number <= most ? number : undefined;
  }
  return { value, what, standard, shown, must, read };
}

/** A flag whose value is one of a few words, the first unless it is given. */
export function choice<Word extends string>(
  what: string,
  words: readonly [Word, ...Word[]],
): Flag<Word> {
  return {
    value: words.join("|"),
    what,
    standard: words[0],
    shown: words[0],
    must: `must be ${words.join(" or ")}`,
    read: (text) => words.find((word) => word === text),
  };
}

/** A flag that is given alone, which is as the first of a few words, or with one of them. */
export function optional<Word extends string>(
  what: string,
  words: readonly [Word, ...Word[]],
): Flag<Word | undefined> {
  return { ...choice(what, words), alone: words[0], standard: undefined, shown: "off" };
}

/** A flag whose value is integers with commas between. */
export function integers(
  what: string,
  shown: string,
): Flag<readonly number[] | undefined> {
  return {
    value: "10,11,…",
    what,
    standard: undefined,
    shown,
    must: "must be integers within ±(2^53 - 1) with commas between",
    read: (text) => {
      if (!/^[+-]?[0-9]+(?:,[+-]?[0-9]+)*$/.test(text)) return undefined;
      const list = text.split(",").map(Number);
      return list.every(Number.isSafeInteger) ? list : undefined;
    },
  };
}

/** A flag whose value is the path of a file. */
export function path(what: string, shown: string): Flag<string | undefined> {
  const must = "must be the path of a file";
  return {
    value: "FILE",
    what,
    standard: undefined,
    shown,
    must,
    read: (text) => text || undefined,
  };
}

/** A flag whose value is the `host:port` of a node to connect to. */
export function address(what: string, standard: string): Flag<string> {
  return {
    value: "HOST:PORT",
    what,
    standard,
    shown: standard,
    must: "must be host:port",
    read: (text) => parsed(text) === undefined || /:0+$/.test(text) ? undefined : text,
  };
}

/** A flag whose value is a host, without a port; an IPv6 address stands without brackets. */
export function host(what: string, standard: string): Flag<string> {
  return {
    value: "HOST",
    what,
    standard,
    shown: standard,
    must: "must be a name or an IP address",
    read: (text) => isHost(text) ? text : undefined,
  };
}

function parsed(text: string) {
  try {
    return parseAddress(text);
  } catch {
    return undefined;
  }
}

/** Set before every argument that is no flag, so that it is taken as it is. None can hold it. */
const MARK = "\0";

function unmarked(argument: unknown): string {
  return String(argument).replace(MARK, "");
}

/**
 * Reads a command line.
 *
 * What begins as a negative number does, and a lone `-`, is no flag but a value or a word; after
 * `--` everything is a word.
 *
 * @returns The flags' values, and the words that belong to no flag.
 * @throws {UsageError} If a flag is unknown, given twice, or has a value that it cannot take.
 */
export function readFlags<V>(
  table: Flags<V>,
  args: readonly string[],
): { values: V; words: string[] } {
  const flags = table as Flags;
  const end = args.indexOf("--");
  const marked = args.map((arg, i) =>
    end !== -1 && i >= end || /^-(?![0-9]|$)/.test(arg) ? arg : MARK + arg
  );
  const given = new Set<string>();
  for (const arg of end === -1 ? marked : marked.slice(0, end)) {
    if (arg.startsWith(MARK)) continue;
    const [, name = "", value] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (!Object.hasOwn(flags, name)) throw new UsageError(`unknown flag: ${arg}`);
    if (given.has(name) && !flags[name]!.again) {
      throw new UsageError(`--${name} is given twice: ${arg}`);
    }
    if (value !== undefined && flags[name]!.value === undefined) {
      throw new UsageError(`--${name} takes no value: ${arg}`);
    }
    given.add(name);
  }
  const names = Object.keys(flags);
  // Whatever follows a flag that is given alone is no value of it.
  const spelled = marked.map((arg, i) => {
    const isFlag = arg.startsWith("--") && (end === -1 || i < end);
    const alone = isFlag ? flags[arg.slice(2)]?.alone : undefined;
    return alone === undefined ? arg : `${arg}=${alone}`;
  });
  const found: Record<string, unknown> = parseArgs(spelled, {
    boolean: names.filter((name) => flags[name]!.value === undefined),
    string: names.filter((name) => flags[name]!.value !== undefined),
  });
  const values = names.map((name) => {
    const { standard, must, read } = flags[name]!;
    if (!given.has(name)) return [name, standard];
    const text = unmarked(found[name]);
    const value = read(text);
    if (value === undefined) throw new UsageError(`--${name} ${must}: "${text}"`);
    return [name, value];
  });
  return {
    values: Object.fromEntries(values) as V,
    words: (found._ as unknown[]).map(unmarked),
  };
}

/** The flags as the usage text lists them, a line each. */
export function flagsText(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, alone, what, shown }]) => [
    `--${name}${value === undefined ? "" : alone === undefined ? ` ${value}` : `[=${value}]`}`,
    shown === "" ? what : `${what} (default: ${shown})`,
  ]);
  const width = Math.max(...rows.map(([flag]) => flag!.length));
  return rows.map(([flag, what]) => `  ${flag!.padEnd(width)}  ${what}\n`).join("");
}
