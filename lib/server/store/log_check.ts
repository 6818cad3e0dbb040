/**
 * Whether the write-ahead log that lies beside a table's file belongs to it.
 *
 * SQLite does not ask: it carries over any log that lies there, and so a backup that was put in the
 * place of a file would be overwritten, at the next start, by what the log of that file holds.
 *
 * @module
 */

import { DatabaseSync } from "./sqlite.ts";
import { isAbsolute } from "../../util/path.ts";
import { appearance, type LockFile, type LogMark } from "./lock_file.ts";
import { StoreError } from "./store.ts";
import { readEntries, readState } from "./table_schema.ts";

/** The bytes before the first page of a log. */
const LOG_HEADER_BYTES = 32;
/** The bytes of its index up to what tells of checkpoints, and what they begin with. */
const INDEX_HEADER_BYTES = 136, INDEX_VERSION = 3_007_000;

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
  if (
    now === undefined || lock.fits(now) ||
    wasCheckpointed(file, lock.mark) || changesNothing(file)
  ) return true;
  throw new StoreError(
    `${name} is not the file to which ${log} belongs: ${drop} to use the file as it is, as after ` +
      `a restore; or remove ${lock.path}, if nobody replaced the file, to take the log with it`,
  );
}

/** Whether a log with at least one page lies beside a file. */
export function hasLog(file: string): boolean {
  return sizeOf(`${file}-wal`) > LOG_HEADER_BYTES;
}

/** The number of the log beside a file, which it has from its first page on. */
export function saltOf(file: string): number | undefined {
  const header = read(`${file}-wal`, LOG_HEADER_BYTES);
  return header?.getUint32(16);
}

/**
 * Whether another program has made a checkpoint that nobody recorded, since a server was killed before
 * it saw it: by SQLite's index of the log, of which the format is part of its documentation.
 */
function wasCheckpointed(file: string, mark: LogMark | undefined): boolean {
  const index = read(`${file}-shm`, INDEX_HEADER_BYTES);
  if (index === undefined || mark?.salt === undefined) return false;
  const isLittle = index.getUint32(0, true) === INDEX_VERSION;
  const salt = index.getUint32(32), tried = index.getUint32(128, isLittle);
  if (salt === mark.salt) return tried > mark.copied;
  // One that is wholly in the file begins anew with the next write; any other only by a checkpoint.
  return mark.whole && salt === (mark.salt + 1) >>> 0 ? tried > 0 : true;
}

/** The first bytes of a file; nothing where it has not so many. */
function read(path: string, length: number): DataView | undefined {
  let file;
  try {
    file = Deno.openSync(path);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (let count; (count = file.readSync(bytes.subarray(at)));) at += count;
    return at < length ? undefined : new DataView(bytes.buffer);
  } catch {
    return undefined;
  } finally {
    file?.close();
  }
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
