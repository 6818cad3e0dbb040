/**
 * A mutant: a small change of the code that takes one rule, or one guard, away.
 *
 * @module
 */

/** A change of a file: each text stands there once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A mutant. */
export interface Mutant {
  /** What it does wrong. */
  readonly name: string;
  /** The rule that it takes away: a number of the protocol's rules, or a word. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  /** The scenario that makes it show, where a normal run seldom does. */
  readonly scenario?: string;
}

/** A mutant of one edit. */
export function mutant(
  rule: string,
  name: string,
  file: string,
  from: string,
  to: string,
  scenario?: string,
): Mutant {
  return { rule, name, edits: [{ file, from, to }], ...scenario === undefined ? {} : { scenario } };
}
