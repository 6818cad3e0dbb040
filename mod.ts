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

export {
  TableClient,
  type TableClientOptions,
  UnreachableError,
} from "./lib/client/table_client.ts";
export type { ConnectionEnds, EventSink, Indices, NodeEvent, Role } from "./lib/events.ts";
export { type Info, TableCalls } from "./lib/table_calls.ts";
export type { NodeOptions } from "./lib/wire/node_options.ts";
export { TableError } from "./lib/protocol/error.ts";
export type * from "./lib/protocol/message.ts";
export type { Eviction } from "./lib/proxy/bounded_cache.ts";
export { CacheProxy, type CacheProxyOptions } from "./lib/proxy/cache_proxy.ts";
export { CoherentCache, type CoherentCacheOptions } from "./lib/proxy/coherent_cache.ts";
export type {
  Address,
  FailureKind,
  Listening,
  Runtime,
  Socket,
  Timer,
} from "./lib/runtime/runtime.ts";
export { TableServer, type TableServerOptions } from "./lib/server/table_server.ts";
export { StoreError } from "./lib/server/store/store.ts";
