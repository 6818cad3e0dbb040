/**
 * The connecting side of a connection.
 *
 * @module
 */

import type { EventSink, Role } from "../events.ts";
import { parseAddress } from "./address.ts";
import { Connection } from "./connection.ts";
import { withDescriptor } from "./descriptors.ts";
import { Patience } from "./patience.ts";

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
}

/**
 * Connects.
 *
 * @param address `host:port`.
 * @throws {TypeError} If the address is none.
 * @throws {Deno.errors.NotCapable} If the sandbox forbids it.
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there.
 * @throws {Error} If there is no connection within the time, or for another reason.
 */
export async function connect(address: string, options: ConnectOptions): Promise<Connection> {
  const { host, port } = parseAddress(address);
  const connecting = new AbortController();
  const stop = () => connecting.abort(new Error("the connecting was ended"));
  const patience = new Patience(
    options.timeoutMs,
    () => connecting.abort(new Error(`no connection within ${options.timeoutMs} ms`)),
  );
  options.signal?.addEventListener("abort", stop);
  try {
    if (options.signal?.aborted) stop();
    const { signal } = connecting;
    const conn = await withDescriptor(() => Deno.connect({ hostname: host, port, signal }));
    if (meetsItself(conn)) {
      conn.close();
      throw new Deno.errors.ConnectionRefused("Connection refused (the socket met itself)");
    }
    return newConnection(conn, options);
  } catch (error) {
    throw connecting.signal.aborted ? connecting.signal.reason : error;
  } finally {
    patience.end();
    options.signal?.removeEventListener("abort", stop);
  }
}

/**
 * Whether a socket is its own peer. One that connects to a free port of those that the system gives
 * out may be given that port as its own: TCP's simultaneous open then connects it to itself, and the
 * echo of a write would be the right reply to it.
 */
function meetsItself({ localAddr, remoteAddr }: Deno.TcpConn): boolean {
  return localAddr.port === remoteAddr.port && localAddr.hostname === remoteAddr.hostname;
}

function newConnection(conn: Deno.TcpConn, options: ConnectOptions): Connection {
  try {
    return new Connection(conn, options.role, options.peerRole, options.events);
  } catch (error) {
    // Reset before its options could be set.
    conn.close();
    throw error;
  }
}
