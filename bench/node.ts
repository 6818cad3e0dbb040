/**
 * A server or a proxy as `mod.ts` makes it, in a process of its own.
 *
 * ```sh
 * deno run --allow-net=127.0.0.1 bench/node.ts '{"server":{"size":10}}'
 * deno run --allow-net=127.0.0.1 bench/node.ts '{"proxy":{"server":"127.0.0.1:6002"}}'
 * ```
 *
 * @module
 */

import { parseAddress } from "../lib/wire/address.ts";
import {
  CacheProxy,
  type CacheProxyOptions,
  TableServer,
  type TableServerOptions,
} from "../mod.ts";
import { ready } from "./ready.ts";

/** Which node, with which options. */
export type NodeSpec = { readonly server: TableServerOptions } | {
  readonly proxy: CacheProxyOptions;
};

async function main(): Promise<void> {
  const spec: NodeSpec = JSON.parse(Deno.args[0]!);
  const node = "server" in spec
    ? await TableServer.listen({ port: 0, ...spec.server })
    : await CacheProxy.listen({ port: 0, ...spec.proxy });
  await ready(parseAddress(node.address).port);
}

if (import.meta.main) await main();
