/**
 * What every node that listens may be told.
 *
 * @module
 */

import { type EventSink, guardLog, guardSink, type Role } from "../events.ts";
import { HOST, MAX_CONNECTIONS, MAX_TIMEOUT_MS } from "../protocol/limits.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { ListenerOptions } from "./listener.ts";
import { isHost } from "./address.ts";
import { checkOption, checkTypes, current, optionError } from "../util/options.ts";

/** Options of a node that listens. */
export interface NodeOptions {
  /**
   * The host to listen on.
   *
   * @default {"127.0.0.1"}
   */
  host?: string;
  /**
   * The port to listen on; 0 for any that is free.
   *
   * @default {6002 for a server, 6001 for a proxy}
   */
  port?: number;
  /**
   * How many connections are taken at a time; one more is answered 429 and closed.
   *
   * @default {1024}
   */
  maxConnections?: number;
  /**
   * After how long without a whole line, in milliseconds, at most twice that, a connection is closed
   * that waits for no answer; a session with a running lease is not idle.
   *
   * @default {never}
   */
  idleTimeoutMs?: number;
  /**
   * Told of everything that happens at this node, where it happens and in that order: in the middle of
   * a step, so that it must return at once and call nothing of the node. What it throws is logged, the
   * first time, and breaks nothing.
   */
  events?: EventSink | undefined;
  /**
   * What the node needs of the world: its clocks, timers, chance and connections. In a test it may be
   * a `Process` of `@halfway/halfway/simulate`; what cannot be then fails with an `Error` that is no
   * `Deno.errors`, and has the same `name`.
   *
   * @default {Deno's}
   */
  runtime?: Runtime | undefined;
  /** Told, in a sentence, of what goes wrong and is nobody's answer. */
  log?: (sentence: string) => void;
}

/**
 * The options of a node's listener, checked.
 *
 * @throws {TypeError} If one is not of its type, or the host is none.
 * @throws {RangeError} If one is outside its range.
 */
export function listenerOptions(
  role: Role,
  defaultPort: number,
  options: NodeOptions,
): ListenerOptions {
  checkTypes(options, {
    host: "string",
    port: "number",
    maxConnections: "number",
    idleTimeoutMs: "number",
    events: "function",
    runtime: "object",
    log: "function",
  });
  const { host = HOST, port = defaultPort, maxConnections = MAX_CONNECTIONS } = options;
  if (!isHost(host)) {
    throw optionError(
      new TypeError(`Cannot take host that is no name or IP address: ${current(host)}`),
    );
  }
  checkOption("port", port, 0, 65535);
  checkOption("maxConnections", maxConnections, 1, 1_000_000);
  const { idleTimeoutMs, runtime = denoRuntime } = options, log = guardLog(options.log);
  if (idleTimeoutMs !== undefined) checkOption("idleTimeoutMs", idleTimeoutMs, 1, MAX_TIMEOUT_MS);
  return { role, host, port, maxConnections, events: guardSink(options.events, log), runtime, log };
}
