/**
 * Raw TCP for tests: what is sent and what comes back are literal text, and nothing of the project
 * stands between.
 *
 * @example A line there and a line back
 * ```ts ignore
 * await using wire = await Wire.connect(server.address);
 * await wire.send("OP=GET;IND=1;\n");
 * assertEquals(await wire.line(), "OP=GET;IND=1;DATA=0;");
 * await wire.endWriting();
 * assertEquals(await wire.rest(), ""); // no stray byte, and the node has closed
 * ```
 *
 * @module
 */

import { within } from "./within.ts";

/** An address at which nobody listens: that port is none that a system gives away. */
export const NOBODY = "127.0.0.1:1";

/**
 * Listens where another has listened just now. Its port may have gone to some other process for a
 * while.
 *
 * @param listen Tries to; it fails, one way or another, where the address is in use.
 */
export function listenAgain<T>(listen: () => T | Promise<T>): Promise<T> {
  const listening = async () => {
    while (true) {
      try {
        return await listen();
      } catch (error) {
        if (!/in use/i.test(String(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  };
  return within(listening(), "the address to be free");
}

/** Where connections are made: the machine's own network, or a simulated one. */
export interface Net {
  /** Listens on a port; 0 is any that is free. */
  listen(port: number): Deno.TcpListener;
  /** Connects to `host:port`. */
  connect(address: string): Promise<Deno.TcpConn>;
}

const LOOPBACK: Net = {
  listen: (port) => Deno.listen({ hostname: "127.0.0.1", port }),
  connect(address) {
    const colon = address.lastIndexOf(":");
    const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
    return Deno.connect({ hostname, port: Number(address.slice(colon + 1)) });
  },
};

const NEWLINE = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One end of a TCP connection. Every wait is limited, and says what it waited for. */
export class Wire implements AsyncDisposable {
  /** The connection below, for what the methods here do not do. */
  readonly conn: Deno.TcpConn;
  /** What was read and not handed on yet. */
  #unread = new Uint8Array(0);
  /** How much of {@linkcode #unread} is known to hold no newline. */
  #searched = 0;
  #closed = false;

  /** Takes a connection over. */
  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  /** Connects to `host:port`. */
  static async connect(address: string, net: Net = LOOPBACK): Promise<Wire> {
    const conn = await within(net.connect(address), `a connection to ${address}`);
    // So that several small sends leave as several small pieces, at once.
    conn.setNoDelay(true);
    return new Wire(conn);
  }

  /** Sends text as UTF-8, or bytes, exactly as they are: a line needs its own newline. */
  async send(text: string | Uint8Array): Promise<void> {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    await within(
      (async () => {
        for (let at = 0; at < bytes.length;) at += await this.conn.write(bytes.subarray(at));
      })(),
      `${bytes.length} bytes to be sent: ${excerpt(bytes)}`,
    );
  }

  /**
   * The next line, without its newline.
   *
   * @throws {Error} If the other side closes before a whole line has come.
   */
  line(): Promise<string> {
    return within(this.#line(), "a line");
  }

  /** All that still comes, up to the end of the other side's bytes. */
  rest(): Promise<string> {
    return within(this.#rest(), "the other side to close");
  }

  /** Says that nothing more will be sent, and goes on reading: a half-close. */
  async endWriting(): Promise<void> {
    await within(this.conn.closeWrite(), "the half-close");
  }

  /** Closes at once; a second time it does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.conn.close();
  }

  /** {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #line(): Promise<string> {
    let end: number;
    while ((end = this.#unread.indexOf(NEWLINE, this.#searched)) < 0) {
      this.#searched = this.#unread.length;
      if (await this.#read()) continue;
      throw new Error(`The other side closed before a whole line: ${excerpt(this.#unread)}`);
    }
    const line = decoder.decode(this.#unread.subarray(0, end));
    this.#unread = this.#unread.subarray(end + 1);
    this.#searched = 0;
    return line;
  }

  async #rest(): Promise<string> {
    while (await this.#read());
    const rest = decoder.decode(this.#unread);
    this.#unread = new Uint8Array(0);
    this.#searched = 0;
    return rest;
  }

  /** Reads once; whether anything came. */
  async #read(): Promise<boolean> {
    const buffer = new Uint8Array(64 * 1024);
    const count = await this.conn.read(buffer);
    if (count === null) return false;
    const longer = new Uint8Array(this.#unread.length + count);
    longer.set(this.#unread);
    longer.set(buffer.subarray(0, count), this.#unread.length);
    this.#unread = longer;
    return true;
  }
}

/** The listening side, on a free port: with it a test plays a server, or any other node. */
export class FakeServer implements AsyncDisposable {
  /** Where it listens, `host:port`. */
  readonly address: string;
  readonly #listener: Deno.TcpListener;
  readonly #accepted: Wire[] = [];

  private constructor(listener: Deno.TcpListener) {
    this.#listener = listener;
    this.address = `${listener.addr.hostname}:${listener.addr.port}`;
  }

  /** Listens on `port`, or on any that is free. */
  static listen(port: number = 0, net: Net = LOOPBACK): FakeServer {
    return new FakeServer(net.listen(port));
  }

  /** The next connection that is made to it; closed with the fake server, if not before. */
  async accept(): Promise<Wire> {
    const conn = await within(this.#listener.accept(), `a connection to ${this.address}`);
    conn.setNoDelay(true);
    const wire = new Wire(conn);
    this.#accepted.push(wire);
    return wire;
  }

  /** Takes no more connections; those taken stay. */
  stopListening(): void {
    try {
      this.#listener.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** Closes the listener and every connection taken. */
  [Symbol.asyncDispose](): Promise<void> {
    this.stopListening();
    for (const wire of this.#accepted) wire.close();
    return Promise.resolve();
  }
}

/** The head of some bytes, for an error. */
function excerpt(bytes: Uint8Array): string {
  const head = new TextDecoder().decode(bytes.subarray(0, 80));
  return JSON.stringify(head) + (bytes.length > 80 ? "…" : "");
}
