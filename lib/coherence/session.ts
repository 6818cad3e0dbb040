/**
 * A session: a connection that has asked for a lease, a proxy's.
 *
 * @module
 */

import type { Connection } from "../wire/connection.ts";
import { Fifo } from "../util/fifo.ts";
import { Patience } from "../runtime/patience.ts";
import {
  DEAF_MS,
  MAX_SESSION_BACKLOG_BYTES,
  MAX_SESSION_UNSENT_BYTES,
  MAX_SMALL_SESSION_BYTES,
  MAX_UNANSWERED_INVALIDATIONS,
} from "../protocol/limits.ts";
import { bytesInHand, type Invalidation, type Reply } from "../protocol/message.ts";
import type { Timer } from "../runtime/runtime.ts";
import { IndexSet } from "./index_set.ts";

/** What an invalidation without an answer takes up, in bytes: an estimate. */
const INVALIDATION_BYTES = 256;

/** An invalidation that was sent. */
export interface Asking {
  /** Who was asked; `undefined` for those who are disconnected, and cannot be. */
  readonly session: Session | undefined;
  /** What is to be dropped; `undefined` for all. */
  ind: readonly number[] | undefined;
  /** Until when it is waited for, by the monotonic clock. */
  readonly until: number;
  /** Called when it is answered or no longer waited for; `undefined` from then on. */
  done: (() => void) | undefined;
  /** For the moment when it is no longer waited for. */
  timer: Timer | undefined;
}

/** How much of what a session has asked is not done. */
export interface Backlog {
  /** How many operations. */
  readonly length: number;
  /** How many indices they have. */
  readonly indices: number;
}

/** What a session needs of those who keep it. */
export interface SessionOptions {
  /** Its connection. */
  readonly connection: Connection;
  /** What it has asked that is not done. */
  readonly backlog: Backlog;
  /** How many entries the table has. */
  readonly tableSize: number;
  /** Told where it has more to send than it takes at once. */
  readonly grown: () => void;
  /** Told why it is closed, in a sentence. */
  readonly closed: (sentence: string) => void;
}

/** A subscribed connection: a proxy's. */
export class Session {
  /** What it holds. */
  readonly held: IndexSet;
  /** When its lease is over, by the monotonic clock. */
  leaseEnd = -Infinity;
  /** Invalidations it has not answered, the oldest first. */
  readonly unanswered = new Fifo<Asking>();
  /** What {@linkcode outgoingBytes} was when it was counted last. */
  countedBytes = 0;
  readonly #options: SessionOptions;
  /** For when its lease has been over for too long. */
  #lapse: Patience | undefined;
  #watch: Patience | undefined;

  /** Makes one that holds nothing, without a lease. */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.held = new IndexSet(options.tableSize);
  }

  /** What waits to be sent to it and for its answers, in bytes of memory: an estimate. */
  get outgoingBytes(): number {
    return this.#options.connection.unsent + this.unanswered.length * INVALIDATION_BYTES;
  }

  /** All that it makes the node keep, in bytes of memory: an estimate. */
  get bytes(): number {
    const { length, indices } = this.#options.backlog;
    return this.outgoingBytes + bytesInHand(length, indices);
  }

  /** Sends a message. A session that is deaf is closed: its stream is read whatever it does not. */
  send(message: Reply): void {
    const { connection } = this.#options;
    connection.send(message);
    if (connection.unsent <= MAX_SMALL_SESSION_BYTES) return;
    this.#options.grown();
    if (connection.unsent <= MAX_SESSION_UNSENT_BYTES) return;
    if (connection.unsent > MAX_SESSION_BACKLOG_BYTES) {
      return this.close(`${connection.unsent} bytes are unsent`);
    }
    // Much may be said in one step; deaf is who takes nothing of it.
    const { taken } = connection;
    this.#watch ??= new Patience(connection.runtime, DEAF_MS, () => {
      this.#watch = undefined;
      if (connection.unsent <= MAX_SESSION_UNSENT_BYTES || connection.taken !== taken) return;
      this.close(`it has taken nothing of ${connection.unsent} unsent bytes for ${DEAF_MS} ms`);
    });
  }

  /** Sends an invalidation, which is then unanswered. */
  ask(message: Invalidation, asking: Asking): void {
    this.unanswered.push(asking);
    this.send(message);
    if (this.unanswered.length > MAX_UNANSWERED_INVALIDATIONS) {
      this.close(`it has answered none of ${this.unanswered.length} invalidations`);
    }
  }

  /** Closes it in `ms` milliseconds, unless this is called again. */
  closeAfter(ms: number, why: string): void {
    this.#lapse?.end();
    // A renewal may stand unread where this process stood still.
    const { connection } = this.#options;
    this.#lapse = new Patience(
      connection.runtime,
      ms,
      () => this.close(why),
      () => connection.reads,
    );
  }

  /** The proxy's address, by which both nodes call it. */
  get name(): string {
    return this.#options.connection.ends.peerAddress;
  }

  /** Closes its connection, at once. */
  close(why: string): void {
    const { connection, closed } = this.#options;
    if (connection.closed) return;
    closed(`the session of ${this.name} is closed: ${why}`);
    connection.close(why);
  }

  /** Ends what was begun for it. */
  end(): void {
    this.#lapse?.end();
    this.#watch?.end();
    this.#lapse = this.#watch = undefined;
  }
}
