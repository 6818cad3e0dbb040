/**
 * One end of a connection of bytes in a simulated network.
 *
 * @module
 */

import type { Address, FailureKind, Socket } from "../runtime/runtime.ts";
import type { Random } from "./random.ts";

/** A failure of the simulated network, named and worded as Deno's are. */
export class SimulatedError extends Error {
  /** Its kind. */
  readonly kind: FailureKind;

  /** Makes one. */
  constructor(name: string, message: string, kind: FailureKind = "other") {
    super(message);
    this.name = name;
    this.kind = kind;
  }
}

/** Nobody listens there. */
export const refused = (): SimulatedError =>
  new SimulatedError("ConnectionRefused", "Connection refused (os error 111)");
const reset = () =>
  new SimulatedError("ConnectionReset", "Connection reset by peer (os error 104)");
const brokenPipe = () => new SimulatedError("BrokenPipe", "Broken pipe (os error 32)");
/** What was closed here. */
export const closed = (): SimulatedError => new SimulatedError("BadResource", "Bad resource ID");

/** How a network behaves. */
export interface NetworkOptions {
  /** The least and the greatest delay of what is sent, one way, in milliseconds; 0 at least. */
  readonly latencyMs: readonly [least: number, most: number];
  /** How many bytes a connection takes, in one direction, before they are read; 1 at least. */
  readonly windowBytes: number;
  /** How many bytes a millisecond carries, in one direction of a connection; more than 0. */
  readonly bytesPerMs: number;
  /** How likely, from 0 to 1, a read or a write is of just a piece of what it could be of. */
  readonly pieces: number;
}

/** Whose end it is: a process, as far as the network knows it. */
export interface Owner {
  /** The host of its addresses. */
  readonly host: string;
  /** Whether it was killed: it learns of nothing any more. */
  readonly dead: boolean;
  /** Calls `run` in the process, now or when it runs again. */
  deliver(run: () => void): void;
  /** Has `close` called when it is killed; the function that is returned takes that back. */
  whenKilled(close: () => void): () => void;
}

/** The network, as far as an end knows it. */
export interface Carrier {
  /** How it behaves. */
  readonly options: NetworkOptions;
  /** Chance, of the world. */
  readonly random: Random;
  /** Told of all bytes that are sent, as they are sent. */
  readonly heard: ((from: Address, to: Address, bytes: Uint8Array) => void) | undefined;
  /**
   * Calls `arrive` when what is sent now from one host to another is there, not before `notBefore`.
   *
   * @returns When that will be, unless the way is cut.
   */
  carry(from: string, to: string, bytes: number, notBefore: number, arrive: () => void): number;
  /** An end is closed. */
  forget(end: object): void;
}

/** One end of a connection. */
export class End implements Socket {
  readonly local: Address;
  readonly remote: Address;
  /** The other end. */
  peer!: End;
  readonly #network: Carrier;
  readonly #process: Owner;
  readonly #noLonger: () => void;
  /** What has come and was not read. */
  readonly #received: Uint8Array[] = [];
  /** How many bytes were taken from the writer and not yet read at the other end. */
  #underWay = 0;
  /** When the last of what was sent arrives: nothing overtakes it. */
  #lastArrival = 0;
  /** Whether the other side has said that no more will come. */
  #ended = false;
  /** Whether this side has. */
  #finished = false;
  #closed = false;
  #broken: Error | undefined;
  #reading:
    | { buffer: Uint8Array; resolve: (n: number | null) => void; reject: (e: Error) => void }
    | undefined;
  #writing:
    | { bytes: Uint8Array; resolve: (n: number) => void; reject: (e: Error) => void }
    | undefined;

