/**
 * Runs a plan: the real nodes, in a simulated world, with faults; then without, to see that all is
 * well again; and checks what happened.
 *
 * @module
 */

import { Callers } from "./asking.ts";
import { check, type Operation, type Violation } from "./check.ts";
import { Faults } from "./faults.ts";
import { heal, seeThatAllIsWell, seeThatNobodyWaitsForNobody, type Waits } from "./liveness.ts";
import type { Plan } from "./plan.ts";
import type { FaultKind } from "./scenarios.ts";
import { SERVER, Stage } from "./stage.ts";

/** What came of a run. */
export interface Outcome {
  readonly plan: Plan;
  readonly operations: readonly Operation[];
  readonly violations: readonly Violation[];
  /** How often each kind of fault has struck. */
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** How much simulated time has passed, in milliseconds. */
  readonly passedMs: number;
  /** The longest waits after all faults had ended. */
  readonly waits: Waits;
}

/** No run lasts so long: what has not ended by then hangs. In milliseconds. */
const LIMIT_MS = 24 * 3_600_000;

/** Runs a plan to its end; `trace` is told what happens, a line each. */
export async function run(plan: Plan, trace?: (line: string) => void): Promise<Outcome> {
  const stage = new Stage(plan, trace);
  const callers = new Callers(stage);
  const faults = new Faults(stage, callers);
  const waits = await stage.world.until(play(stage, callers, faults), LIMIT_MS);
  const { operations, violations, disk, world } = stage;
  return {
    plan,
    operations,
    violations: [...violations, ...check(operations, disk.effects, plan.size)],
    faults: faults.struck,
    passedMs: world.now,
    waits,
  };
}

/** Faults and healing are apart: safety is checked of the one, that all goes on of the other. */
async function play(stage: Stage, callers: Callers, faults: Faults): Promise<Waits> {
  for (const host of [SERVER, ...stage.plan.caches.map(({ name }) => name)]) stage.start(host);
  const striking = faults.strikeAll();
  await callers.askAll();
  await striking;
  await heal(stage);
  const waits = await seeThatAllIsWell(stage);
  await seeThatNobodyWaitsForNobody(stage);
  return waits;
}
