/**
 * A server and two proxies of it, started and ended together.
 *
 * @module
 */

import { folderOf } from "../lib/util/path.ts";
import { PROXY_PORT, SERVER_PORT } from "../lib/protocol/limits.ts";
import { Node, type Watcher } from "./node.ts";

/** The port of the second proxy. */
export const SECOND_PROXY_PORT = 6003;

/** The nodes: the proxies end first, since they give their leases back to the server. */
export class Nodes {
  /** The server. */
  readonly server: Node;
  /** The proxies. */
  readonly proxies: readonly Node[];
  #ending: Promise<Node[]> | undefined;

  /** Makes them; none is started. `data` is the server's file, `undefined` for a table in memory. */
  constructor(data: string | undefined, watcher: Watcher) {
    this.server = new Node("server", SERVER_PORT, watcher, () => ({
      args: data === undefined ? ["--memory"] : ["--data", data],
      addresses: { folder: data === undefined ? "" : folderOf(data) },
    }));
    this.proxies = [PROXY_PORT, SECOND_PROXY_PORT].map((port) =>
      new Node("proxy", port, watcher, () => {
        const { address: server } = this.server;
        return { args: ["--server", server], addresses: { server } };
      })
    );
  }

  /** All, the server first. */
  get all(): readonly Node[] {
    return [this.server, ...this.proxies];
  }

  /**
   * Starts them; resolves when all listen.
   *
   * @throws {Error} If one ends before it does.
   */
  async start(): Promise<void> {
    await this.server.start();
    await Promise.all(this.proxies.map((proxy) => proxy.start()));
  }

  /** Ends all that run, in order; resolves to those that had to be killed. */
  end(): Promise<Node[]> {
    return this.#ending ??= this.#end();
  }

  /** Ends all on the spot. */
  kill(): void {
    for (const node of this.all) node.kill();
  }

  async #end(): Promise<Node[]> {
    const end = async (node: Node) => await node.end() ? [node] : [];
    const proxies = await Promise.all(this.proxies.map(end));
    return [...proxies.flat(), ...await end(this.server)];
  }
}
