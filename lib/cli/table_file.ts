/**
 * The flags that say which file keeps the table.
 *
 * @module
 */

import { type Flag, isGiven, path, UsageError } from "./flags.ts";

/** The flags; `shown` is what the usage text calls the file where none is given. */
export function tableFileFlags(
  shown: string,
): { data: Flag<string | undefined>; memory: Flag<boolean> } {
  return {
    data: path("the file that keeps the table; made where there is none", shown),
    memory: isGiven("keep the table in memory alone: it ends with the server"),
  };
}

/**
 * The file that they say, `standard` where they say nothing; `undefined` for a table in memory.
 *
 * @throws {UsageError} If both are given.
 */
export function tableFile(
  { data, memory }: { data: string | undefined; memory: boolean },
  standard: string,
): string | undefined {
  if (!memory) return data ?? standard;
  if (data === undefined) return undefined;
  throw new UsageError(`--memory keeps nothing, and --data was given: "${data}"`);
}
