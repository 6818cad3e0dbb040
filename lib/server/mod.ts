/**
 * The server alone: `@halfway/halfway/server`.
 *
 * @module
 */

export * from "../common.ts";
export type { NodeOptions } from "../wire/node_options.ts";
export { StoreError } from "./store/store.ts";
export { TableServer, type TableServerOptions } from "./table_server.ts";
