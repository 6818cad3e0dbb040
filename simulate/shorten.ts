/**
 * Cuts a history that cannot be right down to the few operations that show it.
 *
 * @module
 */

import type { Operation } from "./check.ts";
import { checkHistory, type Recorded, SearchGaveUpError } from "./linearizability.ts";

/** How many operations are tried at first, those nearest to the one that shows the violation. */
const MOST_OPERATIONS = 60;
/** How long is searched for an order each time. */
const MOST_STEPS = 20_000;

/**
 * The shortest history found that has no order, as a search says that knows nothing of the server's
 * own order; it holds `shown`. `undefined` where the search finds an order: then the history is wrong
 * only by what the server's order was.
 */
export function shorten(
  operations: readonly Operation[],
  shown: Operation,
  size: number,
): Operation[] | undefined {
  const indices = new Set(indicesOf(shown));
  const near = operations
    .filter((operation) =>
      operation !== shown && operation.outcome !== "refused" &&
      operation.invoked <= shown.returned &&
      (operation.action.kind === "CLR" || indicesOf(operation).some((index) => indices.has(index)))
    )
    .sort((a, b) => b.invoked - a.invoked)
    .slice(0, MOST_OPERATIONS);
  // A value that nobody in the part has written needs its writer.
  const writers = operations.filter(({ action }) =>
    action.kind === "PUT" && shown.action.kind === "GET" &&
    action.data.some((value) => (shown.action as { data: readonly number[] }).data.includes(value))
  );
  // What nobody in the part has written cannot be judged in it, nor can a sum.
  const written = valuesOf([...near, ...writers]);
  let kept = [...new Set([...near, ...writers])].filter((operation) =>
    operation.action.kind !== "ADD" && seesOnly(operation, written)
  );
  if (!wrong([...kept, shown], size)) return undefined;
  // What was found too much to search may not be, once others have gone: until nothing more goes.
  for (let step = kept.length, before = Infinity; step > 1 || kept.length < before;) {
    step = Math.max(1, Math.floor(step / 2));
    before = kept.length;
    for (let at = 0; at < kept.length;) {
      const fewer = [...kept.slice(0, at), ...kept.slice(at + step)];
      if (explained(fewer, shown) && wrong([...fewer, shown], size)) kept = fewer;
      else at += step;
    }
  }
  return [...kept, shown].sort((a, b) => a.invoked - b.invoked);
}

function indicesOf({ action }: Operation): readonly number[] {
  return action.kind === "CLR" ? [] : action.ind;
}

/** Whether each value that is seen is one that somebody has written, or 0. */
function explained(operations: readonly Operation[], shown: Operation): boolean {
  const written = valuesOf(operations);
  return [...operations, shown].every((operation) => seesOnly(operation, written));
}

/** All values that these have written, and 0. */
function valuesOf(operations: readonly Operation[]): Set<number> {
  return new Set([
    0,
    ...operations.flatMap(({ action }) => action.kind === "PUT" ? action.data : []),
  ]);
}

function seesOnly({ action, outcome }: Operation, values: ReadonlySet<number>): boolean {
  return action.kind !== "GET" || outcome !== "done" ||
    action.data.every((value) => values.has(value));
}

/** Whether no order of these operations is possible. */
function wrong(operations: readonly Operation[], size: number): boolean {
  const history = operations.map((operation, sequence): Recorded => ({
    connection: operation.connection,
    sequence,
    invoked: operation.invoked,
    returned: operation.outcome === "done" ? operation.returned : undefined,
    action: operation.action as Recorded["action"],
  }));
  const ordered = history.toSorted((a, b) => a.invoked - b.invoked)
    .map((record, sequence) => ({ ...record, sequence }));
  try {
    return !checkHistory(ordered, size, undefined, MOST_STEPS).ok;
  } catch (error) {
    if (error instanceof SearchGaveUpError) return false;
    throw error;
  }
}
