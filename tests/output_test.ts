/**
 * What the programs write, where it is not just read: nobody is held up by it, and nothing is lost that
 * is not said to be.
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ByteOutput, type Take } from "../lib/cli/byte_output.ts";
import { LineOutput } from "../lib/cli/line_output.ts";
import { sendPiped } from "../lib/client/piped.ts";
import { TableClient, TableServer } from "../mod.ts";
import { HAS_PYTHON, nonBlocking, slowTerminal, Unread } from "./support/outputs.ts";
import { Child, command } from "./support/program.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** An output that takes something whenever the test says so. */
class Valve {
  text = "";
  /** How many bytes are taken at a time at most. */
  most = Infinity;
  #waiting: (() => void) | undefined;
  #open = false;

  readonly take: Take = async (bytes) => {
    if (!this.#open) await new Promise<void>((resolve) => this.#waiting = resolve);
    const taken = bytes.subarray(0, this.most);
    this.text += decoder.decode(taken);
    return taken.length;
  };

  open(): void {
    this.#open = true;
    this.#waiting?.();
  }
}

Deno.test("LineOutput writes lines in order, in few pieces, however few bytes are taken at a time", async () => {
  const valve = new Valve();
  const lines = new LineOutput(new ByteOutput(valve.take, () => true));
  valve.most = 7;
  for (let i = 0; i < 1000; i++) lines.write(`line ${i}`);
  valve.open();
  await lines.flushedWithin(10_000);
  assertEquals(valve.text, Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(""));
});

Deno.test("LineOutput drops what finds no room, and says how many once there is room again", async () => {
  const valve = new Valve();
  const lines = new LineOutput(new ByteOutput(valve.take, () => true), 100);
  // Ten bytes each: ten find room, then even an empty one does not, or a gap would not be seen.
  for (let i = 0; i < 1243; i++) lines.write(`line ${String(i).padStart(4, "0")}`);
  lines.write("");
  valve.open();
  await lines.flushedWithin(10_000);
  lines.write("and on");
  await lines.flushedWithin(10_000);
  const kept = Array.from({ length: 10 }, (_, i) => `line 000${i}\n`).join("");
  assertEquals(valve.text, `${kept}… 1,234 lines were dropped: nobody read them\nand on\n`);
});

Deno.test("LineOutput goes on at the same byte after any error, and names it where lines were dropped", async () => {
  let text = "", tries = 0;
  const noted = Promise.withResolvers<void>();
  const full = new Error("No space left on device");
  const lines = new LineOutput(
    new ByteOutput((bytes) => {
      // Half of a line is written, then the disk is full for a while.
      if (tries++ > 0 && tries < 5) return Promise.reject(full);
      const taken = bytes.subarray(0, tries === 1 ? 3 : undefined);
      text += decoder.decode(taken);
      if (text.includes("dropped")) noted.resolve();
      return Promise.resolve(taken.length);
    }, () => true),
    24,
  );
  lines.write("the first");
  lines.write("the second");
  // Ends at once: nobody need be waited for.
  await lines.flushedWithin(60_000);
  lines.write("the third");
  await within(noted.promise, "the disk to have room");
  assertEquals(
    text,
    "the first\nthe second\n… 1 line was dropped: No space left on device\n",
  );
});

Deno.test("LineOutput.flushedWithin ends where nobody reads", async () => {
  const lines = new LineOutput(new ByteOutput(() => new Promise(() => {}), () => true));
  await lines.flushedWithin(1);
  lines.write("a line");
  await within(lines.flushedWithin(1), "it to give up");
});

Deno.test("ByteOutput goes on where an output is full for now, and fails once at any other error", async () => {
  const errors = [new Deno.errors.WouldBlock(), new Deno.errors.WouldBlock()];
  const valve = new Valve();
  valve.open();
  const take: Take = (bytes) => {
    const error = errors.shift();
    return error === undefined ? valve.take(bytes) : Promise.reject(error);
  };
  const output = new ByteOutput(take, (error) => error instanceof Deno.errors.WouldBlock);
  output.write(encoder.encode("abc"));
  await output.flushed();
  assertEquals([valve.text, output.unwritten], ["abc", 0]);
  errors.push(new Deno.errors.BrokenPipe("gone"));
  output.write(encoder.encode("def"));
  await assertRejects(() => output.flushed(), Deno.errors.BrokenPipe, "gone");
  await assertRejects(() => output.failure, Deno.errors.BrokenPipe, "gone");
  output.write(encoder.encode("ghi"));
  assertEquals([valve.text, output.unwritten, output.room(0)], ["abc", 0, undefined]);
});

Deno.test("ByteOutput.room waits until its reader has taken enough", async () => {
  const valve = new Valve();
  const output = new ByteOutput(valve.take, () => false);
  output.write(new Uint8Array(10));
  assertEquals(output.room(10), undefined);
  const room = output.room(9)!;
  valve.most = 1;
  valve.open();
  await room;
  assert(output.unwritten <= 9);
  await output.flushed();
});

/** A node that writes every message to a standard error that is not read, and where it listens. */
async function tracing(program: "server" | "proxy", ...args: string[]): Promise<[Unread, string]> {
  const server = args[args.indexOf("--server") + 1]!;
  const node = new Unread([
    ...command(program, { listen: "127.0.0.1:0", server }),
    ...["--port", "0", "--trace", ...args],
  ]);
  const stdout = await node.read("stdout", /\n/);
  return [node, / listening on (\S+)\n/.exec(stdout)![1]!];
}

const MANY = 20_000;

/** Has so many requests answered that their trace fits into no buffer. */
async function askMuch(address: string): Promise<void> {
  await using wire = await Wire.connect(address);
  for (let i = 0; i < MANY; i += 500) {
    await wire.send("OP=GET;IND=1;\n".repeat(500));
    for (let j = 0; j < 500; j++) assertEquals(await wire.line(), "OP=GET;IND=1;DATA=0;");
  }
}

Deno.test("a node whose trace nobody reads goes on, and says later how many lines were dropped", async () => {
  const [node, address] = await tracing("server", "--memory");
  await using server = node;
  await askMuch(address);
  const note = /^… ([\d,]+) lines were dropped: nobody read them\n/m;
  const stderr = await server.read("stderr", note);
  const dropped = Number(note.exec(stderr)![1]!.replaceAll(",", ""));
  const [before] = stderr.split("… ");
  assert(dropped + before!.split("\n").length - 1 >= 2 * MANY, "more is missing than is said");
  // No line is cut: the last one that was kept is whole.
  assertMatch(before!, /;\n$/);
});

Deno.test({
  name: "a node whose trace nobody reads ends at SIGTERM all the same",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const [server, address] = await tracing("server", "--memory");
    await using _server = server;
    const [proxy, front] = await tracing("proxy", "--server", address);
    await using _proxy = proxy;
    await askMuch(address);
    await askMuch(front);
    for (const node of [proxy, server]) {
      node.signal("SIGTERM");
      assertEquals(await node.status(), 0);
    }
  },
});

