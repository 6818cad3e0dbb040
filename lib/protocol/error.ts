/**
 * An error of the protocol, as a value to send and as something to throw.
 *
 * @module
 */

import { MAX_QUOTED_CHARACTERS } from "./limits.ts";
import type { ErrorCode, ErrorReply } from "./message.ts";
import { UNPRINTABLE } from "./visible.ts";

/** Thrown where a node answered with an error, or would: {@linkcode code} says which. */
export class TableError extends Error {
  /** The code, as PROTOCOL.md lists it. */
  readonly code: ErrorCode;

  /** Makes one of a code and a sentence for people; `options.cause` is for logs, never sent. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TableError";
    this.code = code;
  }

  /** The same error as a reply. */
  get reply(): ErrorReply {
    return errorReply(this.code, this.message);
  }
}

/** An ERR reply. */
export function errorReply(code: ErrorCode, message: string): ErrorReply {
  return { op: "ERR", code, message };
}

/** `text` as an error may quote it: in quotation marks, cut to 64 characters, one line, no `;`. */
export function quote(text: string): string {
  // Only the head is looked at: text may be a whole line.
  const head = [...text.slice(0, 2 * MAX_QUOTED_CHARACTERS + 2)];
  const shown = head.length > MAX_QUOTED_CHARACTERS
    ? head.slice(0, MAX_QUOTED_CHARACTERS - 1).join("") + "…"
    : head.join("");
  return `"${plain(shown)}"`;
}

/** `text` as a MSG holds it: a `,` for each `;`, and a `·` for each that is {@linkcode UNPRINTABLE}. */
export function plain(text: string): string {
  return text.replaceAll(";", ",").replaceAll(UNPRINTABLE, "\u00b7");
}
