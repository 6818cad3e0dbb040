/**
 * Stand-in for `@std/assert` where JSR cannot be reached, over Node's own assertions.
 *
 * Each function returns when what it asserts holds and throws an {@linkcode AssertionError} when it
 * does not. Its last parameter, `msg`, is put into the error's message.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert";
import { inspect, isDeepStrictEqual, stripVTControlCharacters } from "node:util";

/** Thrown when an assertion does not hold. */
export class AssertionError extends Error {
  /**
   * @param message What was expected, and what there is.
   * @param options The options of `Error`: a `cause`.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** Any class whose instances are of one type. */
// deno-lint-ignore no-explicit-any
type Class<T> = abstract new (...args: any[]) => T;

/** The end of a message: what the caller adds, or a full stop. */
function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}

/** A value as a message shows it. */
function show(value: unknown): string {
  return inspect(value, { depth: 5, sorted: true });
}

/** Whether two values are deeply equal. On their own 0 and −0 are, as in the original. */
function isEqual(actual: unknown, expected: unknown): boolean {
  return (actual === 0 && expected === 0) || isDeepStrictEqual(actual, expected);
}

/**
 * Asserts that a value is truthy.
 *
 * @param expr The value.
 * @param msg The whole message of the error.
 * @throws {AssertionError} When it is falsy.
 */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/**
 * Asserts that two values are deeply and strictly equal.
 *
 * Stricter than the original in three things: inside an object or array 0 and −0 differ, an object
 * without a prototype differs from a plain one, and errors are compared with their messages.
 *
 * @param actual The value there is.
 * @param expected The value there should be.
 * @param msg What to add to the message of the error, which shows the difference.
 * @throws {AssertionError} When they differ.
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isEqual(actual, expected)) return;
  let difference = "";
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    difference = stripVTControlCharacters((error as Error).message);
  }
  throw new AssertionError(`Values are not equal${suffix(msg)}\n\n${difference}`);
}

/**
 * Asserts that two values are not deeply equal, as {@linkcode assertEquals} has it.
 *
 * @param actual The value there is.
 * @param expected The value there should not be.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When they are equal.
 */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!isEqual(actual, expected)) return;
  throw new AssertionError(
    `Expected actual: ${show(actual)} not to be: ${show(expected)}${suffix(msg)}`,
  );
}

/**
 * Asserts that two values are the same, as `Object.is` has it: for objects, the same object.
 *
 * @param actual The value there is.
 * @param expected The value there should be.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When they are not the same.
 */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const [a, b] = [show(actual), show(expected)];
  throw new AssertionError(
    a === b
      ? `Values have the same structure but are not reference-equal${suffix(msg)}\n\n    ${a}\n`
      : `Values are not strictly equal${suffix(msg)}\n\n    actual: ${a}\n    expected: ${b}\n`,
  );
}

/** Asserts of what was thrown or rejected with that it is of a class and says something. */
function checkError(
  error: unknown,
  verb: string,
  errorClass: Class<Error>,
  msgIncludes: string | undefined,
  msg: string | undefined,
): void {
  if (!(error instanceof Error)) {
    throw new AssertionError(`A non-Error object was ${verb}${suffix(msg)}`);
  }
  if (!(error instanceof errorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${errorClass.name}", but was ` +
        `"${(error as Error).constructor?.name}"${suffix(msg)}`,
    );
  }
  const plain = stripVTControlCharacters;
  if (msgIncludes && !plain(error.message).includes(plain(msgIncludes))) {
    throw new AssertionError(
      `Expected error message to include ${JSON.stringify(msgIncludes)}, but got ` +
        `${JSON.stringify(error.message)}${suffix(msg)}`,
    );
  }
}

/**
 * Asserts that a function throws.
 *
 * @param fn The function.
 * @param msg What to add to the message of the error.
 * @returns What was thrown.
 * @throws {AssertionError} When nothing is thrown.
 */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Asserts that a function throws an error of a class.
 *
 * @param fn The function.
 * @param ErrorClass The class of the error, or one above it.
 * @param msgIncludes A part of the error's message.
 * @param msg What to add to the message of the assertion's own error.
 * @returns The error that was thrown.
 * @throws {AssertionError} When nothing is thrown, or something else.
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  try {
    fn();
  } catch (error) {
    if (typeof classOrMsg === "function") checkError(error, "thrown", classOrMsg, msgIncludes, msg);
    return error;
  }
  throw new AssertionError(`Expected function to throw${suffix(msg)}`);
}