Deno.test({
  name: "a node whose log and trace cannot be written goes on, and ends in order",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const args = [...command("server", { listen: "127.0.0.1:0" }), "--port", "0", "--memory"];
    for (const output of ["/dev/full", "&-"]) {
      const shell = ["sh", "-c", `exec "$@" --trace 2>${output}`, "sh"];
      await using server = new Child([...shell, ...args]);
      await server.until(() => server.stdout.includes("\n"), "the server to listen");
      await askMuch(/ listening on (\S+)\n/.exec(server.stdout)![1]!);
      server.signal("SIGTERM");
      assertEquals((await server.ended()).code, 0);
    }
  },
});

/** A client of `node` that is given commands on its standard input, and what it is to answer. */
function piped(node: string, lines: number, ...args: string[]) {
  const ind = Array.from({ length: 100 }, (_, i) => i).join(",");
  return {
    command: [...command("client", { proxy: node }), "--proxy", node, ...args],
    stdin: Array.from({ length: lines }, (_, i) => `put 0=${i}\nget ${ind}\n`).join(""),
    stdout: Array.from(
      { length: lines },
      (_, i) => `OP=PUT;IND=0;DATA=${i};\nOP=GET;IND=${ind};DATA=${i}${",0".repeat(99)};\n`,
    ).join(""),
  };
}

