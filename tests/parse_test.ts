/** The forms in which a message is taken, and those in which it is refused, row by row. */
import { assertEquals, assertInstanceOf } from "@std/assert";
import { format } from "../lib/protocol/format.ts";
import { otherProtocol } from "../lib/protocol/http.ts";
import { TableError } from "../lib/protocol/error.ts";
import {
  MAX_ADD_INDICES,
  MAX_INDICES,
  MAX_LINE_BYTES,
  MAX_QUOTED_CHARACTERS,
} from "../lib/protocol/limits.ts";
import { ERROR_CODES, type Reply, type Request } from "../lib/protocol/message.ts";
import { checkCount, checkIndices, parseReply, parseRequest } from "../lib/protocol/parse.ts";
import { fc } from "./support/fast_check.ts";
import { addReplies, replies, requests } from "./support/messages.ts";

const MOST = 9007199254740991;

const takenRequests: [reason: string, line: string, request: Request][] = [
  ["GET", "OP=GET;IND=1,8;", { op: "GET", ind: [1, 8] }],
  ["PUT", "OP=PUT;IND=7,8;DATA=4,5;", { op: "PUT", ind: [7, 8], data: [4, 5] }],
  ["CLR", "OP=CLR;", { op: "CLR" }],
  ["ADD", "OP=ADD;IND=7,8;", { op: "ADD", ind: [7, 8] }],
  ["INF", "OP=INF;", { op: "INF" }],
  ["SUB", "OP=SUB;", { op: "SUB", end: false }],
  ["SUB that gives the lease back", "OP=SUB;DATA=0;", { op: "SUB", end: true }],
  ["an answer to INV", "OP=INV;IND=7;", { op: "INV", ind: [7] }],
  ["an answer to INV of all", "OP=INV;", { op: "INV", ind: undefined }],

  ["a carriage return at the end", "OP=GET;IND=1;\r", { op: "GET", ind: [1] }],
  ["a carriage return after a number", "OP=GET;IND=1\r", { op: "GET", ind: [1] }],
  ["blanks around names, values and items", " OP = GET ; IND = 1 , 8 ; ", {
    op: "GET",
    ind: [1, 8],
  }],
  ["tabs for blanks", "\tOP\t=\tGET\t;\tIND\t=\t1\t,\t8\t;\t", { op: "GET", ind: [1, 8] }],
  ["blanks before a carriage return", "OP=GET;IND=1; \r", { op: "GET", ind: [1] }],
  ["small letters", "op=get;ind=1;", { op: "GET", ind: [1] }],
  ["small and capital letters", "Op=pUt;iNd=1;dAtA=2;", { op: "PUT", ind: [1], data: [2] }],
  ["fields in another order", "DATA=4;IND=7;OP=PUT;", { op: "PUT", ind: [7], data: [4] }],
  ["no final semicolon", "OP=GET;IND=1", { op: "GET", ind: [1] }],
  ["no final semicolon, and a blank", "OP=CLR ", { op: "CLR" }],
  ["empty fields", ";;OP=CLR;;", { op: "CLR" }],
  ["fields of blanks alone", " ; \t;OP=CLR; ;", { op: "CLR" }],
  ["an unknown field", "OP=GET;IND=1;CODE=200;", { op: "GET", ind: [1] }],
  ["an unknown field, twice", "OP=CLR;X=1;X=2;", { op: "CLR" }],
  ["an unknown field of the length of a known one", "OP=CLR;IXD=x;DBTA=x;XP=x;", { op: "CLR" }],
  ["an unknown field that begins as a known one", "OP=CLR;INDEX=x;DATAS=x;OPS=x;", { op: "CLR" }],
  ["an unknown field with = in it", "OP=CLR;X=a=b;", { op: "CLR" }],
  ["an unknown name that is no ASCII", "OP=CLR;İND=1;ÖP=2;ǸATA=3;😀=4;", { op: "CLR" }],
  ["a byte order mark in a value that is ignored", "OP=CLR;X=\uFEFF;", { op: "CLR" }],
  ["a field that GET does not take, malformed", "OP=GET;IND=1;DATA=x;", { op: "GET", ind: [1] }],
  ["fields that CLR does not take", "OP=CLR;IND=x;DATA=1.5;MSG=hello;", { op: "CLR" }],
  ["fields that INF does not take", "OP=INF;IND=,;DATA=,;", { op: "INF" }],
  ["fields that ADD does not take", "OP=ADD;IND=1;DATA=1,2;", { op: "ADD", ind: [1] }],
  ["a field that SUB does not take", "OP=SUB;IND=x;", { op: "SUB", end: false }],
  ["an empty value where none is taken", "OP=GET;IND=4;DATA=;", { op: "GET", ind: [4] }],
  ["None where no value is taken", "OP=GET;IND=4;DATA=None;", { op: "GET", ind: [4] }],
  ["an empty value as if absent", "OP=SUB;DATA=;", { op: "SUB", end: false }],
  ["None as if absent", "OP=SUB;DATA= None ;", { op: "SUB", end: false }],
  ["None as if absent, in INV", "OP=INV;IND=None;", { op: "INV", ind: undefined }],

  ["repeated indices", "OP=GET;IND=3,3;", { op: "GET", ind: [3, 3] }],
  ["repeated indices in PUT", "OP=PUT;IND=4,4;DATA=9,8;", { op: "PUT", ind: [4, 4], data: [9, 8] }],
  ["leading zeros", "OP=PUT;IND=007;DATA=-000;", { op: "PUT", ind: [7], data: [0] }],
  ["many leading zeros", `OP=GET;IND=${"0".repeat(60000)}7;`, { op: "GET", ind: [7] }],
  ["leading zeros before the largest", `OP=GET;IND=000${MOST};`, { op: "GET", ind: [MOST] }],
  ["signs", "OP=PUT;IND=+1;DATA=-7;", { op: "PUT", ind: [1], data: [-7] }],
  ["minus zero is zero", "OP=PUT;IND=-0;DATA=-0;", { op: "PUT", ind: [0], data: [0] }],
  ["plus zero", "OP=PUT;IND=+0;DATA=+0;", { op: "PUT", ind: [0], data: [0] }],
  ["a negative index, which only a table refuses", "OP=GET;IND=-1;", { op: "GET", ind: [-1] }],
  ["2^53 - 1", `OP=PUT;IND=1;DATA=${MOST};`, { op: "PUT", ind: [1], data: [MOST] }],
  ["-(2^53 - 1)", `OP=PUT;IND=1;DATA=-${MOST};`, { op: "PUT", ind: [1], data: [-MOST] }],
  ["SUB with a zero of another form", "OP=SUB;DATA=-00;", { op: "SUB", end: true }],
  ["the most indices of ADD", "OP=ADD;IND=1,2,3,4,5;", { op: "ADD", ind: [1, 2, 3, 4, 5] }],
  ["the most indices of GET", `OP=GET;IND=${times(MAX_INDICES, "1")};`, {
    op: "GET",
    ind: Array(MAX_INDICES).fill(1),
  }],
];