/**
 * Asserts that the promise of a function rejects.
 *
 * @param fn The function.
 * @param msg What to add to the message of the error.
 * @returns What it was rejected with.
 * @throws {AssertionError} When it does not reject, or the function itself throws or returns none.
 */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * Asserts that the promise of a function rejects with an error of a class.
 *
 * @param fn The function.
 * @param ErrorClass The class of the error, or one above it.
 * @param msgIncludes A part of the error's message.
 * @param msg What to add to the message of the assertion's own error.
 * @returns The error it was rejected with.
 * @throws {AssertionError} When it does not reject, rejects with something else, or the function
 * itself throws or returns no promise.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  if (typeof classOrMsg === "string") msg = classOrMsg;
  let promise: unknown;
  try {
    promise = fn();
  } catch (cause) {
    throw new AssertionError(`Function throws when expected to reject${suffix(msg)}`, { cause });
  }
  if (typeof (promise as PromiseLike<unknown> | null)?.then !== "function") {
    throw new AssertionError(`Function throws when expected to reject${suffix(msg)}`);
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") {
      checkError(error, "rejected", classOrMsg, msgIncludes, msg);
    }
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffix(msg)}`);
}

/**
 * Asserts that a text has another in it.
 *
 * @param actual The text.
 * @param expected What it should have in it.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When it has not.
 */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`,
  );
}

/**
 * Asserts that a text matches a regular expression.
 *
 * @param actual The text.
 * @param expected The regular expression.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When it does not.
 */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`);
}

/**
 * Asserts that a value is neither null nor undefined.
 *
 * @param actual The value.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When it is one of them.
 */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`,
  );
}

/**
 * Asserts that a value is an instance of a class.
 *
 * @param actual The value.
 * @param expectedType The class.
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} When it is not.
 */
export function assertInstanceOf<T>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any
  expectedType: abstract new (...args: any[]) => T,
  msg?: string,
): asserts actual is T {
  if (actual instanceof expectedType) return;
  const type = typeof actual === "object" && actual !== null
    ? actual.constructor?.name ?? "Object"
    : actual === null
    ? "null"
    : typeof actual;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name}" but was "${type}"${suffix(msg)}`,
  );
}

/**
 * Asserts that a value is greater than another.
 *
 * @param actual The value.
 * @param expected The other.
 * @param msg The whole message of the error.
 * @throws {AssertionError} When it is not.
 */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError(msg ?? `Expect ${show(actual)} > ${show(expected)}`);
}

/**
 * Asserts that a value is greater than another, or equal.
 *
 * @param actual The value.
 * @param expected The other.
 * @param msg The whole message of the error.
 * @throws {AssertionError} When it is not.
 */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError(msg ?? `Expect ${show(actual)} >= ${show(expected)}`);
}

/**
 * Asserts that a value is less than another.
 *
 * @param actual The value.
 * @param expected The other.
 * @param msg The whole message of the error.
 * @throws {AssertionError} When it is not.
 */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError(msg ?? `Expect ${show(actual)} < ${show(expected)}`);
}

/**
 * Asserts that a value is less than another, or equal.
 *
 * @param actual The value.
 * @param expected The other.
 * @param msg The whole message of the error.
 * @throws {AssertionError} When it is not.
 */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError(msg ?? `Expect ${show(actual)} <= ${show(expected)}`);
}

/**
 * Fails: for a place that must not be reached when all is well.
 *
 * @param msg What to add to the message of the error.
 * @throws {AssertionError} Always.
 */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/**
 * Fails: for a place that can never be reached.
 *
 * @param reason What to add to the message of the error.
 * @throws {AssertionError} Always.
 */
export function unreachable(reason?: string): never {
  throw new AssertionError(`Unreachable${suffix(reason)}`);
}
