/**
 * Whether the write-ahead log that lies beside a table's file belongs to it.
 *
 * SQLite does not ask: it carries over any log that lies there, and so a backup that was put in the
 * place of a file would be overwritten, at the next start, by what the log of that file holds.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { isAbsolute } from "../net/path.ts";
import { appearance, type LockFile } from "./lock_file.ts";
import { StoreError } from "./store.ts";
import { readEntries, readState } from "./table_schema.ts";

/** The bytes before the first page of a log. */
const LOG_HEADER_BYTES = 32;

/**
 * Checks the log of a file before SQLite sees it.
 *
 * @param name What the file is called in errors.
 * @param file Its path, without a symbolic link at its end: the log lies beside that.
 * @returns Whether the log is there and has been looked at.
 * @throws {StoreError} If the log is there and the file is not, or is another one.
 */
export function checkLog(name: string, file: string, lock: LockFile): boolean {
  const isThere = sizeOf(file) > 0;
  // Nothing is known of the log, if there is one: it is SQLite's to judge.
  if (isThere && lock.isEmpty) return false;
  if (!hasLog(file)) return false;
  const log = `${file}-wal`;
  const drop = `remove ${log} and ${file}-shm`;
  if (!isThere) {
    throw new StoreError(
      `${name} is missing, and its log is there: put the file back, or ${drop} to make a new table`,
    );
  }
  const now = appearance(Deno.statSync(file));
  if (now === undefined || lock.fits(now) || changesNothing(file)) return true;
  throw new StoreError(
    `${name} is not the file to which ${log} belongs: ${drop} to use the file as it is, as after ` +
      `a restore; or remove ${lock.path}, if nobody replaced the file, to take the log with it`,
  );
}

/** Whether a log with at least one page lies beside a file. */
export function hasLog(file: string): boolean {
  return sizeOf(`${file}-wal`) > LOG_HEADER_BYTES;
}

/** The size of a file; 0 where there is none. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/**
 * Whether the table is the same with the log and without it. So it is where another program has made
 * a checkpoint while no server ran, and then nothing can be lost whoever the log belongs to.
 */
function changesNothing(file: string): boolean {
  const copy = `${file}-check`;
  try {
    const [without, withLog] = ["", "-wal"].map((last) => {
      remove(copy);
      for (const suffix of new Set(["", last])) {
        Deno.copyFileSync(`${file}${suffix}`, `${copy}${suffix}`);
      }
      return contents(copy);
    });
    return withLog!.length === without!.length &&
      withLog!.every((value, i) => value === without![i]);
  } catch {
    // A mixture of two files may be anything.
    return false;
  } finally {
    remove(copy);
  }
}

/** A path that SQLite does not take for one of its own names: `:memory:`, or a URI. */
export function plainPath(path: string): string {
  return isAbsolute(path) ? path : `./${path}`;
}

/** All integers that a table's file holds. */
function contents(file: string): Float64Array {
  const db = new DatabaseSync(plainPath(file));
  try {
    const { size, termMs, clean } = readState(db, file);
    const data = readEntries(db, file, size, size + 2);
    data.set([termMs, clean ? 1 : 0], size);
    return data;
  } finally {
    db.close();
  }
}

/** Removes a database and what SQLite lays beside it. */
function remove(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      Deno.removeSync(`${file}${suffix}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