const LONG = `"${"x".repeat(MAX_QUOTED_CHARACTERS - 1)}…"`;
const noInteger = (name: string, item: string) =>
  `${name} holds no integer within ±(2^53 - 1): "${item}"`;

const refusedRequests: [reason: string, line: string, code: 400 | 413, message: string][] = [
  ["an empty line", "", 400, "the line is empty"],
  ["a carriage return alone", "\r", 400, "the line is empty"],
  ["blanks alone", " \t ", 400, "the line is empty"],
  ["semicolons alone", ";;;", 400, "the line is empty"],
  ["semicolons and blanks", " ; ;\t; ", 400, "the line is empty"],
  ["no field at all", "hello", 400, 'no NAME=VALUE: "hello"'],
  ["a part that is no field", "OP=CLR;hello;", 400, 'no NAME=VALUE: "hello"'],
  ["a part that is no field, last", "OP=CLR;hello", 400, 'no NAME=VALUE: "hello"'],
  ["a value without a name", "OP=CLR;=5;", 400, 'no NAME=VALUE: "=5"'],
  ["a value without a name, after a blank", "OP=CLR; =5;", 400, 'no NAME=VALUE: "=5"'],
  ["= alone", "=", 400, 'no NAME=VALUE: "="'],
  ["two carriage returns", "OP=CLR;\r\r", 400, 'no NAME=VALUE: "·"'],
  ["NUL alone", "\0", 400, 'no NAME=VALUE: "·"'],
  ["a request of HTTP", "GET / HTTP/1.1", 400, 'no NAME=VALUE: "GET / HTTP/1.1"'],
  ["no OP", "IND=1;", 400, "OP is missing"],
  ["OP without a value", "OP=;IND=1;", 400, "OP is missing"],
  ["OP of blanks", "OP= ;IND=1;", 400, "OP is missing"],
  ["OP None", "OP=None;IND=1;", 400, "OP is missing"],
  ["a byte order mark", "\uFEFFOP=CLR;", 400, "OP is missing"],
  ["a blank within the name", "O P=CLR;", 400, "OP is missing"],
  ["a full-width name", "ＯＰ=CLR;", 400, "OP is missing"],
  ["NUL in the name", "OP\0=CLR;", 400, "OP is missing"],
  ["OP twice", "OP=CLR;OP=CLR;", 400, "OP stands twice"],
  ["OP twice, once empty", "OP=;OP=CLR;", 400, "OP stands twice"],
  ["IND twice", "OP=GET;IND=1;IND=2;", 400, "IND stands twice"],
  ["IND twice, in another letter case", "OP=GET;IND=1;ind=1;", 400, "IND stands twice"],
  ["IND twice where it is not taken", "OP=CLR;IND=1;IND=1;", 400, "IND stands twice"],
  ["DATA twice", "OP=PUT;IND=1;DATA=1;DATA=1;", 400, "DATA stands twice"],
  ["DATA twice, once empty", "OP=GET;IND=1;DATA=;DATA=;", 400, "DATA stands twice"],
  ["MSG twice", "OP=CLR;MSG=a;MSG=b;", 400, "MSG stands twice"],
  ["an unknown operation", "OP=POP;IND=1;", 400, 'unknown operation: "POP"'],
  ["an operation that is too long", "OP=GETS;IND=1;", 400, 'unknown operation: "GETS"'],
  ["an operation that is too short", "OP=GE;IND=1;", 400, 'unknown operation: "GE"'],
  ["a blank within an operation", "OP=G T;IND=1;", 400, 'unknown operation: "G T"'],
  ["an operation with = in it", "OP=A=B;", 400, 'unknown operation: "A=B"'],
  ["an operation in other letters", "OP=ＧＥＴ;", 400, 'unknown operation: "ＧＥＴ"'],
  ["a dotless i is no I", "OP=ıNF;", 400, 'unknown operation: "ıNF"'],
  ["a long s is no S", "OP=ſUB;", 400, 'unknown operation: "ſUB"'],
  [
    "letters that packed in bytes would be GET",
    "OP=@\u0745T;IND=1;",
    400,
    'unknown operation: "@\u0745T"',
  ],
  ["an emoji", "OP=😀;", 400, 'unknown operation: "😀"'],
  ["a reply's operation", "OP=ERR;DATA=400;MSG=x;", 400, 'unknown operation: "ERR"'],
  ["a long operation, cut", `OP=${"x".repeat(60000)};`, 400, `unknown operation: ${LONG}`],
  [
    "an operation of 64 characters, whole",
    `OP=${"😀".repeat(64)};`,
    400,
    `unknown operation: "${"😀".repeat(64)}"`,
  ],
  [
    "an operation of 65 characters, cut by characters",
    `OP=${"😀".repeat(65)};`,
    400,
    `unknown operation: "${"😀".repeat(63)}…"`,
  ],
  [
    "control characters are not sent back",
    "OP=\x07a\x1b\x7f\x85\u2028;",
    400,
    'unknown operation: "·a····"',
  ],

  ["GET without IND", "OP=GET;", 400, "GET needs IND"],
  ["GET with an empty IND", "OP=GET;IND=;", 400, "GET needs IND"],
  ["GET with IND None", "OP=GET;IND=None;", 400, "GET needs IND"],
  ["ADD without IND", "OP=ADD;DATA=1;", 400, "ADD needs IND"],
  ["PUT without IND", "OP=PUT;DATA=1;", 400, "PUT needs IND"],
  ["PUT without DATA", "OP=PUT;IND=1;", 400, "PUT needs DATA"],
  ["PUT with an empty DATA", "OP=PUT;IND=1;DATA=;", 400, "PUT needs DATA"],
  [
    "PUT with fewer integers",
    "OP=PUT;IND=1,2;DATA=5;",
    400,
    "PUT needs one integer per index: it has 2 indices, 1 integers",
  ],
  [
    "PUT with more integers",
    "OP=PUT;IND=1;DATA=5,6;",
    400,
    "PUT needs one integer per index: it has 1 indices, 2 integers",
  ],
  ["SUB with DATA 1", "OP=SUB;DATA=1;", 400, 'DATA of SUB must be 0 or absent: it is "1"'],
  ["SUB with two zeros", "OP=SUB;DATA=0,0;", 400, 'DATA of SUB must be 0 or absent: it is "0,0"'],
  ["SUB with a word", "OP=SUB;DATA=x;", 400, noInteger("DATA", "x")],
  ["INV with a word", "OP=INV;IND=x;", 400, noInteger("IND", "x")],

  ["a comma at the end", "OP=GET;IND=1,;", 400, noInteger("IND", "")],
  ["a comma at the beginning", "OP=GET;IND=,1;", 400, noInteger("IND", "")],
  ["two commas", "OP=GET;IND=1,,2;", 400, noInteger("IND", "")],
  ["a comma alone", "OP=GET;IND=,;", 400, noInteger("IND", "")],
  ["None as an item", "OP=GET;IND=1,None;", 400, noInteger("IND", "None")],
  ["none in small letters", "OP=GET;IND=none;", 400, noInteger("IND", "none")],
  ["a word", "OP=GET;IND=seven;", 400, noInteger("IND", "seven")],
  ["a word after an integer", "OP=GET;IND=7up;", 400, noInteger("IND", "7up")],
  ["a bad item between good ones", "OP=GET;IND=1, x ,2;", 400, noInteger("IND", "x")],
  ["a blank within a number", "OP=GET;IND=1 2;", 400, noInteger("IND", "1 2")],
  ["a blank after a sign", "OP=GET;IND=- 1;", 400, noInteger("IND", "- 1")],
  ["a sign alone", "OP=GET;IND=-;", 400, noInteger("IND", "-")],
  ["two signs", "OP=GET;IND=--1;", 400, noInteger("IND", "--1")],
  ["a sign at the end", "OP=GET;IND=1-;", 400, noInteger("IND", "1-")],
  ["a decimal point", "OP=GET;IND=1.0;", 400, noInteger("IND", "1.0")],
  ["an exponent", "OP=PUT;IND=1;DATA=1e3;", 400, noInteger("DATA", "1e3")],
  ["hexadecimal", "OP=PUT;IND=1;DATA=0x10;", 400, noInteger("DATA", "0x10")],
  ["a bigint's n", "OP=PUT;IND=1;DATA=1n;", 400, noInteger("DATA", "1n")],
  ["a digit separator", "OP=PUT;IND=1;DATA=1_000;", 400, noInteger("DATA", "1_000")],
  ["a minus sign that is no hyphen", "OP=PUT;IND=1;DATA=−1;", 400, noInteger("DATA", "−1")],
  ["full-width digits", "OP=GET;IND=１;", 400, noInteger("IND", "１")],
  ["Arabic-Indic digits", "OP=GET;IND=٣;", 400, noInteger("IND", "٣")],
  ["a number and NUL", "OP=GET;IND=1\0;", 400, noInteger("IND", "1·")],
  ["a number and a carriage return", "OP=GET;IND=1\r;", 400, noInteger("IND", "1·")],
  [
    "a space that does not break is no blank",
    "OP=GET;IND=1\u00a01;",
    400,
    noInteger("IND", "1\u00a01"),
  ],
  [
    "a space that does not break, before a number",
    "OP=GET;IND=\u00a01;",
    400,
    noInteger("IND", "\u00a01"),
  ],
  ["NaN", "OP=PUT;IND=1;DATA=NaN;", 400, noInteger("DATA", "NaN")],
  ["Infinity", "OP=PUT;IND=1;DATA=Infinity;", 400, noInteger("DATA", "Infinity")],
  ["2^53", "OP=PUT;IND=1;DATA=9007199254740992;", 400, noInteger("DATA", "9007199254740992")],
  ["-(2^53)", "OP=PUT;IND=1;DATA=-9007199254740992;", 400, noInteger("DATA", "-9007199254740992")],
  ["2^53 + 1", "OP=PUT;IND=1;DATA=9007199254740993;", 400, noInteger("DATA", "9007199254740993")],
  ["an index of 2^53", "OP=GET;IND=9007199254740992;", 400, noInteger("IND", "9007199254740992")],
  [
    "60,000 digits",
    `OP=GET;IND=${"9".repeat(60000)};`,
    400,
    noInteger("IND", `${"9".repeat(63)}…`),
  ],
  [
    "2^64 + 1, which wraps to 1",
    "OP=GET;IND=18446744073709551617;",
    400,
    noInteger("IND", "18446744073709551617"),
  ],

  ["6 indices for ADD", "OP=ADD;IND=0,1,2,3,4,5;", 413, "ADD takes at most 5 indices: it has 6"],
  [
    "6 indices for ADD, of one entry",
    "OP=ADD;IND=1,1,1,1,1,1;",
    413,
    "ADD takes at most 5 indices: it has 6",
  ],
  [
    "1,025 indices for GET",
    `OP=GET;IND=${times(MAX_INDICES + 1, "1")};`,
    413,
    "GET takes at most 1024 indices: it has 1025",
  ],
  [
    "1,025 indices for PUT",
    `OP=PUT;IND=${times(MAX_INDICES + 1, "1")};DATA=${times(MAX_INDICES + 1, "1")};`,
    413,
    "PUT takes at most 1024 indices: it has 1025",
  ],
  [
    "400 before 413: a bad index among too many",
    "OP=ADD;IND=0,1,2,3,4,5,x;",
    400,
    noInteger("IND", "x"),
  ],
  [
    "400 before 413: too many indices, too few integers",
    `OP=PUT;IND=${times(MAX_INDICES + 1, "1")};DATA=1;`,
    400,
    "PUT needs one integer per index: it has 1025 indices, 1 integers",
  ],
];

