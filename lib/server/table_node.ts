/**
 * What all connections of a server share.
 *
 * @module
 */

import type { EventSink } from "../events.ts";
import { Recurrence } from "../net/recurrence.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import { Leases } from "./leases.ts";
import { type Conductor, Line, type Operation } from "./line.ts";
import { CommitError, type OpenedStore, type Store } from "./store.ts";
import type { Table } from "./table.ts";
import type { TableOperation } from "./table_peer.ts";

/** The table, where it is kept, who holds what of it, and the operations that wait. */
export class TableNode implements Conductor {
  /** The table. */
  readonly table: Table;
  /** Who holds what of it. */
  readonly leases: Leases;
  /** The operations that wait. */
  readonly line: Line;
  /** How many connections have ended and still have operations in line. */
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

  /** Makes the node of a table, which grants leases for `leaseMs`. */
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
    this.line = new Line(this.table.size, this);
    this.leases = new Leases({
      termMs: leaseMs,
      tableSize: this.table.size,
      lineBytes: () => this.line.bytes,
      runtime,
      events,
      log,
    });
    const { leasedMs } = opened;
    this.#store.setTerm(Math.max(leaseMs, leasedMs));
    if (leasedMs === 0) return;
    log(`the last end was not clean: writes wait for its leases, ${leasedMs} ms`);
    this.leases.inherit(leasedMs);
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
    return this.leases.held(write.ind, (write as TableOperation).peer.session);
  }

  /** {@linkcode Conductor.ask}. */
  ask(write: Operation, done: () => void): void {
    this.leases.invalidate(write.ind, (write as TableOperation).peer.session, done);
  }

  /** {@linkcode Conductor.commit}. */
  commit(): "made" | "refused" | "lost" {
    const { changes } = this.table;
    if (changes === undefined) return "made";
    try {
      this.#store.commit(changes);
    } catch (error) {
      this.table.revert();
      const why = (error as Error).message;
      if (error instanceof CommitError) {
        this.#events?.({ type: "commit-refused", node: "server", why });
        this.#refusals.happened(`a commit failed, and nothing was written: ${why}`);
        return "refused";
      }
      this.#events?.({ type: "commit-unknown", node: "server", why });
      this.#ending = this.#lost = true;
      this.#failure.resolve(error as Error);
      return "lost";
    }
    if (this.#events !== undefined) {
      const ind = [...changes.entries.keys()], data = [...changes.entries.values()];
      this.#events({ type: "commit", node: "server", cleared: changes.cleared, ind, data });
    }
    this.table.settle();
    return "made";
  }

  /** Takes no more requests; resolves when those in line are done and nothing is held. */
  async end(): Promise<void> {
    this.#ending = true;
    await this.line.idle();
    await new Promise<void>((resolve) => this.leases.invalidateAll(resolve));
  }

  /**
   * Closes the store.
   *
   * @returns Whether the end is a clean one: nothing is in line, nothing held, and that is stored.
   */
  close(): boolean {
    this.runtime.clearTimer(this.#inherited);
    this.#refusals.close();
    const clean = !this.#lost && this.line.length === 0 && this.leases.unheld;
    this.line.stop();
    this.leases.close();
    try {
      this.#store.close(clean);
    } catch (error) {
      this.#log(`the end is not recorded as a clean one: ${(error as Error).message}`);
      return false;
    }
    return clean;
  }
}
