/**
 * What the client's program sends and prints.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { replyForPeople } from "../lib/client/commands.ts";
import { CacheProxy, TableServer } from "../mod.ts";
import { Child, client, command, run } from "./support/program.ts";
import { NOT_IN_MSG } from "./support/messages.ts";
import { FakeServer } from "./support/wire.ts";
import { HOUR_MS, within } from "./support/within.ts";

/** A line that asks, and what is printed: text, or what it must match; then the status. */
type Row = [args: string[], stdout: string | RegExp, code?: number];

async function play(proxy: string, rows: Row[]): Promise<void> {
  for (const [args, stdout, code = 0] of rows) {
    const ran = await client(proxy, args);
    const what = JSON.stringify(args);
    if (typeof stdout === "string") assertEquals(ran.stdout, stdout, what);
    else assertMatch(ran.stdout, stdout, what);
    assertEquals([ran.code, ran.stderr], [code, ""], what);
  }
}

Deno.test("a client's commands are answered in wire format, an error with status 1", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
  await play(proxy.address, [
    [["put", "7=4", "8=5"], "OP=PUT;IND=7,8;DATA=4,5;\n"],
    [["get", "1,8"], "OP=GET;IND=1,8;DATA=0,5;\n"],
    [["get 1, 8"], "OP=GET;IND=1,8;DATA=0,5;\n"],
    [["get", "1", "8"], "OP=GET;IND=1,8;DATA=0,5;\n"],
    [["GET", "8"], "OP=GET;IND=8;DATA=5;\n"],
    [["add", "7,8"], "OP=ADD;IND=7,8;DATA=9;\n"],
    [["inf"], /^OP=INF;IND=7,8,1;DATA=4,5,0;MSG=lease \d+ ms;\n$/],
    [["clr"], "OP=CLR;\n"],
    [["OP=GET;IND=7;"], "OP=GET;IND=7;DATA=0;\n"],
    [[" op = get ; ind = 7 "], "OP=GET;IND=7;DATA=0;\n"],
    [["put", "3=-7"], "OP=PUT;IND=3;DATA=-7;\n"],
    [["get", "-1"], "OP=ERR;DATA=404;MSG=index -1 is outside the table: it has 0 to 9;\n", 1],
    [["--", "get", "-1"], /^OP=ERR;DATA=404;/, 1],
    [["add", "0,1,2,3,4,5"], /^OP=ERR;DATA=413;/, 1],
    [["put", "1=9007199254740992"], /^OP=ERR;DATA=400;/, 1],
    [["OP=POP;"], /^OP=ERR;DATA=400;/, 1],
  ]);
});

Deno.test("a client's --format json prints one object per reply", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
  const rows: Row[] = [
    [["put", "7=4,8=5"], '{"op":"PUT","ind":[7,8],"data":[4,5]}\n'],
    [["get", "1,8"], '{"op":"GET","ind":[1,8],"data":[0,5]}\n'],
    [["add", "7,8"], '{"op":"ADD","ind":[7,8],"data":[9]}\n'],
    [["put", "0=9007199254740991"], '{"op":"PUT","ind":[0],"data":[9007199254740991]}\n'],
    [["add", "0"], '{"op":"ADD","ind":[0],"data":[9007199254740991]}\n'],
    [["add", "0,0"], '{"op":"ADD","ind":[0,0],"data":["18014398509481982"]}\n'],
    [["clr"], '{"op":"CLR"}\n'],
    [["inf"], /^\{"op":"INF","ind":\[\],"data":\[\],"msg":"lease \d+ ms"\}\n$/],
    [
      ["get", "10"],
      '{"op":"ERR","code":404,"message":"index 10 is outside the table: it has 0 to 9"}\n',
      1,
    ],
  ];
  await play(proxy.address, rows.map(([args, ...row]) => [["--format", "json", ...args], ...row]));
  await play(server.address, [
    [
      ["--format=json", "inf"],
      '{"op":"INF","ind":[0,1,2,3,4,5,6,7,8,9],"data":[0,0,0,0,0,0,0,0,0,0]}\n',
    ],
    [["--format=json", "OP=SUB;"], '{"op":"SUB","data":[3600000,10]}\n'],
    [["--format=json", "OP=SUB;DATA=0;"], '{"op":"SUB","data":[0]}\n'],
  ]);
});

Deno.test("a client's inf ends with 1 where the proxy has no server, in every form", async () => {
  const away = FakeServer.listen();
  await away[Symbol.asyncDispose]();
  await using proxy = await CacheProxy.listen({ port: 0, server: away.address });
  const json = '{"op":"INF","ind":[],"data":[],"msg":"no server"}\n';
  await play(proxy.address, [
    [["inf"], "OP=INF;MSG=no server;\n", 1],
    [["OP=INF;"], "OP=INF;MSG=no server;\n", 1],
    [["--format", "json", "inf"], json, 1],
  ]);
  for (
    const [args, stdout] of [[[], "OP=INF;MSG=no server;\n"], [["--format=json"], json]] as const
  ) {
    const piped = await client(proxy.address, [...args], "inf\n");
    assertEquals(piped, { code: 1, stdout, stderr: "" });
  }
});

