/**
 * The client's prompt, at a real pseudo-terminal. Where none can be had, these tests are skipped.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { TableServer } from "../mod.ts";
import { Child, command, PICKED } from "./support/program.ts";
import { HAS_TERMINAL, Terminal } from "./support/terminal.ts";
import { FakeServer, type Wire } from "./support/wire.ts";
import { HOUR_MS } from "./support/within.ts";

const PROMPT = "halfway> ";

function test(name: string, body: () => Promise<void>): void {
  Deno.test({ name: `prompt: ${name}`, ignore: !HAS_TERMINAL, fn: body });
}

/** A client at its prompt, before a node. */
async function atPrompt(node: string, ...args: string[]): Promise<Terminal> {
  const patient = args.includes("--timeout") ? [] : ["--timeout", `${HOUR_MS}`];
  const all = ["--proxy", node, ...patient, ...args];
  const client = new Terminal([...command("client", { proxy: node }), ...all]);
  await client.shows(PROMPT);
  return client;
}

/** A client at its prompt, before a node that the test plays. */
async function beforeNode(): Promise<{ client: Terminal; wire: Wire } & AsyncDisposable> {
  const node = FakeServer.listen();
  const accepted = node.accept();
  const client = await atPrompt(node.address);
  return {
    client,
    wire: await accepted,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

test("each of many pasted lines is echoed, and answered, before the next", async () => {
  await using all = await beforeNode();
  const { client, wire } = all;
  await client.type("get 1\rput 1=5\r\nhello\r\rget 2\n");
  assertEquals(await wire.line(), "OP=GET;IND=1;");
  await wire.send("OP=GET;IND=1;DATA=0;\n");
  assertEquals(await wire.line(), "OP=PUT;IND=1;DATA=5;");
  await wire.send("OP=PUT;IND=1;DATA=5;\n");
  assertEquals(await wire.line(), "OP=GET;IND=2;");
  await wire.send("OP=ERR;DATA=404;MSG=no;\n");
  await client.shows("MSG=no;\n");
  await client.shows(PROMPT);
  await client.type("\x04");
  assertEquals(await client.ended(), [1, true]);
  assertStringIncludes(
    client.screen,
    `; "help" shows the commands
halfway> get 1
OP=GET;IND=1;DATA=0;
halfway> put 1=5
OP=PUT;IND=1;DATA=5;
halfway> hello
no command: "hello"; "help" shows the commands
halfway> 
halfway> get 2
OP=ERR;DATA=404;MSG=no;
halfway> 
[status 1]
`,
  );
});

test("of 2,000 pasted lines none is lost", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await using client = await atPrompt(server.address);
  const numbers = Array.from({ length: 2000 }, (_, i) => i);
  await client.type(numbers.map((i) => `put 1=${i}\r`).join("") + "exit\rget 1\r");
  assertEquals(await client.ended(), [0, true]);
  const expected = numbers.map((i) => `put 1=${i}\nOP=PUT;IND=1;DATA=${i};\n${PROMPT}`).join("");
  assertStringIncludes(client.screen, `\n${PROMPT}${expected}exit\n[status 0]\n`);
});

test("Ctrl-C clears the line, and says at an empty one how to end", async () => {
  await using all = await beforeNode();
  const { client, wire } = all;
  await client.type("put 1=666");
  await client.shows("put 1=666");
  await client.type("\x03");
  await client.shows(`^C\n${PROMPT}`);
  await client.type("\x03");
  await client.shows(`^C\nCtrl-D or quit ends\n${PROMPT}`);
  // One that takes more than a row is left whole, and the next begins below it.
  await client.type("x".repeat(100));
  await client.shows(`${PROMPT}${"x".repeat(71)}`);
  await client.type("\x01");
  await client.shows(`${PROMPT}${"x".repeat(100)}`);
  await client.type("\x03");
  await client.shows(`^C\n${PROMPT}`);
  await client.type("get 2\r");
  assertEquals(await wire.line(), "OP=GET;IND=2;");
  await wire.send("OP=GET;IND=2;DATA=7;\n");
  await client.shows(`OP=GET;IND=2;DATA=7;\n${PROMPT}`);
  await client.type("quit\r");
  assertEquals(await client.ended(), [0, true]);
});

test("Ctrl-C ends the wait for a reply, and drops what was typed ahead", async () => {
  await using all = await beforeNode();
  const { client, wire } = all;
  await client.type("get 1\rput 1=666\r");
  assertEquals(await wire.line(), "OP=GET;IND=1;");
  await client.type("put 2=666\r\x03get 2\r");
  await client.shows(
    `^C: its reply is not waited for; it may have been done all the same\n${PROMPT}`,
  );
  assertEquals(await wire.line(), "OP=GET;IND=2;");
  await wire.send("OP=GET;IND=1;DATA=1;\nOP=GET;IND=2;DATA=2;\n");
  await client.shows(`get 2\nOP=GET;IND=2;DATA=2;\n${PROMPT}`);
  assertEquals(client.screen.includes("OP=GET;IND=1;DATA=1;"), false);
  await client.type("\x04");
  assertEquals(await client.ended(), [0, true]);
});

test("Tab completes commands, the arrows bring lines back, Ctrl-Z does nothing", async () => {
  await using all = await beforeNode();
  const { client, wire } = all;
  await client.type("ge\t");
  await client.shows("get ");
  await client.type("1\r");
  assertEquals(await wire.line(), "OP=GET;IND=1;");
  await wire.send("OP=GET;IND=1;DATA=7;\n");
  await client.shows(`OP=GET;IND=1;DATA=7;\n${PROMPT}`);
  await client.type("\x1a\x1b[A");
  await client.shows("get 1");
  await client.type(",2\r");
  assertEquals(await wire.line(), "OP=GET;IND=1,2;");
  await wire.send("OP=GET;IND=1,2;DATA=7,8;\n");
  await client.shows(`OP=GET;IND=1,2;DATA=7,8;\n${PROMPT}`);
  // Capitals stay what they are.
  await client.type("CL\t");
  await client.shows("CLR");
  await client.type("\r");
  assertEquals(await wire.line(), "OP=CLR;");
  await wire.send("OP=CLR;\n");
  await client.shows(`OP=CLR;\n${PROMPT}`);
  await client.type("\t");
  await client.type("\t");
  await client.shows("get ");
  for (const name of ["put", "add", "clr", "inf", "help", "quit", "exit"]) await client.shows(name);
  await client.shows(PROMPT);
  // Where both came as one, the first is text.
  await client.type("\x03");
  await client.shows(PROMPT);
  await client.type("\x04");
  assertEquals(await client.ended(), [0, true]);
});

test("with --trace what passes stands between the command and its reply, or above the line", async () => {
  await using node = FakeServer.listen();
  const accepted = node.accept();
  await using client = await atPrompt(node.address, "--trace");
  const wire = await accepted;
  for (const [typed, index] of [["get 1\rget ", 1], ["2\r", 2]] as const) {
    await client.type(typed);
    assertEquals(await wire.line(), `OP=GET;IND=${index};`);
    await wire.send(`OP=GET;IND=${index};DATA=7;\n`);
    await client.shows(`\nOP=GET;IND=${index};DATA=7;\n`);
    await client.shows(PROMPT);
  }
  wire.close();
  await client.shows("halfway-client: lost");
  assertEquals(await client.ended(), [3, true]);
  assertStringIncludes(
    client.screen.replaceAll(/^\d\d:\d\d:\d\d\.\d{3} +/gm, ""),
    `
halfway> get 1
client → proxy  OP=GET;IND=1;
client ← proxy  OP=GET;IND=1;DATA=7;
OP=GET;IND=1;DATA=7;
halfway> get 2
client → proxy  OP=GET;IND=2;
client ← proxy  OP=GET;IND=2;DATA=7;
OP=GET;IND=2;DATA=7;
halfway> `,
  );
});

test("help shows the commands", async () => {
  await using server = await TableServer.listen({ port: 0 });
  await using client = await atPrompt(server.address);
  await client.type("HELP \r");
  const commands = ["get 1,8 ", "put 7=4 8=5 ", "add 7,8 ", "clr ", "inf ", "OP=GET;IND=1; "];
  for (const usage of [...commands, "help ", "quit "]) await client.shows(`\n  ${usage}`);
  await client.shows(PROMPT);
  await client.type("\x04");
  assertEquals(await client.ended(), [0, true]);
});

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  test(`${signal} ends it and leaves the terminal as it was`, async () => {
    await using server = await TableServer.listen({ port: 0 });
    await using client = await atPrompt(server.address);
    await client.type("get");
    await client.shows("get");
    await client.signal(signal);
    assertEquals(await client.ended(), [status, true]);
  });
}

