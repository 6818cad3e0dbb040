/**
 * The message sequences in `tests/sessions/`, and how one is played: the same against a server, through
 * a proxy, and against whatever else answers a client.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Wire } from "./wire.ts";

/** A line of a session. */
export interface Row {
  /** Where it stands, `corners.tsv:7`, for what fails. */
  readonly where: string;
  /** What the client sends, without the newline. */
  readonly send: string;
  /** What it must get back; of an error just `OP=ERR;DATA=<code>;`. */
  readonly reply: string;
  /** The indices that a proxy must then hold, the oldest first: `7,8`; `-` for none. */
  readonly held: string;
}

/** Where a session is played: nodes that are as every session begins. */
export interface Target extends AsyncDisposable {
  /** Where the client connects, `host:port`. */
  readonly address: string;
  /** Whether that is a proxy of capacity 5, whose INF shows what it holds. */
  readonly proxy: boolean;
}

/** Reads a session from its file. */
export async function readSession(name: string): Promise<Row[]> {
  const text = await Deno.readTextFile(new URL(`../sessions/${name}`, import.meta.url));
  return text.split("\n").flatMap((line, i) => {
    if (line === "" || line.startsWith("#")) return [];
    const where = `${name}:${i + 1}`;
    const [send, reply, held, ...more] = line.split("\t");
    if (send === undefined || reply === undefined || held === undefined || more.length > 0) {
      throw new Error(`${where}: a row has three columns`);
    }
    return [{ where, send, reply, held }];
  });
}

/** Plays a session one message after the other; at a proxy looks at what it holds after each. */
export async function playSession(rows: readonly Row[], target: Target): Promise<void> {
  await using wire = await Wire.connect(target.address);
  for (const row of rows) {
    await wire.send(`${row.send}\n`);
    assertEquals(comparable(await wire.line(), row), row.reply, row.where);
    if (!target.proxy) continue;
    await wire.send("OP=INF;\n");
    const info = await wire.line();
    assertMatch(info, /^OP=INF;(?:IND=[^;]+;DATA=[^;]+;)?MSG=lease \d+ ms;$/, row.where);
    assertEquals(/;IND=([^;]+);/.exec(info)?.[1] ?? "-", row.held, `${row.where}: what is held`);
  }
  await wire.endWriting();
  assertEquals(await wire.rest(), "", "no byte is left");
}

/** Plays a session in one write, and reads all the replies then. */
export async function playSessionAtOnce(rows: readonly Row[], target: Target): Promise<void> {
  await using wire = await Wire.connect(target.address);
  await wire.send(rows.map((row) => `${row.send}\n`).join(""));
  await wire.endWriting();
  const replies = (await wire.rest()).split("\n");
  assertEquals(replies.pop(), "", "the last reply ends with a newline");
  for (const row of rows) {
    assertEquals(comparable(replies.shift() ?? "no reply", row), row.reply, row.where);
  }
  assertEquals(replies, [], "no reply is left");
}

/** A reply as its row has it: the text of an error's MSG is free. */
function comparable(reply: string, row: Row): string {
  return row.reply.startsWith("OP=ERR;")
    ? reply.replace(/^(OP=ERR;DATA=\d+;)MSG=[^;]+;$/, "$1")
    : reply;
}
