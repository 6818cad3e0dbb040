/**
 * Which terms a sum can have.
 *
 * @module
 */

/** How many combinations of values are tried, at most, for one sum. */
const MAX_COMBINATIONS = 100_000;

/**
 * Of each of these sets, the values that are one of some combination, a value of each, with this sum;
 * `undefined` where there are too many combinations to try.
 */
export function thatSum(values: readonly Set<number>[], sum: bigint): Set<number>[] | undefined {
  const bound = values.reduce((sum, term) => sum + Math.max(...[...term].map(Math.abs)), 0);
  const combinations = values.slice(1).reduce((product, { size }) => product * size, 1);
  if (bound > Number.MAX_SAFE_INTEGER || combinations > MAX_COMBINATIONS) return undefined;
  const kept = values.map(() => new Set<number>());
  const fit = (i: number, rest: number): boolean => {
    let any = false;
    for (const value of i > 0 ? values[i]! : values[0]!.has(rest) ? [rest] : []) {
      if (i > 0 && !fit(i - 1, rest - value)) continue;
      kept[i]!.add(value);
      any = true;
    }
    return any;
  };
  fit(values.length - 1, Number(sum));
  return kept;
}