test("a lost connection is said at once, and ends it with 3", async () => {
  await using all = await beforeNode();
  const { client, wire } = all;
  await client.type("get");
  await client.shows("get");
  wire.close();
  await client.shows("\nhalfway-client: lost 127.0.0.1:");
  assertEquals(await client.ended(), [3, true]);
});

test("a reply that does not come in time is said, and ends it with 3", async () => {
  await using node = FakeServer.listen();
  await using client = await atPrompt(node.address, "--timeout", "1500");
  await client.type("get 1\rget 2\r");
  await client.shows(`\nhalfway-client: no answer from ${node.address} in 1500 ms\n`);
  assertEquals(await client.ended(), [3, true]);
  assertEquals(client.screen.includes("get 2"), false);
});

const OWN_COMMANDS = [Deno.execPath(), "run", ...PICKED, "tests/support/prompt_program.ts"];

test("a program may give it commands, a label and what to say above the line", async () => {
  await using client = new Terminal(OWN_COMMANDS);
  await client.shows("a> ");
  await client.type("get 1\r");
  await client.shows("asked a: OP=GET;IND=1;\n");
  await client.shows("a> ");
  await client.type("us\t");
  await client.shows("use ");
  await client.type("b\t");
  await client.shows("bee");
  await client.type("\r");
  await client.shows("now bee\nbee> ");
  await client.type("get 1");
  await client.shows("get 1");
  await client.signal("SIGUSR1");
  await client.shows("said above\nbee> get 1");
  await client.type("2\r");
  await client.shows("asked bee: OP=GET;IND=12;\n");
  await client.shows("bee> ");
  await client.type("help\r");
  await client.shows("\n  use a|bee ");
  await client.type("fail\r");
  await client.shows("it failed\n");
  assertEquals(await client.ended(), [7, true]);
});

Deno.test("a prompt without a terminal takes lines, and writes each before its reply", async () => {
  await using child = new Child(OWN_COMMANDS);
  await child.write("get 1\r\n\nuse bee\nget 2");
  const { code } = await child.ended();
  assertEquals([code, child.stdout], [
    0,
    "a> get 1\nasked a: OP=GET;IND=1;\na> \na> use bee\nnow bee\nbee> get 2\nasked bee: OP=GET;IND=2;\n",
  ]);
});
