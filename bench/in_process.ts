/**
 * Hits in a `CoherentCache` in this process: prints how many it answers in a second, as JSON.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1 bench/in_process.ts 127.0.0.1:6002
 * ```
 *
 * @module
 */

import { CoherentCache } from "../mod.ts";
import { printLine } from "./lines.ts";

/** Hits per second. */
export interface InProcess {
  /** Each awaited before the next is asked. */
  readonly oneByOne: number;
  /** A thousand asked, then all awaited. */
  readonly together: number;
}

const WARM_UP_MS = 300;
const MEASURE_MS = 600;
/** Calls between two looks at the clock, and two turns of the event loop. */
const CALLS = 10_000;
const TOGETHER = 1_000;

/** How many calls per second `some`, which makes 10,000 of them, comes to. */
async function perSecond(some: () => Promise<void>): Promise<number> {
  const from = performance.now() + WARM_UP_MS;
  let taken = 0, calls = 0;
  while (taken < MEASURE_MS) {
    // The turn in which the lease is renewed, as any program has them.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const before = performance.now();
    await some();
    if (before < from) continue;
    taken += performance.now() - before;
    calls += CALLS;
  }
  return calls / taken * 1000;
}

async function main(): Promise<void> {
  await using cache = await CoherentCache.connect(Deno.args[0]!);
  const ind = [3];
  await cache.get(ind);
  const oneByOne = await perSecond(async () => {
    for (let call = 0; call < CALLS; call++) await cache.get(ind);
  });
  const together = await perSecond(async () => {
    for (let part = 0; part < CALLS / TOGETHER; part++) {
      await Promise.all(Array.from({ length: TOGETHER }, () => cache.get(ind)));
    }
  });
  printLine(JSON.stringify({ oneByOne, together } satisfies InProcess));
}

if (import.meta.main) await main();
