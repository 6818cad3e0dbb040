/**
 * A table kept in SQLite.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { dirname, isAbsolute } from "node:path";
import { optionError } from "../net/options.ts";
import { MAX_TABLE_SIZE, TABLE_SIZE } from "../protocol/limits.ts";
import { CommitError, type OpenedStore, type Store, StoreError } from "./store.ts";
import { type Changes, Table } from "./table.ts";

/** "HALF", by which a file tells that it is ours: bytes 68 to 71 of a database's header. */
const APPLICATION_ID = 0x48414c46;
const HEADER_BYTES = 72;
const MAGIC = "SQLite format 3\0";
/** Entries that are read with one statement: a row at a time takes five times as long. */
const ENTRIES_PER_READ = 20_000;

/** SQLite's result codes, those that are told apart here. */
const BUSY = 5, READONLY = 8, CORRUPT = 11, FULL = 13, CANTOPEN = 14, NOTADB = 26;

/** What a table that is opened, or made, is to be. */
export interface OpenOptions {
  /** How many entries; the file's own size, or 10 for a new file, where it is not given. */
  readonly size: number | undefined;
  /** The first entries of a new file. */
  readonly init: readonly number[] | undefined;
}

/**
 * Opens the database of a file, and makes its folder where there is none.
 *
 * @throws {StoreError} If the file is there and is none of ours: it stays untouched.
 * @throws {Deno.errors.NotCapable} If the sandbox forbids it.
 */
export function openDatabase(path: string): DatabaseSync {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    // As a path it cannot be taken for one of SQLite's own names: `:memory:`, or a URI.
    const file = isAbsolute(path) ? path : `./${path}`;
    if (openHere.has(identity(file))) throw locked(path);
    checkHeader(file);
    return new Database(file);
  } catch (error) {
    throw refusal(path, error);
  }
}

/**
 * The files that this process has open. Whoever looks at one of them and closes it again takes
 * SQLite's lock off it: on POSIX, a lock ends when any descriptor of the file is closed.
 */
const openHere = new Set<string>();

/** A database that nobody here looks at while it is open. */
class Database extends DatabaseSync {
  readonly #identity: string;

