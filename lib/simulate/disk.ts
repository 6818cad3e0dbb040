/**
 * A simulated disk with one table on it: what was committed outlives the process that wrote it.
 *
 * @module
 */

import { checkOption } from "../util/options.ts";
import { MAX_TABLE_SIZE, TABLE_SIZE } from "../protocol/limits.ts";
import { CommitError, type OpenedStore } from "../server/store/store.ts";
import { type Changes, Table } from "../server/table.ts";
import { TableServer, type TableServerOptions } from "../server/table_server.ts";
import type { Process } from "./machine.ts";

/** A write that took effect; the place in the list is the order. */
export interface Effect {
  /** When, by the world's time, in milliseconds. */
  readonly at: number;
  /** The data written, by index; `undefined`: every entry was set to 0. */
  readonly entries: ReadonlyMap<number, number> | undefined;
}

/**
 * What a disk does with the next commits:
 *
 * - `well`: it makes them;
 * - `full`: it refuses them, and the writes are answered 500;
 * - `failing`: it fails in the middle of the next; whether that was made is not known, and the server
 *   ends by itself;
 * - `deadly`: the process is killed in the middle of the next;
 * - `silent`: it never says whether it made one, and makes it, or not, when the process is killed.
 */
export type DiskState =
  | "well"
  | "full"
  | "failing"
  | "deadly"
  | "silent";

/**
 * A disk with the table of one server at a time: what was committed is there for the next one, though
 * the process of the one before was killed.
 */
export class Disk {
  /** What it does next; after a commit that failed or was deadly it is well again. */
  state: DiskState = "well";
  /** How long a commit takes at most, in milliseconds; where that is 0, it is one step. */
  lateMs = 0;
  /** All that took effect, in order. */
  readonly effects: Effect[] = [];
  readonly #size: number;
  readonly #entries = new Map<number, number>();
  #termMs = 0;
  #clean = true;

  /**
   * Makes one with a table of zeros.
   *
   * @param size How many entries it has, 1 to 1,000,000.
   * @throws {RangeError} If that is outside its range.
   */
  constructor(size: number = TABLE_SIZE) {
    checkOption("size", size, 1, MAX_TABLE_SIZE);
    this.#size = size;
  }

  /**
   * Starts a server that keeps its table here. It listens on the name of its machine.
   *
   * @throws {TypeError} If an option is not of its type.
   * @throws {RangeError} If one is outside its range.
   * @throws {Error} Named `AddrInUse`, if another listens there.
   */
  serve(
    process: Process,
    options: Omit<TableServerOptions, "data" | "size" | "init" | "runtime"> = {},
  ): TableServer {
    const all = { host: process.host, ...options, runtime: process };
    return TableServer.over(() => this.open(process), all);
  }

  /**
   * Opens the table for a process.
   *
   * @ignore
   */
  open(process: Process): OpenedStore {
    const data = new Float64Array(this.#size);
    for (const [index, integer] of this.#entries) data[index] = integer;
    const table = new RecordingTable(data);
    const leasedMs = this.#clean ? 0 : this.#termMs;
    this.#clean = false;
    const alive = () => {
      if (process.dead) throw new Error("the process is dead");
    };
    return {
      table,
      leasedMs,
      store: {
        commit: (changes) => {
          alive();
          if (this.lateMs > 0 || this.state === "silent") {
            return this.#commitLater(changes, table, process);
          }
          this.#commit(changes, table, process);
        },
        setTerm: (termMs) => {
          alive();
          this.#termMs = termMs;
        },
        close: (clean) => {
          if (!process.dead) this.#clean = clean;
        },
      },
    };
  }

  #commitLater(changes: Changes, table: RecordingTable, process: Process): Promise<void> {
    const { random } = process.machine.world;
    return new Promise((resolve, reject) => {
      // A kill keeps what was synced, and perhaps what was not.
      const noLonger = process.whenKilled(() => {
        if (random.chance(0.5)) this.#make(changes, table, process);
      });
      if (this.state === "silent") return;
      process.setTimer(() => {
        noLonger();
        try {
          this.#commit(changes, table, process);
          resolve();
        } catch (error) {
          reject(error);
        }
      }, random.between(0, this.lateMs));
    });
  }

  #commit(changes: Changes, table: RecordingTable, process: Process): void {
    const { state } = this;
    if (state === "full") throw new CommitError("database or disk is full");
    // One that was late is made, though the disk is silent by now.
    const isWell = state === "well" || state === "silent";
    if (isWell || process.machine.world.random.chance(0.5)) this.#make(changes, table, process);
    if (isWell) return;
    this.state = "well";
    if (state === "deadly") process.kill();
    throw new Error("disk I/O error");
  }

  #make(changes: Changes, table: RecordingTable, { machine }: Process): void {
    if (changes.cleared) this.#entries.clear();
    for (const [index, integer] of changes.entries) this.#entries.set(index, integer);
    for (const entries of table.written) this.effects.push({ at: machine.world.now, entries });
  }
}

/** A table that knows each write since its last commit, in order: a commit makes several at once. */
class RecordingTable extends Table {
  written: Effect["entries"][] = [];

  override write(ind: readonly number[], data: readonly number[]): void {
    this.written.push(new Map(ind.map((index, i) => [index, data[i]!])));
    super.write(ind, data);
  }

  override clear(): void {
    this.written.push(undefined);
    super.clear();
  }

  override revert(): void {
    this.written = [];
    super.revert();
  }
}
