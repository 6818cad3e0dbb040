/** The framing, over a source that hands out bytes as the test says. */
import { assertEquals, assertInstanceOf, assertLessOrEqual } from "@std/assert";
import { type ByteSource, lineStream } from "../lib/wire/framing.ts";
import { MAX_LINE_BYTES, READ_BUFFER_BYTES } from "../lib/protocol/limits.ts";
import { TableError } from "../lib/protocol/error.ts";
import { fc } from "./support/fast_check.ts";

const encoder = new TextEncoder();

/** Hands out these pieces, one per read at most, and then ends, or fails. */
class Pieces implements ByteSource {
  /** How many bytes were asked for and given. */
  given = 0;
  readonly #pieces: Uint8Array[];
  readonly #failure: Error | undefined;

  constructor(pieces: Iterable<string | Uint8Array>, failure?: Error) {
    this.#pieces = [...pieces].map((p) => typeof p === "string" ? encoder.encode(p) : p)
      .filter((piece) => piece.length > 0);
    this.#failure = failure;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const piece = this.#pieces.shift();
    if (piece === undefined) {
      return this.#failure === undefined ? Promise.resolve(null) : Promise.reject(this.#failure);
    }
    const count = Math.min(piece.length, buffer.length);
    buffer.set(piece.subarray(0, count));
    if (count < piece.length) this.#pieces.unshift(piece.subarray(count));
    this.given += count;
    return Promise.resolve(count);
  }
}

/** What a stream hands on, read by read, and the error that it ends with. */
async function outcome(source: ByteSource): Promise<{ texts: string[]; error: unknown }> {
  const texts: string[] = [];
  try {
    for await (const text of lineStream(source)) texts.push(text);
  } catch (error) {
    return { texts, error };
  }
  return { texts, error: undefined };
}

/** The bytes of a text, one by one. */
function bytewise(text: string | Uint8Array): Uint8Array[] {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  return Array.from(bytes, (byte) => new Uint8Array([byte]));
}

const NOT_UTF8: [reason: string, bytes: number[]][] = [
  ["a byte that never stands in UTF-8", [0xff]],
  ["a continuation alone", [0x80]],
  ["a beginning alone", [0xe2, 0x82]],
  ["an overlong form", [0xc0, 0xaf]],
  ["a surrogate", [0xed, 0xa0, 0x80]],
  ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
];

Deno.test("lineStream hands on whole lines, however the reads cut them", async () => {
  const rows: [reason: string, pieces: (string | Uint8Array)[], texts: string[]][] = [
    ["nothing", [], []],
    ["a whole line", ["OP=CLR;\n"], ["OP=CLR;\n"]],
    ["a line in single bytes", bytewise("OP=CLR;\n"), ["OP=CLR;\n"]],
    ["a newline that comes alone", ["OP=CLR;", "\n"], ["OP=CLR;\n"]],
    ["many lines in one read, as one text", ["a\nb\nc\n"], ["a\nb\nc\n"]],
    ["lines and the beginning of one", ["a\nb\nc", "d\n"], ["a\nb\n", "cd\n"]],
    ["the end of a line and more", ["a", "b\nc\nd", "\n"], ["ab\nc\n", "d\n"]],
    ["CRLF, left to the parser", ["a\r\n", "b\r", "\n"], ["a\r\n", "b\r\n"]],
    ["empty lines", ["\n", "\n\na\n"], ["\n", "\n\na\n"]],
    ["an unterminated last line is no message", ["a\nb"], ["a\n"]],
    ["an unterminated only line is no message", ["OP=CLR;"], []],
    ["a multi-byte character in single bytes", bytewise("é€😀\n"), ["é€😀\n"]],
    ["a multi-byte character cut after a line", [
      "a\n",
      encoder.encode("b\n😀").subarray(0, 4),
      encoder.encode("😀\n").subarray(2),
    ], ["a\n", "b\n", "😀\n"]],
    ["a byte order mark, which is kept", ["\uFEFFa\n"], ["\uFEFFa\n"]],
    ["NUL", ["a\0b\n"], ["a\0b\n"]],
  ];
  for (const [reason, pieces, texts] of rows) {
    assertEquals(await outcome(new Pieces(pieces)), { texts, error: undefined }, reason);
  }
});

Deno.test("lineStream gives the same lines however the bytes are cut", async () => {
  const line = fc.string({ unit: "grapheme", maxLength: 12 })
    .map((text) => text.replaceAll("\n", ""));
  await fc.assert(fc.asyncProperty(
    fc.array(line, { maxLength: 20 }),
    fc.array(fc.nat(8), { maxLength: 40 }),
    fc.string({ maxLength: 3 }).map((text) => text.replaceAll("\n", "")),
    async (lines, cuts, unterminated) => {
      const text = lines.map((line) => `${line}\n`).join("");
      const bytes = encoder.encode(text + unterminated);
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) pieces.push(bytes.subarray(at, at += cut));
      pieces.push(bytes.subarray(at));
      const { texts, error } = await outcome(new Pieces(pieces));
      assertEquals([texts.join(""), error], [text, undefined]);
      for (const part of texts) assertEquals(part.endsWith("\n"), true, "whole lines");
    },
  ));
});

Deno.test("lineStream hands lines on at once, before the next read", async () => {
  const pieces = new Pieces(["a\n", "b\n"]);
  const reader = lineStream(pieces).getReader();
  assertEquals(pieces.given, 0, "nothing is read before it is asked for");
  assertEquals(await reader.read(), { done: false, value: "a\n" });
  assertEquals(pieces.given, 2, "nothing is read ahead");
  assertEquals(await reader.read(), { done: false, value: "b\n" });
  assertEquals((await reader.read()).done, true);
});

