/** The one form in which each message is sent, as literal text. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { errorReply, plain, quote, TableError } from "../lib/protocol/error.ts";
import { format } from "../lib/protocol/format.ts";
import { MAX_QUOTED_CHARACTERS } from "../lib/protocol/limits.ts";
import { ERROR_CODES, type Reply, type Request } from "../lib/protocol/message.ts";
import { parseReply } from "../lib/protocol/parse.ts";
import { fc } from "./support/fast_check.ts";
import { addReplies, NOT_IN_MSG, replies, requests } from "./support/messages.ts";

const MOST = Number.MAX_SAFE_INTEGER;

const rows: [message: Request | Reply, line: string][] = [
  [{ op: "GET", ind: [1, 8] }, "OP=GET;IND=1,8;"],
  [{ op: "GET", ind: [3] }, "OP=GET;IND=3;"],
  [{ op: "GET", ind: [1, 8], data: [0, 5] }, "OP=GET;IND=1,8;DATA=0,5;"],
  [{ op: "PUT", ind: [7, 7], data: [-4, 5] }, "OP=PUT;IND=7,7;DATA=-4,5;"],
  [{ op: "PUT", ind: [0], data: [MOST] }, "OP=PUT;IND=0;DATA=9007199254740991;"],
  [{ op: "PUT", ind: [0], data: [-MOST] }, "OP=PUT;IND=0;DATA=-9007199254740991;"],
  [{ op: "PUT", ind: [0], data: [-0] }, "OP=PUT;IND=0;DATA=0;"],
  [{ op: "CLR" }, "OP=CLR;"],
  [{ op: "ADD", ind: [7, 8] }, "OP=ADD;IND=7,8;"],
  [{ op: "ADD", ind: [7, 8], sum: 9n }, "OP=ADD;IND=7,8;DATA=9;"],
  [
    { op: "ADD", ind: [1, 1, 1, 1, 1], sum: -5n * BigInt(MOST) },
    "OP=ADD;IND=1,1,1,1,1;DATA=-45035996273704955;",
  ],
  [{ op: "INF" }, "OP=INF;"],
  [{ op: "INF", ind: [0, 1], data: [4, 5], msg: undefined }, "OP=INF;IND=0,1;DATA=4,5;"],
  [
    { op: "INF", ind: [7], data: [4], msg: "lease 640 ms" },
    "OP=INF;IND=7;DATA=4;MSG=lease 640 ms;",
  ],
  [{ op: "INF", ind: [], data: [], msg: "no server" }, "OP=INF;MSG=no server;"],
  [{ op: "SUB", end: false }, "OP=SUB;"],
  [{ op: "SUB", end: true }, "OP=SUB;DATA=0;"],
  [{ op: "SUB", grant: { termMs: 1000, size: 10 } }, "OP=SUB;DATA=1000,10;"],
  [{ op: "SUB", grant: undefined }, "OP=SUB;DATA=0;"],
  [{ op: "INV", ind: [7, 8] }, "OP=INV;IND=7,8;"],
  [{ op: "INV", ind: undefined }, "OP=INV;"],
  [errorReply(404, "index 12 is outside"), "OP=ERR;DATA=404;MSG=index 12 is outside;"],
  [errorReply(400, "a;b\r\nOP=CLR;"), "OP=ERR;DATA=400;MSG=a,b··OP=CLR,;"],
  [
    { op: "INF", ind: [], data: [], msg: "a;b\n" },
    "OP=INF;MSG=a,b·;",
  ],
];

Deno.test("format makes exactly one line of each message", () => {
  for (const [message, line] of rows) assertEquals(format(message), line);
});

Deno.test("format makes one line, without a newline, of any message", () => {
  fc.assert(fc.property(fc.oneof(requests, replies, addReplies), (message) => {
    const line = format(message);
    assertEquals(/^(?:[A-Z]+=[^;\p{Cc}]+;)+$/u.test(line) || message.op === "ERR", true, line);
  }));
});

Deno.test("format sends nothing within MSG that PROTOCOL.md keeps out of it", () => {
  const hidden = fc.constantFrom(..."\x1b\x9b\u200b\u200e\u061c\u202e\u2028\u{e0041}\ufe0f;");
  const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: hidden }));
  fc.assert(fc.property(texts, (message) => {
    const line = format(errorReply(400, message));
    const msg = /^OP=ERR;DATA=400;MSG=(.*);$/s.exec(line)?.[1];
    assertEquals(msg === undefined || NOT_IN_MSG.test(msg), false, JSON.stringify(line));
    const reply = parseReply(line);
    assertEquals(reply.op === "ERR" && reply.code, 400);
  }));
});

Deno.test("plain replaces what a MSG cannot hold, and nothing else", () => {
  const cases: [text: string, shown: string][] = [
    ["a=b, c é 😀", "a=b, c é 😀"],
    ["a;b", "a,b"],
    ["\0\t\r\n\x1b\x7f\x9f\u2028\u2029", "·········"],
    // Zero width, direction, soft hyphen, byte order mark, annotation, tags.
    [
      "\u200b\u200d\u2060\u200e\u061c\u202e\u2066\xad\ufeff\ufff9\u{e0001}\u{e0041}",
      "·".repeat(12),
    ],
    // Of no category of these, and invisible: fillers, a joiner, variation selectors.
    ["\u115f\u3164\uffa0\u034f\u180b\ufe0f\u{e0100}", "·".repeat(7)],
    ["a\xa0b\u3000c\u2800ü\u0308ñ\ue000\ufffd", "a\xa0b\u3000c\u2800ü\u0308ñ\ue000\ufffd"],
  ];
  for (const [text, shown] of cases) assertEquals(plain(text), shown, JSON.stringify(text));
});

Deno.test("quote shows at most 64 characters, whole ones, and says that it cut", () => {
  const cases: [reason: string, text: string, shown: string][] = [
    ["nothing", "", '""'],
    ["a word", "hello", '"hello"'],
    ["a semicolon", "a;b", '"a,b"'],
    ["64 characters", "x".repeat(64), `"${"x".repeat(64)}"`],
    ["65 characters", "x".repeat(65), `"${"x".repeat(63)}…"`],
    ["64 emoji", "😀".repeat(64), `"${"😀".repeat(64)}"`],
    ["65 emoji", "😀".repeat(65), `"${"😀".repeat(63)}…"`],
    ["emoji behind a letter", `x${"😀".repeat(65)}`, `"x${"😀".repeat(62)}…"`],
    ["a million characters", "x".repeat(1e6), `"${"x".repeat(63)}…"`],
  ];
  for (const [reason, text, shown] of cases) {
    assertEquals(quote(text), shown, reason);
    assertEquals([...quote(text)].length <= MAX_QUOTED_CHARACTERS + 2, true, reason);
  }
});

Deno.test("a TableError has its name, its code, its cause and its reply", () => {
  const cause = new Error("disk full");
  for (const code of ERROR_CODES) {
    const error = new TableError(code, "why", { cause });
    assertInstanceOf(error, Error);
    assertEquals([error.name, error.code, error.message, error.cause], [
      "TableError",
      code,
      "why",
      cause,
    ]);
    assertEquals(format(error.reply), `OP=ERR;DATA=${code};MSG=why;`);
  }
});
