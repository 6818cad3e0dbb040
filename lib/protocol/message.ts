/**
 * The messages: what a node may ask and what it may be answered.
 *
 * @module
 */

import { INDEX_BYTES, REQUEST_BYTES } from "./limits.ts";

/** A read of entries, in the order asked; an index may repeat. */
export interface GetRequest {
  /** The operation. */
  readonly op: "GET";
  /** The indices. */
  readonly ind: readonly number[];
}

/** A write of entries, one integer per index, from left to right. */
export interface PutRequest {
  /** The operation. */
  readonly op: "PUT";
  /** The indices. */
  readonly ind: readonly number[];
  /** Their data, in that order. */
  readonly data: readonly number[];
}

/** Sets every entry to 0. */
export interface ClrRequest {
  /** The operation. */
  readonly op: "CLR";
}

/** The sum of 1 to 5 entries; an index that repeats counts each time. */
export interface AddRequest {
  /** The operation. */
  readonly op: "ADD";
  /** The indices. */
  readonly ind: readonly number[];
}

/** What the node holds. */
export interface InfRequest {
  /** The operation. */
  readonly op: "INF";
}

/** Asks for a lease, renews it, or (`end`) gives it back. */
export interface SubRequest {
  /** The operation. */
  readonly op: "SUB";
  /** Whether it is given back. */
  readonly end: boolean;
}

/** From a server: drop these entries, or all where there is no `ind`. The answer has the same form. */
export interface Invalidation {
  /** The operation. */
  readonly op: "INV";
  /** The indices; all where there are none. */
  readonly ind: readonly number[] | undefined;
}

/** What a node may be asked. `INV` stands here as the answer to a server's own request. */
export type Request =
  | GetRequest
  | PutRequest
  | ClrRequest
  | AddRequest
  | InfRequest
  | SubRequest
  | Invalidation;

/** The entries asked, in that order. */
export interface GetReply {
  /** The operation. */
  readonly op: "GET";
  /** The indices. */
  readonly ind: readonly number[];
  /** Their data, in that order. */
  readonly data: readonly number[];
}

/** The exact sum, which may leave the range of an entry. */
export interface AddReply {
  /** The operation. */
  readonly op: "ADD";
  /** The indices. */
  readonly ind: readonly number[];
  /** The sum. */
  readonly sum: bigint;
}

/** What the node holds; a proxy adds the state of its lease. */
export interface InfReply {
  /** The operation. */
  readonly op: "INF";
  /** The indices. */
  readonly ind: readonly number[];
  /** Their data, in that order. */
  readonly data: readonly number[];
  /** The state of the lease; `undefined` from a server. */
  readonly msg: string | undefined;
}

/** A lease: its term in milliseconds and the table's size; neither where it was given back. */
export interface SubReply {
  /** The operation. */
  readonly op: "SUB";
  /** The lease; `undefined` where it was given back. */
  readonly grant: { readonly termMs: number; readonly size: number } | undefined;
}

/** The codes of errors; PROTOCOL.md says when each is given and what follows. */
export type ErrorCode = 400 | 404 | 413 | 429 | 500 | 503 | 504;

/** The codes of errors, as numbers to look one up in. */
export const ERROR_CODES: readonly ErrorCode[] = [400, 404, 413, 429, 500, 503, 504];

/** What was wrong: a code, and a sentence for people. */
export interface ErrorReply {
  /** The operation. */
  readonly op: "ERR";
  /** The code. */
  readonly code: ErrorCode;
  /** The sentence. */
  readonly message: string;
}

/** What a node may be answered. `INV` stands here as a server's own request to a proxy. */
export type Reply =
  | GetReply
  | PutRequest
  | ClrRequest
  | AddReply
  | InfReply
  | SubReply
  | Invalidation
  | ErrorReply;

/** The reply to a read that found these data, one for each index, in that order. */
export function readReply(asked: GetRequest | AddRequest, data: readonly number[]): Reply {
  return asked.op === "GET" ? { op: "GET", ind: asked.ind, data } : {
    op: "ADD",
    ind: asked.ind,
    sum: data.reduce((sum, integer) => sum + BigInt(integer), 0n),
  };
}

/** A request that reads entries. */
export type ReadRequest = GetRequest | AddRequest;

/** A request that changes the table. */
export type WriteRequest = PutRequest | ClrRequest;

/** Whether a request changes the table. */
export function isWrite(request: Request | ErrorReply): request is WriteRequest {
  return request.op === "PUT" || request.op === "CLR";
}

/** The indices that a write changes; `undefined` for all. */
export function written(write: WriteRequest): readonly number[] | undefined {
  return write.op === "PUT" ? write.ind : undefined;
}

/** A read as a GET: an ADD's, of its distinct indices. */
export function asGet(read: ReadRequest): GetRequest {
  return read.op === "GET" ? read : { op: "GET", ind: [...new Set(read.ind)] };
}

/** What requests in hand take up, in bytes of memory: an estimate. */
export function bytesInHand(requests: number, indices: number): number {
  return requests * REQUEST_BYTES + indices * INDEX_BYTES;
}

/** How many indices a request holds on to while it waits. */
export function weight(request: Request | ErrorReply): number {
  return "ind" in request && request.ind !== undefined ? request.ind.length : 0;
}
