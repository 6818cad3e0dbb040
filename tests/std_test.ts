/**
 * The functions of `@std` that the project uses, by the names it imports them by: these tests hold
 * for the packages themselves and for the stand-ins in `airgap/`.
 */
import * as std from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";
import { TextLineStream } from "@std/streams/text-line-stream";

// A broken assertion must not vouch for itself: what follows is checked without the package.

/** The error of an assertion that has to fail; fails itself, naming the row, when none comes. */
function failureOf(row: string, assertion: () => void): Error {
  try {
    assertion();
  } catch (error) {
    if (error instanceof std.AssertionError && error.name === "AssertionError") return error;
    throw new Error(`${row}: threw something else than an AssertionError`, { cause: error });
  }
  throw new Error(`${row}: did not throw`);
}

/** Fails, naming the row, when an error's message lacks one of the parts. */
function checkMessage(row: string, error: Error, parts: string[]): void {
  for (const part of parts) {
    if (!error.message.includes(part)) throw new Error(`${row}: "${error.message}" lacks ${part}`);
  }
}

const assertEqualsRows: [reason: string, actual: unknown, expected: unknown, equal: boolean][] = [
  ["the same number", 1, 1, true],
  ["NaN is itself", NaN, NaN, true],
  ["a number is not its text", 1, "1", false],
  ["a number is not its bigint", 1, 1n, false],
  ["null is not undefined", null, undefined, false],
  ["bigints", 9n, 9n, true],
  [
    "nested, with keys in another order",
    { a: [1, { b: 2 }], c: 3 },
    { c: 3, a: [1, { b: 2 }] },
    true,
  ],
  ["a nested difference", { a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }, false],
  ["a key that is undefined is not a missing one", { a: undefined }, {}, false],
  ["a longer array", [1, 2], [1, 2, 3], false],
  ["an array in another order", [1, 2], [2, 1], false],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2]), true],
  ["other bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3]), false],
  ["an array is not bytes", [1, 2], new Uint8Array([1, 2]), false],
  ["maps in another order", new Map([[1, "a"], [2, "b"]]), new Map([[2, "b"], [1, "a"]]), true],
  ["maps with another value", new Map([[1, "a"]]), new Map([[1, "b"]]), false],
  ["sets", new Set([1, 2]), new Set([2, 1]), true],
  ["sets with another member", new Set([1]), new Set([2]), false],
  ["dates", new Date(5), new Date(5), true],
  ["other dates", new Date(5), new Date(6), false],
  [
    "an instance is not a plain object",
    new (class Point {
      x = 1;
    })(),
    { x: 1 },
    false,
  ],
];

Deno.test("assertEquals is deep and strict, and assertNotEquals its opposite", () => {
  for (const [reason, actual, expected, equal] of assertEqualsRows) {
    const [holds, fails] = equal
      ? [std.assertEquals, std.assertNotEquals]
      : [std.assertNotEquals, std.assertEquals];
    try {
      holds(actual, expected);
    } catch (cause) {
      throw new Error(`${reason}: expected equal to be ${equal}`, { cause });
    }
    checkMessage(reason, failureOf(reason, () => fails(actual, expected, "of that row")), [
      "of that row",
    ]);
  }
});

Deno.test("each assertion returns when it holds", () => {
  std.assert(1);
  std.assertStrictEquals("a", "a");
  std.assertStrictEquals(NaN, NaN);
  std.assertStringIncludes("abc", "b");
  std.assertMatch("abc", /^a/);
  std.assertExists(0);
  std.assertInstanceOf(new RangeError(), Error);
  std.assertGreater(2, 1);
  std.assertGreaterOrEqual(2n, 2n);
  std.assertLess(1, 2);
  std.assertLessOrEqual(2, 2);
});

