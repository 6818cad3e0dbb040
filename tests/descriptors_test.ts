/** A process that has no file descriptor left gets some back from its clients, and not the other way. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import {
  addHolder,
  type DescriptorHolder,
  removeHolder,
  withDescriptor,
} from "../lib/wire/descriptors.ts";
import { BothEnds, hear, say } from "./support/both_ends.ts";
import { Folder } from "./support/folder.ts";
import { command, onFile, type RunningNode, start } from "./support/program.ts";
import { PlayedServer } from "./support/coherence.ts";
import { Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** A limit that only a broken test reaches, on the busiest machine. */
const MINUTES_MS = 180_000;

/** What the system says of a process that has none left. */
function noneLeft(code: string = "EMFILE"): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code });
}

/** A holder that notes how often it was asked. */
class Noted implements DescriptorHolder, Disposable {
  given = 0;
  readonly #none: boolean;

  constructor(none = false) {
    this.#none = none;
    addHolder(denoRuntime, this);
  }

  noneLeft(): boolean {
    return this.#none;
  }

  async giveBack(): Promise<void> {
    await undefined;
    this.given++;
  }

  [Symbol.dispose](): void {
    removeHolder(denoRuntime, this);
  }
}

/** Fails so often, and then succeeds. */
function failing(times: number, error: Error): () => Promise<string> {
  return () => times-- > 0 ? Promise.reject(error) : Promise.resolve("taken");
}

Deno.test("descriptors: what finds none left is done once more when some were given back", async () => {
  // Others' listeners may be holders, too: these tests share a process with none.
  for (const code of ["EMFILE", "ENFILE"]) {
    await assertRejects(
      () => withDescriptor(denoRuntime, failing(1, noneLeft(code))),
      Error,
      "Too many",
    );
    using holder = new Noted(), other = new Noted();
    const both = [1, 1].map((times) => withDescriptor(denoRuntime, failing(times, noneLeft(code))));
    assertEquals(await Promise.all(both), ["taken", "taken"]);
    assertEquals([holder.given, other.given], [1, 1], "once for all who wait");
    await assertRejects(
      () => withDescriptor(denoRuntime, failing(2, noneLeft(code))),
      Error,
      "Too many",
    );
    assertEquals(holder.given, 2);
  }
});

Deno.test("descriptors: other failures cost nobody a connection", async () => {
  const refused = Object.assign(new Error("Connection refused"), { code: "ECONNREFUSED" });
  const unknown = new Error("failed to lookup address information: Name or service not known");
  using holder = new Noted();
  for (const error of [refused, unknown]) {
    await assertRejects(() => withDescriptor(denoRuntime, failing(1, error)), Error, error.message);
  }
  assertEquals(holder.given, 0);
  // The look-up of a name fails in the same way where it has no descriptor.
  using other = new Noted(true);
  assertEquals(await withDescriptor(denoRuntime, failing(1, unknown)), "taken");
  await assertRejects(() => withDescriptor(denoRuntime, failing(1, refused)), Error, "refused");
  assertEquals([holder.given, other.given], [1, 1]);
});

Deno.test("descriptors: a proxy that has none left to reconnect closes its newest clients, and connects", async () => {
  await using ends = await BothEnds.start();
  const clients: Wire[] = [];
  for (let i = 0; i < 6; i++) {
    clients.push(await ends.client());
    await say(clients[i]!, "OP=INF;");
    assertMatch(await clients[i]!.line(), /^OP=INF;MSG=lease/);
  }
  const { connect } = Deno;
  const ready = Promise.withResolvers<void>();
  let tried = 0;
  Deno.connect = (async (options: Deno.ConnectOptions) => {
    await ready.promise;
    if (tried++ === 0) throw noneLeft();
    return await connect(options);
  }) as typeof connect;
  try {
    // One that waits for an answer would take a 429 for it, and think that nothing was changed.
    await say(clients[4]!, "OP=PUT;IND=1;DATA=2;");
    await hear(ends.upstream, "OP=PUT;IND=1;DATA=2;");
    await ends.lose();
    await hear(
      clients[4]!,
      "OP=ERR;DATA=504;MSG=the server has not answered: whether this was written is not known;",
    );
    await say(clients[4]!, "OP=PUT;IND=1;DATA=3;");
    // It waits for the connection.
    await say(clients[3]!, "OP=INF;");
    await hear(clients[3]!, "OP=INF;MSG=no server;");
    ready.resolve();
    await ends.greet();
  } finally {
    Deno.connect = connect;
  }
  assertEquals(tried, 2);
  await hear(ends.upstream, "OP=PUT;IND=1;DATA=3;");
  await say(ends.upstream, "OP=PUT;IND=1;DATA=3;");
  const full = "OP=ERR;DATA=429;MSG=this node takes 3 connections, and has them;\n";
  assertEquals(await clients[5]!.rest(), full);
  assertEquals(await clients[4]!.rest(), "");
  assertEquals(await clients[3]!.rest(), full);
  for (const gone of clients.splice(3)) ends.leave(gone);
  for (const client of clients) {
    await say(client, "OP=INF;");
    assertMatch(await client.line(), /^OP=INF;IND=1;DATA=3;MSG=lease/);
  }
  // And takes no more than those for a while.
  const more = await ends.client();
  assertEquals(await more.rest(), full);
  ends.leave(more);
  assertEquals(ends.log.sentences.filter((line) => !line.includes("the server at")), [
    "no file descriptor is left (ulimit -n): closes 3 connections, and takes 3 at most for 60 s",
  ]);
  assertEquals(ends.log.sentences.some((line) => line.includes("cannot reach")), false);
  await ends.finish();
});

