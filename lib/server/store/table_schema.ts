/**
 * How a table stands in an SQLite database.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import {
  MAX_LEASE_TERM_MS,
  MAX_QUOTED_CHARACTERS,
  MAX_TABLE_SIZE,
  TABLE_SIZE,
} from "../../protocol/limits.ts";
import { StoreError } from "./store.ts";

/** "HALF", by which a file tells that it is ours: bytes 68 to 71 of a database's header. */
export const APPLICATION_ID = 0x48414c46;
/** What a newer version of this program, which keeps a table otherwise, will raise. */
const VERSION = 1;
/** The tables of the database, and the columns in which they keep integers. */
const COLUMNS = { entry: ["ind", "data"], state: ["size", "term_ms", "clean"] };
/** Entries that are read with one statement: a row at a time takes five times as long. */
const ENTRIES_PER_READ = 20_000;
/** The numbers that a row may have. */
const FIRST_ROW = -(2n ** 63n), LAST_ROW = 2n ** 63n - 1n;

/** What a database keeps beside the entries. */
export interface State {
  /** How many entries the table has. */
  readonly size: number;
  /** The term of the leases that may be out, in milliseconds. */
  readonly termMs: number;
  /** Whether none is. */
  readonly clean: boolean;
}

/** How the tables are made. */
const SCHEMA = [
  "CREATE TABLE entry (ind INTEGER PRIMARY KEY, data INTEGER NOT NULL) STRICT",
  "CREATE TABLE state (size INTEGER NOT NULL, term_ms INTEGER NOT NULL, clean INTEGER NOT NULL) " +
  "STRICT",
];

/** Whether a database that is ours, or was empty, is a new one. */
export function isNew(db: DatabaseSync): boolean {
  return db.prepare("PRAGMA application_id").get()!.application_id === 0;
}

/** Makes the tables in an empty database. */
export function create(
  db: DatabaseSync,
  size: number | undefined,
  init: readonly number[] = [],
): void {
  // Not yet in WAL mode: the header is then in the file itself when this is done.
  db.exec(`
    PRAGMA application_id = ${APPLICATION_ID};
    PRAGMA user_version = ${VERSION};
    ${SCHEMA.join(";")};
  `);
  db.prepare("INSERT INTO state VALUES (?, 0, 1)").run(size ?? Math.max(TABLE_SIZE, init.length));
  const put = db.prepare("INSERT INTO entry VALUES (?, ?)");
  init.forEach((data, index) => put.run(index, data));
}

/**
 * Checks a database, and reads all but its entries.
 *
 * @param name What it is called in errors: its path.
 * @throws {StoreError} If it is damaged, or of another version.
 */
export function readState(db: DatabaseSync, name: string): State {
  const version = db.prepare("PRAGMA user_version").get()!.user_version;
  if (version !== VERSION) {
    throw new StoreError(`${name} is of version ${version}, this program of ${VERSION}`);
  }
  const found = String(db.prepare("PRAGMA quick_check(1)").get()!.quick_check);
  // The first of its lines may just say which database.
  if (found !== "ok") throw damaged(name, found.split("\n").at(-1)!);
  const columns = COLUMNS.state.map((column) => `${shown(column)} AS ${column}`);
  const made = "(SELECT count(*) FROM sqlite_schema WHERE sql IN (?, ?)) AS made";
  let rows;
  try {
    rows = db.prepare(`SELECT ${columns}, ${made} FROM state LIMIT 2`).all(...SCHEMA);
  } catch (error) {
    checkColumns(db, name);
    throw error;
  }
  const row = rows[0];
  if (row?.made !== SCHEMA.length) checkColumns(db, name);
  if (row === undefined) throw damaged(name, "its table state has no row");
  if (rows.length > 1) throw damaged(name, "its table state has more than one row");
  const integer = (column: string, least: number, most: number) => {
    const text = String(row[column]);
    const value = /^-?[0-9]+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw damaged(name, `table state, row 1: ${column} is ${text}, not within ${least} to ${most}`);
  };
  return {
    size: integer("size", 1, MAX_TABLE_SIZE),
    termMs: integer("term_ms", 0, MAX_LEASE_TERM_MS),
    clean: integer("clean", 0, 1) === 1,
  };
}

/**
 * Reads the entries of a database that was checked.
 *
 * @param size How many it may hold, by its state.
 * @param length How many to give: those that it does not hold are 0.
 * @throws {StoreError} If one is none that a message can hold.
 */
export function readEntries(
  db: DatabaseSync,
  name: string,
  size: number,
  length: number,
): Float64Array {
  const data = new Float64Array(length);
  const some = db.prepare(
    "SELECT json_group_array(ind) AS ind, json_group_array(data) AS data FROM entry " +
      "WHERE ind BETWEEN ? AND ?",
  );
  try {
    for (let from = 0; from < size; from += ENTRIES_PER_READ) {
      const to = from + ENTRIES_PER_READ;
      // With those that no table may hold.
      const row = some.get(from === 0 ? FIRST_ROW : from, to < size ? to - 1 : LAST_ROW)!;
      const integers: number[] = JSON.parse(String(row.data));
      JSON.parse(String(row.ind)).forEach((index: number, i: number) => {
        const integer = integers[i]!;
        const isEntry = index >= 0 && index < size && Number.isSafeInteger(integer);
        if (!isEntry) throw new Error(`row ${index} is no entry`);
        data[index] = integer;
      });
    }
  } catch (error) {
    checkEntries(db, name, size);
    throw error;
  }
  return data;
}

/** Looks for a row that is no entry, one by one, and says which. */
function checkEntries(db: DatabaseSync, name: string, size: number): void {
  const most = Number.MAX_SAFE_INTEGER;
  const row = db.prepare(
    `SELECT ind < 0 OR ind >= ${size} AS stray, ${shown("ind")} AS ind, ${shown("data")} AS data ` +
      `FROM entry WHERE stray ` +
      `OR typeof(data) <> 'integer' OR data NOT BETWEEN -${most} AND ${most} LIMIT 1`,
  ).get();
  if (row === undefined) return;
  const what = row.stray === 1
    ? `ind is ${row.ind}, not within 0 to ${size - 1}`
    : `data is ${row.data}, not within ±(2^53 - 1)`;
  throw damaged(name, `table entry, row ${row.ind}: ${what}`);
}

/** Checks that the tables have the columns that are used here. */
function checkColumns(db: DatabaseSync, name: string): void {
  const info = db.prepare("SELECT name, pk FROM pragma_table_info(?)");
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const there = info.all(table);
    if (there.length === 0) throw damaged(name, `it has no table ${table}`);
    for (const column of columns) {
      if (there.every((one) => one.name !== column)) {
        throw damaged(name, `its table ${table} has no column ${column}`);
      }
    }
    // By which an entry has one row, and is found without a search.
    const key = there.filter(({ pk }) => pk !== 0);
    if (table === "entry" && (key.length !== 1 || key[0]!.name !== "ind")) {
      throw damaged(name, "the column ind of its table entry is not its only primary key");
    }
  }
}

/** The expression for a value as a person reads it: text in quotes, and not too long. */
function shown(column: string): string {
  return `substr(quote(${column}), 1, ${MAX_QUOTED_CHARACTERS})`;
}

function damaged(name: string, what: string): StoreError {
  return new StoreError(`${name} is damaged: ${what}`);
}