/** The sizes at which the buffer's edges and the limit are crossed. */
const SIZES = [
  READ_BUFFER_BYTES - 1,
  READ_BUFFER_BYTES,
  READ_BUFFER_BYTES + 1,
  2 * READ_BUFFER_BYTES - 1,
  2 * READ_BUFFER_BYTES,
  3 * READ_BUFFER_BYTES + 7,
  MAX_LINE_BYTES - 1,
  MAX_LINE_BYTES,
];

Deno.test("lineStream takes lines longer than its buffer, up to the limit exactly", async () => {
  for (const size of SIZES) {
    const line = `${"x".repeat(size - 1)}y\n`;
    for (const before of ["", "a\n"]) {
      const { texts, error } = await outcome(new Pieces([`${before}${line}b\n`]));
      assertEquals(error, undefined, `${size} bytes`);
      assertEquals(texts.join("") === `${before}${line}b\n`, true, `${size} bytes`);
    }
  }
});

Deno.test("lineStream takes a long line of multi-byte characters in odd pieces", async () => {
  const line = `${"😀".repeat(MAX_LINE_BYTES / 4)}\n`;
  const bytes = encoder.encode(line);
  for (const step of [1021, 4099, READ_BUFFER_BYTES - 1]) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += step) pieces.push(bytes.subarray(at, at + step));
    const { texts, error } = await outcome(new Pieces([...pieces, "b\n"]));
    assertEquals(error, undefined, `${step} bytes a read`);
    assertEquals(texts.join("") === `${line}b\n`, true, `${step} bytes a read`);
  }
});

/** Asserts that a stream ended with a TableError of a code and a sentence. */
function assertFramingError(error: unknown, code: number, message: string, row: string): void {
  assertInstanceOf(error, TableError, row);
  assertEquals([error.code, error.message], [code, message], row);
}

const TOO_LONG = "the line is longer than 65536 bytes";

Deno.test("lineStream fails with 413 one byte over the limit, after the lines before", async () => {
  const long = "x".repeat(MAX_LINE_BYTES + 1);
  const rows: [reason: string, pieces: (string | Uint8Array)[], texts: string[]][] = [
    ["alone", [`${long}\n`], []],
    ["without a newline", [long], []],
    ["in pieces", [long.slice(0, 50000), long.slice(50000), "\n"], []],
    ["its newline in a read of its own", [long.slice(0, -1), "x", "\n"], []],
    ["after good lines", ["a\nb\n", long], ["a\nb\n"]],
    ["after good lines in the same read", [`a\nb\n${long}`], ["a\nb\n"]],
    ["with good lines behind it", [`a\n${long}\nb\n`], ["a\n"]],
    ["two bytes to a character", ["é".repeat(MAX_LINE_BYTES / 2), "x\n"], []],
    ["a carriage return counts", [`${long.slice(0, -1)}\r\n`], []],
  ];
  for (const [reason, pieces, texts] of rows) {
    const ended = await outcome(new Pieces(pieces));
    assertEquals(ended.texts, texts, reason);
    assertFramingError(ended.error, 413, TOO_LONG, reason);
  }
});

Deno.test("lineStream refuses what is not UTF-8, after the lines before", async () => {
  for (const [reason, bad] of NOT_UTF8) {
    const line = new Uint8Array([97, ...bad, 98, 10]);
    const rows: [where: string, pieces: (string | Uint8Array)[], texts: string[]][] = [
      ["alone", [line], []],
      ["in single bytes", bytewise(line), []],
      ["after good lines", ["a\nb\n", line], ["a\nb\n"]],
      ["after good lines in the same read", [
        new Uint8Array([...encoder.encode("é\nb\n"), ...line, ...encoder.encode("c\n")]),
      ], ["é\nb\n"]],
      ["at the end of a long line", ["x".repeat(40000), line, "c\n"], []],
      ["just before the newline", [new Uint8Array([...bad, 10, 97, 10])], []],
    ];
    for (const [where, pieces, texts] of rows) {
      const ended = await outcome(new Pieces(pieces));
      assertEquals(ended.texts, texts, `${reason}, ${where}`);
      assertFramingError(ended.error, 400, "the line is not UTF-8", `${reason}, ${where}`);
    }
  }
});

Deno.test("lineStream does not judge an unterminated last line", async () => {
  const { texts, error } = await outcome(new Pieces(["a\n", new Uint8Array([0xff])]));
  assertEquals([texts, error], [["a\n"], undefined]);
});

Deno.test("lineStream reads no further than the limit into 1 GB without a newline", async () => {
  let given = 0, largest = 0;
  const endless: ByteSource = {
    read(buffer) {
      if (given >= 1e9) return Promise.resolve(null);
      buffer.fill(120);
      given += buffer.length;
      largest = Math.max(largest, buffer.length);
      return Promise.resolve(buffer.length);
    },
  };
  const { texts, error } = await outcome(endless);
  assertEquals(texts, []);
  assertFramingError(error, 413, TOO_LONG, "1 GB");
  assertLessOrEqual(given, MAX_LINE_BYTES + READ_BUFFER_BYTES);
  assertLessOrEqual(largest, READ_BUFFER_BYTES);
});

Deno.test("lineStream fails with its source's error, after the lines before", async () => {
  const broken = new Error("connection reset");
  const { texts, error } = await outcome(new Pieces(["a\nb", "c"], broken));
  assertEquals(texts, ["a\n"]);
  assertEquals(error, broken);
});

Deno.test("lineStream ends a read that waits when it is cancelled", async () => {
  const reader = lineStream({ read: () => new Promise(() => {}) }).getReader();
  const waiting = reader.read();
  await reader.cancel();
  assertEquals((await waiting).done, true);
});
