/**
 * A node in a process and a sandbox of its own, which may end at any moment.
 *
 * @module
 */

import { ChildProgram, command } from "../lib/cli/child.ts";
import type { NodeEvent } from "../lib/events.ts";
import { formatAddress } from "../lib/wire/address.ts";
import { readTraceJson } from "../lib/observe/trace_json.ts";
import { HOST, SHUTDOWN_MS } from "../lib/protocol/limits.ts";

/** How long a node that is told to end may take, in milliseconds, before it is killed. */
const END_LIMIT_MS = SHUTDOWN_MS + 2000;
/** How often a port is chosen that somebody else then takes first. */
const PORT_ATTEMPTS = 5;

/** What a node is started with beside its port. */
export interface NodeSpec {
  /** Its further flags. */
  readonly args: readonly string[];
  /** What it is allowed beside listening: the address of a server, the folder of a file. */
  readonly addresses: { readonly server?: string; readonly folder?: string };
}

/** Told of what a node does. */
export interface Watcher {
  /** Something has happened at it. */
  event(node: Node, event: NodeEvent): void;
  /** It has logged a line. */
  logged(node: Node, line: string): void;
  /** It has ended, though nobody told it to; `how` is a sentence's end. */
  died(node: Node, how: string): void;
}

/** A node. */
export class Node {
  readonly program: "server" | "proxy";
  /** The port that was asked for. */
  readonly wantedPort: number;
  readonly #spec: () => NodeSpec;
  readonly #watcher: Watcher;
  #port: number;
  #child: ChildProgram | undefined;
  #ending = false;
  #lastWords = "";

  /** Makes one that is not started; `spec` is asked whenever it is. */
  constructor(
    program: "server" | "proxy",
    wantedPort: number,
    watcher: Watcher,
    spec: () => NodeSpec,
  ) {
    this.program = program;
    this.wantedPort = this.#port = wantedPort;
    this.#watcher = watcher;
    this.#spec = spec;
  }

  /** Where it listens, or did. */
  get port(): number {
    return this.#port;
  }

  /** The same with the host. */
  get address(): string {
    return formatAddress({ host: HOST, port: this.#port });
  }

  /** What it is called: `proxy 6001`. */
  get name(): string {
    return `${this.program} ${this.#port}`;
  }

  /** The number of its process; `undefined` where it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Starts it the first time, on its port or, where that is taken, on one that is free.
   *
   * @throws {Error} If it ends before it listens.
   */
  async start(): Promise<void> {
    for (let attempt = 1;; attempt++) {
      this.#port = freePort(this.wantedPort);
      try {
        return await this.startAgain();
      } catch (error) {
        const isTaken = freePort(this.#port) !== this.#port;
        if (this.#ending || !isTaken || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Starts it, on the port that it had.
   *
   * @throws {Error} If it ends before it listens.
   */
  async startAgain(): Promise<void> {
    if (this.#ending) throw new Error(`the ${this.name} is to end`);
    const { args, addresses } = this.#spec();
    this.#lastWords = "";
    let listening = false;
    const listens = Promise.withResolvers<void>();
    /** What it logs before it listens, which is why it does not, where it does not. */
    const early: string[] = [];
    const log = (line: string) => {
      // Without its own name, and the time before that.
      this.#lastWords = line.replace(/^.*?halfway-\w+: /, "");
      if (listening) this.#watcher.logged(this, this.#lastWords);
      else early.push(this.#lastWords);
    };
    const child = new ChildProgram([
      ...command(this.program, { ...addresses, listen: this.address }),
      ...["--port", String(this.#port), "--trace=json", "--until-eof", ...args],
    ], {
      // Only this process tells it to end, and in which order; it ends with this process at the latest.
      detached: true,
      stdin: true,
      stdout: () => {
        listening = true;
        for (const line of early.splice(0)) this.#watcher.logged(this, line);
        listens.resolve();
      },
      stderr: lines((line) => {
        const event = readTraceJson(line);
        if (event === undefined) log(line);
        else this.#watcher.event(this, event);
      }),
    });
    this.#child = child;
    child.ended.then(({ code, signal }) => {
      this.#child = undefined;
      const how = signal === null ? `with status ${code}` : `by ${signal}`;
      const words = this.#lastWords;
      listens.reject(new Error(`the ${this.name} did not start: ${words || `it ended ${how}`}`));
      if (!listening || this.#ending) return;
      this.#watcher.died(this, words === "" ? how : `${how}; its last words: ${words}`);
    });
    await listens.promise;
  }

  /**
   * Ends it in order, and kills it where that takes too long.
   *
   * @returns Whether it had to be killed.
   */
  async end(): Promise<boolean> {
    this.#ending = true;
    const child = this.#child;
    if (child === undefined) return false;
    child.signal("SIGTERM");
    // One that was stopped is to end, too.
    if (Deno.build.os !== "windows") child.signal("SIGCONT");
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      child.signal("SIGKILL");
    }, END_LIMIT_MS);
    await child.ended;
    clearTimeout(timer);
    return killed;
  }

  /** Ends it on the spot. */
  kill(): void {
    this.#ending = true;
    this.#child?.signal("SIGKILL");
  }
}

/** `wanted`, or any other port where somebody listens there. */
function freePort(wanted: number): number {
  try {
    return listenedAt(wanted);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    return listenedAt(0);
  }
}

function listenedAt(port: number): number {
  using listener = Deno.listen({ hostname: HOST, port });
  return listener.addr.port;
}

/** Calls `take` for each whole line of what comes in pieces. */
function lines(take: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const parts = `${rest}${text}`.split("\n");
    rest = parts.pop()!;
    parts.forEach(take);
  };
}