  /** Makes one that is connected to nobody yet. */
  constructor(network: Carrier, process: Owner, local: Address, remote: Address) {
    this.#network = network;
    this.#process = process;
    this.local = local;
    this.remote = remote;
    this.#noLonger = process.whenKilled(() => this.close());
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#reading = { buffer, resolve, reject };
      this.#wakeReader();
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#writing = { bytes, resolve, reject };
      this.#wakeWriter();
    });
  }

  closeWrite(): Promise<void> {
    if (this.#closed) return Promise.reject(closed());
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    this.#finish();
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#noLonger();
    this.#network.forget(this);
    // Whoever closes with bytes unread takes back what was sent, as far as it was not read.
    if (this.#received.length > 0) this.#send(0, () => this.peer.#reset());
    else this.#finish();
    // A process that was killed learns of nothing.
    if (!this.#process.dead) {
      this.#reading?.reject(closed());
      this.#writing?.reject(closed());
    }
    this.#reading = this.#writing = undefined;
  }

  /** This end learns that the connection is broken. */
  break(): void {
    this.#send(0, () => this.peer.#reset());
    this.#reset();
  }

  #finish(): void {
    if (this.#finished || this.#broken !== undefined) return;
    this.#finished = true;
    this.#send(0, () => {
      this.peer.#ended = true;
      this.peer.#wakeReader();
    });
  }

  #send(bytes: number, arrive: () => void): void {
    this.#lastArrival = this.#network.carry(
      this.local.host,
      this.remote.host,
      bytes,
      this.#lastArrival,
      arrive,
    );
  }

  #reset(): void {
    if (this.#closed || this.#broken !== undefined) return;
    this.#broken = reset();
    // What had come may be lost with it.
    if (this.#network.random.chance(0.5)) this.#received.length = 0;
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** Bytes have come. */
  #arrive(bytes: Uint8Array): void {
    if (this.#closed) {
      this.#send(0, () => this.peer.#reset());
      return;
    }
    if (this.#broken !== undefined) return;
    this.#received.push(bytes);
    this.#wakeReader();
  }

  #wakeReader(): void {
    if (this.#reading === undefined) return;
    if (this.#closed) return this.#reading.reject(closed());
    if (this.#received.length === 0 && !this.#ended && this.#broken === undefined) return;
    this.#process.deliver(() => {
      const reading = this.#reading;
      if (reading === undefined) return;
      const first = this.#received[0];
      if (first === undefined && !this.#ended && this.#broken === undefined) return;
      this.#reading = undefined;
      if (first === undefined) {
        if (this.#broken !== undefined) reading.reject(this.#broken);
        else reading.resolve(null);
        return;
      }
      reading.resolve(this.#take(reading.buffer));
    });
  }

  /** Moves what was received into the buffer: all that fits, or a piece. */
  #take(buffer: Uint8Array): number {
    const { random, options: { pieces } } = this.#network;
    const most = random.chance(pieces) ? 1 + random.below(buffer.length) : buffer.length;
    let count = 0;
    for (let first; count < most && (first = this.#received[0]) !== undefined;) {
      const part = first.subarray(0, most - count);
      buffer.set(part, count);
      count += part.length;
      if (part.length === first.length) this.#received.shift();
      else this.#received[0] = first.subarray(part.length);
    }
    const { peer } = this;
    // The window opens again when the other side hears of it.
    this.#network.carry(this.local.host, this.remote.host, 0, 0, () => {
      peer.#underWay -= count;
      peer.#wakeWriter();
    });
    return count;
  }

  #wakeWriter(): void {
    const writing = this.#writing;
    if (writing === undefined) return;
    const failure = this.#closed ? closed() : this.#finished ? brokenPipe() : this.#broken;
    const { random, options: { pieces, windowBytes } } = this.#network;
    const room = windowBytes - this.#underWay;
    if (failure === undefined && room <= 0) return;
    this.#writing = undefined;
    if (failure !== undefined) return this.#process.deliver(() => writing.reject(failure));
    const whole = Math.min(room, writing.bytes.length);
    const count = random.chance(pieces) ? 1 + random.below(whole) : whole;
    const bytes = writing.bytes.slice(0, count);
    this.#underWay += count;
    this.#network.heard?.(this.local, this.remote, bytes);
    this.#send(count, () => this.peer.#arrive(bytes));
    this.#process.deliver(() => writing.resolve(count));
  }
}
