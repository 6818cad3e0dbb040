/**
 * A program at a terminal: a real pseudo-terminal, whose keyboard and screen the test is.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { Child } from "./program.ts";

/** Ways to give a shell command a terminal: what must succeed where there is one, and the command. */
const WAYS: [check: string[], command: (shell: string) => string[]][] = [
  [
    ["python3", "-c", "import pty"],
    (shell) => ["python3", "-c", "import pty, sys; pty.spawn(sys.argv[1:])", "sh", "-c", shell],
  ],
  [["script", "--version"], (shell) => ["script", "-qec", shell, "/dev/null"]],
];

const inTerminal = WAYS.find(([[path, ...args]]) => {
  try {
    return new Deno.Command(path!, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
})?.[1];

/** Whether a pseudo-terminal can be had here. */
export const HAS_TERMINAL = inTerminal !== undefined;

/** A program at a terminal of its own. */
export class Terminal implements AsyncDisposable {
  readonly #child: Child;
  /** How much of {@linkcode screen} was looked for and found. */
  #seen = 0;

  /** Starts it; what the terminal's settings are before and after, and its status, is written too. */
  constructor(command: readonly string[]) {
    const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
    this.#child = new Child(inTerminal!([
      "export TERM=xterm",
      "stty cols 80 rows 24",
      "before=$(stty -a)",
      // A shell of its own, which the program then takes the place of: its number is known.
      `sh -c 'echo "[pid $$]"; exec "$0" "$@"' ${words}`,
      'echo "[status $?]"',
      '[ "$(stty -a)" = "$before" ] && echo "[terminal as before]"',
    ].join("; ")));
  }

  /** All that was written so far, as text: what moves the cursor is left out. */
  get screen(): string {
    return stripVTControlCharacters(this.#child.stdout).replaceAll("\r", "");
  }

  /** Types keys. */
  async type(keys: string): Promise<void> {
    await this.#child.writeMore(keys);
  }

  /** Waits until `text` is written, behind what was waited for before. */
  async shows(text: string): Promise<void> {
    await this.#child.until(
      () => this.screen.indexOf(text, this.#seen) >= 0,
      `${JSON.stringify(text)} on the screen`,
    );
    this.#seen = this.screen.indexOf(text, this.#seen) + text.length;
  }

  /** Sends the program a signal. */
  async signal(signal: Deno.Signal): Promise<void> {
    await this.#child.until(() => /\[pid \d+\]\n/.test(this.screen), "the program to start");
    Deno.kill(Number(/\[pid (\d+)\]/.exec(this.screen)![1]), signal);
  }

  /** Waits for the end: the program's status, and whether it left the terminal as it was. */
  async ended(): Promise<[status: number, restored: boolean]> {
    await this.#child.ended("the program to end");
    const status = /^\[status (\d+)\]$/m.exec(this.screen)?.[1];
    return [Number(status), this.screen.endsWith("[terminal as before]\n")];
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}
