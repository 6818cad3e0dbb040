/**
 * Text to messages: liberal in what is taken, never rounding, in one pass over the line.
 *
 * @module
 */

import { errorReply, quote, TableError } from "./error.ts";
import { MAX_ADD_INDICES, MAX_INDICES } from "./limits.ts";
import { ERROR_CODES, type ErrorReply, type Reply, type Request } from "./message.ts";
import {
  type Fields,
  malformed,
  noInteger,
  optional,
  packed,
  required,
  scan,
  value,
} from "./scan.ts";

const GET = packed("GET"), PUT = packed("PUT"), CLR = packed("CLR"), ADD = packed("ADD");
const INF = packed("INF"), SUB = packed("SUB"), INV = packed("INV"), ERR = packed("ERR");

/**
 * Parses a line, or a part of a longer text, as a request.
 *
 * Linear in the length of the line.
 *
 * @param text The text.
 * @param start Where the line begins in it.
 * @param end Where the line ends in it, before its newline.
 * @returns The request, or the error to answer: 400 where it is no request or a field is missing,
 * twice or malformed; 413 where it names too many indices.
 */
export function parseRequest(
  text: string,
  start: number = 0,
  end: number = text.length,
): Request | ErrorReply {
  try {
    const fields = scan(text, start, end);
    switch (fields.op) {
      case GET:
        return limited({ op: "GET", ind: required(fields, "GET", "IND") });
      case ADD:
        return limited({ op: "ADD", ind: required(fields, "ADD", "IND") });
      case PUT:
        return limited(put(fields));
      case CLR:
        return { op: "CLR" };
      case INF:
        return { op: "INF" };
      case SUB: {
        const data = optional(fields, "DATA");
        if (data !== undefined && (data.length !== 1 || data[0] !== 0)) {
          throw malformed(`DATA of SUB must be 0 or absent: it is ${quote(value(fields, "DATA"))}`);
        }
        return { op: "SUB", end: data !== undefined };
      }
      case INV:
        return { op: "INV", ind: optional(fields, "IND") };
      default:
        throw unknown(fields);
    }
  } catch (error) {
    if (error instanceof TableError) return error.reply;
    throw error;
  }
}

/**
 * Parses a line, or a part of a longer text, as a reply, or as what a server asks of a proxy.
 *
 * Linear in the length of the line.
 *
 * @param text The text.
 * @param start Where the line begins in it.
 * @param end Where the line ends in it, before its newline.
 * @returns The reply.
 * @throws {TableError} 400 if it is none.
 */
export function parseReply(text: string, start: number = 0, end: number = text.length): Reply {
  const fields = scan(text, start, end);
  switch (fields.op) {
    case GET:
      return { ...put(fields, "GET"), op: "GET" };
    case PUT:
      return put(fields);
    case ADD:
      return { op: "ADD", ind: required(fields, "ADD", "IND"), sum: exactSum(fields) };
    case CLR:
      return { op: "CLR" };
    case INF: {
      const ind = optional(fields, "IND") ?? [];
      const data = optional(fields, "DATA") ?? [];
      paired("INF", ind, data);
      const msg = value(fields, "MSG");
      return { op: "INF", ind, data, msg: msg === "" ? undefined : msg };
    }
    case SUB: {
      const data = required(fields, "SUB", "DATA");
      if (data.length === 1 && data[0] === 0) return { op: "SUB", grant: undefined };
      const [termMs = 0, size = 0] = data;
      if (data.length !== 2 || termMs < 1 || size < 1) {
        throw malformed(`DATA of SUB must be a term and a size: ${quote(value(fields, "DATA"))}`);
      }
      return { op: "SUB", grant: { termMs, size } };
    }
    case INV:
      return { op: "INV", ind: optional(fields, "IND") };
    case ERR: {
      const data = required(fields, "ERR", "DATA");
      const code = ERROR_CODES.find((known) => known === data[0]);
      if (data.length !== 1 || code === undefined) {
        throw malformed(`DATA of ERR is no known code: ${quote(value(fields, "DATA"))}`);
      }
      return errorReply(code, value(fields, "MSG"));
    }
    default:
      throw unknown(fields);
  }
}

/**
 * Refuses a request that names too few or too many indices.
 *
 * @throws {TableError} 400 if there is none; 413 if there are over 5 for ADD, over 1,024 for others.
 */
export function checkCount(op: "GET" | "PUT" | "ADD", ind: readonly number[]): void {
  if (ind.length === 0) throw malformed(`${op} needs IND`);
  const most = op === "ADD" ? MAX_ADD_INDICES : MAX_INDICES;
  if (ind.length > most) {
    throw new TableError(413, `${op} takes at most ${most} indices: it has ${ind.length}`);
  }
}

/**
 * Refuses what no message can hold.
 *
 * @throws {TableError} 400 if the number is no integer within ±(2^53 − 1).
 */
export function checkInteger(name: string, number: number): void {
  if (!Number.isSafeInteger(number)) throw noInteger(name, String(number));
}

/** The error for an index of `ind` outside a table of `size` entries, if there is one. */
export function checkIndices(ind: readonly number[], size: number): ErrorReply | undefined {
  for (const index of ind) {
    if (index < 0 || index >= size) {
      return errorReply(404, `index ${index} is outside the table: it has 0 to ${size - 1}`);
    }
  }
  return undefined;
}

function put<Op extends "PUT" | "GET">(fields: Fields, op: Op | "PUT" = "PUT") {
  const ind = required(fields, op, "IND");
  const data = required(fields, op, "DATA");
  paired(op, ind, data);
  return { op: "PUT" as const, ind, data };
}

function paired(op: string, ind: readonly number[], data: readonly number[]): void {
  if (ind.length !== data.length) {
    throw malformed(
      `${op} needs one integer per index: it has ${ind.length} indices, ${data.length} integers`,
    );
  }
}

function limited<R extends Request & { op: "GET" | "PUT" | "ADD" }>(request: R): R {
  checkCount(request.op, request.ind);
  return request;
}

function unknown(fields: Fields): TableError {
  return malformed(
    `unknown operation: ${quote(fields.text.slice(fields.opFrom, fields.opTo))}`,
  );
}

/** The DATA of an ADD's reply: one integer of at most 20 digits, leading zeros apart. */
function exactSum(fields: Fields): bigint {
  const text = value(fields, "DATA");
  if (!/^[+-]?0*[0-9]{1,20}$/.test(text)) {
    throw malformed(`DATA of ADD is no sum: ${quote(text)}`);
  }
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text.replace("+", ""));
}
