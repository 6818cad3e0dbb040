/**
 * A run of the simulated world: 300,000 operations with all that may go wrong, every history strictly
 * serializable, every refusal honest, and all well again afterwards. `deno task simulate` asks for more.
 */

import { assertEquals, assertGreater } from "@std/assert";
import { makePlan } from "../simulate/plan.ts";
import { NORMAL } from "../simulate/scenarios.ts";
import { run } from "../simulate/run.ts";

/** Operations of each scenario, and of each seed of it. */
const OPERATIONS = Math.ceil(300_000 / NORMAL.length), PER_SEED = 2000;

for (const scenario of NORMAL) {
  Deno.test(`simulate: ${OPERATIONS.toLocaleString("en")} operations of "${scenario}" keep every promise`, async (t) => {
    const { stackTraceLimit } = Error;
    // Thousands of errors are made that nobody looks at.
    Error.stackTraceLimit = 0;
    let asked = 0, done = 0, faults = 0;
    try {
      for (let seed = 1; asked < OPERATIONS; seed++, asked += PER_SEED) {
        const outcome = await run(makePlan(seed, scenario, PER_SEED));
        const found = outcome.violations.map(({ what, story }) => `${what}: ${story}`);
        assertEquals(
          found,
          [],
          `deno task simulate --seeds 1 --from ${seed} --scenario "${scenario}"`,
        );
        done += outcome.operations.filter(({ outcome }) => outcome === "done").length;
        for (const times of outcome.faults.values()) faults += times;
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    await t.step(`${done.toLocaleString("en")} were done, through ${faults} faults`, () => {
      assertGreater(done, OPERATIONS / 4);
      assertEquals(faults > 0, scenario !== "calm");
    });
  });
}
