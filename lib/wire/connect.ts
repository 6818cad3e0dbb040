/**
 * The connecting side of a connection.
 *
 * @module
 */

import type { EventSink, Role } from "../events.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import { withDescriptor } from "./descriptors.ts";
import { Patience } from "../runtime/patience.ts";

/** Who connects to whom. */
export interface ConnectOptions {
  /** What this side is. */
  readonly role: Role;
  /** What the other side is. */
  readonly peerRole: Role;
  /** How long connecting may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the connecting. */
  readonly signal?: AbortSignal;
  /** Told of what happens on the connection. */
  readonly events: EventSink | undefined;
  /** What it connects by. */
  readonly runtime: Runtime;
}

/**
 * Connects.
 *
 * @param address `host:port`.
 * @throws {TypeError} If the address is none.
 * @throws {Error} If nobody listens there, the sandbox forbids it, or there is no connection within
 * the time: what the runtime throws.
 */
export async function connect(address: string, options: ConnectOptions): Promise<Connection> {
  const remote = parseAddress(address);
  const { runtime, role, peerRole, events } = options;
  const connecting = new AbortController();
  const stop = () => connecting.abort(new Error("the connecting was ended"));
  const patience = new Patience(
    runtime,
    options.timeoutMs,
    () => connecting.abort(new Error(`no connection within ${options.timeoutMs} ms`)),
  );
  options.signal?.addEventListener("abort", stop);
  try {
    if (options.signal?.aborted) stop();
    const { signal } = connecting;
    const socket = await withDescriptor(runtime, () => runtime.connect(remote, signal));
    return new Connection(socket, runtime, role, peerRole, events);
  } catch (error) {
    throw connecting.signal.aborted ? connecting.signal.reason : error;
  } finally {
    patience.end();
    options.signal?.removeEventListener("abort", stop);
  }
}
