/**
 * The simulated world: that it is deterministic, that it is like the real one, that nothing of `lib/`
 * goes past it, and that what goes wrong in it is found.
 */

import { assert, assertEquals } from "@std/assert";
import { CacheProxy, TableServer } from "../mod.ts";
import { CALM_NETWORK, Network } from "../lib/simulate/network.ts";
import { Machine } from "../lib/simulate/machine.ts";
import { World } from "../lib/simulate/world.ts";
import type { Socket } from "../lib/runtime/runtime.ts";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { parseAddress } from "../lib/wire/address.ts";
import { packageFlags } from "../lib/cli/permissions.ts";
import { check, type Operation } from "../simulate/check.ts";
import { makePlan } from "../simulate/plan.ts";
import { run } from "../simulate/run.ts";
import { shorten } from "../simulate/shorten.ts";

/** The trace of a seed, as one text. */
async function traced(seed: number): Promise<string> {
  const lines: string[] = [];
  await run(makePlan(seed, "all", 300), (line) => lines.push(line));
  return lines.join("\n");
}

Deno.test("simulate: the same seed gives the same trace, in another process and uncompiled too", async () => {
  const once = await traced(7);
  assert(once.length > 10_000);
  assertEquals(await traced(7), once);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", ...packageFlags(), "--no-prompt", "--v8-flags=--jitless", "simulate/main.ts"],
      ...["--seeds=1", "--from=7", "--scenario=all", "--operations=300", "--trace"],
    ],
    cwd: new URL("../", import.meta.url),
  }).output();
  assert(new TextDecoder().decode(stdout).includes(once));
});

Deno.test("simulate: another seed gives another trace", async () => {
  assert(await traced(8) !== await traced(7));
});

/** What a client sends, in pieces, and all that a node sends back until it closes. */
async function session(socket: Socket, pieces: readonly string[]): Promise<string> {
  // Who does not read while it writes is written to no more, and then not read either.
  const sending = sendAll(socket, pieces).then(() => socket.closeWrite());
  const [, text] = await Promise.all([sending, readAll(socket)]);
  socket.close();
  return text;
}

async function sendAll(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    const bytes = new TextEncoder().encode(piece);
    for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
  }
}

