/**
 * A table kept in SQLite.
 *
 * @module
 */

import type { StatementSync } from "node:sqlite";
import { optionError } from "../../util/options.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { type Database, openDatabase } from "./database.ts";
import { busy, refusal, RESULT, resultCode } from "./sqlite_error.ts";
import { CommitError, type OpenedStore, type Store, StoreError } from "./store.ts";
import { type Changes, Table } from "../table.ts";
import { create, isNew, readEntries, readState } from "./table_schema.ts";

/** What a table that is opened, or made, is to be. */
export interface OpenOptions {
  /** How many entries; the file's own size, or 10 for a new file, where it is not given. */
  readonly size: number | undefined;
  /** The first entries of a new file. */
  readonly init: readonly number[] | undefined;
  /**
   * After how many pages of the log they are carried over into the file.
   *
   * @default {1000}
   */
  readonly checkpointPages?: number;
  /** Told, in a sentence, that a new table was made, and of what goes wrong and fails no write. */
  readonly log?: (sentence: string) => void;
}

/** A store in an SQLite database: a write is there when its commit has returned. */
export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #name: string;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #clear: StatementSync;
  readonly #put: StatementSync;
  readonly #setTerm: StatementSync;
  readonly #setClean: StatementSync;

  private constructor(db: Database, name: string) {
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
   * Takes over a database, and reads the table in it, or makes one.
   *
   * @param name What the database is called in errors: its path.
   * @throws {StoreError} If it is damaged, none of ours, holds a larger table, or another program
   * does not let it be written.
   * @throws {TypeError} If `init` was given and there is a table.
   */
  static open(db: Database, name: string, options: OpenOptions): OpenedStore {
    const { init, checkpointPages, log = () => {} } = options;
    try {
      // An error of `exec` would not tell its kind.
      db.prepare("BEGIN IMMEDIATE").run();
      const made = isNew(db);
      if (made) create(db, options.size, init);
      else if (init !== undefined) {
        throw optionError(new TypeError(`Cannot take init for a table that exists: ${name}`));
      }
      const state = readState(db, name);
      const size = options.size ?? state.size;
      if (size < state.size) {
        throw new StoreError(`${name} holds a table of ${state.size} entries, more than ${size}`);
      }
      // All that can be wrong with the file has shown before it is changed.
      const table = new Table(readEntries(db, name, state.size, size));
      const store = new SqliteStore(db, name);
      db.prepare("COMMIT").run();
      const mode = db.prepare("PRAGMA journal_mode = WAL").get()!.journal_mode;
      if (mode !== "wal") throw new StoreError(`${name} cannot have a log beside it: "${mode}"`);
      db.exec("PRAGMA synchronous = FULL");
      db.prepare("UPDATE state SET size = ?, clean = 0").run(size);
      db.serve(checkpointPages, log);
      if (made) log(`made a new table of ${size} entries in ${absolute(name)}`);
      return { store, table, leasedMs: state.clean ? 0 : state.termMs };
    } catch (error) {
      db.close();
      throw refusal(name, error);
    }
  }

  /** {@linkcode Store.commit}. */
  commit({ cleared, entries }: Changes): void {
    let known = true;
    try {
      // Not `run`, which makes an object of what it has done.
      this.#begin.get();
      if (cleared) this.#clear.get();
      for (const [index, data] of entries) this.#put.get(index, data);
      // Once the commit has begun, only these say for sure that it was not made.
      known = false;
      this.#commit.get();
    } catch (error) {
      const code = resultCode(error);
      if (!known && code !== RESULT.FULL && code !== RESULT.BUSY) throw error;
      if (this.#db.isTransaction) this.#rollback.run();
      const why = code === RESULT.BUSY ? busy(this.#name) : (error as Error).message;
      throw new CommitError(why, { cause: error });
    }
    this.#db.tend();
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

/**
 * Opens the table of a file, or makes one.
 *
 * @throws {Error} As {@linkcode openDatabase} and {@linkcode SqliteStore.open} do.
 */
export function openTable(path: string, runtime: Runtime, options: OpenOptions): OpenedStore {
  return SqliteStore.open(openDatabase(path, runtime), path, options);
}

/** A path from the root; as it was given, where the sandbox does not tell. */
function absolute(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
