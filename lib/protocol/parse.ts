/**
 * Text to messages: liberal in what is taken, never rounding, in one pass over the line.
 *
 * @module
 */

import { errorReply, quote, TableError } from "./error.ts";
import { MAX_ADD_INDICES, MAX_INDICES } from "./limits.ts";
import { ERROR_CODES, type ErrorReply, type Reply, type Request } from "./message.ts";

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

type FieldName = "IND" | "DATA" | "MSG";

/** A line's known fields, each as the part of the text that holds its value; -1 where it is absent. */
interface Fields {
  text: string;
  op: number;
  opFrom: number;
  opTo: number;
  indFrom: number;
  indTo: number;
  dataFrom: number;
  dataTo: number;
  msgFrom: number;
  msgTo: number;
}

const SEMICOLON = 59, EQUALS = 61, COMMA = 44, MINUS = 45, PLUS = 43, ZERO = 48, NINE = 57;
const SPACE = 32, TAB = 9, CARRIAGE_RETURN = 13, LETTER_O = 79, LETTER_P = 80, LETTER_A = 65;
/** The bit that tells a small letter from its capital in ASCII. */
const SMALL = 32;

/** Three ASCII letters, large or small, as one number to compare; 0 where one is not ASCII. */
function packed(name: string, at: number = 0): number {
  const a = name.charCodeAt(at), b = name.charCodeAt(at + 1), c = name.charCodeAt(at + 2);
  if ((a | b | c) > 127) return 0;
  return ((a & ~SMALL) << 16) | ((b & ~SMALL) << 8) | (c & ~SMALL);
}
const GET = packed("GET"), PUT = packed("PUT"), CLR = packed("CLR"), ADD = packed("ADD");
const INF = packed("INF"), SUB = packed("SUB"), INV = packed("INV"), ERR = packed("ERR");
const IND = packed("IND"), DAT = packed("DAT"), MSG = packed("MSG");

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The fields of the line that is being parsed: one object for all, since none outlives its line. */
const fields: Fields = {
  text: "",
  op: 0,
  opFrom: -1,
  opTo: -1,
  indFrom: -1,
  indTo: -1,
  dataFrom: -1,
  dataTo: -1,
  msgFrom: -1,
  msgTo: -1,
};

function scan(text: string, start: number, end: number): Fields {
  fields.text = text;
  fields.opFrom =
    fields.opTo =
    fields.indFrom =
    fields.indTo =
      -1;
  fields.dataFrom =
    fields.dataTo =
    fields.msgFrom =
    fields.msgTo =
      -1;
  if (end > start && text.charCodeAt(end - 1) === CARRIAGE_RETURN) end--;
  let any = false;
  for (let at = start; at < end; at++) {
    while (at < end && isBlank(text.charCodeAt(at))) at++;
    if (at === end) break;
    if (text.charCodeAt(at) === SEMICOLON) continue;
    any = true;
    const nameFrom = at;
    let equals = -1;
    for (let code; at < end && (code = text.charCodeAt(at)) !== SEMICOLON; at++) {
      if (code === EQUALS && equals < 0) equals = at;
    }
    if (equals <= nameFrom) {
      throw malformed(`no NAME=VALUE: ${quote(text.slice(nameFrom, at))}`);
    }
    let nameTo = equals;
    while (isBlank(text.charCodeAt(nameTo - 1))) nameTo--;
    let from = equals + 1, to = at;
    while (from < to && isBlank(text.charCodeAt(from))) from++;
    while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
    if (to - from === 4 && text.startsWith("None", from)) to = from;
    keep(fields, nameFrom, nameTo - nameFrom, from, to);
  }
  if (!any) throw malformed("the line is empty");
  if (fields.opFrom === fields.opTo) throw malformed("OP is missing");
  fields.op = fields.opTo - fields.opFrom === 3 ? packed(text, fields.opFrom) : 0;
  return fields;
}