function times(count: number, item: string): string {
  return Array(count).fill(item).join(",");
}

/** Fails with the row's name before the difference. */
function checkRow(reason: string, line: string, actual: unknown, expected: unknown): void {
  assertEquals(actual, expected, `${reason}: ${JSON.stringify(line.slice(0, 100))}`);
}

Deno.test("parseRequest takes every liberal form", () => {
  for (const [reason, line, expected] of takenRequests) {
    checkRow(reason, line, parseRequest(line), expected);
  }
});

Deno.test("parseRequest refuses what is no request with its code and a sentence", () => {
  for (const [reason, line, code, message] of refusedRequests) {
    checkRow(reason, line, parseRequest(line), { op: "ERR", code, message });
  }
});

Deno.test("parseRequest reads a part of a text as it reads the line alone", () => {
  const rows = [
    ...takenRequests.map(([reason, line]) => [reason, line] as const),
    ...refusedRequests.map(([reason, line]) => [reason, line] as const),
  ];
  for (const [reason, line] of rows) {
    const text = `OP=GET;IND=1,\n${line}\n,2;DATA=3;IND=4;`;
    checkRow(reason, line, parseRequest(text, 14, 14 + line.length), parseRequest(line));
  }
});

const takenReplies: [reason: string, line: string, reply: Reply][] = [
  ["GET", "OP=GET;IND=1,8;DATA=0,5;", { op: "GET", ind: [1, 8], data: [0, 5] }],
  ["PUT", "OP=PUT;IND=7;DATA=-4;", { op: "PUT", ind: [7], data: [-4] }],
  ["CLR", "OP=CLR;", { op: "CLR" }],
  ["ADD", "OP=ADD;IND=7,8;DATA=9;", { op: "ADD", ind: [7, 8], sum: 9n }],
  ["ADD of a sum beyond 2^53 - 1", "OP=ADD;IND=1,2,1,2,1;DATA=45035996273704955;", {
    op: "ADD",
    ind: [1, 2, 1, 2, 1],
    sum: 45035996273704955n,
  }],
  ["ADD of the least sum", "OP=ADD;IND=1,1,1,1,1;DATA=-45035996273704955;", {
    op: "ADD",
    ind: [1, 1, 1, 1, 1],
    sum: -45035996273704955n,
  }],
  ["ADD with a plus sign", "OP=ADD;IND=1;DATA=+5;", { op: "ADD", ind: [1], sum: 5n }],
  ["ADD with leading zeros", `OP=ADD;IND=1;DATA=-${"0".repeat(100)}5;`, {
    op: "ADD",
    ind: [1],
    sum: -5n,
  }],
  ["INF of a server", "OP=INF;IND=0,1;DATA=4,5;", {
    op: "INF",
    ind: [0, 1],
    data: [4, 5],
    msg: undefined,
  }],
  ["INF of a proxy", "OP=INF;IND=7;DATA=4;MSG=lease 640 ms;", {
    op: "INF",
    ind: [7],
    data: [4],
    msg: "lease 640 ms",
  }],
  ["INF of a proxy that holds nothing", "OP=INF;MSG=no lease;", {
    op: "INF",
    ind: [],
    data: [],
    msg: "no lease",
  }],
  ["a lease", "OP=SUB;DATA=1000,10;", { op: "SUB", grant: { termMs: 1000, size: 10 } }],
  ["a lease given back", "OP=SUB;DATA=0;", { op: "SUB", grant: undefined }],
  ["INV", "OP=INV;IND=7,8;", { op: "INV", ind: [7, 8] }],
  ["INV of all", "OP=INV;", { op: "INV", ind: undefined }],
  ["an error", "OP=ERR;DATA=404;MSG=index 12 is outside;", {
    op: "ERR",
    code: 404,
    message: "index 12 is outside",
  }],
  ["an error without a sentence", "OP=ERR;DATA=500;", { op: "ERR", code: 500, message: "" }],
  ["a sentence with = in it", "OP=ERR;DATA=400;MSG=a=b, c;", {
    op: "ERR",
    code: 400,
    message: "a=b, c",
  }],
  ["another form", " msg = why ; data = 0503 ; op = err\r", {
    op: "ERR",
    code: 503,
    message: "why",
  }],
  ["an unknown field", "OP=CLR;VERSION=2;", { op: "CLR" }],
];