Deno.test("each assertion throws an AssertionError that says why", () => {
  const rows: [row: string, assertion: () => void, parts: string[]][] = [
    ["assert", () => std.assert(0, "why"), ["why"]],
    ["assertEquals", () => std.assertEquals({ port: 41 }, { port: 42 }, "why"), [
      "41",
      "42",
      "why",
    ]],
    ["assertNotEquals", () => std.assertNotEquals([41], [41], "why"), ["41", "why"]],
    ["assertStrictEquals", () => std.assertStrictEquals(41, 42, "why"), ["41", "42", "why"]],
    ["assertStrictEquals of twins", () => std.assertStrictEquals({}, {}, "why"), ["why"]],
    ["assertStrictEquals of 0 and −0", () => std.assertStrictEquals(0, -0), ["-0"]],
    ["assertStringIncludes", () => std.assertStringIncludes("abc", "x", "why"), [
      `"abc"`,
      `"x"`,
      "why",
    ]],
    ["assertMatch", () => std.assertMatch("abc", /x+/, "why"), [`"abc"`, "/x+/", "why"]],
    ["assertExists of null", () => std.assertExists(null, "why"), ["null", "why"]],
    ["assertExists of undefined", () => std.assertExists(undefined), ["undefined"]],
    ["assertInstanceOf", () => std.assertInstanceOf(new Error(), RangeError, "why"), [
      `"RangeError"`,
      `"Error"`,
      "why",
    ]],
    ["assertInstanceOf of null", () => std.assertInstanceOf(null, RangeError), [`"null"`]],
    ["assertGreater", () => std.assertGreater(41, 42), ["41", "42"]],
    ["assertGreater of equals", () => std.assertGreater(41, 41, "why"), ["why"]],
    ["assertGreaterOrEqual", () => std.assertGreaterOrEqual(41, 42), ["41", "42"]],
    ["assertLess", () => std.assertLess(42, 41), ["42", "41"]],
    ["assertLess of equals", () => std.assertLess(41, 41, "why"), ["why"]],
    ["assertLessOrEqual", () => std.assertLessOrEqual(42, 41), ["42", "41"]],
    ["fail", () => std.fail("why"), ["why"]],
    ["unreachable", () => std.unreachable("why"), ["why"]],
    ["assertThrows of nothing", () => std.assertThrows(() => {}, Error, "", "why"), ["why"]],
    ["assertThrows of nothing, with a message alone", () => std.assertThrows(() => {}, "why"), [
      "why",
    ]],
    ["assertThrows of another class", () => std.assertThrows(throwing, TypeError), [
      `"TypeError"`,
      `"RangeError"`,
    ]],
    [
      "assertThrows of another message",
      () => std.assertThrows(throwing, RangeError, "in range", "why"),
      [`"in range"`, `"port 0 is out of it"`, "why"],
    ],
    [
      "assertThrows of no error",
      () =>
        std.assertThrows(() => {
          throw "text";
        }, Error),
      ["non-Error"],
    ],
  ];
  for (const [row, assertion, parts] of rows) checkMessage(row, failureOf(row, assertion), parts);
});

const thrown = new RangeError("port 0 is out of it");
function throwing(): never {
  throw thrown;
}

Deno.test("assertThrows returns what was thrown", () => {
  if (std.assertThrows(throwing) !== thrown) throw new Error("not the error itself");
  const error: RangeError = std.assertThrows(throwing, RangeError, "port 0");
  if (error !== thrown) throw new Error("not the error itself, with its class given");
  std.assertThrows(throwing, Error); // a class above it
});

Deno.test("assertRejects returns what was rejected with", async () => {
  const rejecting = () => Promise.reject(thrown);
  if (await std.assertRejects(rejecting) !== thrown) throw new Error("not the error itself");
  const error: RangeError = await std.assertRejects(rejecting, RangeError, "port 0");
  if (error !== thrown) throw new Error("not the error itself, with its class given");
});

Deno.test("assertRejects rejects with an AssertionError that says why", async () => {
  const rows: [row: string, fn: () => Promise<unknown>, parts: string[]][] = [
    ["no rejection", () => std.assertRejects(() => Promise.resolve(), Error, "", "why"), ["why"]],
    ["another class", () => std.assertRejects(() => Promise.reject(thrown), TypeError), [
      `"TypeError"`,
      `"RangeError"`,
    ]],
    ["another message", () => std.assertRejects(() => Promise.reject(thrown), RangeError, "x"), [
      `"x"`,
    ]],
    ["no error", () => std.assertRejects(() => Promise.reject("text"), Error), ["non-Error"]],
    ["thrown, not rejected", () => std.assertRejects(throwing, RangeError, "", "why"), ["why"]],
  ];
  for (const [row, fn, parts] of rows) {
    const outcome = await fn().then(() => undefined, (error) => error);
    checkMessage(
      row,
      failureOf(row, () => {
        if (outcome !== undefined) throw outcome;
      }),
      parts,
    );
  }
});

