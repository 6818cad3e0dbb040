/**
 * A relay between two nodes, that can be cut.
 *
 * @module
 */

import { parseAddress } from "../../lib/wire/address.ts";

/** Which way bytes go: towards the node that is relayed to, or back. */
export type Direction = "there" | "back";

/** Forwards connections to a node, byte for byte, until they are cut. */
export class Relay implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: string;
  readonly #links = new Set<Link>();
  readonly #accepting: Promise<void>;

  /** Listens on a free port for connections to `target`. */
  constructor(target: string) {
    this.#target = target;
    this.#accepting = this.#accept();
  }

  /** Where it listens, `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** From now on nothing passes this way on the present connections, and nobody is told. */
  mute(direction: Direction): void {
    for (const link of this.#links) link.muted.add(direction);
  }

  /** Closes the present connections. */
  cut(): void {
    for (const link of this.#links) link.close();
  }

  /** Closes all. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    await this.#accepting;
    await Promise.all([...this.#links].map((link) => link.ended));
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      const { host, port } = parseAddress(this.#target);
      let far;
      try {
        far = await Deno.connect({ hostname: host, port });
      } catch {
        near.close();
        continue;
      }
      const link = new Link(near, far);
      this.#links.add(link);
      link.ended.then(() => this.#links.delete(link));
    }
  }
}

class Link {
  readonly muted = new Set<Direction>();
  readonly ended: Promise<unknown>;
  readonly #ends: Deno.TcpConn[];

  constructor(near: Deno.TcpConn, far: Deno.TcpConn) {
    this.#ends = [near, far];
    this.ended = Promise.all([this.#pump(near, far, "there"), this.#pump(far, near, "back")])
      .then(() => this.close());
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end.close();
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn, direction: Direction): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        for (let at = 0; at < count && !this.muted.has(direction);) {
          at += await to.write(buffer.subarray(at, count));
        }
      }
      if (!this.muted.has(direction)) await to.closeWrite();
    } catch {
      this.close();
    }
  }
}
