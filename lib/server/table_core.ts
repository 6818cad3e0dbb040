/**
 * What all connections of a server share.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { Recurrence } from "../runtime/recurrence.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { Grants } from "../coherence/grants.ts";
import type { Operation } from "./operation.ts";
import { type Conductor, type Outcome, Schedule } from "./schedule.ts";
import { CommitError, type OpenedStore, type Store } from "./store/store.ts";
import type { Changes, Table } from "./table.ts";

/** The table, where it is kept, who holds what of it, and the operations that wait. */
export class TableCore implements Conductor {
  /** The table. */
  readonly table: Table;
  /** Who holds what of it. */
  readonly grants: Grants;
  /** The operations that wait. */
  readonly schedule: Schedule;
  /** How many connections have ended whose operations are not all done. */
  lingering = 0;
  /** Its clocks and timers. */
  readonly runtime: Runtime;
  readonly #store: Store;
  readonly #log: (sentence: string) => void;
  readonly #events: EventSink | undefined;
  /** Commits that failed: with a full disk all do. */
  readonly #refusals: Recurrence;
  readonly #failure = Promise.withResolvers<Error>();
  #inherited: Timer | undefined;
  #ending = false;
  #lost = false;

  /** Makes the core of a server of a table, which grants leases for `leaseMs`. */
  constructor(
    opened: OpenedStore,
    leaseMs: number,
    log: (sentence: string) => void,
    events: EventSink | undefined,
    runtime: Runtime,
  ) {
    this.runtime = runtime;
    this.table = opened.table;
    this.#store = opened.store;
    this.#log = log;
    this.#events = events;
    this.#refusals = new Recurrence(log, runtime);
    this.schedule = new Schedule(this.table.size, this);
    this.grants = new Grants({
      termMs: leaseMs,
      tableSize: this.table.size,
      pendingBytes: () => this.schedule.bytes,
      runtime,
      events,
      log,
    });
    const { leasedMs } = opened;
    this.#store.setTerm(Math.max(leaseMs, leasedMs));
    if (leasedMs === 0) return;
    log(`the last end was not clean: writes wait for its leases, ${leasedMs} ms`);
    this.grants.inherit(leasedMs);
    // Lowered only now: whoever starts next must wait for the longest lease that may be out.
    this.#inherited = runtime.setTimer(() => {
      try {
        this.#store.setTerm(leaseMs);
      } catch (error) {
        log(`the term of leases stays recorded as ${leasedMs} ms: ${(error as Error).message}`);
      }
    }, leasedMs + 1);
  }

  /** Whether it takes no more requests and grants no more leases. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Resolves if the outcome of a commit cannot be known, after which nothing is answered. */
  get failure(): Promise<Error> {
    return this.#failure.promise;
  }

  /** {@linkcode Conductor.mustAsk}. */
  mustAsk(write: Operation): boolean {
    return this.grants.held(write.ind, write.requester.session);
  }

  /** {@linkcode Conductor.ask}. */
  ask(write: Operation, done: () => void): void {
    this.grants.invalidate(write.ind, write.requester.session, done);
  }

  /** {@linkcode Conductor.commit}. */
  commit(): Outcome | Promise<Outcome> {
    const { changes } = this.table;
    if (changes === undefined) return "made";
    try {
      const committing = this.#store.commit(changes);
      if (committing === undefined) return this.#made(changes);
      return committing.then(() => this.#made(changes), (error) => this.#notMade(error));
    } catch (error) {
      return this.#notMade(error as Error);
    }
  }

  #made(changes: Changes): Outcome {
    if (this.#events !== undefined) {
      const ind = [...changes.entries.keys()], data = [...changes.entries.values()];
      this.#events({ type: "commit", node: "server", cleared: changes.cleared, ind, data });
    }
    this.table.settle();
    return "made";
  }

  #notMade(error: Error): Outcome {
    this.table.revert();
    const why = error.message;
    if (error instanceof CommitError) {
      this.#events?.({ type: "commit-refused", node: "server", why });
      this.#refusals.happened(`a commit failed, and nothing was written: ${why}`);
      return "refused";
    }
    this.#events?.({ type: "commit-unknown", node: "server", why });
    this.#ending = this.#lost = true;
    this.#failure.resolve(error);
    return "lost";
  }

  /** Takes no more requests; resolves when all are answered and nothing is held. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.schedule.drained();
    await new Promise<void>((resolve) => this.grants.invalidateAll(resolve));
  }

  /**
   * Closes the store.
   *
   * @returns Whether the end is a clean one: all is done, nothing held, and that is stored.
   */
  close(): boolean {
    this.runtime.clearTimer(this.#inherited);
    this.#refusals.close();
    const clean = !this.#lost && this.schedule.length === 0 && this.grants.unheld;
    this.schedule.stop();
    this.grants.close();
    try {
      this.#store.close(clean);
    } catch (error) {
      this.#log(`the end is not recorded as a clean one: ${(error as Error).message}`);
      return false;
    }
    return clean;
  }
}
