/**
 * The nodes that are measured: processes with a port.
 *
 * @module
 */

import type { CacheProxyOptions, TableServerOptions } from "../mod.ts";
import { Child } from "./child.ts";
import type { NodeSpec } from "./node.ts";

/** A node that listens. */
export interface Node {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Its process id. */
  readonly pid: number;
}

/** Starts nodes, and ends them all when it is disposed of. */
export class Nodes implements AsyncDisposable {
  readonly #children: Child[] = [];

  /** Takes over a child that is to be ended with the others. */
  add(child: Child): void {
    this.#children.push(child);
  }

  /** Starts a bare echo. */
  echo(): Promise<Node> {
    return this.#listening(Child.module("echo.ts"));
  }

  /** Starts a server that grants no leases. */
  leaseless(): Promise<Node> {
    return this.#listening(Child.module("leaseless.ts"));
  }

  /** Starts a server. */
  server(options: TableServerOptions): Promise<Node> {
    if (options.data === undefined) return this.#node({ server: options });
    const folder = options.data.replace(/[^/]*$/, "");
    return this.#node({ server: options }, `--allow-read=${folder}`, `--allow-write=${folder}`);
  }

  /** Starts a proxy of `server`. */
  proxy(server: Node, options: CacheProxyOptions): Promise<Node> {
    return this.#node({ proxy: { server: `127.0.0.1:${server.port}`, ...options } });
  }

  #node(spec: NodeSpec, ...permissions: string[]): Promise<Node> {
    const command = [Deno.execPath(), "run", "--no-prompt", "--allow-net=127.0.0.1"];
    const args = [...command, ...permissions, "bench/node.ts", JSON.stringify(spec)];
    return this.#listening(new Child("node.ts", args));
  }

  async #listening(child: Child): Promise<Node> {
    this.add(child);
    return { port: Number(await child.line()), pid: child.pid };
  }

  /** Ends them all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
  }
}
