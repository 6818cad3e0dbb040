/**
 * What is said of an SQLite database that cannot be opened or written.
 *
 * @module
 */

import { BUSY_TIMEOUT_MS } from "../../protocol/limits.ts";
import { StoreError } from "./store.ts";

/** SQLite's result codes, those that are told apart here. */
export const RESULT = {
  BUSY: 5,
  READONLY: 8,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
} as const;

/** The result code of what SQLite threw, without what it says in its higher bits; or `undefined`. */
export function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: number };
  return errcode === undefined ? undefined : errcode & 0xff;
}

/** Another server has the file `name`. */
export function locked(name: string): StoreError {
  return new StoreError(`${name} is locked: another server has it open`);
}

/** Another program writes to the file `name`, for longer than one waits for it. */
export function busy(name: string): string {
  return `${name} is locked: another program has been writing to it for ${BUSY_TIMEOUT_MS} ms`;
}

/** The error to throw in place of what stopped the opening of the file `name`. */
export function refusal(name: string, error: unknown): unknown {
  if (
    error instanceof StoreError || error instanceof TypeError ||
    error instanceof Deno.errors.NotCapable
  ) return error;
  const because = (why: string) => new StoreError(why, { cause: error });
  const { message } = error as Error;
  switch (resultCode(error)) {
    case RESULT.BUSY:
      return because(busy(name));
    case RESULT.NOTADB:
      return because(`${name} is no table of this program's`);
    case RESULT.CORRUPT:
      return because(`${name} is damaged: ${message}`);
    case RESULT.READONLY:
    case RESULT.CANTOPEN:
    case RESULT.FULL:
      return because(`${name} cannot be written: ${message}`);
    default:
      return because(`cannot open ${name}: ${message}`);
  }
}