const parseArgsRows: [reason: string, args: string[], expected: Record<string, unknown>][] = [
  ["nothing: booleans are false, strings are not there", [], {}],
  ["a value after =", ["--port=80"], { port: "80" }],
  ["a value after a blank", ["--port", "80"], { port: "80" }],
  ["only the first = separates", ["--host=a=b"], { host: "a=b" }],
  ["an empty value", ["--port="], { port: "" }],
  ["an empty value takes no next argument", ["--port=", "80"], { port: "", _: ["80"] }],
  ["no value is an empty text for a string flag", ["--port"], { port: "" }],
  ["a flag is no value", ["--port", "--help"], { port: "", help: true }],
  ["a negative number is no value", ["--port", "-1"], { port: "", "1": true }],
  ["a negative number after = is one", ["--port=-1"], { port: "-1" }],
  ["an empty argument is no value", ["--port", ""], { port: "", _: [""] }],
  ["a string flag keeps its zeros", ["--port", "0080"], { port: "0080" }],
  ["the last one wins", ["--port", "1", "--port=2"], { port: "2" }],
  ["a boolean takes no value", ["--help", "now"], { help: true, _: ["now"] }],
  ["a boolean takes false", ["--help", "false"], { help: false }],
  ["a boolean takes true", ["--help", "true", "x"], { help: true, _: ["x"] }],
  ["a boolean with =false", ["--help=false"], { help: false }],
  ["a boolean with = anything else is true", ["--help=0"], { help: true }],
  ["a boolean with = and nothing is true", ["--help="], { help: true }],
  ["the last one wins for a boolean", ["--help", "--help=false"], { help: false }],
  ["what is not declared is true", ["--other"], { other: true }],
  ["what is not declared takes a value, a number", ["--other", "1e3"], { other: 1000 }],
  ["what is not declared takes a value, a text", ["--other=80x"], { other: "80x" }],
  ["hexadecimal is a number", ["--other=0x10"], { other: 16 }],
  ["a blank is no number", ["--other= "], { other: " " }],
  ["--no- is a part of the name", ["--no-help"], { "no-help": true }],
  ["--no- with a value is not", ["--no-port=80"], { port: "80" }],
  ["a group of letters", ["-abv"], { a: true, b: true, v: true }],
  ["the last letter takes a value", ["-ab", "c"], { a: true, b: "c" }],
  ["a boolean letter takes none", ["-v", "c"], { v: true, _: ["c"] }],
  ["a boolean letter takes false", ["-v", "false"], { v: false }],
  ["a letter with =", ["-a=1"], { a: 1 }],
  ["a boolean letter with = holds the text", ["-v=false"], { v: "false" }],
  ["a letter with = and nothing", ["-s="], { s: "" }],
  ["= in a group belongs to its first letter", ["-ab=1"], { a: 1 }],
  ["a letter with a number", ["-s80"], { s: "80" }],
  ["a letter with a number, not declared", ["-p80"], { p: 80 }],
  ["a letter with a path", ["-s/tmp"], { s: "/tmp" }],
  ["a letter with -", ["-s-"], { s: "-" }],
  ["a letter takes - for a value", ["-s", "-"], { s: "-" }],
  ["a long flag does not", ["--port", "-"], { port: "", _: ["-"] }],
  ["- alone belongs to no flag", ["-"], { _: ["-"] }],
  ["numbers that belong to no flag stay text", ["1", "007"], { _: ["1", "007"] }],
  ["nothing after -- is a flag", ["--help", "--", "--port", "1", "--"], {
    help: true,
    _: ["--port", "1", "--"],
  }],
  ["-- is no value", ["--port", "--", "80"], { port: "", _: ["80"] }],
  ["the prototype cannot be named", ["--__proto__=1", "--constructor=2"], {}],
];

Deno.test("parseArgs reads every form of an argument", () => {
  for (const [reason, args, expected] of parseArgsRows) {
    const parsed: Record<string, unknown> = parseArgs(args, {
      boolean: ["help", "v"],
      string: ["port", "host", "s", "_"],
    });
    std.assertEquals(parsed, { _: [], help: false, v: false, ...expected }, reason);
  }
});

