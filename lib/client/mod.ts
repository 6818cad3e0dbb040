/**
 * The client alone: `@halfway/halfway/client`.
 *
 * @module
 */

export * from "../common.ts";
export { type Info, TableCalls } from "../table_calls.ts";
export { TableClient, type TableClientOptions, UnreachableError } from "./table_client.ts";
