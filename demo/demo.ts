// deno-lint-ignore-file no-console -- what a demonstration is for
/**
 * The demonstration: a server, a proxy and a client, each a process of its own in its own sandbox.
 * A session is played; for each request it shows what passed between the three, and then both tables.
 *
 * ```sh
 * deno task demo [--help]
 * ```
 *
 * Ends with 0 if every reply was right and the proxy held what it should, otherwise with 1.
 *
 * @module
 */

import { ASKING_FLAGS, EXIT, runProgram } from "../lib/cli/program.ts";
import { readTraceJson } from "../lib/observe/trace_json.ts";
import { parseReply } from "../lib/protocol/parse.ts";
import { readSession, type Row } from "../tests/support/session.ts";
import { Child, command, startProxy, startServer } from "../tests/support/program.ts";
import { arrow, head, type Passed } from "./drawing.ts";

/** A client that is given one line after the other, and prints a reply for each. */
class Client implements AsyncDisposable {
  readonly #child: Child;
  #read = 0;

  constructor(node: string) {
    this.#child = new Child([...command("client", { proxy: node }), "--proxy", node]);
  }

  /** Sends a line and waits for its reply. */
  async ask(line: string): Promise<string> {
    await this.#child.writeMore(`${line}\n`);
    await this.#child.until(() => this.#child.stdout.indexOf("\n", this.#read) >= 0, line);
    const end = this.#child.stdout.indexOf("\n", this.#read);
    const reply = this.#child.stdout.slice(this.#read, end);
    this.#read = end + 1;
    return reply;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]();
  }
}

/** What passed at a proxy that traces, one call after the other. */
class Trace {
  readonly #proxy: Child;
  #seen = 0;

  constructor(proxy: Child) {
    this.#proxy = proxy;
  }

  /** What has passed since the last call, up to the reply to the client. */
  async passed(): Promise<Passed[]> {
    const passed: Passed[] = [];
    const answered = () => {
      for (let end; (end = this.#proxy.stderr.indexOf("\n", this.#seen)) >= 0;) {
        const event = readTraceJson(this.#proxy.stderr.slice(this.#seen, end));
        this.#seen = end + 1;
        if (event?.type !== "message" || event.renewal) continue;
        const { node, peer, direction, line: text } = event;
        const [from, to] = direction === "in" ? [peer, node] : [node, peer];
        // What passes before a request is about the lease.
        if (passed.length === 0 && from !== "client") continue;
        passed.push({ from, to, text });
        if (to === "client") return true;
      }
      return false;
    };
    await this.#proxy.until(answered, "the proxy to answer its client");
    return passed;
  }
}

/** The entries that a reply to INF shows, as `index=data`. */
function entries(inf: string): string[] {
  const reply = parseReply(inf);
  return reply.op === "INF" ? reply.ind.map((index, i) => `${index}=${reply.data[i]}`) : [];
}

async function play(rows: readonly Row[]): Promise<number> {
  await using server = await startServer("--quiet");
  await using proxy = await startProxy(server.address, "--quiet", "--trace=json");
  await using client = new Client(proxy.address);
  await using atServer = new Client(server.address);
  const trace = new Trace(proxy);
  console.log(`server ${server.address}, proxy ${proxy.address}\n`);
  let wrong = 0;
  for (const row of rows) {
    const reply = await client.ask(row.send);
    const passed = await trace.passed();
    const table = entries(await atServer.ask("OP=INF;"));
    const held = entries(await client.ask("OP=INF;"));
    await trace.passed();
    console.log([head(), ...passed.map(arrow)].join("\n"));
    console.log(`  table at the server: ${table.join(" ")}`);
    console.log(`  held by the proxy:   ${held.join(" ") || "nothing"}\n`);
    const heldIndices = held.map((entry) => entry.split("=")[0]).join(",") || "-";
    if (reply === row.reply && heldIndices === row.held) continue;
    wrong++;
    console.log(`WRONG (${row.where}): the reply should be ${row.reply}, held ${row.held}\n`);
  }
  return wrong;
}

async function main(): Promise<void> {
  await runProgram({
    name: "demo",
    what: "plays a session, and shows what passes between the nodes and what they hold",
    flags: ASKING_FLAGS,
    words: "",
    examples: [["deno task demo", "the session of tests/sessions/assignment.tsv"]],
    addresses: () => ({}),
  }, async () => {
    const rows = await readSession("assignment.tsv");
    const wrong = await play(rows);
    console.log(`${rows.length - wrong} of ${rows.length} replies were right`);
    return wrong === 0 ? EXIT.DONE : EXIT.ERROR_ANSWERED;
  });
}

if (import.meta.main) await main();
