/**
 * `deno task run`, as a person uses it: at a pipe and at a terminal, with nodes that die, and ended in
 * every way.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { NodeEvent } from "../lib/events.ts";
import { CausalOrder } from "../run/order.ts";
import { Folder, look } from "./support/folder.ts";
import { Child, DENO, Task } from "./support/program.ts";
import { HAS_TERMINAL, Terminal } from "./support/terminal.ts";
import { usualPorts } from "./support/usual_ports.ts";

/** How long what a busy machine may delay is waited for, in milliseconds. */
const PATIENCE_MS = 120_000;

/** A run, its standard input a pipe. */
class Run implements AsyncDisposable {
  readonly task: Task;
  #seen = 0;

  /** Starts it. */
  constructor(...args: string[]) {
    this.task = new Task("run", ...args);
  }

  /** Waits for the first prompt. */
  async starts(): Promise<string> {
    return await this.#upTo(/Ctrl-C clears the line\n/);
  }

  /** The ports of the server and of the proxies, as they are listed, and their processes. */
  get nodes(): { port: string; pid: number }[] {
    return [
      ...this.task.stdout.matchAll(/^(?:server|proxy) +127\.0\.0\.1:(\d+) +process (\d+) /gm),
    ].slice(0, 3).map(([, port, pid]) => ({ port: port!, pid: Number(pid) }));
  }

  /** Types a line, and waits until what it shows, blanks made one, matches; types it again if not. */
  async ask(line: string, expected: RegExp): Promise<string> {
    for (const giveUp = Date.now() + PATIENCE_MS;;) {
      // What stands behind it is answered by no node, and ends what this shows.
      await this.task.writeMore(`${line}\nat .\n`);
      const shown = await this.#upTo(/no node at "\."[^\n]*\n/);
      const words = shown.replaceAll(/ +/g, " ");
      if (expected.test(words)) return words;
      if (Date.now() > giveUp) throw new Error(`${line} never showed ${expected}: ${words}`);
    }
  }

