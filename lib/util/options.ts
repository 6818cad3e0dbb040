/**
 * Checks of what a program gives: options, arguments, and how an error names what it got instead.
 *
 * @module
 */

import { quote } from "../protocol/error.ts";

/** What the options of `T` are, as `typeof` has it. */
export type OptionTypes<T> = {
  readonly [Name in keyof T]?: "number" | "string" | "boolean" | "function" | "object";
};

const optionErrors = new WeakSet<Error>();

/** Marks an error as one about an option that was given, and no fault inside; returns it. */
export function optionError<E extends TypeError | RangeError>(error: E): E {
  optionErrors.add(error);
  return error;
}

/** Whether an error is about an option that was given: what a program's flags can cause. */
export function isOptionError(error: unknown): error is TypeError | RangeError {
  return error instanceof Error && optionErrors.has(error);
}

/**
 * Checks that options are an object, and each that is given is of its type.
 *
 * @throws {TypeError} If not.
 */
export function checkTypes<T extends object>(options: T, types: OptionTypes<T>): void {
  if (typeof options !== "object" || options === null) {
    throw optionError(
      new TypeError(`Cannot take options that are no object: ${current(options)}`),
    );
  }
  for (const name of Object.keys(types) as (keyof T & string)[]) {
    const value = options[name];
    if (value === undefined || (typeof value === types[name] && value !== null)) continue;
    throw optionError(
      new TypeError(`Cannot take ${name} that is no ${types[name]}: ${current(value)}`),
    );
  }
}

/**
 * Checks that an option is a whole number within its range.
 *
 * @throws {RangeError} If it is not.
 */
export function checkOption(name: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw optionError(
      new RangeError(`Cannot take ${name} outside ${least} to ${most}: ${current(value)}`),
    );
  }
}

/**
 * Checks that an option is one of its words.
 *
 * @throws {RangeError} If it is not.
 */
export function checkChoice(name: string, value: string, words: readonly string[]): void {
  if (!words.includes(value)) {
    const named = words.map((word) => `"${word}"`).join(" or ");
    throw optionError(new RangeError(`Cannot take ${name} other than ${named}: ${current(value)}`));
  }
}

/** How an error says what it got instead: a text quoted and cut, an object by its kind alone. */
export function current(value: unknown): string {
  return `current value is ${shown(value)}`;
}

function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `an array of ${value.length}`;
      return value instanceof Promise ? "a promise" : "an object";
    default:
      return String(value);
  }
}