for (const [where, wrap] of [["pipes", nonBlocking], ["a terminal", slowTerminal]] as const) {
  Deno.test({
    name: `a client writes each byte once to ${where} in non-blocking mode`,
    ignore: !HAS_PYTHON,
    fn: async () => {
      await using server = await TableServer.listen({ port: 0, size: 100 });
      const { command, stdin, stdout } = piped(server.address, 1000);
      await using child = new Child(wrap(command));
      await child.write(stdin);
      assertEquals([(await child.ended()).code, child.stderr], [0, ""]);
      assert(child.stdout === stdout, "other bytes than were to be written");
    },
  });
}

Deno.test({
  name: "a client writes each line of a trace once to a pipe in non-blocking mode",
  ignore: !HAS_PYTHON,
  fn: async () => {
    await using server = await TableServer.listen({ port: 0, size: 100 });
    const { command, stdin, stdout } = piped(server.address, 500, "--trace");
    await using child = new Child(nonBlocking(command));
    await child.write(stdin);
    assertEquals((await child.ended()).code, 0);
    assert(child.stdout === stdout, "other bytes than were to be written");
    // Each request and each reply; with what the trace says otherwise this test has nothing to do.
    const traced = child.stderr.match(/OP=.*\n/g)!;
    assertEquals(traced.length, 4 * 500);
    const gets = (lines: string[]) => lines.filter((line) => /^OP=GET;.*DATA=/.test(line)).join("");
    assert(gets(traced) === gets(stdout.match(/.*\n/g)!), "a line is cut, or missing");
  },
});

Deno.test("a client whose reader pauses for longer than --timeout loses no answer", async () => {
  await using server = await TableServer.listen({ port: 0, size: 100 });
  const { command, stdin, stdout } = piped(server.address, 3000, "--timeout", "300");
  await using client = new Unread(command, stdin);
  await client.read("stdout", /\n/);
  // More than one timeout: what has come must not grow old.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert(await client.read("stdout") === stdout, "other bytes than were to be written");
  assertEquals([await client.status(), await client.read("stderr")], [0, ""]);
});

Deno.test("sendPiped sends no more while what it shows is not read", async () => {
  await using node = FakeServer.listen();
  const connecting = TableClient.connect(node.address);
  const wire = await node.accept();
  await using client = await connecting;
  const lines = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  const input = lines.writable.getWriter();
  const shown = Promise.withResolvers<void>(), isFull = Promise.withResolvers<void>();
  const room = Promise.withResolvers<void>();
  let mayShow = true;
  const sending = sendPiped(client, lines.readable, () => {
    mayShow = false;
    shown.resolve();
  }, () => {
    if (mayShow) return undefined;
    isFull.resolve();
    return room.promise;
  });
  input.write(encoder.encode("get 1\n"));
  assertEquals(await wire.line(), "OP=GET;IND=1;");
  await wire.send("OP=GET;IND=1;DATA=0;\n");
  await within(shown.promise, "the first reply to be shown");
  input.write(encoder.encode("get 2\n"));
  await within(isFull.promise, "the client to look for room");
  // What is sent beside it comes before what the client still holds back.
  const beside = client.send("OP=CLR;");
  assertEquals(await wire.line(), "OP=CLR;");
  await wire.send("OP=CLR;\n");
  await beside;
  mayShow = true;
  room.resolve();
  assertEquals(await wire.line(), "OP=GET;IND=2;");
  await wire.send("OP=GET;IND=2;DATA=0;\n");
  await input.close();
  await sending;
});