  /** Waits until it has said something. */
  async says(expected: RegExp): Promise<void> {
    await this.task.until(
      () => expected.test(this.task.stdout.slice(this.#seen)),
      `${expected} from deno task run`,
    );
  }

  async #upTo(end: RegExp): Promise<string> {
    const rest = () => this.task.stdout.slice(this.#seen);
    await this.task.until(() => end.test(rest()), `${end} from deno task run`);
    const { index, 0: { length } } = end.exec(rest())!;
    const shown = rest().slice(0, index + length);
    this.#seen += shown.length;
    return shown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.task[Symbol.asyncDispose]();
  }
}

/** Waits until none of these processes is there any more. */
async function gone(pids: number[]): Promise<void> {
  for (const giveUp = Date.now() + PATIENCE_MS; pids.some(isThere);) {
    if (Date.now() > giveUp) throw new Error(`Still there: ${pids.filter(isThere)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function isThere(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

Deno.test("deno task run: put at one proxy, get at the other, and what passes in between", async () => {
  await using _ports = await usualPorts();
  await using run = new Run("--memory");
  const welcome = await run.starts();
  const [server, first, second] = run.nodes.map(({ port }) => port);
  assertMatch(
    welcome,
    new RegExp(`^server +127.0.0.1:${server} +process \\d+ +keeps nothing$`, "m"),
  );
  for (const port of [first, second]) {
    const line = `^proxy +127.0.0.1:${port} +process \\d+ +holds half of the table$`;
    assertMatch(welcome, new RegExp(line, "m"));
  }
  // Nothing but replies unless it is asked for.
  const quiet = await run.ask("get 1", /DATA=0;/);
  assertEquals(quiet.split("\n").slice(0, 2), [`halfway ${first}> get 1`, "OP=GET;IND=1;DATA=0;"]);
  await run.ask("trace on", /^/);
  await run.ask("get 2", new RegExp(`\n ${first} (?:miss|hit) 2\n`));
  const hit = await run.ask("get 2", new RegExp(`\n ${first} hit 2\n`));
  assertStringIncludes(
    hit,
    `halfway ${first}> get 2
 you → ${first} OP=GET;IND=2;
 ${first} hit 2
 you ← ${first} OP=GET;IND=2;DATA=0;
OP=GET;IND=2;DATA=0;
`,
  );
  // On a busy machine a lease may lapse before it is asked for, or answered: then it is done once more.
  const inTime = (told: string) => /\(invalidation\)[^]* server commits/.test(told);
  for (let told = ""; !inTime(told);) {
    await run.ask(`at ${first}`, /asking the proxy/);
    await run.ask("get 1", /DATA=/);
    await run.ask(`at ${second}`, /asking the proxy/);
    told = await run.ask("put 1=5", /\nOP=PUT;IND=1;DATA=5;\n/);
    if (!inTime(told)) continue;
    assertMatch(
      told,
      new RegExp(`\
 you → ${second} OP=PUT;IND=1;DATA=5;
(?: ${second} drops 1 \\(write\\)\n)? ${second} → server OP=PUT;IND=1;DATA=5;
 server write of 1 waits for proxy ${first}, \\d+ ms at most
 ${first} ← server OP=INV;IND=1;
 ${first} drops 1 \\(invalidation\\)
 ${first} → server OP=INV;IND=1;
 server commits 1=5
 ${second} ← server OP=PUT;IND=1;DATA=5;
(?: ${second} enters 1=5\n)? you ← ${second} OP=PUT;IND=1;DATA=5;
OP=PUT;IND=1;DATA=5;
`),
    );
  }
  await run.ask("trace off", /^/);
  await run.ask(`at ${first}`, /asking the proxy/);
  await run.ask("get 1", /get 1\nOP=GET;IND=1;DATA=5;\n/);
  await run.ask("at server", /asking the server/);
  await run.ask("inf", /\ndata 0 5 0 0 0 0 0 0 0 0\n/);
  const pids = run.nodes.map(({ pid }) => pid);
  await run.task.write("quit\n");
  assertEquals([(await run.task.ended()).code, pids.filter(isThere)], [0, []]);
  assertMatch(run.task.stdout, /> quit\nall nodes have ended\n$/);
});

Deno.test("deno task run: each node is allowed its own addresses and folder alone", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  await using run = new Run("--data", folder.path("new/t.db"));
  await run.starts();
  const [server, first, second] = run.nodes;
  const allowed = run.nodes.map(({ pid }) => {
    const { stdout } = new Deno.Command("ps", { args: ["-wwo", "args=", "-p", `${pid}`] })
      .outputSync();
    const words = new TextDecoder().decode(stdout).split(" ");
    return words.filter((word) => /^--(allow|cached-only|no-)/.test(word)).join(" ");
  });
  const closed = "--cached-only --no-npm --no-prompt --allow-net=127.0.0.1:";
  const path = folder.path("new");
  assertEquals(allowed, [
    `${closed}${server!.port} --allow-read=${path} --allow-write=${path}`,
    `${closed}${first!.port},127.0.0.1:${server!.port}`,
    `${closed}${second!.port},127.0.0.1:${server!.port}`,
  ]);
});

Deno.test("deno task run: a node that is killed is said, the others go on, and it starts again", async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  await using run = new Run("--data", folder.path());
  await run.starts();
  const [server, first, second] = run.nodes;
  await run.ask("put 2=7", /OP=PUT;IND=2;DATA=7;/);
  Deno.kill(first!.pid, "SIGKILL");
  const again = (port: string) => `"start ${port}" starts it again`;
  await run.says(
    new RegExp(`^the proxy ${first!.port} has ended by SIGKILL; ${again(first!.port)}$`, "m"),
  );
  await run.ask(
    "get 2",
    new RegExp(`\nthe proxy ${first!.port} has ended; ${again(first!.port)}\n`),
  );
  await run.ask(`at ${second!.port}`, /asking the proxy/);
  await run.ask("get 2", /OP=GET;IND=2;DATA=7;/);
  await run.ask("nodes", new RegExp(`^proxy 127.0.0.1:${first!.port} has ended holds`, "m"));
  await run.ask(`start ${first!.port}`, /\nthe proxy \d+ runs again: process \d+\n/);
  await run.ask(`start ${first!.port}`, /\nthe proxy \d+ runs: process \d+\n/);
  await run.ask(`at ${first!.port}`, /asking the proxy/);
  await run.ask("get 2", /OP=GET;IND=2;DATA=7;/);

  Deno.kill(server!.pid, "SIGKILL");
  await run.says(
    new RegExp(`^the server ${server!.port} has ended by SIGKILL.*; ${again(server!.port)}$`, "m"),
  );
  await run.ask("put 2=8", /OP=ERR;DATA=50[34];/);
  await run.ask("start server", /\nthe server \d+ runs again: process \d+; /);
  await run.ask("get 2", /OP=GET;IND=2;DATA=7;/);
  await run.ask("put 2=9", /OP=PUT;IND=2;DATA=9;/);
  await run.task.write("");
  // What could not be answered is a failure of what was asked, not of this program.
  assertEquals((await run.task.ended()).code, 3);
  assertStringIncludes(
    run.task.stdout,
    `\nall nodes have ended; ${folder.path()} keeps the table\n`,
  );
  assertEquals(look(folder.path()).entries, "2=9");
  assertEquals(look(folder.path()).clean, true);
});

Deno.test("deno task run: with its input all ends in order, also a node that stands still", async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  await using run = new Run("--data", folder.path());
  await run.starts();
  const pids = run.nodes.map(({ pid }) => pid);
  await run.ask("put 1=2", /OP=PUT;/);
  Deno.kill(pids[2]!, "SIGSTOP");
  await run.task.write("get 1");
  assertEquals([(await run.task.ended()).code, pids.filter(isThere)], [0, []], run.task.stderr);
  assertStringIncludes(run.task.stdout, "> get 1\nOP=GET;IND=1;DATA=2;\nall nodes have ended; ");
  assertEquals(look(folder.path()).clean, true);
});

Deno.test("deno task run: its nodes end in order even if it is killed", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  await using run = new Run("--data", folder.path());
  await run.starts();
  const pids = run.nodes.map(({ pid }) => pid);
  const { stdout } = new Deno.Command("ps", { args: ["-o", "ppid=", "-p", `${pids[0]}`] })
    .outputSync();
  Deno.kill(Number(new TextDecoder().decode(stdout)), "SIGKILL");
  await gone(pids);
  assertEquals(look(folder.path()).clean, true);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.test(`deno task run: ${signal} ends all in order`, async () => {
    await using _ports = await usualPorts();
    await using folder = new Folder();
    await using run = new Run("--data", folder.path());
    await run.starts();
    const pids = run.nodes.map(({ pid }) => pid);
    run.task.signal(signal);
    await run.says(/^all nodes have ended; /m);
    await run.task.ended();
    assertEquals([pids.filter(isThere), look(folder.path()).clean], [[], true]);
  });
}

Deno.test("deno task run: all ends where nobody reads its output any more", async () => {
  await using _ports = await usualPorts();
  const command = `'${Deno.execPath()}' task run --memory | head -n 6`;
  await using shell = new Child(["sh", "-c", command]);
  // Ports that are taken are said first.
  const shown = () => [...shell.stdout.matchAll(/ process (\d+) /g)].map(([, pid]) => Number(pid));
  await shell.until(() => shown().length === 3, "the first lines");
  const pids = shown();
  await shell.writeMore("get 1\n");
  await gone(pids);
  assertEquals([pids.length, (await shell.ended()).code], [3, 0], shell.stderr);
});

Deno.test("deno task run twice: other ports, and a line where the table is in use", async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  await using first = new Run("--data", folder.path());
  await first.starts();
  await using second = new Run("--data", folder.path());
  assertEquals((await second.task.ended()).code, 3);
  assertMatch(
    second.task.stderr,
    new RegExp(
      `\nhalfway-run: the server \\d+ did not start: ${folder.path()} [^\n]*another server[^\n]*; ` +
        `end that one, or keep another table: ${DENO} task run --data data/other.db\n$`,
    ),
  );
  await using third = new Run("--data", folder.path("other.db"));
  const welcome = await third.starts();
  for (
    const [i, [port, program]] of [[6002, "server"], [6001, "proxy"], [6003, "proxy"]].entries()
  ) {
    const { port: own } = third.nodes[i]!;
    const line = `port ${port} is taken: the ${program} listens on ${own}\n`;
    // Whoever else had it may have let it go.
    assertEquals(welcome.includes(line), own !== `${port}`, welcome);
    assert(first.nodes.every((node) => node.port !== own), "a port that is in use");
  }
  await third.ask("get 1", /DATA=0;/);
  await first.ask("get 1", /DATA=0;/);
});

Deno.test("deno task run refuses what it does not know, and helps", async () => {
  const rows: [args: string[], message: string][] = [
    [["--port", "1"], "unknown flag: --port"],
    [["get", "1"], 'unexpected argument: "get"'],
    [["--memory", "--data", "a.db"], '--memory keeps nothing, and --data was given: "a.db"'],
  ];
  for (const [args, message] of rows) {
    await using run = new Run(...args);
    assertEquals([(await run.task.ended()).code, run.task.stdout], [2, ""]);
    assertStringIncludes(run.task.stderr, `\nhalfway-run: ${message}; see --help\n`);
  }
  await using help = new Run("--help");
  assertEquals((await help.task.ended()).code, 0);
  assertStringIncludes(help.task.stdout, `\n  ${DENO} task run --memory `);
});

Deno.test("deno task run at a terminal: Ctrl-C clears the line, Ctrl-D ends all", {
  ignore: !HAS_TERMINAL,
}, async () => {
  await using _ports = await usualPorts();
  await using terminal = new Terminal([Deno.execPath(), "task", "run", "--memory"]);
  await terminal.shows("Ctrl-C clears the line\n");
  const pids = [...terminal.screen.matchAll(/ process (\d+) /g)].map(([, pid]) => Number(pid));
  await terminal.shows("> ");
  await terminal.type("clr");
  await terminal.shows("clr");
  await terminal.type("\x03");
  await terminal.shows("^C\n");
  await terminal.shows("> ");
  await terminal.type("no");
  await terminal.type("\t");
  await terminal.shows("nodes");
  await terminal.type("\r");
  await terminal.shows("\nserver ");
  await terminal.shows("> ");
  await terminal.type("trace on\rput 1=5\r");
  await terminal.shows("commits 1=5\n");
  await terminal.shows("\nOP=PUT;IND=1;DATA=5;\n");
  await terminal.shows("> ");
  assertEquals(terminal.screen.includes("OP=CLR"), false);
  // Above the line that is being typed.
  await terminal.type("get 1");
  await terminal.shows("get 1");
  Deno.kill(pids[2]!, "SIGKILL");
  await terminal.shows(" has ended by SIGKILL; ");
  await terminal.shows("> get 1");
  await terminal.type("\r");
  await terminal.shows("\nOP=GET;IND=1;DATA=5;\n");
  await terminal.shows("> ");
  await terminal.type("\x04");
  assertEquals(await terminal.ended(), [0, true]);
  assertEquals([pids.length, pids.filter(isThere)], [3, []]);
});

Deno.test("deno task run: nobody is left when its terminal is closed", {
  ignore: !HAS_TERMINAL,
}, async () => {
  await using _ports = await usualPorts();
  await using folder = new Folder();
  let pids: number[];
  {
    await using terminal = new Terminal([Deno.execPath(), "task", "run", "--data", folder.path()]);
    await terminal.shows("Ctrl-C clears the line\n");
    pids = [...terminal.screen.matchAll(/ process (\d+) /g)].map(([, pid]) => Number(pid));
    assertEquals(pids.length, 3);
  }
  await gone(pids);
  assertEquals(look(folder.path()).clean, true);
});

/** A message of a connection between two ports. */
function message(from: number, to: number, line: string): [sent: NodeEvent, arrives: NodeEvent] {
  const [sender, receiver] = [`127.0.0.1:${from}`, `127.0.0.1:${to}`];
  const rest = { type: "message", node: "proxy", peer: "server", line, renewal: false } as const;
  return [
    { ...rest, direction: "out", address: sender, peerAddress: receiver },
    { ...rest, direction: "in", address: receiver, peerAddress: sender },
  ];
}

Deno.test("CausalOrder: nothing arrives before it was sent, however the traces come in", () => {
  // One write through a with b as a holder; s is the server.
  const put = message(1, 6002, "put"), inv = message(6002, 2, "inv");
  const acknowledged = message(2, 6002, "ack"), done = message(6002, 1, "done");
  const told: Record<string, NodeEvent[]> = {
    a: [put[0], done[1]],
    b: [
      inv[1],
      { type: "drop", node: "proxy", ind: [1], count: 1, why: "invalidation" },
      acknowledged[0],
    ],
    s: [put[1], inv[0], acknowledged[1], done[0]],
  };
  const expected = [
    "a put",
    "s put",
    "s inv",
    "b inv",
    "b drop",
    "b ack",
    "s ack",
    "s done",
    "a done",
  ];
  for (const tellers of ["aabbbssss", "bbbssssaa", "ssssbbbaa", "bsbsbsasa", "abssabsbs"]) {
    const order: string[] = [];
    const merged = new CausalOrder<string>((teller, event) =>
      order.push(`${teller} ${event.type === "message" ? event.line : event.type}`)
    );
    // That a connection is there is told before anything passes on it.
    for (const [teller, [event]] of Object.entries(told)) {
      const { address, peerAddress } = event as Extract<NodeEvent, { type: "message" }>;
      merged.add(teller, {
        ...{ type: "connected", node: "proxy", peer: "server", direction: "out" },
        ...{ address, peerAddress },
      });
    }
    order.length = 0;
    const left = structuredClone(told);
    for (const teller of tellers) merged.add(teller, left[teller]!.shift()!);
    assertEquals(order, expected, tellers);
  }
});

Deno.test("CausalOrder: what is never told is not waited for, once its teller has ended or for long", async () => {
  const order: string[] = [];
  const merged = new CausalOrder<string>((teller, event) => order.push(`${teller} ${event.type}`));
  const [sent, arrives] = message(1, 2, "x");
  merged.add("a", sent);
  merged.add("b", arrives);
  merged.add("b", arrives);
  assertEquals(order, ["a message", "b message"]);
  merged.leave("a");
  assertEquals(order, ["a message", "b message", "b message"]);
  merged.add("a", sent);
  merged.add("b", arrives);
  merged.add("b", arrives);
  assertEquals(order.length, 5);
  // However much others tell in the meantime.
  const others = setInterval(() => merged.add("c", { type: "hit", node: "proxy", ind: [1] }), 1);
  await merged.handedOn("b");
  clearInterval(others);
  assertEquals(order.filter((line) => line === "b message").length, 4);
});
