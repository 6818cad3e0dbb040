/**
 * An SQLite database that one server has to itself, and that other programs may copy meanwhile.
 *
 * SQLite's own locking stays the normal one, so that the tools that back up a running database work:
 * they read it, make checkpoints, and write tables of their own. The checkpoints of this program are
 * made here, since the lock file must tell of each: see {@linkcode LockFile}.
 *
 * @module
 */

import type { StatementSync } from "node:sqlite";
import {
  BUSY_TIMEOUT_MS,
  CHECKPOINT_LOOK_MS,
  CHECKPOINT_PAGES,
  CHECKPOINT_QUIET_MS,
  SHARED_CHECKPOINT_LOOK_MS,
} from "../../protocol/limits.ts";
import { folderOf } from "../../util/path.ts";
import type { Runtime, Timer } from "../../runtime/runtime.ts";
import { type Appearance, appearance, isSame, LockFile, type LogMark } from "./lock_file.ts";
import { checkLog, hasLog, plainPath, saltOf } from "./log_check.ts";
import { DatabaseSync } from "./sqlite.ts";
import { locked, refusal } from "./sqlite_error.ts";
import { StoreError } from "./store.ts";
import { APPLICATION_ID } from "./table_schema.ts";

const HEADER_BYTES = 72;
/** What an SQLite database begins with. */
const MAGIC = [..."SQLite format 3\0"].map((character) => character.charCodeAt(0));

/**
 * Opens the database of a file, and makes the file and its folder where there are none.
 *
 * @throws {StoreError} If another server has it open, it is none of ours, or the log that lies beside
 * it is not its own: all stays as it is.
 * @throws {Deno.errors.NotCapable} If the sandbox forbids it.
 */
export function openDatabase(path: string, runtime: Runtime): Database {
  let lock: LockFile | undefined, file: Deno.FsFile | undefined;
  try {
    Deno.mkdirSync(folderOf(path), { recursive: true });
    if (openHere.has(identity(path))) throw locked(path);
    // What belongs to a file lies beside the file itself, not beside a link to it.
    const real = isLink(path) ? Deno.realPathSync(path) : path;
    lock = LockFile.take(`${real}-lock`);
    if (lock === undefined) throw locked(path);
    const hadLog = checkLog(path, real, lock);
    file = Deno.openSync(path, { read: true, write: true, create: true });
    // Before it has a log, SQLite writes to the file itself; of that nothing is recorded.
    if (!readHeader(path, file)) lock.forget();
    return new Database(path, real, file, lock, hadLog, runtime);
  } catch (error) {
    file?.close();
    lock?.release();
    throw refusal(path, error);
  }
}

const UNKNOWN: LogMark = { salt: undefined, copied: 0, whole: false };

/** The files that this process has open, under whatever name. */
const openHere = new Set<string>();

/** What is the same for every name of a file; the name, where there is no file or no number. */
function identity(path: string): string {
  try {
    const { dev, ino, isFile } = Deno.statSync(path);
    if (!isFile) throw new StoreError(`${path} is no regular file`);
    return ino === null ? path : `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return path;
    throw error;
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Looks at a file before SQLite does, which would change one that is another program's.
 *
 * @returns Whether its latest changes stand in a log, or can: whether it is in WAL mode.
 */
function readHeader(path: string, file: Deno.FsFile): boolean {
  const header = new Uint8Array(HEADER_BYTES);
  let length = 0;
  for (let count; (count = file.readSync(header.subarray(length)));) length += count;
  if (length === 0) return false;
  const isDatabase = MAGIC.every((byte, i) => header[i] === byte);
  if (!isDatabase || new DataView(header.buffer).getUint32(68) !== APPLICATION_ID) {
    throw new StoreError(`${path} is no table of this program's`);
  }
  return header[18] === 2;
}

/** A database that is open, with its file and its lock file. */
export class Database extends DatabaseSync {
  readonly #path: string;
  readonly #identity: string;
  /**
   * The file itself, open as long as SQLite has it open. On POSIX whoever closes any descriptor of a
   * file takes off the locks that SQLite has on it in the same process, and the next program to close
   * the database would then remove the log that is in use.
   */
  readonly #file: Deno.FsFile;
  readonly #lock: LockFile;
  readonly #hadLog: boolean;
  readonly #runtime: Runtime;
  #log: (sentence: string) => void = () => {};
  #checkpointPages = CHECKPOINT_PAGES;
  #pages: StatementSync | undefined;
  #passive: StatementSync | undefined;
  /** How many pages the log had at the last checkpoint. */
  #checkpointed = 0;
  /** What the file looked like when it was last looked at. */
  #seen: Appearance | undefined;
  /** When the last commit was made, and when to look at the latest: a look takes half a commit. */
  #tended = -Infinity;
  #nextLook = -Infinity;
  #lookMs = CHECKPOINT_LOOK_MS;
  #quiet: Timer | undefined;

