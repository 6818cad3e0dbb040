/**
 * One connection: lines in, lines out.
 *
 * @module
 */

import type { ConnectionEnds, EventSink, Role } from "../events.ts";
import { format } from "../protocol/format.ts";
import { LINGER_MS, MAX_UNSENT_BYTES } from "../protocol/limits.ts";
import type { Reply, Request } from "../protocol/message.ts";
import type { Runtime, Socket } from "../runtime/runtime.ts";
import { formatAddress } from "./address.ts";
import { lineEnd, lineStream } from "./framing.ts";
import { Outgoing } from "./outgoing.ts";
import { Unterminated } from "./unterminated.ts";
import { Patience } from "../runtime/patience.ts";
import { Waiters } from "../util/waiters.ts";

/** A SUB that asks for a lease, and the answer that grants it. */
const SUBSCRIBES = /^OP=SUB;(?:DATA=[0-9]+,[0-9]+;)?$/;

/** Messages over one TCP connection. */
export class Connection {
  /** What the other side is. */
  peerRole: Role;
  /** Until when a lease runs on it, by the monotonic clock; a SUB before then renews it. */
  leaseEnd = -Infinity;
  readonly #role: Role;
  readonly #socket: Socket;
  /** What it runs on. */
  readonly runtime: Runtime;
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #rest = new Unterminated(this);
  readonly #events: EventSink | undefined;
  #ends: ConnectionEnds | undefined;
  readonly #outgoing: Outgoing;
  #reads = 0;
  #reading = false;
  /** Waiting for room, or for all to be sent. */
  readonly #waiters = new Waiters();
  readonly #unlessGone = new Set<() => void>();
  #stopped = false;
  #peerEnded = false;
  #lingers = true;
  /** Whether nothing is sent any more. */
  #closed = false;
  /** Whether the socket is given back. */
  #released = false;
  /** The first thing that went wrong, which its reader is told. */
  #failure: unknown;
  /** Why it ends, for `events`. */
  #why: string | undefined;
  /** For the reader's end, once a write has failed. */
  #patience: Patience | undefined;