/** A program that may have so many file descriptors. */
function limited(command: string[]): string[] {
  return ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", ...command];
}

/** Makes more connections than the node may have; those that it serves. */
async function crowd(node: RunningNode, stack: AsyncDisposableStack): Promise<Wire[]> {
  const wires: Wire[] = [];
  for (let i = 0; i < 100; i++) wires.push(stack.use(await Wire.connect(node.address)));
  const lines = wires.map(async (wire) => {
    try {
      await wire.send("OP=GET;IND=9;\n");
      return await wire.line();
    } catch (error) {
      assertMatch((error as Error).message, /closed|reset|pipe|aborted/i);
      return "OP=ERR;DATA=429;";
    }
  });
  const served: Wire[] = [];
  for (const [i, line] of (await Promise.all(lines)).entries()) {
    if (line === "OP=GET;IND=9;DATA=0;") served.push(wires[i]!);
    else assertMatch(line, /^OP=ERR;DATA=429;/);
  }
  return served;
}

/** Writes, as often as it takes until the server can be reached. */
async function put(wire: Wire, data: number): Promise<void> {
  const request = `OP=PUT;IND=1;DATA=${data};`;
  const written = async () => {
    for (;;) {
      await say(wire, request);
      const line = await wire.line();
      if (line === request) return;
      assertMatch(line, /^OP=ERR;DATA=50[34];/);
    }
  };
  await within(written(), "the write to be answered", MINUTES_MS);
}

/** How often a program has said that it has none left, and whether it said so of a connection. */
function complaints(node: RunningNode): [none: number, untaken: boolean] {
  const none = node.stderr.split("no file descriptor is left (ulimit -n)").length - 1;
  return [none, node.stderr.includes("cannot take a connection")];
}

Deno.test({
  name:
    "descriptors: a proxy that many clients crowd reconnects, and a server that they crowd commits",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = new Folder();
    await using stack = new AsyncDisposableStack();
    const file = folder.path();
    const serve = (port: string) =>
      start("server", ["--port", port, "--data", file], {
        command: limited(command("server", onFile(file))),
      });
    const first = await serve("0");
    const { address } = first, port = address.split(":")[1]!;
    stack.use(first);
    const proxy = stack.use(
      await start("proxy", ["--port", "0", "--server", address], {
        command: limited(command("proxy", { listen: "127.0.0.1", server: address })),
      }),
    );
    const clients = await crowd(proxy, stack);
    assert(clients.length > 1 && clients.length < 64, `${clients.length} are served`);
    await put(clients[0]!, 1);
    first.signal("SIGKILL");
    await first.ended();
    const server = stack.use(await serve(port));
    await put(clients[0]!, 2);
    assertEquals(complaints(proxy), [1, false]);

    const direct = await crowd(server, stack);
    assert(direct.length > 1 && direct.length < 64, `${direct.length} are served`);
    await put(direct[0]!, 3);
    await put(clients.at(-1)!, 4);
    assertEquals(complaints(server), [1, false]);
  },
});

Deno.test("descriptors: at a server a proxy is closed without a word, a client that waits for nothing is told", async () => {
  await using played = await PlayedServer.start();
  const old = await played.client(), holder = await played.proxy(), idle = await played.client();
  const writer = await played.client(), newest = await played.proxy();
  await played.hold(holder, 1);
  for (const client of [old, idle]) {
    await say(client, "OP=GET;IND=2;");
    await hear(client, "OP=GET;IND=2;DATA=102;");
  }
  await say(writer, "OP=PUT;IND=1;DATA=5;");
  await hear(holder, "OP=INV;IND=1;");
  // Half of five, rounded down.
  assertEquals(await withDescriptor(denoRuntime, failing(1, noneLeft())), "taken");
  assertEquals(await newest.rest(), "");
  assertEquals(await writer.rest(), "");
  played.gone(newest);
  played.gone(writer);
  // What it wrote is written all the same.
  await say(holder, "OP=INV;IND=1;");
  await say(idle, "OP=GET;IND=1;");
  await hear(idle, "OP=GET;IND=1;DATA=5;");
  // Not again so soon.
  assertEquals(await withDescriptor(denoRuntime, failing(1, noneLeft())), "taken");
  for (const client of [old, idle]) {
    await say(client, "OP=GET;IND=2;");
    await hear(client, "OP=GET;IND=2;DATA=102;");
  }
  await using more = await Wire.connect(played.server.address);
  assertEquals(
    await more.rest(),
    "OP=ERR;DATA=429;MSG=this node takes 3 connections, and has them;\n",
  );
});
