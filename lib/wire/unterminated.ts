/**
 * What a connection has brought that is no line yet, and when somebody is to be told of it.
 *
 * @module
 */

import { UNTERMINATED_MS } from "../protocol/limits.ts";
import { Patience } from "../runtime/patience.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Rest } from "./framing.ts";

/** The connection, as far as it matters here. */
export interface Reading {
  /** What it runs on. */
  readonly runtime: Runtime;
  /** Whether more would be read now, if it came. */
  readonly reading: boolean;
  /** How often lines were read. */
  readonly reads: number;
}

/** Bytes without a newline behind them. */
export class Unterminated implements Rest {
  bytes = 0;
  /** Told in a sentence, once, where they are the last, or nothing follows them for a moment. */
  tell: ((bytes: number, sentence: string) => void) | undefined;
  readonly #connection: Reading;
  #patience: Patience | undefined;

  /** There are none at first. */
  constructor(connection: Reading) {
    this.#connection = connection;
  }

  /** {@linkcode Rest.left}. */
  left(): void {
    if (this.tell !== undefined) this.#patience ??= this.#wait();
  }

  /** {@linkcode Rest.ended}. */
  ended(): void {
    const { tell } = this;
    if (tell === undefined) return;
    this.forget();
    tell(this.bytes, `${this}`);
  }

  /** Nobody is told any more. */
  forget(): void {
    this.#patience?.end();
    this.tell = undefined;
  }

  /** For people. */
  toString(): string {
    return `${this.bytes} ${this.bytes === 1 ? "byte" : "bytes"} came and no newline`;
  }

  /** Waits for more, as long as something comes. */
  #wait(): Patience {
    const { bytes } = this, { reads, runtime } = this.#connection;
    return new Patience(runtime, UNTERMINATED_MS, () => {
      this.#patience = undefined;
      if (this.bytes === 0) return;
      const { reading, reads: now } = this.#connection;
      if (this.bytes === bytes && now === reads && reading) this.ended();
      else this.left();
    });
  }
}