Deno.test("a client's inf ends with 0 where the proxy has a server and no lease", async () => {
  await using server = FakeServer.listen();
  const starting = CacheProxy.listen({ port: 0, server: server.address });
  const wire = await server.accept();
  assertEquals(await wire.line(), "OP=SUB;");
  await wire.send("OP=ERR;DATA=400;MSG=what is SUB;\n");
  await using proxy = await starting;
  await play(proxy.address, [[["inf"], "OP=INF;MSG=no lease;\n"]]);
});

Deno.test("a client's help is its usage text, whether or not anybody listens", async () => {
  const usage = await run("client", ["--help"]);
  for (const args of [["help"], ["HELP"], ["help", "get"], ["--format", "json", "help"]]) {
    assertEquals(await run("client", args), usage, args.join(" "));
  }
  assertEquals([usage.code, usage.stderr], [0, ""]);
});

Deno.test("a client's --trace shows the messages on standard error, its replies apart", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  // What follows --trace is no value of it.
  for (
    const args of [["--trace", "get", "1"], ["get", "--trace=text", "1"], ["get 1", "--trace"]]
  ) {
    const { code, stdout, stderr } = await client(server.address, args);
    assertEquals([code, stdout], [0, "OP=GET;IND=1;DATA=0;\n"]);
    assertMatch(
      stderr,
      /^\S+ +client {2}connected .*\n\S+ +client → proxy {2}OP=GET;IND=1;\n\S+ +client ← proxy {2}OP=GET;IND=1;DATA=0;\n$/,
    );
  }
  const words = await client(server.address, ["get", "--", "--trace"]);
  assertEquals([words.code, words.stderr.includes('get takes indices: "--trace"')], [2, true]);
});

Deno.test("a client sends piped lines as commands or as they are, and answers in order", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  const { address } = server;
  assertEquals(await client(address, [], "put 1=4\r\nOP=GET;IND=1;\nadd 1 1\nget 1"), {
    code: 0,
    stdout:
      "OP=PUT;IND=1;DATA=4;\nOP=GET;IND=1;DATA=4;\nOP=ADD;IND=1,1;DATA=8;\nOP=GET;IND=1;DATA=4;\n",
    stderr: "",
  });
  assertEquals(await client(address, [], "hello\n\nget x\nget 1\n"), {
    code: 1,
    stdout: [
      'OP=ERR;DATA=400;MSG=no NAME=VALUE: "hello";\n',
      "OP=ERR;DATA=400;MSG=the line is empty;\n",
      'OP=ERR;DATA=400;MSG=no NAME=VALUE: "get x";\n',
      "OP=GET;IND=1;DATA=4;\n",
    ].join(""),
    stderr: "",
  });
  assertEquals(await client(address, []), { code: 0, stdout: "", stderr: "" });
});

Deno.test("a client answers 20,000 piped lines in order", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  const lines = Array.from({ length: 20_000 }, (_, i) => i);
  const { code, stdout } = await client(
    server.address,
    [],
    lines.map((i) => i % 2 === 0 ? `put 1=${i}\n` : "get 1\n").join(""),
  );
  assertEquals(code, 0);
  const expected = lines.map((i) =>
    i % 2 === 0 ? `OP=PUT;IND=1;DATA=${i};\n` : `OP=GET;IND=1;DATA=${i - 1};\n`
  );
  assertEquals(stdout === expected.join(""), true, "replies out of order");
});

Deno.test("a client pipelines: it sends the second line before the first is answered", async () => {
  await using proxy = FakeServer.listen();
  const running = client(proxy.address, [], "get 1\nget 2\n");
  const wire = await proxy.accept();
  assertEquals(await wire.line(), "OP=GET;IND=1;");
  assertEquals(await wire.line(), "OP=GET;IND=2;");
  await wire.send("OP=GET;IND=1;DATA=1;\nOP=GET;IND=2;DATA=2;\n");
  const { code, stdout } = await running;
  assertEquals([code, stdout], [0, "OP=GET;IND=1;DATA=1;\nOP=GET;IND=2;DATA=2;\n"]);
});

Deno.test("a client prints a piped reply when it comes, not when its input ends", async () => {
  await using server = await TableServer.listen({ port: 0, leaseMs: HOUR_MS });
  const { address } = server;
  await using child = new Child([...command("client", { proxy: address }), "--proxy", address]);
  await child.writeMore("get 1\n");
  await child.until(() => child.stdout === "OP=GET;IND=1;DATA=0;\n", "the first reply");
  await child.write("get 2\n");
  assertEquals((await child.ended()).code, 0);
  assertEquals(child.stdout, "OP=GET;IND=1;DATA=0;\nOP=GET;IND=2;DATA=0;\n");
});

