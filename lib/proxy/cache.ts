/**
 * The cache inside a program alone: `@halfway/halfway/cache`.
 *
 * @module
 */

export * from "../common.ts";
export { type Info, TableCalls } from "../table_calls.ts";
export type { Eviction } from "./bounded_cache.ts";
export { CoherentCache, type CoherentCacheOptions } from "./coherent_cache.ts";
