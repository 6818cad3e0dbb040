/**
 * The three programs as child processes, each under its task's permissions.
 *
 * @module
 */

import { dirname } from "node:path";
import { ChildProgram, command } from "../../lib/cli/child.ts";
import { type Addresses, packageFlags, type ProgramName } from "../../lib/cli/permissions.ts";
import type { TaskName } from "../../lib/cli/program_command.ts";
import { HOUR_MS, within } from "./within.ts";

export { command, ROOT } from "../../lib/cli/child.ts";

/** The flags that `airgap/pick.ts` would give: those under which this test runs itself. */
export const PICKED = packageFlags();

/** What a person types for the Deno that runs this test. */
export const DENO = Deno.execPath().includes("_npx") ? `npx deno@${Deno.version.deno}` : "deno";

/** How a program is run, where it is not by its task. */
export interface How {
  /** The addresses that it is allowed, in place of its task's. */
  addresses?: Addresses;
  /** What is run in place of the program's file: a compiled one, say. */
  command?: readonly string[];
  /** What is written to its standard input, which is otherwise empty. */
  stdin?: string;
}

/** What came of a program that ran to its end. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
export async function run(program: ProgramName, args: string[], how: How = {}): Promise<Ran> {
  await using child = new Child([...how.command ?? command(program, how.addresses), ...args]);
  await child.write(how.stdin ?? "");
  const { code } = await child.ended(`${program} ${args.join(" ")} to end`);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/**
 * The arguments with a time that no test outlives for a flag that they do not give: how long a busy
 * machine takes must not be seen.
 */
function patient(flag: string, args: string[]): string[] {
  return args.some((arg) => arg.startsWith(flag)) ? args : [flag, `${HOUR_MS}`, ...args];
}

/** Runs a client to its end, with the permission to reach `proxy`; it waits for every answer. */
export function client(proxy: string, args: string[], stdin: string = ""): Promise<Ran> {
  const all = ["--proxy", proxy, ...patient("--timeout", args)];
  return run("client", all, { addresses: { proxy }, stdin });
}

/** Starts a server on a free port, which keeps its table in memory; its leases outlast the test. */
export function startServer(...args: string[]): Promise<RunningNode> {
  return start("server", ["--port", "0", "--memory", ...patient("--lease", args)], {
    addresses: { listen: "127.0.0.1:0" },
  });
}

/** Starts a server that keeps its table in a file, on a free port unless `args` say otherwise. */
export function startServerOn(file: string, ...args: string[]): Promise<RunningNode> {
  const port = args.includes("--port") ? [] : ["--port", "0"];
  return start("server", [...port, "--data", file, ...args], { addresses: onFile(file) });
}

/** What a server needs that keeps its table in a file. */
export function onFile(file: string): Addresses {
  // Every port: the one that a server had is asked for again.
  return { listen: "127.0.0.1", folder: dirname(file) };
}

/** Starts a proxy of `server` on a free port; it waits for every answer. */
export function startProxy(server: string, ...args: string[]): Promise<RunningNode> {
  return start("proxy", ["--port", "0", "--server", server, ...patient("--timeout", args)], {
    addresses: { listen: "127.0.0.1:0", server },
  });
}

/** Starts a node, and waits until it says where it listens. */
export async function start(
  program: ProgramName,
  args: string[],
  how: How = {},
): Promise<RunningNode> {
  const child = new Child([...how.command ?? command(program, how.addresses), ...args]);
  return await listening(child, `${program} ${args.join(" ")}`);
}

/** Starts a node by its task, and waits until it says where it listens. */
export function startTask(program: "server" | "proxy", ...args: string[]): Promise<RunningNode> {
  return listening(new Task(program, ...args), `deno task ${program} ${args.join(" ")}`);
}

/** Waits until a node says where it listens. */
async function listening(child: Child, what: string): Promise<RunningNode> {
  try {
    await child.until(
      () => child.stdout.includes("\n"),
      `${what} to say where it listens`,
    );
    const match = /^halfway-(?:server|proxy) listening on (\S+)\n$/.exec(child.stdout);
    if (match === null) throw new Error(`${what} printed ${JSON.stringify(child.stdout)}`);
    return Object.assign(child, { address: match[1]! });
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}

/** A node that listens. */
export type RunningNode = Child & { readonly address: string };

/** A child process, ended with the test that started it. */
export class Child implements AsyncDisposable {
  /** What it has written so far. */
  stdout = "";
  /** The same of standard error. */
  stderr = "";
  readonly #child: ChildProgram;
  readonly #reading: Promise<unknown>;
  #told = Promise.withResolvers<void>();
  #status: Deno.CommandStatus | undefined;

  /** Starts it, with standard input open; `closeStdout`: nobody reads what it writes. */
  constructor(command: readonly string[], options: { closeStdout?: boolean } = {}) {
    this.#child = new ChildProgram(command, {
      stdin: true,
      env: { NO_COLOR: "1" },
      ...options.closeStdout ? {} : { stdout: (text) => this.#tell(this.stdout += text) },
      stderr: (text) => this.#tell(this.stderr += text),
    });
    this.#reading = this.#child.ended.then((status) => this.#tell(this.#status = status));
  }

  /** The sentences that it has logged; a line that is no log line stands there whole. */
  get logged(): string[] {
    const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z halfway-(?:server|proxy): /;
    return this.stderr.split("\n").slice(0, -1).map((line) => line.replace(form, ""));
  }

  /** Its number. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Resolves when `reached` holds; it is looked at whenever the child has written something. */
  async until(reached: () => boolean, what: string): Promise<void> {
    while (!reached()) {
      if (this.#status !== undefined) {
        throw new Error(`Waited for ${what}: it ended ${this.#status.code}, ${this.stderr}`);
      }
      await within(this.#told.promise, `${what}; it wrote ${this.stdout}${this.stderr}`);
    }
  }

  /** Resolves when it has written all that it will, and ended. */
  async ended(what: string = "the program to end"): Promise<Deno.CommandStatus> {
    await within(this.#reading, what);
    return this.#status!;
  }

  /** Writes to its standard input, which stays open. */
  async writeMore(text: string): Promise<void> {
    await this.#child.write(text);
  }

  /** Writes to its standard input, and closes that. */
  async write(text: string): Promise<void> {
    try {
      if (text !== "") await this.writeMore(text);
      await this.#child.closeStdin();
    } catch (error) {
      // It may have ended without reading all of it.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.signal(signal);
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.signal("SIGKILL");
    await this.#child.abortStdin();
    await within(this.#reading, "a killed program to be gone");
  }

  #tell(_what: unknown): void {
    this.#told.resolve();
    this.#told = Promise.withResolvers();
  }
}

/** A task of deno.json, run as a person runs it; told to end, it ends what it has started. */
export class Task extends Child {
  /** Starts it. */
  constructor(name: TaskName, ...args: string[]) {
    super([Deno.execPath(), "task", name, ...args]);
  }

  /** Ends it in order, if it has not ended. */
  override async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.signal("SIGTERM");
      await this.ended();
    } catch {
      // It has ended.
    }
    await super[Symbol.asyncDispose]();
  }
}
