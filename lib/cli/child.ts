/**
 * Programs of this project as child processes, each in its task's sandbox.
 *
 * @module
 */

import { type Addresses, packageFlags, permissionFlags, type ProgramName } from "./permissions.ts";

/** Where deno.json is. */
export const ROOT = new URL("../../", import.meta.url);

/** The command that runs a program in its sandbox, without the program's own arguments. */
export function command(program: ProgramName, addresses: Addresses = {}): string[] {
  return [
    Deno.execPath(),
    "run",
    ...packageFlags(),
    ...permissionFlags(program, addresses),
    `${program}.ts`,
  ];
}

/** Options of a {@linkcode ChildProgram}. */
export interface ChildOptions {
  /** Whether its standard input can be written to; otherwise that is empty. */
  readonly stdin?: boolean;
  /** Whether the signals of this process's terminal do not reach it. */
  readonly detached?: boolean;
  /** Variables of its environment, beside this process's. */
  readonly env?: Record<string, string>;
  /** Takes what it writes to standard output; without it nobody reads that. */
  readonly stdout?: (text: string) => void;
  /** Takes what it writes to standard error; without it nobody reads that. */
  readonly stderr?: (text: string) => void;
}

/** A child process that runs where deno.json is. */
export class ChildProgram {
  /** Its number. */
  readonly pid: number;
  /** Resolves when it has ended, and all that it wrote was taken, to how it ended. */
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;

  /** Starts it. */
  constructor([path, ...args]: readonly string[], options: ChildOptions) {
    const { stdin = false, detached = false, env = {} } = options;
    this.#process = new Deno.Command(path!, {
      args,
      cwd: ROOT,
      detached,
      env,
      stdin: stdin ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { pid, stdout, stderr, status } = this.#process;
    this.pid = pid;
    this.#stdin = stdin ? this.#process.stdin.getWriter() : undefined;
    const all = [status, taken(stdout, options.stdout), taken(stderr, options.stderr)] as const;
    this.ended = Promise.all(all).then(([status]) => status);
  }

  /** Writes to its standard input, which stays open. */
  async write(text: string): Promise<void> {
    await this.#stdin?.write(new TextEncoder().encode(text));
  }

  /** Closes its standard input. */
  async closeStdin(): Promise<void> {
    await this.#stdin?.close();
  }

  /** Throws away what was not yet written to its standard input. */
  async abortStdin(): Promise<void> {
    await this.#stdin?.abort().catch(() => {});
    await this.#stdin?.closed.catch(() => {});
  }

  /** Sends it a signal, if it has not ended. */
  signal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended.
    }
  }
}

async function taken(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  take: ((text: string) => void) | undefined,
): Promise<void> {
  if (take === undefined) return await stream.cancel();
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}