const refusedReplies: [reason: string, line: string, message: string][] = [
  ["an empty line", "", "the line is empty"],
  ["a word", "hello", 'no NAME=VALUE: "hello"'],
  ["no operation", "IND=1;", "OP is missing"],
  ["an unknown operation", "OP=POP;", 'unknown operation: "POP"'],
  ["GET without IND", "OP=GET;DATA=1;", "GET needs IND"],
  ["GET without DATA", "OP=GET;IND=1;", "GET needs DATA"],
  [
    "GET with fewer integers",
    "OP=GET;IND=1,2;DATA=1;",
    "GET needs one integer per index: it has 2 indices, 1 integers",
  ],
  ["PUT without DATA", "OP=PUT;IND=1;", "PUT needs DATA"],
  ["ADD without IND", "OP=ADD;DATA=1;", "ADD needs IND"],
  ["ADD without a sum", "OP=ADD;IND=1;", 'DATA of ADD is no sum: ""'],
  ["ADD with two sums", "OP=ADD;IND=1;DATA=1,2;", 'DATA of ADD is no sum: "1,2"'],
  ["ADD with a word", "OP=ADD;IND=1;DATA=0x1;", 'DATA of ADD is no sum: "0x1"'],
  [
    "ADD with 21 digits",
    "OP=ADD;IND=1;DATA=100000000000000000000;",
    'DATA of ADD is no sum: "100000000000000000000"',
  ],
  [
    "INF with fewer integers",
    "OP=INF;IND=1,2;DATA=1;",
    "INF needs one integer per index: it has 2 indices, 1 integers",
  ],
  [
    "INF with DATA alone",
    "OP=INF;DATA=1;",
    "INF needs one integer per index: it has 0 indices, 1 integers",
  ],
  ["SUB without DATA", "OP=SUB;", "SUB needs DATA"],
  ["SUB with a term alone", "OP=SUB;DATA=1000;", 'DATA of SUB must be a term and a size: "1000"'],
  [
    "SUB with three integers",
    "OP=SUB;DATA=1,2,3;",
    'DATA of SUB must be a term and a size: "1,2,3"',
  ],
  ["SUB with no term", "OP=SUB;DATA=0,10;", 'DATA of SUB must be a term and a size: "0,10"'],
  ["SUB with no size", "OP=SUB;DATA=1000,0;", 'DATA of SUB must be a term and a size: "1000,0"'],
  ["SUB below zero", "OP=SUB;DATA=-1,10;", 'DATA of SUB must be a term and a size: "-1,10"'],
  ["an error without a code", "OP=ERR;MSG=why;", "ERR needs DATA"],
  ["an error with an unknown code", "OP=ERR;DATA=418;", 'DATA of ERR is no known code: "418"'],
  ["an error with two codes", "OP=ERR;DATA=400,404;", 'DATA of ERR is no known code: "400,404"'],
  ["an error with a word", "OP=ERR;DATA=x;", noInteger("DATA", "x")],
];

