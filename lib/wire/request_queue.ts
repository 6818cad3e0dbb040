/**
 * Requests in order over a connection: which reply answers which, and what has no answer in time.
 *
 * ```text
 *            waiting                     sent
 *  ask() → [ d ][ e ]  ── attach() →  [ a ][ b ][ c ]  ← answer(), in the order sent
 *            expired: 503               lost at detach(), or expired: 503 a read, 504 a write
 * ```
 *
 * @module
 */

import { TableError } from "../protocol/error.ts";
import { EXPIRY_PAUSE_MS, STALL_MS } from "../protocol/limits.ts";
import type { AddReply, GetReply, PutRequest, Reply, Request } from "../protocol/message.ts";
import { parseRequest } from "../protocol/parse.ts";
import type { Runtime, Timer } from "../runtime/runtime.ts";
import type { Connection } from "./connection.ts";
import { Fifo } from "../util/fifo.ts";
import { Patience } from "../runtime/patience.ts";
import { Waiters } from "../util/waiters.ts";

/** Fewer than any client may ask that is read no further. */
const EXPIRED_AT_A_TIME = 8;

/** Why a request has no answer. */
export type Failure = "unsent" | "silent" | "lost";

/** A request on its way, and what becomes of it. */
export abstract class Asked {
  /** What is sent; a text is sent as it is, and where it is no request any reply answers it. */
  abstract readonly request: Request | string;
  /** When it fails, by the monotonic clock in milliseconds. */
  deadline = 0;
  /** Whether it was handed to a connection. */
  sent = false;
  /** Whether it was answered or has failed. */
  settled = false;

  /** Takes the answer, in order; it may come after {@linkcode failed} with `"silent"`. */
  abstract answered(reply: Reply): void;

  /**
   * It was not answered: `unsent`, no connection until its deadline; `silent`, sent and not answered
   * until then; `lost`, sent on a connection that has ended, whether or not it was `silent` before.
   */
  abstract failed(why: Failure): void;
}

/** Requests in order over one connection at a time, each sent at most once. */
export class RequestQueue {
  readonly #timeoutMs: number;
  readonly #runtime: Runtime;
  #connection: Connection | undefined;
  #closed = false;
  readonly #waiting = new Fifo<Asked>();
  readonly #sent = new Fifo<Asked>();
  /** All that are not settled, the oldest first; and some that are. */
  readonly #byDeadline = new Fifo<Asked>();
  readonly #waiters = new Waiters();
  #timer: Timer | undefined;
  #patience: Patience | undefined;
  /** Whether the last timer came so late that this process must have stood still. */
  #stalled = false;

  /** @param timeoutMs How long a request may take, from the moment it is asked. */
  constructor(timeoutMs: number, runtime: Runtime) {
    this.#runtime = runtime;
    this.#timeoutMs = timeoutMs;
  }

  /** How many were sent and have no answer. */
  get outstanding(): number {
    return this.#sent.length;
  }