  /**
   * Opens it.
   *
   * @param real The path without a symbolic link at its end.
   * @param file The same file, and the lock file beside it, which are closed with the database.
   * @param hadLog Whether a log lies beside it that holds more than the file.
   */
  constructor(
    path: string,
    real: string,
    file: Deno.FsFile,
    lock: LockFile,
    hadLog: boolean,
    runtime: Runtime,
  ) {
    super(plainPath(path), { timeout: BUSY_TIMEOUT_MS });
    this.#path = real;
    this.#identity = identity(path);
    openHere.add(this.#identity);
    this.#file = file;
    this.#lock = lock;
    this.#hadLog = hadLog;
    this.#runtime = runtime;
  }

  /**
   * The table is served from now on, and the lock file tells what the file looks like to which the
   * log belongs.
   *
   * @param checkpointPages After how many pages of the log a checkpoint is made.
   * @param log Told of a checkpoint that failed.
   */
  serve(checkpointPages: number | undefined, log: (sentence: string) => void): void {
    this.#checkpointPages = checkpointPages ?? CHECKPOINT_PAGES;
    this.#log = log;
    this.exec("PRAGMA wal_autocheckpoint = 0");
    this.#pages = this.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#passive = this.prepare("PRAGMA wal_checkpoint(PASSIVE)");
    const seen = this.#lock.isEmpty ? undefined : appearance(this.#file.statSync());
    attempt(() => {
      if (this.#hadLog && this.#lock.knows(seen)) return;
      if (seen !== undefined) this.#lock.record(seen, this.#lock.mark ?? UNKNOWN, true);
      // It shall not look like a copy that was made of it before and has kept its time.
      const now = new Date(this.#runtime.wallClock());
      this.#file.utimeSync(now, now);
    });
    // To read the log of a server that was killed counts as much as to have tried all of it.
    this.#record(() => ({ ...this.#mark(), copied: Number(this.#pages!.get()!.log) }));
  }

  /**
   * Called after a commit: makes a checkpoint where it is time for one, and looks whether another
   * program has made one. It does not fail: the commit is made.
   */
  tend(): void {
    const now = this.#runtime.now();
    const paused = now - this.#tended >= SHARED_CHECKPOINT_LOOK_MS;
    this.#tended = now;
    if (now < this.#nextLook && !paused) return;
    this.#nextLook = now + this.#lookMs;
    attempt(() => {
      const pages = Number(this.#pages!.get()!.log);
      // After a whole checkpoint the log begins anew.
      if (pages < this.#checkpointed) this.#checkpointed = 0;
      if (pages - this.#checkpointed < this.#checkpointPages) return this.#look();
      // A reader that stands still holds the rest of the log back: not again before as many more.
      this.#checkpointed = pages;
      this.#checkpoint();
    });
  }

  /** Ends: with a checkpoint, and without a log where no other program has the database open. */
  override close(): void {
    // SQLite tries again, and if that fails too the log stays, for the next start.
    this.#log = () => {};
    attempt(() => this.#checkpoint());
    this.#runtime.clearTimer(this.#quiet);
    // If nobody else has it open, SQLite makes one more before it removes the log.
    const mark = this.#lock.mark ?? UNKNOWN;
    attempt(() => this.#lock.record(appearance(this.#file.statSync())!, mark, true));
    try {
      super.close();
    } finally {
      attempt(() => hasLog(this.#path) ? this.#record(() => mark) : this.#lock.forget());
      openHere.delete(this.#identity);
      this.#file.close();
      this.#lock.release();
    }
  }

  #checkpoint(): void {
    if (this.#passive === undefined) return;
    this.#isChanging(appearance(this.#file.statSync()));
    try {
      // It waits for nobody, and carries over what no reader holds back.
      if (this.#passive.get()!.busy === 0) this.#record();
    } catch (error) {
      this.#log(`a checkpoint failed, and the log grows on: ${(error as Error).message}`);
    }
  }

  /** Looks whether another program has changed the file, which only a checkpoint does. */
  #look(): void {
    const now = appearance(this.#file.statSync());
    if (isSame(now, this.#seen)) return;
    this.#lookMs = SHARED_CHECKPOINT_LOOK_MS;
    this.#isChanging(now);
  }

  /** As long as a checkpoint may go on, the file may look as it does, or as it will soon. */
  #isChanging(now: Appearance | undefined): void {
    this.#seen = now;
    const mark = this.#lock.mark ?? UNKNOWN;
    if (now !== undefined) attempt(() => this.#lock.record(now, mark, true));
    this.#runtime.clearTimer(this.#quiet);
    this.#quiet = this.#runtime.setTimer(() =>
      attempt(() => {
        const then = appearance(this.#file.statSync());
        if (isSame(then, now)) this.#record();
        else this.#isChanging(then);
      }), CHECKPOINT_QUIET_MS);
  }

  #mark(): LogMark {
    const { log, checkpointed } = this.#pages!.get()!;
    return {
      salt: saltOf(this.#path),
      copied: Number(checkpointed),
      whole: checkpointed === log,
    };
  }

  /** The log belongs to the file as it looks now. */
  #record(mark = () => this.#mark()): void {
    // The first use of a timer takes a while, and a server that starts has none.
    if (this.#quiet !== undefined) this.#runtime.clearTimer(this.#quiet);
    attempt(() => {
      // The time at which it was written must not be lost in a power cut that the record survives.
      this.#file.syncSync();
      this.#seen = appearance(this.#file.statSync());
      if (this.#seen !== undefined) this.#lock.record(this.#seen, mark(), false);
    });
  }
}

/**
 * Does what the table can do without: where the lock file cannot be written, a log that is not its
 * file's own may be taken for it at the next start, as SQLite would.
 */
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // See above.
  }
}
