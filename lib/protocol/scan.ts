/**
 * A line of text to its fields, in one pass over the line. Which fields a message has is not known here.
 *
 * @module
 */

import { quote, TableError } from "./error.ts";

type FieldName = "IND" | "DATA" | "MSG";

/** A line's known fields, each as the part of the text that holds its value; -1 where it is absent. */
export interface Fields {
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
export function packed(name: string, at: number = 0): number {
  const a = name.charCodeAt(at), b = name.charCodeAt(at + 1), c = name.charCodeAt(at + 2);
  if ((a | b | c) > 127) return 0;
  return ((a & ~SMALL) << 16) | ((b & ~SMALL) << 8) | (c & ~SMALL);
}
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

/**
 * Finds the fields of a line.
 *
 * @returns One object for all lines: it holds until the next call.
 * @throws {TableError} 400 if the line is empty, a part of it is no field, a field stands twice, or OP is
 * missing.
 */
export function scan(text: string, start: number, end: number): Fields {
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

/** The error for what is no message. */
export function malformed(message: string): TableError {
  return new TableError(400, message);
}

function twice(name: string): TableError {
  return malformed(`${name} stands twice`);
}

/** The text of a field; empty where it is absent. */
export function value(fields: Fields, name: FieldName): string {
  switch (name) {
    case "IND":
      return fields.text.slice(fields.indFrom, fields.indTo);
    case "DATA":
      return fields.text.slice(fields.dataFrom, fields.dataTo);
    case "MSG":
      return fields.text.slice(fields.msgFrom, fields.msgTo);
  }
}

/**
 * The integers of a field; `undefined` where it is empty or absent.
 *
 * @throws {TableError} 400 if it holds what is no integer within ±(2^53 − 1).
 */
export function optional(fields: Fields, name: "IND" | "DATA"): number[] | undefined {
  return name === "IND"
    ? integers(fields.text, fields.indFrom, fields.indTo, name)
    : integers(fields.text, fields.dataFrom, fields.dataTo, name);
}

/**
 * The integers of a field that `op` needs.
 *
 * @throws {TableError} 400 if it is empty or absent; otherwise as {@linkcode optional}.
 */
export function required(fields: Fields, op: string, name: "IND" | "DATA"): number[] {
  const list = optional(fields, name);
  if (list === undefined) throw malformed(`${op} needs ${name}`);
  return list;
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

/** The error for what should be an integer. */
export function noInteger(name: string, item: string): TableError {
  return malformed(`${name} holds no integer within ±(2^53 - 1): ${quote(item)}`);
}