Deno.test("a client whose connection is lost prints the replies it has and ends 3", async () => {
  await using proxy = FakeServer.listen();
  const running = client(proxy.address, [], "get 1\nget 99\nget 3\n");
  const wire = await proxy.accept();
  for (let i = 0; i < 3; i++) await wire.line();
  await wire.send("OP=GET;IND=1;DATA=7;\nOP=ERR;DATA=404;MSG=no;\nOP=GET;IN");
  wire.close();
  const { code, stdout, stderr } = await running;
  assertEquals(stdout, "OP=GET;IND=1;DATA=7;\nOP=ERR;DATA=404;MSG=no;\n");
  assertMatch(stderr, new RegExp(`^halfway-client: lost ${proxy.address}: [^\n]+\n$`));
  assertEquals(code, 3);
});

Deno.test("a client whose connection is lost while its input waits says so at once", async () => {
  const proxy = FakeServer.listen();
  const { address } = proxy;
  await using child = new Child([...command("client", { proxy: address }), "--proxy", address]);
  const wire = await proxy.accept();
  wire.close();
  const { code } = await within(child.ended(), "the client to end, its input still open");
  assertEquals([code, child.stdout], [3, ""]);
  assertEquals(child.stderr, `halfway-client: lost ${address}: it closed the connection\n`);
  await proxy[Symbol.asyncDispose]();
});

/** What steers a terminal or hides in it, and what is shown of it on standard error. */
const HIDDEN = "a\x1b[31m\x9b\u200b\u200e\u061c\u202e\u2028\u{e0041}\ufe0fb";
const ESCAPED =
  "a\\u{1b}[31m\\u{9b}\\u{200b}\\u{200e}\\u{61c}\\u{202e}\\u{2028}\\u{e0041}\\u{fe0f}b";

Deno.test("a client prints nothing of what a node sent that could steer a terminal or hide in it", async () => {
  await using proxy = FakeServer.listen();
  const shown = "a·[31m········b";
  const [err, inf] = [`OP=ERR;DATA=404;MSG=${HIDDEN};`, `OP=INF;MSG=${HIDDEN};`];
  const rows: [args: string[], reply: string, code: number, stdout: string][] = [
    [[], err, 1, `OP=ERR;DATA=404;MSG=${shown};\n`],
    [["--format", "json"], err, 1, `{"op":"ERR","code":404,"message":"${shown}"}\n`],
    [[], inf, 0, `OP=INF;MSG=${shown};\n`],
    [["--format", "json"], inf, 0, `{"op":"INF","ind":[],"data":[],"msg":"${shown}"}\n`],
  ];
  for (const [args, reply, code, stdout] of rows) {
    for (const [words, stdin] of [[["inf"], ""], [[], "inf\n"]] as const) {
      const running = client(proxy.address, [...args, ...words], stdin);
      const wire = await proxy.accept();
      await wire.line();
      await wire.send(`${reply}\n`);
      assertEquals(await running, { code, stdout, stderr: "" });
    }
  }
});

Deno.test("a client's trace and its complaints show as text what could steer a terminal or hide in it", async () => {
  await using proxy = FakeServer.listen();
  const { address } = proxy;
  const tracing = client(address, ["--trace", `OP=${HIDDEN};`]);
  const wire = await proxy.accept();
  await wire.line();
  await wire.send(`OP=ERR;DATA=404;MSG=${HIDDEN};\n`);
  const { stderr } = await tracing;
  assertStringIncludes(stderr, ` OP=${ESCAPED};\n`);
  assertStringIncludes(stderr, ` OP=ERR;DATA=404;MSG=${ESCAPED};\n`);

  const rows: [args: string[], status: number, stderr: string][] = [
    [[`get ${HIDDEN}`], 2, 'get takes indices: "a·[31m········b"; see --help'],
    [[`--${HIDDEN}`], 2, `unknown flag: --${ESCAPED}; see --help`],
    [["--timeout", HIDDEN], 2, `must be a whole number from 1 to 2147483647: "${ESCAPED}"`],
    [["--proxy", `${HIDDEN} :1`], 2, `--proxy must be host:port: "${ESCAPED} :1"; see --help`],
  ];
  for (const [args, status, sentence] of rows) {
    const ran = await run("client", args);
    assertEquals([ran.code, ran.stdout], [status, ""]);
    assertStringIncludes(ran.stderr, sentence);
  }
  const file = await run("server", ["--data", `./${HIDDEN}/t.db`, "--port", "0"]);
  assertStringIncludes(file.stderr, ESCAPED);
  for (const text of [stderr, file.stderr]) {
    assertEquals(NOT_IN_MSG.test(text.replaceAll(/[\n;]/g, "")), false);
  }
});

Deno.test("replyForPeople shows what a node holds as a table, ten entries side by side", () => {
  const ind = Array.from({ length: 12 }, (_, i) => i);
  const data = ind.map((i) => i === 3 ? -123 : i);
  assertEquals(
    replyForPeople({ op: "INF", ind, data, msg: "lease 640 ms" }),
    `\
index     0     1     2     3     4     5     6     7     8     9
data      0     1     2  -123     4     5     6     7     8     9
index    10    11
data     10    11
lease 640 ms`,
  );
  const none = { op: "INF", ind: [], data: [], msg: "no server" } as const;
  assertEquals(replyForPeople(none), "nothing is held\nno server");
  assertEquals(replyForPeople({ op: "GET", ind: [1], data: [2] }), "OP=GET;IND=1;DATA=2;");
});