Deno.test("parseArgs makes numbers of what belongs to no flag when _ is no string", () => {
  const parsed: Record<string, unknown> = parseArgs(["1", "x", "--", "2"], { boolean: ["help"] });
  std.assertEquals(parsed, { _: [1, "x", "2"], help: false });
});

Deno.test("parseArgs shows unknown what is not declared, and leaves out what it refuses", () => {
  const rows: [reason: string, args: string[], calls: unknown[][]][] = [
    ["what is declared is not shown", ["--help", "--port=1", "-v"], []],
    ["a flag without a value", ["--other"], [["--other", "other", true]]],
    ["a flag with = shows the whole argument", ["--other=1"], [["--other=1", "other", "1"]]],
    ["a flag that takes the next argument", ["--other", "1"], [["--other", "other", "1"]]],
    ["an empty value", ["--other="], [["--other=", "other", ""]]],
    ["--no- of a declared flag", ["--no-help"], [["--no-help", "no-help", true]]],
    ["each letter of a group", ["-xvy"], [["-xvy", "x", true], ["-xvy", "y", true]]],
    ["what belongs to no flag comes alone", ["a", "", "-"], [["a"], [""], ["-"]]],
    ["what follows -- is not shown", ["--", "a", "--other"], []],
  ];
  for (const [reason, args, expected] of rows) {
    const calls: unknown[][] = [];
    const parsed: Record<string, unknown> = parseArgs(args, {
      boolean: ["help", "v"],
      string: ["port", "_"],
      unknown: (arg: string, key?: string, value?: unknown) => {
        calls.push(key === undefined ? [arg] : [arg, key, value]);
        return false;
      },
    });
    std.assertEquals(calls, expected, reason);
    for (const [arg, key] of expected) {
      if (key === undefined) std.assertEquals(parsed._, [], `${reason}: ${arg} was kept`);
      else std.assert(!Object.hasOwn(parsed, String(key)), `${reason}: ${key} was kept`);
    }
  }
});

Deno.test("parseArgs keeps what unknown does not refuse", () => {
  const parsed: Record<string, unknown> = parseArgs(["--other", "1", "a"], {
    boolean: ["help"],
    string: ["_"],
    unknown: () => undefined,
  });
  std.assertEquals(parsed, { _: ["a"], help: false, other: 1 });
});

/** The lines that come out of a stream for the chunks that go in. */
async function linesOf(chunks: string[]): Promise<string[]> {
  return await Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new TextLineStream()));
}

Deno.test("TextLineStream divides text into lines", async () => {
  const rows: [reason: string, chunks: string[], lines: string[]][] = [
    ["nothing", [], []],
    ["an empty chunk", [""], []],
    ["one line", ["a\n"], ["a"]],
    ["many lines in a chunk", ["a\nb\n\nc\n"], ["a", "b", "", "c"]],
    ["CRLF", ["a\r\n\r\nb\r\n"], ["a", "", "b"]],
    ["a line in many chunks", ["a", "b", "", "c\nd", "e\n"], ["abc", "de"]],
    ["CRLF in two chunks", ["a\r", "\nb\n"], ["a", "b"]],
    ["an end that comes alone", ["a", "\n", "\n"], ["a", ""]],
    ["a last line that nothing ends", ["a\nb"], ["a", "b"]],
    ["a last line that nothing ends, in two chunks", ["a\nb", "c"], ["a", "bc"]],
    ["a lone CR is text", ["a\rb\nc\r"], ["a\rb", "c\r"]],
    ["one CR at most is taken off", ["a\r\r\n"], ["a\r"]],
    ["letters outside ASCII", ["é\n😀\n"], ["é", "😀"]],
  ];
  for (const [reason, chunks, lines] of rows) {
    std.assertEquals(await linesOf(chunks), lines, reason);
    const letters = chunks.flatMap((chunk) => chunk.split(""));
    std.assertEquals(await linesOf(letters), lines, `${reason}, letter by letter`);
  }
});

Deno.test("TextLineStream hands on a line as soon as it ends", async () => {
  const stream = new TextLineStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const writing = writer.write("a\nb");
  std.assertEquals(await reader.read(), { value: "a", done: false });
  await writing;
  const closing = writer.close();
  std.assertEquals(await reader.read(), { value: "b", done: false });
  await closing;
  std.assertEquals((await reader.read()).done, true);
});
