/**
 * How much memory sessions may take up together.
 *
 * @module
 */

import { MAX_SESSIONS_BYTES, MAX_SMALL_SESSION_BYTES } from "../protocol/limits.ts";
import type { Session } from "./session.ts";

/**
 * One budget for all sessions of a node. A session is always read, or its answer to an invalidation
 * might not be; so nothing slows it down, and the limits of each do not bound the sum.
 *
 * Over the budget, the session that takes up most is closed, unless even that is small: most may then
 * be the operations of sessions that were closed before, and these go.
 */
export class SessionBudget {
  readonly #sessions: ReadonlySet<Session>;
  readonly #pendingBytes: () => number;
  /** Invariant: the sum of the sessions' `countedBytes`. */
  #counted = 0;

  /**
   * @param sessions All that are connected.
   * @param pendingBytes What the operations that are not done take up, those of disconnected sessions too.
   */
  constructor(sessions: ReadonlySet<Session>, pendingBytes: () => number) {
    this.#sessions = sessions;
    this.#pendingBytes = pendingBytes;
  }

  /** Something waits that did not: a message to a session, or a request of one. */
  check(session: Session): void {
    this.#count(session);
    if (this.#bytes <= MAX_SESSIONS_BYTES) return;
    // What others were counted with may have left since.
    for (const other of this.#sessions) this.#count(other);
    if (this.#bytes > MAX_SESSIONS_BYTES) this.#closeLargest();
  }

  /** A session has ended, and counts no more. */
  remove(session: Session): void {
    this.#counted -= session.countedBytes;
    session.countedBytes = 0;
  }

  get #bytes(): number {
    return this.#counted + this.#pendingBytes();
  }

  #count(session: Session): void {
    const bytes = session.outgoingBytes;
    this.#counted += bytes - session.countedBytes;
    session.countedBytes = bytes;
  }

  #closeLargest(): void {
    let largest: Session | undefined;
    for (const session of this.#sessions) {
      if (session.bytes > (largest?.bytes ?? MAX_SMALL_SESSION_BYTES)) largest = session;
    }
    largest?.close(
      `all sessions take up more than ${MAX_SESSIONS_BYTES} bytes, and it ${largest.bytes} of them`,
    );
  }
}
