/**
 * Messages to text: exactly one form for each.
 *
 * @module
 */

import { plain } from "./error.ts";
import type { Reply, Request } from "./message.ts";

/**
 * Formats a message as its line, without the newline.
 *
 * {@linkcode parseRequest} and {@linkcode parseReply} give the same message back, except for what
 * {@linkcode plain} replaces in a sentence for people.
 */
export function format(message: Request | Reply): string {
  switch (message.op) {
    case "GET":
      return "data" in message
        ? `OP=GET;IND=${list(message.ind)};DATA=${list(message.data)};`
        : `OP=GET;IND=${list(message.ind)};`;
    case "PUT":
      return `OP=PUT;IND=${list(message.ind)};DATA=${list(message.data)};`;
    case "ADD":
      return "sum" in message
        ? `OP=ADD;IND=${list(message.ind)};DATA=${message.sum};`
        : `OP=ADD;IND=${list(message.ind)};`;
    case "CLR":
      return "OP=CLR;";
    case "INF": {
      if (!("ind" in message)) return "OP=INF;";
      const held = message.ind.length === 0
        ? "OP=INF;"
        : `OP=INF;IND=${list(message.ind)};DATA=${list(message.data)};`;
      return message.msg === undefined ? held : `${held}MSG=${plain(message.msg)};`;
    }
    case "SUB":
      if ("end" in message) return message.end ? "OP=SUB;DATA=0;" : "OP=SUB;";
      return message.grant === undefined
        ? "OP=SUB;DATA=0;"
        : `OP=SUB;DATA=${message.grant.termMs},${message.grant.size};`;
    case "INV":
      return message.ind === undefined ? "OP=INV;" : `OP=INV;IND=${list(message.ind)};`;
    case "ERR":
      return `OP=ERR;DATA=${message.code};MSG=${plain(message.message)};`;
  }
}

/** Integers in a list that is long. */
const LONG_LIST = 16;

/**
 * The integers with commas between. For a short list this is quicker than `join`; for a long one it
 * would leave a string of many parts, which take ten times the memory of its text until it is sent.
 */
function list(integers: readonly number[]): string {
  if (integers.length >= LONG_LIST) return integers.join(",");
  let text = `${integers[0]}`;
  for (let i = 1; i < integers.length; i++) text += `,${integers[i]}`;
  return text;
}