  constructor(path: string) {
    super(path, { timeout: 0 });
    this.#identity = identity(path);
    openHere.add(this.#identity);
  }

  override close(): void {
    super.close();
    openHere.delete(this.#identity);
  }
}

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

/** Looks at a file before SQLite does, which would change one that is another program's. */
function checkHeader(path: string): void {
  let file;
  try {
    file = Deno.openSync(path, { read: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const header = new Uint8Array(HEADER_BYTES);
  let length = 0;
  try {
    for (let count; (count = file.readSync(header.subarray(length))); length += count);
  } finally {
    file.close();
  }
  if (length === 0) return;
  const magic = new TextDecoder("latin1").decode(header.subarray(0, MAGIC.length));
  if (magic !== MAGIC || new DataView(header.buffer).getUint32(68) !== APPLICATION_ID) {
    throw new StoreError(`${path} is no table of this program's`);
  }
}

/** A store in an SQLite database: a write is there when its commit has returned. */
export class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #name: string;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #clear: StatementSync;
  readonly #put: StatementSync;
  readonly #setTerm: StatementSync;
  readonly #setClean: StatementSync;

  private constructor(db: DatabaseSync, name: string) {
    this.#db = db;
    this.#name = name;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    this.#clear = db.prepare("DELETE FROM entry");
    this.#put = db.prepare(
      "INSERT INTO entry VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data",
    );
    this.#setTerm = db.prepare("UPDATE state SET term_ms = ?");
    this.#setClean = db.prepare("UPDATE state SET clean = ?");
  }

  /**
   * Takes over a database, which nobody else can use from then on, and reads the table in it, or
   * makes one.
   *
   * @param name What the database is called in errors: its path.
   * @throws {StoreError} If it is locked, damaged, none of ours, or holds a larger table.
   * @throws {TypeError} If `init` was given and there is a table.
   */
  static open(db: DatabaseSync, name: string, options: OpenOptions): OpenedStore {
    try {
      // The lock that the first statement takes is kept. An error of `exec` would not tell its kind.
      db.exec("PRAGMA locking_mode = EXCLUSIVE");
      db.prepare("BEGIN EXCLUSIVE").run();
      if (db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()!.n === 0) {
        create(db, options);
      } else {
        if (options.init !== undefined) {
          throw optionError(new TypeError(`Cannot take init for a table that exists: ${name}`));
        }
        check(db, name);
      }
      const state = db.prepare("SELECT size, term_ms, clean FROM state").get();
      if (state === undefined || !(Number(state.size) <= MAX_TABLE_SIZE)) {
        throw new StoreError(`${name} is damaged: it tells no size`);
      }
      const size = options.size ?? Number(state.size);
      if (size < Number(state.size)) {
        throw new StoreError(`${name} holds a table of ${state.size} entries, more than ${size}`);
      }
      // All that can be wrong with the file has shown before it is changed.
      const table = new Table(read(db, size));
      const store = new SqliteStore(db, name);
      db.prepare("COMMIT").run();
      db.prepare("PRAGMA journal_mode = WAL").get();
      db.exec("PRAGMA synchronous = FULL");
      db.prepare("UPDATE state SET size = ?, clean = 0").run(size);
      return {
        store,
        table,
        leasedMs: state.clean === 1 ? 0 : Number(state.term_ms),
      };
    } catch (error) {
      db.close();
      throw refusal(name, error);
    }
  }

  /** {@linkcode Store.commit}. */
  commit({ cleared, entries }: Changes): void {
    let known = true;
    try {
      this.#begin.run();
      if (cleared) this.#clear.run();
      for (const [index, data] of entries) this.#put.run(index, data);
      // Once the commit has begun, only these say for sure that it was not made.
      known = false;
      this.#commit.run();
    } catch (error) {
      const { errcode } = error as { errcode?: number };
      if (!known && errcode !== FULL && errcode !== BUSY) throw error;
      if (this.#db.isTransaction) this.#rollback.run();
      throw new CommitError((error as Error).message, { cause: error });
    }
  }

  /** {@linkcode Store.setTerm}; a {@linkcode StoreError} says why it could not be recorded. */
  setTerm(termMs: number): void {
    try {
      this.#setTerm.run(termMs);
    } catch (error) {
      throw refusal(this.#name, error);
    }
  }

  /** {@linkcode Store.close}. */
  close(clean: boolean): void {
    try {
      if (clean) this.#setClean.run(1);
    } finally {
      this.#db.close();
    }
  }
}

function create(db: DatabaseSync, { size, init = [] }: OpenOptions): void {
  // Not yet in WAL mode: the header is then in the file itself when this is done.
  db.exec(`
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = 1;
    CREATE TABLE entry (ind INTEGER PRIMARY KEY, data INTEGER NOT NULL) STRICT;
    CREATE TABLE state (size INTEGER NOT NULL, term_ms INTEGER NOT NULL, clean INTEGER NOT NULL)
      STRICT;
  `);
  db.prepare("INSERT INTO state VALUES (?, 0, 1)").run(size ?? Math.max(TABLE_SIZE, init.length));
  const put = db.prepare("INSERT INTO entry VALUES (?, ?)");
  init.forEach((data, index) => put.run(index, data));
}

function check(db: DatabaseSync, name: string): void {
  const version = db.prepare("PRAGMA user_version").get()!.user_version;
  if (version !== 1) throw new StoreError(`${name} is of version ${version}, this program of 1`);
  const found = String(db.prepare("PRAGMA quick_check(1)").get()!.quick_check);
  // The first of its lines may just say which database.
  if (found !== "ok") throw new StoreError(`${name} is damaged: ${found.split("\n").at(-1)}`);
}

function read(db: DatabaseSync, size: number): Float64Array {
  const data = new Float64Array(size);
  const some = db.prepare(
    "SELECT json_group_array(ind) AS ind, json_group_array(data) AS data FROM entry " +
      "WHERE ind >= ? AND ind < ?",
  );
  for (let from = 0; from < size; from += ENTRIES_PER_READ) {
    const row = some.get(from, from + ENTRIES_PER_READ)!;
    const integers: number[] = JSON.parse(String(row.data));
    JSON.parse(String(row.ind)).forEach((index: number, i: number) => data[index] = integers[i]!);
  }
  return data;
}

function locked(name: string, options?: ErrorOptions): StoreError {
  return new StoreError(`${name} is locked: another server has it open`, options);
}

/** What is said of a database that cannot be opened. */
function refusal(name: string, error: unknown): unknown {
  if (
    error instanceof StoreError || error instanceof TypeError ||
    error instanceof Deno.errors.NotCapable
  ) return error;
  const { errcode, message } = error as Error & { errcode?: number };
  const because = (why: string) => new StoreError(why, { cause: error });
  switch (errcode) {
    case BUSY:
      return locked(name, { cause: error });
    case NOTADB:
      return because(`${name} is no table of this program's`);
    case CORRUPT:
      return because(`${name} is damaged: ${message}`);
    case READONLY:
    case CANTOPEN:
    case FULL:
      return because(`${name} cannot be written: ${message}`);
    default:
      return because(`cannot open ${name}: ${message}`);
  }
}
