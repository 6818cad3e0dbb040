/**
 * Where a table is kept.
 *
 * @module
 */

import type { Changes, Table } from "../table.ts";

/** Keeps what is written to a table. */
export interface Store {
  /**
   * Makes changes last, all or none; the promise, where there is one, resolves when they do. While it is
   * pending no other commit comes, and `changes` stays as it is.
   *
   * @throws {CommitError} If they were not made, and the next may be tried afresh.
   * @throws {Error} Any other, if whether they were made is not known. A promise rejects with the same.
   */
  commit(changes: Changes): void | Promise<void>;
  /** Records the term under which leases are granted from now on, in milliseconds. */
  setTerm(termMs: number): void;
  /** Ends; `clean` where no lease is out. */
  close(clean: boolean): void;
}

/** A table, where it is kept, and what is left of the server before. */
export interface OpenedStore {
  /** Where it is kept. */
  readonly store: Store;
  /** The table. */
  readonly table: Table;
  /** The term of leases that may still be out, in milliseconds; 0 where the last end was clean. */
  readonly leasedMs: number;
}

/** Thrown where changes could not be made, and none was. */
export class CommitError extends Error {
  /** Makes one; `options.cause` is what the store's own library threw. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommitError";
  }
}

/** Thrown where a store cannot be opened: the message says which, and why. */
export class StoreError extends Error {
  /** Makes one; `options.cause` is what the store's own library threw. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
  }
}

/** Keeps nothing. */
export const memoryStore: Store = { commit() {}, setTerm() {}, close() {} };