Deno.test("parseReply takes every reply, in liberal forms too", () => {
  for (const [reason, line, expected] of takenReplies) {
    checkRow(reason, line, parseReply(line), expected);
  }
});

Deno.test("parseReply throws a TableError 400 with a sentence at what is no reply", () => {
  for (const [reason, line, message] of refusedReplies) {
    let thrown: unknown;
    try {
      parseReply(line);
    } catch (error) {
      thrown = error;
    }
    assertInstanceOf(thrown, TableError, `${reason}: ${line}`);
    checkRow(reason, line, [thrown.code, thrown.message], [400, message]);
  }
});

Deno.test("parseRequest works on a line of 64 KiB of the worst shapes", () => {
  const full = (unit: string) =>
    unit.repeat(Math.floor(MAX_LINE_BYTES / new TextEncoder().encode(unit).length));
  const rows: [reason: string, line: string, message: string][] = [
    ["semicolons", full(";"), "the line is empty"],
    ["blanks", full(" "), "the line is empty"],
    ["blanks, then a field's end", full(" ").slice(1) + ";", "the line is empty"],
    ["blank fields", full(" ;"), "the line is empty"],
    ["equals signs", full("="), `no NAME=VALUE: "${"=".repeat(63)}…"`],
    ["fields", full("A=;"), "OP is missing"],
    ["blanks before =", `A${full(" ").slice(2)}=`, "OP is missing"],
    ["blanks behind =", `A=${full(" ").slice(2)}`, "OP is missing"],
    [
      "blanks within a value",
      `OP=x${full(" ").slice(5)}x`,
      `unknown operation: "x${" ".repeat(62)}…"`,
    ],
    ["commas", `OP=GET;IND=${full(",").slice(11)}`, noInteger("IND", "")],
    ["zeros", `OP=GET;IND=${full("0").slice(12)}x`, noInteger("IND", `${"0".repeat(63)}…`)],
    [
      "blanks within a number",
      `OP=GET;IND=1${full(" ").slice(13)}1`,
      noInteger("IND", `1${" ".repeat(62)}…`),
    ],
    [
      "indices",
      `OP=GET;IND=${full("1,").slice(12)}1`,
      "GET takes at most 1024 indices: it has 32763",
    ],
    ["emoji", full("😀"), `no NAME=VALUE: "${"😀".repeat(63)}…"`],
    ["letters that are not known names", full("ind=;"), "IND stands twice"],
  ];
  for (const [reason, line, message] of rows) {
    const reply = parseRequest(line);
    checkRow(reason, line, reply.op === "ERR" ? reply.message : reply, message);
  }
});

