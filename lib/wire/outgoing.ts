/**
 * What is to be sent on a connection: gathered, encoded, and written in order.
 *
 * @module
 */

import type { Socket } from "../runtime/runtime.ts";
import { Fifo } from "../util/fifo.ts";
import { END } from "./framing.ts";

const encoder = new TextEncoder();
/** Buffers that no write is using. A write keeps one to its end, so there are several. */
const spareBuffers: Uint8Array[] = [];
const MAX_SPARE_BUFFERS = 64;
const SPARE_BUFFER_BYTES = 16 * 1024;
/** Text that waits is encoded when it is longer, in UTF-16 units. */
const MAX_TEXT_UNITS = 64 * 1024;
/** In UTF-8 a UTF-16 unit takes three bytes at most. */
const MAX_BYTES_PER_UNIT = 3;

/** Told of the writing. */
export interface OutgoingListener {
  /** A write has ended: some may have been taken. */
  moved(): void;
  /** A write has failed. */
  failed(error: Error): void;
}

/** Lines on their way into a socket. All that is added without an `await` between leaves in one write. */
export class Outgoing {
  readonly #socket: Socket;
  readonly #listener: OutgoingListener;
  /** The last lines that were added. */
  #text = "";
  /** What stands before them, encoded: text that waits is made of many parts, and takes more memory. */
  readonly #encoded = new Fifo<Uint8Array>();
  #encodedLength = 0;
  /** How much of what was handed to the socket it has not taken. */
  #writingLength = 0;
  #taken = 0;
  #flushing: Promise<void> | undefined;

  /** Nothing is to be sent at first. */
  constructor(socket: Socket, listener: OutgoingListener) {
    this.#socket = socket;
    this.#listener = listener;
  }

  /** The length of what the socket has not taken, in bytes if all is ASCII. */
  get length(): number {
    return this.#text.length + this.#encodedLength + this.#writingLength;
  }

  /** How many bytes the socket has taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Adds a line, which has no newline yet. */
  add(line: string): void {
    this.#text += line;
    this.#text += END;
    if (this.#text.length > MAX_TEXT_UNITS) this.#encode();
    // Begun behind a microtask, so that the rest of a batch comes with it.
    this.#flushing ??= Promise.resolve().then(() => this.#flush());
  }

  /** Forgets what was not handed to the socket. */
  drop(): void {
    this.#text = "";
    for (const _ of this.#encoded.drain());
    this.#encodedLength = this.#writingLength = 0;
  }

  #encode(): void {
    const bytes = encoder.encode(this.#text);
    this.#text = "";
    this.#encoded.push(bytes);
    this.#encodedLength += bytes.length;
  }

  async #flush(): Promise<void> {
    while (this.length > 0) {
      let spare: Uint8Array | undefined;
      if (this.#encoded.length === 0) {
        if (this.#text.length * MAX_BYTES_PER_UNIT > SPARE_BUFFER_BYTES) this.#encode();
        else spare = spareBuffers.pop() ?? new Uint8Array(SPARE_BUFFER_BYTES);
      }
      let rest: Uint8Array;
      if (spare === undefined) {
        rest = this.#encoded.shift()!;
        this.#encodedLength -= rest.length;
      } else {
        rest = spare.subarray(0, encoder.encodeInto(this.#text, spare).written);
        this.#text = "";
      }
      this.#writingLength = rest.length;
      try {
        while (rest.length > 0) {
          const count = await this.#socket.write(rest);
          this.#taken += count;
          this.#writingLength -= count;
          rest = rest.subarray(count);
        }
      } catch (error) {
        this.#listener.failed(error as Error);
      }
      this.#writingLength = 0;
      if (spare !== undefined && spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(spare);
      this.#listener.moved();
    }
    this.#flushing = undefined;
  }
}
