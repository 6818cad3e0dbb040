/**
 * What a person types, to a line; a reply, to what is shown of it.
 *
 * @module
 */

import { plain, quote } from "../protocol/error.ts";
import { format } from "../protocol/format.ts";
import type { InfReply, Reply } from "../protocol/message.ts";

/** A command, as people read of it. */
export interface Command {
  /** How it is used, its name first. */
  readonly usage: string;
  /** What it does. */
  readonly what: string;
}

/** The commands of a table. */
export const TABLE_COMMANDS: readonly Command[] = [
  { usage: "get 1,8", what: "the data of those entries, in that order" },
  { usage: "put 7=4 8=5", what: "writes those entries" },
  { usage: "add 7,8", what: "the sum of 1 to 5 entries" },
  { usage: "clr", what: "sets every entry to 0" },
  { usage: "inf", what: "what the node holds" },
];

/** What is no command and is taken all the same. */
export const ANY_LINE: Command = {
  usage: "OP=GET;IND=1;",
  what: 'any line with a "=" that is none of these is sent as it is',
};

/** Commands as a list for people, a line each. */
export function commandsText(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ usage }) => usage.length));
  return commands.map(({ usage, what }) => `  ${usage.padEnd(width)}  ${what}\n`).join("");
}

/** What stands between the items of a command, and what they are. */
const APART = / ?, ?| /;
const INTEGER = /^[+-]?[0-9]+$/;
const PAIR = /^[+-]?[0-9]+=[+-]?[0-9]+$/;

/**
 * The line that a command stands for; integers are handed on as they are typed, whatever their size.
 *
 * @returns The line, which is the text as it is where that is no command and holds a `=`; or, where
 * it is neither, what is wrong with it.
 */
export function commandLine(text: string): { line: string } | { line?: never; mistake: string } {
  const [word = ""] = text.trim().split(/\s/, 1);
  const rest = text.trim().slice(word.length).trim();
  const items = rest.replaceAll(/\s+/g, " ").split(APART);
  const op = word.toUpperCase();
  switch (op) {
    case "GET":
    case "ADD":
      if (!items.every((item) => INTEGER.test(item))) {
        return { mistake: `${word} takes indices: ${quote(rest)}` };
      }
      return { line: `OP=${op};IND=${items.join(",")};` };
    case "PUT": {
      if (!items.every((item) => PAIR.test(item))) {
        return { mistake: `${word} takes index=data: ${quote(rest)}` };
      }
      const pairs = items.map((pair) => pair.split("="));
      const [ind, data] = [0, 1].map((side) => pairs.map((pair) => pair[side]).join(","));
      return { line: `OP=PUT;IND=${ind};DATA=${data};` };
    }
    case "CLR":
    case "INF":
      if (rest !== "") return { mistake: `${word} takes nothing: ${quote(rest)}` };
      return { line: `OP=${op};` };
    default:
      if (text.includes("=") && !text.includes("\n")) return { line: text };
      return { mistake: `no command: ${quote(text)}` };
  }
}

/** A reply as one object of JSON; a sum that a number cannot hold exactly is a string. */
export function replyJson(reply: Reply): string {
  switch (reply.op) {
    case "ERR":
      return JSON.stringify({ ...reply, message: plain(reply.message) });
    case "ADD": {
      const sum = Number(reply.sum);
      const data = [Number.isSafeInteger(sum) ? sum : String(reply.sum)];
      return JSON.stringify({ op: "ADD", ind: reply.ind, data });
    }
    case "SUB": {
      const data = reply.grant === undefined ? [0] : [reply.grant.termMs, reply.grant.size];
      return JSON.stringify({ op: "SUB", data });
    }
    case "INF":
      return JSON.stringify({ ...reply, ...reply.msg && { msg: plain(reply.msg) } });
    case "GET":
    case "PUT":
    case "CLR":
    case "INV":
      return JSON.stringify(reply);
  }
}

/**
 * Whether a reply shows a fault: it is an ERR, or tells of a proxy that has no server. One that has
 * no lease is none: it answers all the same, from its server.
 */
export function showsFault(reply: Reply): boolean {
  return reply.op === "ERR" || reply.op === "INF" && reply.msg === "no server";
}

/** How many entries stand side by side. */
const COLUMNS = 10;

/** A reply for a person: what a node holds as a table, anything else as its line. */
export function replyForPeople(reply: Reply): string {
  return reply.op === "INF" ? infTable(reply) : format(reply);
}

function infTable({ ind, data, msg }: InfReply): string {
  const width = Math.max(0, ...[...ind, ...data].map((integer) => `${integer}`.length)) + 2;
  const lines = [];
  for (let at = 0; at < ind.length; at += COLUMNS) {
    const row = (integers: readonly number[]) =>
      integers.slice(at, at + COLUMNS).map((integer) => `${integer}`.padStart(width)).join("");
    lines.push(`index${row(ind)}`, `data ${row(data)}`);
  }
  if (ind.length === 0) lines.push("nothing is held");
  if (msg !== undefined) lines.push(plain(msg));
  return lines.join("\n");
}
