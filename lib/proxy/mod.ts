/**
 * The proxy alone: `@halfway/halfway/proxy`.
 *
 * @module
 */

export * from "./cache.ts";
export type { NodeOptions } from "../wire/node_options.ts";
export { CacheProxy, type CacheProxyOptions } from "./cache_proxy.ts";
