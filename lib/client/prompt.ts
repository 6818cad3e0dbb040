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
import { UNPRINTABLE } from "../protocol/visible.ts";
import type { Reply } from "../protocol/message.ts";
import { ANY_LINE, type Command, commandLine, commandsText, TABLE_COMMANDS } from "./commands.ts";
import { Screen, TypedLines } from "./terminal.ts";

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
