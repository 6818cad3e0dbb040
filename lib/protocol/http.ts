/**
 * What a browser would send. A page that a browser shows may reach any port on loopback, and must
 * not reach a table there.
 *
 * @module
 */

import { errorReply } from "./error.ts";
import type { ErrorReply } from "./message.ts";
import { parseRequest } from "./parse.ts";

// RFC 9110, section 5.6.2. A page may choose any as its method, where a name that was rebound to
// loopback makes the node its own origin.
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
// What lenient servers take between the parts of a request line: RFC 9112, section 3.
const BLANK = "[ \\t\\v\\f\\r]";

/** A method, a target, and a version. Behind the first name of a message stands a `=` in its place. */
const REQUEST_LINE = new RegExp(
  `${BLANK}*${TOKEN}${BLANK}+[^= \\t\\v\\f\\r\\n][^\\n]*${BLANK}HTTP/[0-9]`,
  "iy",
);

/** The name of a header, and a colon; not a field of ours whose `=` somebody took for a colon. */
const HEADER = new RegExp(`(?!(?:OP|IND|DATA|MSG)${BLANK}*:)${TOKEN}:`, "iy");

const EQUALS = 61, TLS_HANDSHAKE = 22, TLS_VERSION = 3;

/**
 * The error to answer, and to close after, where a line is one of HTTP's or TLS's: the line of a
 * request, whatever the method; a header, where the line is no message; the beginning of a handshake.
 *
 * @param text The text.
 * @param start Where the line begins in it.
 * @param end Where the line ends in it, before its newline.
 */
export function otherProtocol(
  text: string,
  start: number = 0,
  end: number = text.length,
): ErrorReply | undefined {
  // `OP=`, as nearly every line begins; neither a method nor a header has a `=`.
  if (text.charCodeAt(start + 2) === EQUALS) return undefined;
  if (text.charCodeAt(start) === TLS_HANDSHAKE && text.charCodeAt(start + 1) === TLS_VERSION) {
    return errorReply(400, "this node speaks no TLS");
  }
  REQUEST_LINE.lastIndex = HEADER.lastIndex = start;
  const isHttp = REQUEST_LINE.test(text) ||
    (HEADER.test(text) && parseRequest(text, start, end).op === "ERR");
  return isHttp ? errorReply(400, "this is no HTTP server") : undefined;
}
