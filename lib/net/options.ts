/**
 * Checks of what a program gives as an option.
 *
 * @module
 */

/**
 * Checks that an option is a whole number within its range.
 *
 * @throws {RangeError} If it is not.
 */
export function checkOption(name: string, value: number, least: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(
      `Cannot take ${name} outside ${least} to ${most}: current value is ${value}`,
    );
  }
}