  /** Takes a connection over; `role` is this side, `peerRole` the other, for `events`. */
  constructor(
    socket: Socket,
    runtime: Runtime,
    role: Role,
    peerRole: Role,
    events: EventSink | undefined,
  ) {
    this.#socket = socket;
    this.runtime = runtime;
    this.#role = role;
    this.peerRole = peerRole;
    this.#events = events;
    this.#reader = lineStream(socket, this.#rest).getReader();
    this.#outgoing = new Outgoing(socket, {
      moved: () => this.#waiters.look(),
      failed: (error) => this.#broken(error),
    });
    // Whom a node accepts is at first a client to it, and nobody connects to one.
    const direction = peerRole === "client" ? "in" : "out";
    events?.({ type: "connected", ...this.ends, direction });
  }

  /** Both sides, as events name them. */
  get ends(): ConnectionEnds {
    if (this.#ends?.peer === this.peerRole) return this.#ends;
    this.#ends = {
      node: this.#role,
      address: formatAddress(this.#socket.local),
      peer: this.peerRole,
      peerAddress: formatAddress(this.#socket.remote),
    };
    return this.#ends;
  }

  /** Whether it was closed, or found broken. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves with `work`, or when this is closed or found broken. */
  orGone(work: Promise<void>): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      // Not a race: that would leave a trace of each work behind for as long as this is open.
      this.#unlessGone.add(resolve);
      work.then(() => {
        this.#unlessGone.delete(resolve);
        resolve();
      });
    });
  }

  /** The length of what was sent and not yet taken by the socket, in bytes if all is ASCII. */
  get unsent(): number {
    return this.#outgoing.length;
  }

  /** How many bytes the socket has taken. */
  get taken(): number {
    return this.#outgoing.taken;
  }

  /** A sentence on what did not come; with what came instead, where that is no line. */
  andRest(sentence: string): string {
    return this.#rest.bytes === 0 ? sentence : `${sentence}: ${this.#rest}`;
  }

  /**
   * Has `say` told of this connection and in a sentence, once at most, where bytes that are no line are
   * the last, or nothing follows them for a moment.
   */
  watchRest(say: (connection: Connection, sentence: string) => void): void {
    this.#rest.tell = (bytes, sentence) => {
      this.#events?.({ type: "unterminated", ...this.ends, bytes });
      say(this, sentence);
    };
  }

  /** Whether more would be read now, if it came. */
  get reading(): boolean {
    return this.#reading;
  }

  /** How often lines were read. */
  get reads(): number {
    return this.#reads;
  }

  /**
   * Reads the next lines: as one text, each with its newline.
   *
   * @returns The lines, or `undefined` at the end.
   * @throws {TableError} If the framing is broken.
   * @throws {Error} If the connection is: with the first error, or with why it was closed here.
   */
  async read(): Promise<string | undefined> {
    let value;
    this.#reading = true;
    try {
      ({ value } = await this.#reader.read());
    } catch (error) {
      // What a close does to a read that waits says nothing of why it was closed.
      throw this.#failure ??= this.#released ? new Error("this side closed the connection") : error;
    } finally {
      this.#reading = false;
    }
    this.#reads++;
    if (value === undefined && !this.#stopped) {
      this.#peerEnded = true;
      if (this.#failure !== undefined) throw this.#failure;
      this.because("the other side ended it");
    }
    return value;
  }

  /** Notes why it is about to end; what was noted first stays. */
  because(why: string): void {
    this.#why ??= why;
  }

  /** Reads no more: a read that waits ends as if the other side had. */
  async stopReading(why: string): Promise<void> {
    this.because(why);
    this.#stopped = true;
    this.#rest.forget();
    try {
      await this.#reader.cancel();
    } catch {
      // The stream had failed, which its reader is told.
    }
  }

  /**
   * Sends a message after those before it; all that is sent without an `await` between leaves in one
   * write. After a failure nothing more is sent; what has come is still read, and then its reader
   * learns of the failure.
   *
   * @returns Whether it is on its way.
   */
  send(message: Request | Reply): boolean {
    return !this.#closed && this.sendLine(format(message));
  }

  /** Sends a line that has no newline yet; otherwise as {@linkcode send}. */
  sendLine(line: string): boolean {
    if (this.#closed) return false;
    if (this.#events !== undefined) this.#tell(line, "out");
    this.#outgoing.add(line);
    return true;
  }

  /** Resolves when there is room to send more; `undefined` where there is now. */
  room(): Promise<void> | undefined {
    if (this.unsent <= MAX_UNSENT_BYTES) return undefined;
    return this.#waiters.until(() => this.unsent <= MAX_UNSENT_BYTES);
  }

  /** Where the line of what was read ends that begins at `start`; tells of it. */
  lineEnd(lines: string, start: number): number {
    const end = lineEnd(lines, start);
    if (this.#events !== undefined) {
      this.#tell(lines.slice(start, end).replace(/\r$/, ""), "in");
    }
    return end;
  }

  /** Calls `take` for each line of what was read. */
  eachLine(lines: string, take: (start: number, end: number) => void): void {
    for (let start = 0, end; start < lines.length; start = end + 1) {
      end = this.lineEnd(lines, start);
      take(start, end);
    }
  }

  #tell(line: string, direction: "in" | "out"): void {
    const renewal = SUBSCRIBES.test(line) && this.runtime.now() < this.leaseEnd;
    this.#events!({ type: "message", ...this.ends, direction, line, renewal });
  }

  /** Reads no more, says one last thing, and ends without waiting for the other side to do so. */
  dismiss(message: Reply): void {
    this.#lingers = false;
    this.send(message);
    this.stopReading("this side ended it");
  }

  /**
   * Closes in order: what was sent leaves, then the other side is told that no more will come, then,
   * for a moment, what it still sends is read and thrown away, since a socket that is closed with
   * unread bytes takes back what it sent.
   */
  async end(): Promise<void> {
    await this.#waiters.until(() => this.unsent === 0);
    try {
      if (!this.#closed) {
        await this.#socket.closeWrite();
        if (this.#lingers && !this.#peerEnded) await this.#linger();
      }
    } catch {
      // The other side has closed already.
    }
    this.close();
  }

  /**
   * Closes at once; what was not sent is lost.
   *
   * @param why What its reader is told, where nothing else had gone wrong before.
   */
  close(why: string = "this side closed the connection"): void {
    if (this.#released) return;
    this.#released = true;
    this.#failure ??= new Error(why);
    this.because(why);
    this.#patience?.end();
    this.#rest.forget();
    this.#sendNoMore();
    this.#socket.close();
    // A read that waits is refused by the close; nobody may be left to hear it.
    this.#reader.closed.catch(() => {});
    this.#events?.({ type: "disconnected", ...this.ends, why: this.#why! });
  }

  /** A write has failed. What the other side said before is still to be read. */
  #broken(error: Error): void {
    if (this.#closed) return;
    this.#failure ??= error;
    this.because(error.message);
    this.#sendNoMore();
    this.#patience = new Patience(this.runtime, LINGER_MS, () => this.close());
  }

  #sendNoMore(): void {
    this.#closed = true;
    this.#outgoing.drop();
    this.#waiters.look();
    for (const resolve of this.#unlessGone) resolve();
  }

  async #linger(): Promise<void> {
    const patience = new Patience(this.runtime, LINGER_MS, () => this.close());
    try {
      await this.stopReading("this side ended it");
      const scrap = new Uint8Array(4096);
      while (await this.#socket.read(scrap) !== null);
    } finally {
      patience.end();
    }
  }
}
