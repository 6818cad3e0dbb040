/**
 * What is the same for whoever uses a server, a proxy, a client or a cache: the messages, what can go
 * wrong, what can happen, and what a node runs on.
 *
 * @module
 */

export type { ConnectionEnds, EventSink, Indices, NodeEvent, Role } from "./events.ts";
export { TableError } from "./protocol/error.ts";
export type * from "./protocol/message.ts";
export type { Address, FailureKind, Listening, Runtime, Socket, Timer } from "./runtime/runtime.ts";
