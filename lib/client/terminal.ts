/**
 * Standard input and output of a prompt, as `node:readline` wants them.
 *
 * @module
 */

import { Readable, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";

/** Bytes typed ahead at which no more are read for now. */
const MAX_TYPED_AHEAD_BYTES = 64 * 1024;

const NO_BYTES = new Uint8Array(0);
const NEWLINE = 10, CARRIAGE_RETURN = 13, CTRL_C = 3;

/** Standard input, handed on line by line: what follows a line waits until it may go on. */
export class TypedLines extends Readable {
  readonly #terminal: boolean;
  readonly #interrupted: () => void;
  /** What was read and not handed on. */
  #ahead: Uint8Array = NO_BYTES;
  #holding = true;
  #handingOn = false;
  #ended = false;
  #stopped = false;
  /** Told when some of what was read is handed on, or dropped. */
  #moved: () => void = () => {};
  readonly #restore = () => this.setRawMode(false);

  /** @param interrupted Told of a Ctrl-C that comes while a line is in hand. */
  constructor(terminal: boolean, interrupted: () => void) {
    super();
    this.#terminal = terminal;
    this.#interrupted = interrupted;
  }

  /** Begins to read. */
  async start(): Promise<void> {
    try {
      for await (const bytes of Deno.stdin.readable) {
        if (this.#stopped) return;
        this.#takeIn(bytes);
        while (this.#ahead.length > MAX_TYPED_AHEAD_BYTES && !this.#stopped) {
          await new Promise<void>((resolve) => this.#moved = resolve);
        }
      }
    } catch {
      // The terminal is gone: nothing more will come.
    }
    this.#ended = true;
    this.#handOn();
  }

  /** Hands nothing on until {@linkcode goOn}. */
  hold(): void {
    this.#holding = true;
  }

  /** Hands the next line on, now or when it comes. */
  goOn(): void {
    this.#holding = false;
    this.#handOn();
  }

  /** Hands nothing on any more. */
  stop(): void {
    this.#stopped = true;
    this.#moved();
  }

  /** Called by readline: raw while it reads, as it was afterwards, in whatever way the program ends. */
  setRawMode(raw: boolean): this {
    try {
      Deno.stdin.setRaw(raw);
    } catch {
      // The terminal is gone.
    }
    if (raw) addEventListener("unload", this.#restore);
    else removeEventListener("unload", this.#restore);
    return this;
  }

  /** Nothing to do: what is typed comes by itself. */
  override _read(): void {}

  #takeIn(bytes: Uint8Array): void {
    const cut = this.#terminal ? bytes.lastIndexOf(CTRL_C) : -1;
    if (cut >= 0) {
      // As a terminal does that is not raw: what was typed ahead is dropped.
      this.#ahead = NO_BYTES;
      bytes = bytes.subarray(this.#holding ? cut + 1 : cut);
      if (this.#holding) this.#interrupted();
    }
    const ahead = new Uint8Array(this.#ahead.length + bytes.length);
    ahead.set(this.#ahead);
    ahead.set(bytes, this.#ahead.length);
    this.#ahead = ahead;
    this.#handOn();
  }

  async #handOn(): Promise<void> {
    if (this.#handingOn) return;
    this.#handingOn = true;
    while (!this.#holding && !this.#stopped && this.#ahead.length > 0) {
      const end = this.#ahead.findIndex((byte) => byte === NEWLINE || byte === CARRIAGE_RETURN) + 1;
      const line = this.#ahead.subarray(0, end || undefined);
      this.#ahead = this.#ahead.subarray(line.length);
      this.push(line);
      this.#moved();
      // Readline has it in this turn of the event loop, or in the next where it completes a word.
      await setImmediate();
    }
    this.#handingOn = false;
    if (this.#ended && !this.#holding && this.#ahead.length === 0) this.push(null);
  }
}

/** Standard output, as readline wants it. */
export class Screen extends Writable {
  readonly #terminal: boolean;
  readonly #write: (text: string) => void;
  readonly #resized = () => this.emit("resize");

  /** Makes one that writes by `write`, and knows its size where it is a terminal. */
  constructor(terminal: boolean, write: (text: string) => void) {
    super({ decodeStrings: false });
    this.#terminal = terminal;
    this.#write = write;
    if (terminal && Deno.build.os !== "windows") {
      Deno.addSignalListener("SIGWINCH", this.#resized);
    }
  }

  /** How wide it is, in characters. */
  get columns(): number | undefined {
    return this.#terminal ? Deno.consoleSize().columns : undefined;
  }

  /** No longer looks at the size. */
  stop(): void {
    if (this.#terminal && Deno.build.os !== "windows") {
      Deno.removeSignalListener("SIGWINCH", this.#resized);
    }
  }

  /** Writes what readline gives. */
  override _write(text: string, _encoding: string, done: (error?: Error) => void): void {
    try {
      this.#write(text);
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}
