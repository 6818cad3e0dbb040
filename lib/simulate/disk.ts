/**
 * A simulated disk with one table on it: what was committed outlives the process that wrote it.
 *
 * @module
 */

import { CommitError, type OpenedStore } from "../server/store/store.ts";
import { type Changes, Table } from "../server/table.ts";
import type { Process } from "./machine.ts";

/** A write that took effect; the place in the list is the order. */
export interface Effect {
  /** When, by the world's time. */
  readonly at: number;
  /** The data written, by index; `undefined`: every entry was set to 0. */
  readonly entries: ReadonlyMap<number, number> | undefined;
}

/** What a disk does with the next commits. */
export type DiskState =
  /** It makes them. */
  | "well"
  /** It refuses them. */
  | "full"
  /** It fails in the middle of one: whether it was made is not known. */
  | "failing"
  /** The process is killed in the middle of one. */
  | "deadly"
  /** It never says whether it made one, and makes it, or not, when the process is killed. */
  | "silent";

/** A disk. */
export class Disk {
  /** What it does next. */
  state: DiskState = "well";
  /** How long a commit takes at most, in milliseconds; where that is 0, it is one step. */
  lateMs = 0;
  /** All that took effect, in order. */
  readonly effects: Effect[] = [];
  readonly #size: number;
  readonly #entries = new Map<number, number>();
  #termMs = 0;
  #clean = true;

  /** Makes one with a table of `size` zeros. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Opens the table for a process. */
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