  /** Takes a connection to send on; what waits is sent at once. */
  attach(connection: Connection): void {
    this.#connection = connection;
    // Those that are not taken wait again, behind all of these.
    for (const asked of [...this.#waiting.drain()]) {
      if (!asked.settled) this.#send(asked);
    }
  }

  /** The connection has ended: what was sent and not answered is lost. */
  detach(): void {
    this.#connection = undefined;
    for (const asked of this.#sent.drain()) {
      asked.settled = true;
      asked.failed("lost");
    }
    this.#trim();
  }

  /**
   * Sends a request, or lets it wait for a connection.
   *
   * @param now The moment, by the monotonic clock: whoever asks several at once reads it once.
   */
  ask(asked: Asked, now: number): void {
    if (this.#closed) return this.#fail(asked, "unsent");
    asked.deadline = now + this.#timeoutMs;
    this.#byDeadline.push(asked);
    this.#arm();
    this.again(asked);
  }

  /** Sends a request in place of one that was answered in time; its deadline stays. */
  again(asked: Asked): void {
    asked.settled = false;
    if (this.#connection === undefined) this.#waiting.push(asked);
    else this.#send(asked);
  }

  /**
   * Takes a reply for the first request that was sent and has none.
   *
   * @throws {TableError} 400 if none was sent, or the reply does not answer it.
   */
  answer(reply: Reply): void {
    const asked = this.#sent.first;
    if (asked === undefined) throw new TableError(400, `${reply.op} answers no request`);
    if (!answers(asked.request, reply)) {
      throw new TableError(400, `${reply.op} does not answer what was asked`);
    }
    this.#sent.shift();
    asked.settled = true;
    asked.answered(reply);
    this.#trim();
  }

  /** Resolves when nothing waits for an answer any more. */
  idle(): Promise<void> {
    this.#trim();
    return this.#waiters.until(() => this.#byDeadline.length === 0);
  }

  /** Resolves when fewer than `count` are outstanding; `undefined` where they are now. */
  room(count: number): Promise<void> | undefined {
    if (this.outstanding < count) return undefined;
    return this.#waiters.until(() => this.outstanding < count);
  }

  /** Fails all that waits, all that was sent, and all that is asked from now on. */
  close(): void {
    this.#closed = true;
    this.detach();
    for (const asked of this.#waiting.drain()) {
      if (!asked.settled) this.#fail(asked, "unsent");
    }
    this.#trim();
    this.#runtime.clearTimer(this.#timer);
    this.#patience?.end();
    this.#timer = this.#patience = undefined;
  }

  #send(asked: Asked): void {
    const connection = this.#connection!, { request } = asked;
    const taken = typeof request === "string"
      ? connection.sendLine(request)
      : connection.send(request);
    // A connection that is broken may still bring answers, and waits for no more.
    if (!taken) return void this.#waiting.push(asked);
    asked.sent = true;
    this.#sent.push(asked);
  }

  #fail(asked: Asked, why: Failure): void {
    asked.settled = true;
    asked.failed(why);
  }

  #trim(): void {
    while (this.#byDeadline.first?.settled) this.#byDeadline.shift();
    while (this.#waiting.first?.settled) this.#waiting.shift();
    // All was answered, so this process has got on.
    if (this.#byDeadline.length === 0) this.#stalled = false;
    this.#waiters.look();
  }

  /**
   * One timer is enough: all have the same time, so the oldest is the first to fail. It comes four
   * times in that time, so that it is known for how long this process has stood still.
   */
  #arm(): void {
    const first = this.#byDeadline.first;
    if (this.#timer !== undefined || this.#patience !== undefined || first === undefined) return;
    const now = this.#runtime.now();
    const ms = Math.min(first.deadline - now, this.#timeoutMs / 4);
    const due = now + Math.max(EXPIRY_PAUSE_MS, ms);
    this.#timer = this.#runtime.setTimer(() => {
      this.#timer = undefined;
      this.#look(this.#runtime.now() - due);
      this.#arm();
    }, due - now);
  }

  /** Looks for those whose time is over, by a timer that came so late. */
  #look(lateMs: number): void {
    const now = this.#runtime.now();
    this.#stalled = lateMs >= STALL_MS && !this.#stalled;
    // What was asked just before this process stood still may not even have left it, so that time does
    // not count; not twice in a row, or a process that never gets on would wait for ever.
    if (this.#stalled) {
      for (const asked of this.#byDeadline) {
        asked.deadline = Math.min(asked.deadline + lateMs, now + this.#timeoutMs);
      }
    }
    this.#trim();
    const first = this.#byDeadline.first;
    if (first === undefined || first.deadline > now) return;
    const connection = this.#connection;
    // What was not sent has no answer that could have come.
    if (connection === undefined) return this.#expire(now);
    this.#patience = new Patience(
      this.#runtime,
      0,
      (due) => this.#expire(due),
      () => connection.reads,
    );
  }

  /**
   * Fails those whose time was over then, a few at a time. A client that is read no further, since the
   * server has not answered what it asked, is told more than once then: where it is gone, the first
   * write says that to nobody, and the second fails.
   */
  #expire(due: number): void {
    this.#patience = undefined;
    this.#trim();
    for (let i = 0; i < EXPIRED_AT_A_TIME; i++) {
      const asked = this.#byDeadline.first;
      if (asked === undefined || asked.deadline > due) break;
      this.#byDeadline.shift();
      if (!asked.settled) this.#fail(asked, asked.sent ? "silent" : "unsent");
    }
    this.#trim();
    const next = this.#byDeadline.first;
    if (next === undefined || this.#closed) return;
    if (next.deadline <= due) {
      this.#patience = new Patience(this.#runtime, 0, () => this.#expire(due));
    } else this.#arm();
  }
}

function answers(request: Request | string, reply: Reply): boolean {
  if (reply.op === "ERR") return true;
  if (typeof request === "string") {
    const parsed = parseRequest(request);
    return parsed.op === "ERR" || answers(parsed, reply);
  }
  if (reply.op !== request.op) return false;
  switch (request.op) {
    case "GET":
    case "ADD":
      return same(request.ind, (reply as GetReply | AddReply).ind);
    case "PUT": {
      const { ind, data } = reply as PutRequest;
      return same(request.ind, ind) && same(request.data, data);
    }
    default:
      return true;
  }
}

function same(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
