/**
 * The requests of one connection, one after the other, to its end.
 *
 * @module
 */

import { TableError } from "../protocol/error.ts";
import { otherProtocol } from "../protocol/http.ts";
import type { ErrorReply, Request } from "../protocol/message.ts";
import { parseRequest } from "../protocol/parse.ts";
import type { Timer } from "../runtime/runtime.ts";
import type { Connection } from "./connection.ts";
import { Patience } from "../runtime/patience.ts";

/** What a node does with the requests of one connection. */
export interface Peer {
  /** Told before requests are taken that were all there before; no `await` is between them. */
  begin(): void;
  /** Takes the next request, or what the line was instead of one, and answers it in its turn. */
  take(request: Request | ErrorReply): void;
  /** Resolves when one more may be taken; `undefined` where it may now. */
  room(): Promise<void> | undefined;
  /** Whether nothing it has taken waits for an answer, and nothing keeps it without a word. */
  idle(): boolean;
  /** Resolves when all that was taken is answered. */
  settled(): Promise<void>;
  /** Told once, when no more requests will come and all are answered, or the connection is broken. */
  left(): void;
}

/** A connection that is served. */
export interface Serving {
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<void>;
  /** {@linkcode Peer.idle}. */
  isIdle(): boolean;
}

/**
 * Hands the requests that a connection brings to `peer`, and closes it in order when they end: after
 * the last reply.
 *
 * @param idleMs After how long without a whole line, in milliseconds, at most twice that, a connection
 * that is idle is closed; never where it is not given.
 */
export function serve(connection: Connection, peer: Peer, idleMs: number | undefined): Serving {
  return { ended: toTheEnd(connection, peer, idleMs), isIdle: () => peer.idle() };
}

async function toTheEnd(
  connection: Connection,
  peer: Peer,
  idleMs: number | undefined,
): Promise<void> {
  const watch = idleMs === undefined ? undefined : new IdleWatch(connection, peer, idleMs);
  try {
    await takeAll(connection, peer, watch);
  } catch (error) {
    connection.because((error as Error).message);
    if (error instanceof TableError) peer.take(error.reply);
    else connection.close();
  }
  await connection.orGone(peer.settled());
  peer.left();
  await connection.end();
  watch?.stop();
}

const IDLE = "it was idle";

/** Closes a connection on which nothing happens. */
class IdleWatch {
  heard = false;
  readonly #connection: Connection;
  readonly #peer: Peer;
  #timer: Timer;
  #unsent = 0;
  #patience: Patience | undefined;

  constructor(connection: Connection, peer: Peer, idleMs: number) {
    this.#connection = connection;
    this.#peer = peer;
    const look = () => {
      this.#timer = connection.runtime.setTimer(look, idleMs);
      this.#patience?.end();
      if (this.#moved() || !peer.idle()) return;
      // It may have spoken while this process stood still.
      this.#patience = new Patience(connection.runtime, 0, () => this.#close());
    };
    this.#timer = connection.runtime.setTimer(look, idleMs);
  }

  stop(): void {
    this.#connection.runtime.clearTimer(this.#timer);
    this.#patience?.end();
  }

  /** Whether it has said something, or taken some of its replies, since this was asked last. */
  #moved(): boolean {
    const moved = this.heard || this.#connection.unsent !== this.#unsent;
    this.heard = false;
    this.#unsent = this.#connection.unsent;
    return moved;
  }

  #close(): void {
    if (this.#moved() || !this.#peer.idle()) return;
    // A peer that does not read its replies would not read their end either.
    if (this.#connection.unsent > 0) this.#connection.close(IDLE);
    else this.#connection.stopReading(IDLE);
  }
}

async function takeAll(
  connection: Connection,
  peer: Peer,
  watch: IdleWatch | undefined,
): Promise<void> {
  for (let lines; (lines = await connection.read()) !== undefined;) {
    // Who cannot be answered any more is not listened to.
    if (connection.closed) return;
    if (watch !== undefined) watch.heard = true;
    peer.begin();
    for (let start = 0, end; start < lines.length; start = end + 1) {
      for (let room; (room = peer.room()) !== undefined;) {
        // Whoever has gone waits for no room, and keeps nobody from ending.
        await connection.orGone(room);
        if (connection.closed) return;
        peer.begin();
      }
      end = connection.lineEnd(lines, start);
      const refusal = otherProtocol(lines, start, end);
      if (refusal !== undefined) {
        connection.because(refusal.message);
        return peer.take(refusal);
      }
      peer.take(parseRequest(lines, start, end));
    }
  }
}
