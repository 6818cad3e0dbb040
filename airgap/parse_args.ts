/**
 * Stand-in for `@std/cli/parse-args` where JSR cannot be reached.
 *
 * Node's own `parseArgs` is not beneath it: that reads `-a-b` as an end of flags, and knows neither
 * `-p80` nor a value that may follow a flag or not.
 *
 * @module
 */

/** Options of {@linkcode parseArgs}: those that the project uses. */
export interface ParseOptions<B extends string = string, S extends string = string> {
  /** Flags that are true or false, and false by default. */
  boolean?: readonly B[];
  /** Flags whose value stays text; `_` stands for the arguments that belong to no flag. */
  string?: readonly S[];
  /**
   * Called with every flag that is not declared (argument, key, value) and every argument that
   * belongs to no flag (argument alone). What it answers `false` to is left out.
   */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What {@linkcode parseArgs} returns. */
export type Args<B extends string = string, S extends string = string> =
  & { [flag: string]: unknown; _: Array<string | number> }
  & (string extends B | S ? unknown
    : { [Flag in B]: boolean } & { [Flag in Exclude<S, "_">]?: string });

/**
 * Reads command line arguments into flags and the rest.
 *
 * What it does, it does for each argument as the original does:
 *
 * - `--key=value` and `--key value`. A next argument is a value unless it is empty or begins with
 *   `-`; for a boolean flag only `true` and `false` are. Without one the value is `true`, or `""`
 *   for a string flag. `--flag=value` of a boolean flag is false only where the value is `false`.
 * - `-abc` is three flags, the last of which may take a value; `-a=1`, `-p80` and `-a/path` hold
 *   their value. Here `-ab=1` is `a`, and so is `-ab80`, with `b80`.
 * - `--no-key` is a flag of that name; `--no-key=value` sets `key`.
 * - Everything after `--`, and `-` alone, belongs to no flag.
 * - Of a flag that is given twice the last counts. What looks like a number becomes one, unless the
 *   flag is a string flag. `__proto__` and `constructor` are ignored.
 * - `--_` and `-_` would take the place of the list `_`. The original fails then, unless `unknown`
 *   leaves that flag out; so does this.
 *
 * Keys with a dot, which the original nests, are kept as they are. The options `--`, `alias`,
 * `collect`, `default`, `negatable` and `stopEarly` are not offered.
 *
 * @param args The arguments, as in `Deno.args`.
 * @param options Which flags are of which kind, and what to do with others.
 * @returns The value of each flag by its name, and in `_` the arguments that belong to none.
 * @throws {TypeError} When a flag named `_` has replaced the list `_`.
 */
export function parseArgs<const B extends string = never, const S extends string = never>(
  args: string[],
  options: ParseOptions<B, S> = {},
): Args<B, S> {
  const booleans = new Set<string>(options.boolean);
  const strings = new Set<string>(options.string);
  const end = args.indexOf("--");
  const before = end === -1 ? args : args.slice(0, end);
  const parsed: { [flag: string]: unknown; _: Array<string | number> } = { _: [] };

  function set(arg: string, key: string, value: string | boolean): void {
    const declared = booleans.has(key) || strings.has(key);
    if (!declared && options.unknown?.(arg, key, value) === false) return;
    if (key === "__proto__" || key === "constructor") return;
    parsed[key] = typeof value === "string" && !strings.has(key) ? numberOr(value) : value;
  }

  for (let i = 0; i < before.length; i++) {
    const arg = before[i]!;
    const next = before[i + 1] ?? "";

    /** Sets a flag that holds no value: to the next argument, where that can be one. */
    const setWithNext = (key: string, isFlag: RegExp): void => {
      const takesAny = next !== "" && !booleans.has(key) && !isFlag.test(next);
      if (takesAny || next === "true" || next === "false") {
        set(arg, key, takesAny ? next : next === "true");
        i++;
      } else {
        set(arg, key, strings.has(key) ? "" : true);
      }
    };

    if (arg.startsWith("--")) {
      const [key, value] = splitLong(arg.slice(2));
      if (value === undefined) setWithNext(key, /^-/);
      else set(arg, key, booleans.has(key) ? value !== "false" : value);
    } else if (arg.startsWith("-") && arg !== "-") {
      const last = splitShort(
        arg.slice(1),
        (letter, value) => set(arg, letter, value ?? (strings.has(letter) ? "" : true)),
      );
      if (last !== undefined) setWithNext(last, /^--?[^-]/);
    } else if (options.unknown?.(arg) !== false) {
      parsed._.push(strings.has("_") ? arg : numberOr(arg));
    }
  }
  for (const key of booleans) {
    if (!Object.hasOwn(parsed, key)) parsed[key] = false;
  }
  parsed._.push(...args.slice(before.length + 1));
  return parsed as Args<B, S>;
}

/** The number that a text looks like, or the text. */
function numberOr(text: string): string | number {
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? number : text;
}

/** Splits what follows `--` into its key and, where it has a `=`, its value. */
function splitLong(body: string): [key: string, value?: string] {
  const name = body.length > 3 && body.startsWith("no-") ? body.slice(3) : body;
  const equals = name.indexOf("=", 1);
  return equals === -1 ? [body] : [name.slice(0, equals), name.slice(equals + 1)];
}

/**
 * Hands on the flags of a group such as `-abc`, without its `-`.
 *
 * @returns The last letter of the group, which may take the next argument; none, if a value ended it.
 */
function splitShort(
  group: string,
  found: (letter: string, value?: string) => void,
): string | undefined {
  for (let i = 0; i < group.length - 1; i++) {
    const letter = group[i]!;
    const rest = group.slice(i + 1);
    const isLetter = /[A-Za-z]/.test(letter);
    const assigned = isLetter ? /=(.+)/.exec(rest)?.[1] : undefined;
    if (rest === "-") {
      found(letter, rest);
      return undefined;
    }
    if (rest === "=" || assigned !== undefined) {
      found(letter, assigned ?? "");
      return undefined;
    }
    const isValue = (isLetter && /\d(\.\d*)?(e-?\d+)?$/.test(rest)) ||
      (rest.length > 1 && /\W/.test(rest[0]!));
    if (isValue) {
      found(letter, rest);
      return undefined;
    }
    found(letter);
  }
  return group.at(-1);
}
