/**
 * The runtime of a node on Deno.
 *
 * @module
 */

import type { Address, FailureKind, Listening, Runtime, Socket, Timer } from "./runtime.ts";

/** What accept says of a peer that had gone before it was taken. */
const GONE = ["ConnectionAborted", "ConnectionReset", "NotConnected"];

/** Deno's clocks, timers, chance and connections. Nothing of Deno is touched before it is used. */
export const denoRuntime: Runtime = {
  now: () => performance.now(),
  wallClock: () => Date.now(),
  setTimer: (callback, ms): Timer => setTimeout(callback, ms),
  clearTimer(timer): void {
    if (timer instanceof Reading) timer.end();
    else clearTimeout(timer as number | undefined);
  },
  afterReading: (callback): Timer => new Reading(callback),
  random: () => Math.random(),
  listen: ({ host, port }) => new DenoListening(Deno.listen({ hostname: host, port }), host),
  async connect({ host, port }, signal): Promise<Socket> {
    const socket = new DenoSocket(await Deno.connect({ hostname: host, port, signal }));
    if (meetsItself(socket)) {
      socket.close();
      throw new Deno.errors.ConnectionRefused("Connection refused (the socket met itself)");
    }
    return socket;
  },
  kindOf(error): FailureKind {
    const { name, code } = error as { name?: string; code?: string };
    if (code === "EMFILE" || code === "ENFILE") return "full";
    if (name === "NotCapable") return "forbidden";
    return GONE.includes(name ?? "") ? "gone" : "other";
  },
};

/** Immediate callbacks between which ready sockets are looked for, once at least. */
const STEPS_PER_LOOK = 64;
/** Looks that one ready socket needs, up to what is done with what was read; and one to spare. */
const LEAST_LOOKS = 4;
/** Sockets that are read after one look. Half of what is, for those that are not known here. */
const SOCKETS_PER_LOOK = 64;

/** Connections that are open in this process. */
let open = 0;

/**
 * The event loop goes round until every socket that has something is read.
 *
 * How often? The runtime below the event loop (tokio) asks the system which sockets are ready when it
 * has nothing else to do, and after every 61 steps otherwise; then it reads up to 128 of them. An
 * immediate callback is at most one a step, so a number of them is a proof that all this has happened.
 * A number of timers is not: several may run between two looks at the sockets.
 */
class Reading {
  #steps = STEPS_PER_LOOK * (LEAST_LOOKS + Math.ceil(open / SOCKETS_PER_LOOK));
  #ended = false;

  constructor(callback: () => void) {
    const step = () => {
      if (this.#ended) return;
      if (this.#steps-- > 0) setImmediate(step);
      else callback();
    };
    step();
  }

  end(): void {
    this.#ended = true;
  }
}

/**
 * Whether a socket is its own peer. One that connects to a free port of those that the system gives
 * out may be given that port as its own: TCP's simultaneous open then connects it to itself, and the
 * echo of a write would be the right reply to it.
 */
function meetsItself({ local, remote }: Socket): boolean {
  return local.port === remote.port && local.host === remote.host;
}

class DenoSocket implements Socket {
  readonly #conn: Deno.TcpConn;
  readonly local: Address;
  readonly remote: Address;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.local = addressOf(conn.localAddr);
    this.remote = addressOf(conn.remoteAddr);
    try {
      // A reply is one small write, which must not wait for the acknowledgement of the one before.
      conn.setNoDelay(true);
      // A peer that vanishes without a word must not keep its place for ever.
      conn.setKeepAlive(true);
    } catch (error) {
      // Reset before its options could be set.
      conn.close();
      throw error;
    }
    open++;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return this.#conn.read(buffer);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    open--;
    this.#conn.close();
  }
}

class DenoListening implements Listening {
  readonly address: Address;
  readonly #listener: Deno.TcpListener;

  constructor(listener: Deno.TcpListener, host: string) {
    this.#listener = listener;
    this.address = { host, port: listener.addr.port };
  }

  async accept(): Promise<Socket> {
    return new DenoSocket(await this.#listener.accept());
  }

  close(): void {
    this.#listener.close();
  }
}

function addressOf({ hostname, port }: Deno.NetAddr): Address {
  return { host: hostname, port };
}
