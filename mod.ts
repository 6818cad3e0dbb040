/**
 * A small table of integers that many programs read at memory speed and that never shows anyone an
 * old value: a server that holds it, a proxy that caches half of it, a client, and the same cache
 * inside your own process.
 *
 * @example Three nodes in one process
 * ```ts
 * import { CacheProxy, TableClient, TableServer } from "@halfway/halfway";
 *
 * await using server = await TableServer.listen({ port: 0 });
 * await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
 * await using client = await TableClient.connect(proxy.address);
 * await client.put([[7, 4], [8, 5]]);
 * await client.get([1, 8]); // [0, 5]
 * await client.add([7, 8]); // 9n: a sum is exact, so it is a bigint
 * await client.clear();
 * ```
 *
 * @module
 */

export * from "./lib/client/mod.ts";
export * from "./lib/proxy/mod.ts";
export * from "./lib/server/mod.ts";
