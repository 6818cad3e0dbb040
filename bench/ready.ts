/**
 * What a process of the benchmark says when it is there, and how it ends with the benchmark.
 *
 * @module
 */

import { printLine } from "./lines.ts";

/** Prints the port; ends this process when its standard input ends, as it does with its parent. */
export async function ready(port: number): Promise<never> {
  printLine(String(port));
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
