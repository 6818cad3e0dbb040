/**
 * The file beside a table's file by which one server has the table to itself. In it stands, in one
 * line, what the table's file looked like when the write-ahead log beside it was known to belong to
 * it: SQLite itself would carry a log over into any file that has taken the place of its own.
 *
 * @module
 */

import { MAX_CHECKPOINT_MS } from "../../protocol/limits.ts";

/** What a file looks like from outside. */
export interface Appearance {
  /** When it was last written, in milliseconds since 1970: Deno tells no finer. */
  readonly mtimeMs: number;
  /** Its size in bytes. */
  readonly size: number;
}

/** What a file looks like; `undefined` where the system does not tell when it was written. */
export function appearance({ mtime, size }: Deno.FileInfo): Appearance | undefined {
  return mtime === null ? undefined : { mtimeMs: mtime.getTime(), size };
}

/** Whether a file looks as it did; `undefined` is what is not known. */
export function isSame(one: Appearance | undefined, other: Appearance | undefined): boolean {
  return one?.mtimeMs === other?.mtimeMs && one?.size === other?.size;
}

/** Which log lay beside the file, and how much of it was in the file. */
export interface LogMark {
  /** The number of the log, which counts up each time it begins anew; `undefined`: not known. */
  readonly salt: number | undefined;
  /** How many of its pages a checkpoint may have carried over. */
  readonly copied: number;
  /** Whether those are all. */
  readonly whole: boolean;
}

/** The line of a lock file. */
interface Line extends Appearance, LogMark {
  /** Whether a checkpoint may be under way, which changes the table's file. */
  readonly changing: boolean;
  /** The number of the lock file itself: a copy says nothing of the file that lies beside it. */
  readonly lock: number | null;
}

/** Every line is as long, blanks at its end: one takes the place of another in one write. */
const LINE_BYTES = 256;

/** A lock file that is ours until it is released. */
export class LockFile {
  /** Its path. */
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #ino: number | null;
  #isEmpty: boolean;
  /** The line that stands in it; `undefined` where none does that is one, and its own. */
  #line: Line | undefined;

  private constructor(path: string, file: Deno.FsFile, { ino, size }: Deno.FileInfo) {
    this.path = path;
    this.#file = file;
    this.#ino = ino;
    this.#isEmpty = size === 0;
    if (size > 0) this.#line = this.#read();
  }

  /**
   * Takes a lock file, and makes it where there is none.
   *
   * @returns Nothing if another has it, in this process or in another one.
   */
  static take(path: string): LockFile | undefined {
    for (;;) {
      const file = Deno.openSync(path, { read: true, write: true, create: true });
      try {
        if (!file.tryLockSync(true)) {
          file.close();
          return undefined;
        }
        // Whoever had it may have removed it since it was opened; the next one would make another.
        const here = file.statSync();
        if (isAt(path, here)) return new LockFile(path, file, here);
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
    }
  }

  /** Whether it is known that the log belongs to a table's file that looks so. */
  knows(file: Appearance | undefined): boolean {
    return this.#line !== undefined && !this.#line.changing && isSame(this.#line, file);
  }

  /**
   * Whether a table's file that looks so may be the one to which the log belongs. Of what is not
   * known, or was being changed, nothing is said against it.
   */
  fits(file: Appearance): boolean {
    if (this.#line === undefined || isSame(this.#line, file)) return true;
    if (!this.#line.changing) return false;
    // Both times are of one clock, the file system's.
    const since = this.#file.statSync().mtime?.getTime();
    return since === undefined ||
      (file.mtimeMs >= since && file.mtimeMs <= since + MAX_CHECKPOINT_MS);
  }

  /** The log that lay beside the file when it was recorded; `undefined` where that is not known. */
  get mark(): LogMark | undefined {
    return this.#line;
  }

  /**
   * Records what the table's file looks like now, and the log. If it is `changing`, the record is on the disk
   * when this returns: the change must not be there before it.
   */
  record(file: Appearance, log: LogMark, changing: boolean): void {
    const line: Line = { ...file, ...log, changing, lock: this.#ino };
    const bytes = new TextEncoder().encode(`${JSON.stringify(line).padEnd(LINE_BYTES - 1)}\n`);
    this.#line = line;
    this.#isEmpty = false;
    try {
      this.#file.seekSync(0, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
      // With its own time, from which on the change is to be looked for.
      if (changing) this.#file.syncSync();
    } catch (error) {
      // What stands there now is no longer so. To say nothing takes no room on a full disk.
      this.forget();
      throw error;
    }
  }

  /** Whether it has no record. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Forgets the record. */
  forget(): void {
    this.#line = undefined;
    if (this.#isEmpty) return;
    this.#file.truncateSync(0);
    this.#file.syncSync();
    this.#isEmpty = true;
  }

  /** Gives it up, and removes it unless it has a record. */
  release(): void {
    try {
      // Where somebody has removed it, another server's may lie there now.
      if (this.#isEmpty && isAt(this.path, this.#file.statSync())) Deno.removeSync(this.path);
    } catch {
      // An empty one that stays does no harm.
    } finally {
      this.#file.close();
    }
  }

  /** The record; `undefined` where there is none, a torn one, or that of another lock file. */
  #read(): Line | undefined {
    const bytes = new Uint8Array(LINE_BYTES);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    let length = 0;
    for (let count; (count = this.#file.readSync(bytes.subarray(length)));) length += count;
    try {
      const line: Line = JSON.parse(new TextDecoder().decode(bytes.subarray(0, length)));
      return line.lock === this.#ino ? line : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Whether a path is that of an open file. */
function isAt(path: string, here: Deno.FileInfo): boolean {
  try {
    const there = Deno.statSync(path);
    return there.ino === here.ino && there.dev === here.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
