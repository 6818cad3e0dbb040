/**
 * The prompt: commands from a person at a terminal, with line editing, completion and history.
 *
 * ```text
 *  terminal ─ bytes → TypedLines ─ one line → readline ─ "line" → the command, answered ─┐
 *                         ↑                                                              │
 *                         └───────── the next line, once that one is answered ───────────┘
 * ```
 *
 * What is pasted, or typed ahead, is therefore echoed when its turn comes, and every reply stands
 * under its command. Where standard input or output is no terminal, the same commands are taken from
 * its lines, and each is written out before its reply.
 *
 * @module
 */

import {
  clearScreenDown,
  createInterface,
  cursorTo,
  type Interface,
  moveCursor,
} from "node:readline";
import { Readable, Writable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { UNPRINTABLE } from "../protocol/visible.ts";
import type { Reply } from "../protocol/message.ts";
import { ANY_LINE, type Command, commandLine, commandsText, TABLE_COMMANDS } from "./commands.ts";

/** A command of a prompt that is none of the table's. */
export interface PromptCommand extends Command {
  /** The words that may follow its name, for Tab. */
  readonly words?: readonly string[];
  /**
   * Does it.
   *
   * @param rest What stands behind the name, without the blanks around it.
   * @returns What to say of it, if anything. What it throws ends the prompt.
   */
  readonly run: (rest: string) => string | void | Promise<string | void>;
}

/** Options of a {@linkcode Prompt}. */
export interface PromptOptions {
  /**
   * Has a line answered, by whichever node is asked now; `undefined` where there is no reply, and why
   * was said. What it throws ends the prompt.
   */
  readonly send: (line: string) => Promise<Reply | undefined>;
  /** Shows a reply. */
  readonly show: (reply: Reply) => void;
  /** Writes text to standard output. */
  readonly write: (text: string) => void;
  /**
   * What stands before a line, asked for anew for each.
   *
   * @default {"halfway> "}
   */
  readonly label?: () => string;
  /** Commands beside those of the table, `help`, `quit` and `exit`. */
  readonly commands?: readonly PromptCommand[];
}

/** How many lines the history holds. */
const HISTORY_LINES = 1000;
/** Bytes typed ahead at which no more are read for now. */
const MAX_TYPED_AHEAD_BYTES = 64 * 1024;

/**
 * A prompt on standard input and output.
 *
 * @example Beside the table's commands one of its own
 * ```ts ignore
 * const prompt = new Prompt({
 *   send: (line) => client.send(line),
 *   show: (reply) => print(`${replyForPeople(reply)}\n`),
 *   write: print,
 *   commands: [{ usage: "trace on|off", what: "shows messages", words: ["on", "off"], run: trace }],
 * });
 * client.ended.then((why) => prompt.close(why));
 * await prompt.run();
 * ```
 */
export class Prompt {
  readonly #options: PromptOptions;
  readonly #commands: ReadonlyMap<string, PromptCommand>;
  readonly #terminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  readonly #typed = new TypedLines(this.#terminal, () => this.#interrupt?.());
  readonly #screen: Screen;
  #lines: Interface | undefined;
  /** Resolves when all lines taken so far are answered. */
  #turn = Promise.resolve();
  /** Ends the wait for the command in hand; there is one exactly while no line can be typed. */
  #interrupt: (() => void) | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #over = false;

  /** Makes one; nothing is read or written before {@linkcode run}. */
  constructor(options: PromptOptions) {
    this.#options = options;
    this.#screen = new Screen(this.#terminal, options.write);
    this.#screen.on("error", (error) => this.close(error));
    // That it ended before anybody waited for it is no error of its own.
    this.#ended.promise.catch(() => {});
    const quit = { usage: "quit", what: "ends, as exit and Ctrl-D do", run: () => this.close() };
    const own: PromptCommand[] = [...options.commands ?? [], {
      usage: "help",
      what: "shows this",
      run: () => commandsText([...TABLE_COMMANDS, ANY_LINE, ...own]),
    }, quit];
    this.#commands = new Map([
      ...own.map((command) => [nameOf(command), command] as const),
      ["exit", quit],
    ]);
  }

  /**
   * Takes commands, one after the other, until `quit`, `exit`, Ctrl-D, the end of the input or
   * {@linkcode close}. Ctrl-C clears the line; while a command is in hand, it ends the wait for that
   * and drops what was typed ahead.
   *
   * @throws What {@linkcode PromptOptions.send} or a command threw, or `close` was given.
   */
  async run(): Promise<void> {
    if (!this.#over) this.#begin();
    await this.#ended.promise;
  }

  /** Writes text as lines of their own, above the line that is being typed. */
  say(text: string): void {
    const { write } = this.#options;
    const lines = this.#lines;
    const line = text.endsWith("\n") ? text : `${text}\n`;
    if (lines === undefined || !this.#typing) return write(line);
    moveCursor(this.#screen, 0, -lines.getCursorPos().rows);
    cursorTo(this.#screen, 0);
    clearScreenDown(this.#screen);
    write(line);
    // Nothing is left of the line above this one.
    Object.assign(lines, { prevRows: 0 });
    lines.prompt(true);
  }

  /** Ends it, the terminal as it was before: {@linkcode run} resolves, or throws `error`. */
  close(error?: unknown): void {
    if (this.#over) return;
    const midLine = this.#typing;
    this.#over = true;
    this.#typed.stop();
    this.#lines?.close();
    this.#screen.stop();
    try {
      if (midLine) this.#options.write("\n");
    } catch (failure) {
      error ??= failure;
    }
    if (error === undefined) this.#ended.resolve();
    else this.#ended.reject(error);
  }

  /** Whether a line is being typed, which stands on the screen as far as it is. */
  get #typing(): boolean {
    return this.#terminal && !this.#over && this.#lines !== undefined &&
      this.#interrupt === undefined;
  }

  #begin(): void {
    const lines = createInterface({
      input: this.#typed,
      output: this.#screen,
      terminal: this.#terminal,
      completer: (line: string) => this.#complete(line),
      historySize: HISTORY_LINES,
      // CR and LF are one end of a line, however long the reply takes that comes between them.
      crlfDelay: Infinity,
    });
    lines.on("line", (line) => {
      this.#typed.hold();
      this.#turn = this.#turn.then(() => this.#take(line)).catch((error) => this.close(error));
    });
    lines.on("SIGINT", () => this.#clearLine());
    // Stopping the programs of a terminal needs a permission that this one has not.
    lines.on("SIGTSTP", () => {});
    lines.on("close", () => this.#turn.then(() => this.close()));
    this.#lines = lines;
    this.#next();
    this.#typed.start();
  }

  /** Lets the next line be typed, or takes it if it is there. */
  #next(): void {
    this.#interrupt = undefined;
    if (this.#over) return;
    if (this.#terminal) {
      this.#lines!.setPrompt(this.#label());
      this.#lines!.prompt();
    }
    this.#typed.goOn();
  }

  async #take(line: string): Promise<void> {
    if (this.#over) return;
    if (!this.#terminal) {
      this.#options.write(`${this.#label()}${line.replaceAll(UNPRINTABLE, "\u00b7")}\n`);
    }
    const text = line.trim();
    if (text !== "") {
      const { promise: interrupted, resolve } = Promise.withResolvers<"interrupted">();
      this.#interrupt = () => resolve("interrupted");
      if (await Promise.race([this.#perform(text), interrupted]) === "interrupted") {
        this.say("^C: its reply is not waited for; it may have been done all the same");
      }
    }
    this.#next();
  }

  /** Has one command done, and shows what came of it where that is still waited for. */
  async #perform(text: string): Promise<void> {
    const inHand = this.#interrupt;
    const [word = ""] = text.split(/\s/, 1);
    const command = this.#commands.get(word.toLowerCase());
    if (command !== undefined) {
      const said = await command.run(text.slice(word.length).trim());
      if (typeof said === "string" && said !== "" && inHand === this.#interrupt) this.say(said);
      return;
    }
    const table = commandLine(text);
    if (table.line === undefined) return this.say(`${table.mistake}; "help" shows the commands`);
    const reply = await this.#options.send(table.line);
    if (reply !== undefined && inHand === this.#interrupt) this.#options.show(reply);
  }

  /** As a shell does at Ctrl-C: what was typed stays to be seen, and is not taken. */
  #clearLine(): void {
    const lines = this.#lines!;
    const empty = lines.line === "";
    lines.write(null, { ctrl: true, name: "e" });
    this.#options.write("^C\n");
    if (empty) this.#options.write("Ctrl-D or quit ends\n");
    Object.assign(lines, { line: "", cursor: 0, prevRows: 0 });
    lines.prompt();
  }

  #label(): string {
    return this.#options.label?.() ?? "halfway> ";
  }

  /** What Tab may put for the word before the cursor, and that word. */
  #complete(line: string): [completions: string[], word: string] {
    const word = /\S*$/.exec(line)![0];
    const before = line.slice(0, line.length - word.length).trim();
    const candidates = before === ""
      ? [...TABLE_COMMANDS, ...this.#commands.values(), { usage: "exit" }].map(({ usage }) =>
        // What takes something is completed with the blank before that.
        usage.replace(/ .*/, " ")
      )
      : this.#commands.get(before.toLowerCase())?.words ?? [];
    // In the letter case in which it was begun.
    const isCapital = word !== "" && word === word.toUpperCase();
    const found = candidates.map((each) => isCapital ? each.toUpperCase() : each)
      .filter((each) => each.startsWith(word));
    return [[...new Set(found)], word];
  }
}

function nameOf({ usage }: Command): string {
  return usage.split(" ", 1)[0]!;
}

const NO_BYTES = new Uint8Array(0);
const NEWLINE = 10, CARRIAGE_RETURN = 13, CTRL_C = 3;

/** Standard input, handed on line by line: what follows a line waits until it may go on. */
class TypedLines extends Readable {
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
class Screen extends Writable {
  readonly #terminal: boolean;
  readonly #write: (text: string) => void;
  readonly #resized = () => this.emit("resize");

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

  override _write(text: string, _encoding: string, done: (error?: Error) => void): void {
    try {
      this.#write(text);
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}