Deno.test("otherProtocol knows the lines of HTTP and TLS, and no request of a table", () => {
  const http = "this is no HTTP server", tls = "this node speaks no TLS";
  const rows: [line: string, message: string | undefined][] = [
    ["GET / HTTP/1.1", http],
    ["HEAD / HTTP/1.1", http],
    ["POST /x HTTP/1.1", http],
    ["PUT / HTTP/1.0", http],
    ["OPTIONS * HTTP/1.1", http],
    ["CONNECT 127.0.0.1:6001 HTTP/1.1", http],
    ["GET http://127.0.0.1:6001/ HTTP/1.1", http],
    ["PRI * HTTP/2.0", http],
    // Any token is a method.
    ["FOO / HTTP/1.1\r", http],
    ["patch / HTTP/1.1", http],
    ["PROPFIND / HTTP/1.1", http],
    ["QUERY / HTTP/1.1", http],
    ["OP / HTTP/1.1", http],
    ["!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", http],
    // What lenient servers take.
    [" GET / HTTP/1.1", http],
    ["GET\t/\tHTTP/1.1", http],
    ["GET \v\f  /a b \r HTTP/1.1", http],
    ["get / http/1.1 and more", http],
    ["GET / HTTP/3", http],
    // Each would be a message otherwise.
    ["GET /?x=1;OP=PUT;IND=1;DATA=666;y= HTTP/1.1", http],
    ["X /a=;OP=CLR;b= HTTP/1.1=", http],
    // Headers, where they are no message.
    ["Host: a:6001\r", http],
    ["host:a", http],
    ["X-Anything:", http],
    ["Cookie: a=1", http],
    ["Cookie: a=1; OP=POP", http],
    ["Cookie: a=1; OP=CLR;", undefined],
    ["x:y=1;OP=CLR;", undefined],
    ["OP:GET;IND:1;", undefined],
    ["ind : 1;", undefined],
    ["MSG: hello", undefined],
    ["no token: 1", undefined],
    [": 1", undefined],
    ["\x16\x03\x01\x02\0\x01", tls],
    ["\x16\x03\x01=1;OP=CLR;", tls],
    ["\x16", undefined],
    ["GET=/;OP=CLR;", undefined],
    ["GET = / HTTP/1.1;OP=CLR;", undefined],
    ["OP =GET;IND=1;X= HTTP/1.1", undefined],
    ["OP \t =GET;IND=1; HTTP/1.1=x", undefined],
    ["OP=GET;IND=1;", undefined],
    ["OP=GET / HTTP/1.1", undefined],
    ["hello / HTTP 1", undefined],
    ["hello HTTP/1.1", undefined],
    ["GET", undefined],
    ["GET /", undefined],
    ["GET /HTTP/1.1", undefined],
    ["", undefined],
  ];
  for (const [line, message] of rows) {
    assertEquals(otherProtocol(line)?.message, message, line);
    const text = `OP=CLR;\n${line}\nOP=CLR; HTTP/1.1\n`;
    const found = otherProtocol(text, 8, 8 + line.length)?.message;
    assertEquals(found, message, `${line} between other lines`);
  }
  for (const [reason, line] of takenRequests) assertEquals(otherProtocol(line), undefined, reason);
});