/** Keeps the value from `from` to `to` under its name; a name that is not known is passed over. */
function keep(fields: Fields, name: number, length: number, from: number, to: number): void {
  const { text } = fields;
  if (length === 2) {
    if (
      (text.charCodeAt(name) & ~SMALL) !== LETTER_O ||
      (text.charCodeAt(name + 1) & ~SMALL) !== LETTER_P
    ) return;
    if (fields.opFrom >= 0) throw twice("OP");
    fields.opFrom = from;
    fields.opTo = to;
  } else if (length === 3) {
    const word = packed(text, name);
    if (word === IND) {
      if (fields.indFrom >= 0) throw twice("IND");
      fields.indFrom = from;
      fields.indTo = to;
    } else if (word === MSG) {
      if (fields.msgFrom >= 0) throw twice("MSG");
      fields.msgFrom = from;
      fields.msgTo = to;
    }
  } else if (
    length === 4 && packed(text, name) === DAT && (text.charCodeAt(name + 3) & ~SMALL) === LETTER_A
  ) {
    if (fields.dataFrom >= 0) throw twice("DATA");
    fields.dataFrom = from;
    fields.dataTo = to;
  }
}

function malformed(message: string): TableError {
  return new TableError(400, message);
}

function twice(name: string): TableError {
  return malformed(`${name} stands twice`);
}

function unknown(fields: Fields): TableError {
  return malformed(
    `unknown operation: ${quote(fields.text.slice(fields.opFrom, fields.opTo))}`,
  );
}

/** The text of a field; empty where it is absent. */
function value(fields: Fields, name: FieldName): string {
  switch (name) {
    case "IND":
      return fields.text.slice(fields.indFrom, fields.indTo);
    case "DATA":
      return fields.text.slice(fields.dataFrom, fields.dataTo);
    case "MSG":
      return fields.text.slice(fields.msgFrom, fields.msgTo);
  }
}

function optional(fields: Fields, name: "IND" | "DATA"): number[] | undefined {
  return name === "IND"
    ? integers(fields.text, fields.indFrom, fields.indTo, name)
    : integers(fields.text, fields.dataFrom, fields.dataTo, name);
}

function required(fields: Fields, op: string, name: "IND" | "DATA"): number[] {
  const list = optional(fields, name);
  if (list === undefined) throw malformed(`${op} needs ${name}`);
  return list;
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

/** The comma-separated integers of a part of the text; `undefined` where it is empty. */
function integers(text: string, from: number, to: number, name: string): number[] | undefined {
  if (from === to) return undefined;
  // Made with its first integer: an empty array would be given room for many.
  let list: number[] | undefined;
  for (let at = from;; at++) {
    const itemFrom = at;
    while (at < to && isBlank(text.charCodeAt(at))) at++;
    const sign = text.charCodeAt(at);
    if (at < to && (sign === MINUS || sign === PLUS)) at++;
    const digitsFrom = at;
    let magnitude = 0;
    for (let code; at < to && (code = text.charCodeAt(at)) >= ZERO && code <= NINE; at++) {
      magnitude = magnitude * 10 + (code - ZERO);
    }
    const digitsTo = at;
    while (at < to && isBlank(text.charCodeAt(at))) at++;
    // What is exact stays exact up to the limit, and what exceeds it once can only grow.
    if (
      digitsFrom === digitsTo || magnitude > Number.MAX_SAFE_INTEGER ||
      (at < to && text.charCodeAt(at) !== COMMA)
    ) {
      throw noInteger(name, item(text, itemFrom, to));
    }
    const integer = sign === MINUS && magnitude !== 0 ? -magnitude : magnitude;
    if (list === undefined) list = [integer];
    else list.push(integer);
    if (at === to) return list;
  }
}

/** The item of a list that begins at `from`, without the blanks around it. */
function item(text: string, from: number, to: number): string {
  const comma = text.indexOf(",", from);
  if (comma >= 0 && comma < to) to = comma;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function noInteger(name: string, item: string): TableError {
  return malformed(`${name} holds no integer within ±(2^53 - 1): ${quote(item)}`);
}

/** The DATA of an ADD's reply: one integer of at most 20 digits, leading zeros apart. */
function exactSum(fields: Fields): bigint {
  const text = value(fields, "DATA");
  if (!/^[+-]?0*[0-9]{1,20}$/.test(text)) {
    throw malformed(`DATA of ADD is no sum: ${quote(text)}`);
  }
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text.replace("+", ""));
}