async function readAll(socket: Socket): Promise<string> {
  const decoder = new TextDecoder(), buffer = new Uint8Array(7);
  let text = "";
  for (let count; (count = await socket.read(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text;
}

const MOST_INDICES = Array.from({ length: 1024 }, (_, i) => i % 10);
const PIECES = [
  "OP=PUT;IND=7,8;DA",
  "TA=4,5;\nOP=GET;IND=1,8;\nOP=ADD;IND=7,8;\r\n",
  "hello\nOP=GET;IND=99;\nOP=INF;\n",
  `OP=GET;IND=${MOST_INDICES};\n`.repeat(20),
  "OP=CLR;\nOP=GET;IND=7;\nno newline",
];

/** The replies to {@linkcode PIECES} that are the same at each node. */
const DATA = "0,0,0,0,0,0,0,4,5,0,".repeat(103).split(",").slice(0, 1024);
const REPLIES: { readonly [node: string]: string } = Object.fromEntries(
  [
    ["server", "OP=INF;IND=0,1,2,3,4,5,6,7,8,9;DATA=0,0,0,0,0,0,0,4,5,0;"],
    ["proxy", "OP=INF;IND=7,8,1;DATA=4,5,0;MSG=lease;"],
  ].map(([node, inf]) => [
    node!,
    [
      "OP=PUT;IND=7,8;DATA=4,5;",
      "OP=GET;IND=1,8;DATA=0,5;",
      "OP=ADD;IND=7,8;DATA=9;",
      'OP=ERR;DATA=400;MSG=no NAME=VALUE: "hello";',
      "OP=ERR;DATA=404;MSG=index 99 is outside the table: it has 0 to 9;",
      inf,
      ...Array(20).fill(`OP=GET;IND=${MOST_INDICES};DATA=${DATA};`),
      "OP=CLR;",
      "OP=GET;IND=7;DATA=0;",
      "",
    ].join("\n"),
  ]),
);

/** The time of a lease is nobody's to know. */
function withoutTime(text: string): string {
  return text.replace(/lease \d+ ms/, "lease");
}

for (const through of ["server", "proxy"]) {
  Deno.test(`simulate: a session at a ${through} is the same on the simulated network and on the real one, byte for byte`, async () => {
    const never = new AbortController().signal;
    await using server = await TableServer.listen({ port: 0 });
    await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
    const node = through === "server" ? server : proxy;
    const socket = await denoRuntime.connect(parseAddress(node.address), never);
    const real = withoutTime(await session(socket, PIECES));
    assertEquals(real, REPLIES[through]);
    for (const [seed, pieces] of [0, 0.1, 0.7, 1].entries()) {
      const world = new World(seed);
      const network = new Network(world, { ...CALM_NETWORK, pieces, windowBytes: 500 });
      const clock = { rate: 1, wallRate: 1, wallAhead: 0 };
      const start = (name: string) => new Machine(name, network, clock).start();
      const simulated = async () => {
        await using table = await TableServer.listen({ host: "s", port: 1, runtime: start("s") });
        await using cache = await CacheProxy.listen({
          host: "p",
          port: 1,
          server: table.address,
          runtime: start("p"),
        });
        const { address } = through === "server" ? table : cache;
        return await session(await start("c").connect(parseAddress(address), never), PIECES);
      };
      assertEquals(withoutTime(await world.until(simulated(), 60_000)), real, `pieces: ${pieces}`);
    }
  });
}

Deno.test("simulate: nothing overtakes on a connection, however slow and cut its way is", async () => {
  const sent = Array.from({ length: 300 }, (_, i) => `${i}\n`);
  for (let seed = 0; seed < 100; seed++) {
    const world = new World(seed);
    const options = {
      latencyMs: [0.1, 3],
      windowBytes: 4096,
      bytesPerMs: 100,
      pieces: 0.1,
    } as const;
    const network = new Network(world, options);
    const clock = { rate: 1, wallRate: 1, wallAhead: 0 };
    const [a, b] = ["a", "b"].map((name) => new Machine(name, network, clock).start());
    const listening = b!.listen({ host: "b", port: 1 });
    const connecting = a!.connect(listening.address, new AbortController().signal);
    const write = async () => {
      const socket = await connecting;
      for (const line of sent) {
        await sendAll(socket, [line]);
        await world.pass(world.random.between(0, 0.1));
      }
      await socket.closeWrite();
    };
    const cut = async () => {
      for (let i = 0; i < 5; i++) {
        await world.pass(world.random.between(0, 5));
        network.cut("a", "b");
        await world.pass(world.random.between(0, 5));
        network.heal("a", "b");
      }
    };
    const read = listening.accept().then(readAll);
    const [text] = await world.until(Promise.all([read, write(), cut()]));
    assertEquals(text, sent.join(""), `seed ${seed}`);
  }
});

Deno.test("simulate: nothing in lib/ goes past the runtime", async () => {
  const past =
    /\b(?:performance\b|Date\.now|new Date\(\)|set(?:Timeout|Interval|Immediate)\(|clear(?:Timeout|Interval)\(|Math\.random|Deno\.(?:listen|connect)\b|node:timers)/;
  // The runtime itself; what is the program's, and no node's: its terminal, its output, its processes.
  const free =
    /^lib\/(?:runtime\/deno_runtime\.ts$|simulate\/world\.ts$|cli\/|client\/terminal\.ts$)/;
  const found: string[] = [];
  for await (const path of sources("lib")) {
    if (free.test(path)) continue;
    const lines = (await Deno.readTextFile(new URL(`../${path}`, import.meta.url))).split("\n");
    lines.forEach((line, i) => {
      if (past.test(line) && !/^\s*(?:\*|\/\/|\/\*\*)/.test(line)) {
        found.push(`${path}:${i + 1}: ${line}`);
      }
    });
  }
  assertEquals(found, []);
});

async function* sources(folder: string): AsyncGenerator<string> {
  for await (
    const { name, isDirectory } of Deno.readDir(new URL(`../${folder}`, import.meta.url))
  ) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

const write = (invoked: number, value: number, returned = invoked + 1): Operation => ({
  by: "w",
  connection: 1,
  invoked,
  returned,
  outcome: "done",
  action: { kind: "PUT", ind: [0], data: [value] },
});
const read = (invoked: number, value: number, connection = 2): Operation => ({
  by: "r",
  connection,
  invoked,
  returned: invoked + 0.1,
  outcome: "done",
  action: { kind: "GET", ind: [0], data: [value] },
});
const effect = (at: number, value: number) => ({ at, entries: new Map([[0, value]]) });

Deno.test("simulate: a planted violation is found, and cut down to what shows it", () => {
  const operations: Operation[] = [];
  const effects = [];
  for (let i = 1; i <= 50; i++) {
    operations.push(write(10 * i, i), read(10 * i + 5, i), read(10 * i + 6, i, 3));
    effects.push(effect(10 * i + 0.5, i));
  }
  assertEquals(check(operations, effects, 1), []);
  const stale = read(333, 31, 4);
  const violations = check([...operations, stale], effects, 1);
  assertEquals(violations.map(({ what, operation }) => [what, operation]), [["stale read", stale]]);
  const short = shorten([...operations, stale], stale, 1)!;
  assertEquals(short.map(({ by, action }) => `${by} ${"data" in action ? action.data : ""}`), [
    "w 31",
    "w 32",
    "r 31",
  ]);
});

Deno.test("simulate: each thing that may not be is told apart", () => {
  const refused: Operation = { ...write(10, 5), outcome: "refused" };
  const unknown: Operation = { ...write(10, 5), outcome: "unknown", returned: Infinity };
  const clear: Operation = { ...write(20, 0), action: { kind: "CLR" } };
  const cleared = { at: 20.5, entries: undefined };
  const burst = (value: number): Operation => ({ ...read(20, value, 1), returned: 21 });
  const rows: [string, Operation[], { at: number; entries: Map<number, number> | undefined }[]][] =
    [
      ["", [write(10, 5)], [effect(10.5, 5)]],
      ["", [unknown], []],
      ["", [unknown], [effect(99, 5)]],
      ["", [refused], []],
      ["", [clear], [{ at: 20.5, entries: undefined }]],
      ["lost write", [write(10, 5)], []],
      ["wrong moment", [write(10, 5)], [effect(12, 5)]],
      ["wrong moment", [unknown], [effect(9, 5)]],
      ["dishonest refusal", [refused], [effect(10.5, 5)]],
      ["invented write", [], [effect(10.5, 5)]],
      ["written twice", [write(10, 5), write(10, 5)], [effect(10.5, 5)]],
      ["lost write", [clear], []],
      ["lost write", [clear], [{ at: 22, entries: undefined }]],
      ["invented value", [read(10, 7)], []],
      ["stale read", [write(10, 5), read(12, 0)], [effect(10.5, 5)]],
      // What one connection sends in a burst takes effect in that order.
      ["stale read", [write(10, 5), clear, burst(5)], [effect(10.5, 5), cleared]],
      ["", [write(10, 5), clear, burst(0)], [effect(10.5, 5), cleared]],
      ["out of order", [write(10, 5), burst(0), clear], [effect(10.5, 5), cleared]],
      ["", [write(10, 5), burst(5), clear], [effect(10.5, 5), cleared]],
      ["half a write", [write(10, 5)], [{ at: 10.5, entries: new Map([[0, 5], [1, 5]]) }]],
    ];
  for (const [what, operations, effects] of rows) {
    const found = check(operations, effects, 2).map(({ what }) => what);
    assertEquals(found[0] ?? "", what, `${what}: ${found}`);
  }
});