/** Text of which HTTP is made, for values and names of which a table knows nothing. */
const httpText = fc.array(
  fc.oneof(
    fc.constantFrom(
      "GET",
      "FOO",
      "Host",
      ":",
      " ",
      "\t",
      "/",
      "*",
      "HTTP/1.1",
      " HTTP/1.1",
      "=",
      "OP",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  ),
  { maxLength: 8 },
).map((parts) => parts.join("").replaceAll(/[;\n]/g, ""));

const blanks = fc.constantFrom("", "", "", " ", "\t", "  ", " \t");

/** The field of an unknown name, which is one word, with any value. */
const unknownFields = fc.tuple(httpText, httpText)
  .map(([name, value]) => [name.replaceAll(/[\s=]/g, "") || "X", value] as const)
  .filter(([name]) => !/^(?:OP|IND|DATA|MSG)$/i.test(name) && !name.startsWith("\x16\x03"));

/** The lines in which a request may be written: any order, letters, blanks, and unknown fields. */
const requestLines = fc.tuple(
  requests,
  fc.array(unknownFields, { maxLength: 3 }),
  fc.infiniteStream(blanks),
  fc.infiniteStream(fc.nat()),
).map(([request, unknown, blank, chance]) => {
  const next = () => blank.next().value!, below = (n: number) => chance.next().value! % n;
  const known = format(request).slice(0, -1).split(";").map((field) => field.split("=", 2));
  const fields = [...known, ...unknown]
    .map(([name, value]) => [below(2) ? name!.toLowerCase() : name!, value ?? ""])
    .map(([name, value]) => `${next()}${name}${next()}=${next()}${value}${next()}`);
  for (let i = fields.length; i > 1; i--) {
    const other = below(i);
    [fields[i - 1], fields[other]] = [fields[other]!, fields[i - 1]!];
  }
  const end = ["", ";", ";\r", ";; ;"][below(4)]!;
  return { request, line: `${";".repeat(below(2))}${fields.join(";")}${end}` };
});

Deno.test("otherProtocol takes no request for another protocol's, however it is written", () => {
  fc.assert(
    fc.property(requestLines, ({ request, line }) => {
      const taken = parseRequest(line);
      assertEquals(taken.op === "ERR" ? `${line}: ${taken.message}` : taken, request);
      assertEquals(otherProtocol(line), undefined, line);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("otherProtocol refuses what parseRequest takes only where a name is no word", () => {
  fc.assert(
    fc.property(fc.tuple(httpText, requestLines, httpText), ([before, { line }, after]) => {
      const text = `${before}${line}${after}`;
      if (parseRequest(text).op === "ERR" || otherProtocol(text) === undefined) return;
      // A method and the beginning of a target in one name; or a control character.
      const words = /^[^=;]*[^=;\s]\s+[^=;\s]/.test(text);
      assertEquals(words || text.startsWith("\x16\x03"), true, text);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("checkIndices names the first index outside the table", () => {
  const rows: [ind: number[], size: number, message: string | undefined][] = [
    [[0, 9], 10, undefined],
    [[0], 1, undefined],
    [[1, 10, 11], 10, "index 10 is outside the table: it has 0 to 9"],
    [[-1], 10, "index -1 is outside the table: it has 0 to 9"],
    [[MOST], 10, `index ${MOST} is outside the table: it has 0 to 9`],
  ];
  for (const [ind, size, message] of rows) {
    const expected = message === undefined ? undefined : { op: "ERR", code: 404, message };
    assertEquals<unknown>(checkIndices(ind, size), expected, `${ind} of ${size}`);
  }
});

Deno.test("checkCount takes what a line may name, and no more", () => {
  const rows: [op: "GET" | "PUT" | "ADD", count: number, code: number | undefined][] = [
    ["GET", 0, 400],
    ["GET", 1, undefined],
    ["GET", MAX_INDICES, undefined],
    ["GET", MAX_INDICES + 1, 413],
    ["PUT", MAX_INDICES, undefined],
    ["PUT", MAX_INDICES + 1, 413],
    ["ADD", 0, 400],
    ["ADD", MAX_ADD_INDICES, undefined],
    ["ADD", MAX_ADD_INDICES + 1, 413],
  ];
  for (const [op, count, code] of rows) {
    let thrown: unknown;
    try {
      checkCount(op, Array(count).fill(0));
    } catch (error) {
      thrown = error;
    }
    assertEquals(thrown instanceof TableError ? thrown.code : thrown, code, `${op} of ${count}`);
  }
});

Deno.test("parseRequest gives back every request that format made a line of", () => {
  fc.assert(fc.property(requests, (request) => {
    assertEquals(parseRequest(format(request)), request);
  }));
});

Deno.test("parseReply gives back every reply that format made a line of", () => {
  fc.assert(fc.property(fc.oneof(replies, addReplies), (reply) => {
    assertEquals(parseReply(format(reply)), reply);
  }));
});

/** Text that comes near to a message, so that it gets past the first checks. */
const nearMessages = fc.array(
  fc.oneof(
    fc.constantFrom("OP", "IND", "DATA", "MSG", "GET", "PUT", "ADD", "SUB", "INV", "ERR", "INF"),
    fc.constantFrom("=", ";", ",", " ", "\t", "\r", "-", "+", "None", "0", "7", "404", `${MOST}`),
    fc.constantFrom("OP=GET;", "OP=PUT;", "OP=ADD;", "OP=SUB;", "OP=ERR;", "OP=INF;", ";DATA=0;"),
    fc.string({ unit: "binary" }),
  ),
  { maxLength: 40 },
).map((parts) => parts.join(""));

Deno.test("parseRequest answers any text with a request or an ERR, and does not throw", () => {
  fc.assert(
    fc.property(fc.oneof(nearMessages, fc.string({ unit: "binary" })), (line) => {
      const request = parseRequest(line);
      if (request.op !== "ERR") return;
      assertEquals([400, 413].includes(request.code), true, `code ${request.code}`);
      assertEquals(/[;\p{Cc}]/u.test(request.message), false, request.message);
      assertEquals(parseReply(format(request)), request);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("parseReply throws a TableError 400 or gives a reply, whatever the text", () => {
  fc.assert(
    fc.property(fc.oneof(nearMessages, fc.string({ unit: "binary" })), (line) => {
      try {
        const reply = parseReply(line);
        if (reply.op === "ERR") assertEquals(ERROR_CODES.includes(reply.code), true);
      } catch (error) {
        assertInstanceOf(error, TableError);
        assertEquals(error.code, 400);
      }
    }),
    { numRuns: 1000 },
  );
});
