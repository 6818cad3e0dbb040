/**
 * A process of the benchmark, ended with it.
 *
 * @module
 */

import { lines } from "./lines.ts";

/** Where deno.json is. */
const ROOT = new URL("../", import.meta.url);

/** How long a process is waited for, in milliseconds, before the benchmark gives up. */
const PATIENCE_MS = 30_000;

/** The children that have not ended, so that a signal can end them. */
const running = new Set<Child>();

/** Ends all that were started, at once. */
export function killAll(): void {
  for (const child of running) child.kill();
}

/** A child process. */
export class Child implements AsyncDisposable {
  /** What it is called in errors. */
  readonly name: string;
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncGenerator<string> | undefined;
  #ended = false;

  /** Starts it; `mute`: what it prints is thrown away. */
  constructor(
    name: string,
    command: readonly string[],
    options: { mute?: boolean; cwd?: string } = {},
  ) {
    const { mute = false, cwd } = options;
    this.name = name;
    this.#process = new Deno.Command(command[0]!, {
      args: command.slice(1),
      cwd: cwd ?? ROOT,
      stdin: "piped",
      stdout: mute ? "null" : "piped",
      stderr: mute ? "null" : "inherit",
    }).spawn();
    running.add(this);
    this.#stdin = this.#process.stdin.getWriter();
    this.#lines = mute ? undefined : lines(this.#process.stdout);
    this.#process.status.then(() => {
      this.#ended = true;
      running.delete(this);
    });
  }

  /** Starts a module of this folder that needs no more than loopback. */
  static module(file: string, ...args: string[]): Child {
    const command = [Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1"];
    return new Child(file, [...command, `bench/${file}`, ...args]);
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    let timer;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} said nothing for ${PATIENCE_MS} ms`)),
        PATIENCE_MS,
      );
    });
    try {
      const { value, done } = await Promise.race([this.#lines!.next(), late]);
      if (done) throw new Error(`${this.name} has ended`);
      return value;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes a line to its standard input. */
  async send(line: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Ends it at once. */
  kill(signal: Deno.Signal = "SIGKILL"): void {
    if (!this.#ended) this.#process.kill(signal);
  }

  /** Asks it to end, and waits until it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close().catch(() => {});
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill(), 2_000);
    await this.#process.status;
    clearTimeout(timer);
    await this.#lines?.return(undefined);
  }
}
