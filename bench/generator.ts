/**
 * The process of the load generator: what is to be measured comes as lines of JSON, and so do the
 * results go.
 *
 * @module
 */

import { type HoldersLoad, measureHolders } from "./holders.ts";
import { lines, printLine } from "./lines.ts";
import { type Load, measure } from "./load.ts";

/** What the generator is asked. */
export type Task = { readonly load: Load } | { readonly holders: HoldersLoad };

/** What it prints when the warm-up is over, before the result of a load. */
export const WARM = "warm";

async function main(): Promise<void> {
  for await (const line of lines(Deno.stdin.readable)) {
    const task: Task = JSON.parse(line);
    const result = "load" in task
      ? await measure(task.load, () => printLine(WARM))
      : await measureHolders(task.holders);
    printLine(JSON.stringify(result));
  }
}

if (import.meta.main) await main();
