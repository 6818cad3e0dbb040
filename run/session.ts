/**
 * What a person at the prompt of `deno task run` does with the nodes, and sees of them.
 *
 * @module
 */

import { print, report, standardOutput } from "../lib/cli/output.ts";
import { EXIT } from "../lib/cli/program.ts";
import { replyForPeople, showsFault } from "../lib/client/commands.ts";
import { Prompt, type PromptCommand } from "../lib/client/prompt.ts";
import { TableClient, UnreachableError } from "../lib/client/table_client.ts";
import type { NodeEvent } from "../lib/events.ts";
import { RECONNECT_LAST_MS } from "../lib/protocol/limits.ts";
import type { Reply } from "../lib/protocol/message.ts";
import type { Node } from "./node.ts";
import { Nodes } from "./nodes.ts";
import { CausalOrder } from "./order.ts";
import { Lines, SERVER, YOU } from "./shown.ts";

/** The nodes, and the person who asks them. */
export class Session {
  /** The program's status, as far as the answers make it. */
  status: number = EXIT.DONE;
  readonly #nodes: Nodes;
  readonly #keeps: string;
  readonly #kept: string;
  readonly #clients = new Map<Node, TableClient>();
  readonly #order: CausalOrder<Node | typeof YOU>;
  readonly #lines = new Lines();
  readonly #prompt: Prompt;
  /** Which node is asked. */
  #asked: Node;
  #tracing = false;
  /** What was logged before there was a prompt; `undefined` once there is. */
  #early: string[] | undefined = [];
  #closing = false;

  /** Starts nothing; `data` is the server's file, `undefined` for a table in memory. */
  constructor(data: string | undefined) {
    [this.#keeps, this.#kept] = data === undefined
      ? ["keeps nothing", ""]
      : [`keeps ${data}`, `; ${data} keeps the table`];
    this.#order = new CausalOrder((teller, event) => this.#show(teller, event));
    this.#nodes = new Nodes(data, {
      event: (node, event) => this.#order.add(node, event),
      logged: (node, line) => this.#logged(node, line),
      died: (node, how) => this.#died(node, how),
    });
    this.#asked = this.#nodes.proxies[0]!;
    this.#prompt = new Prompt({
      send: (line) => this.#send(line),
      show: (reply) => {
        if (showsFault(reply)) this.#failed(EXIT.ERROR_ANSWERED);
        print(`${replyForPeople(reply)}\n`);
      },
      write: print,
      label: () => `halfway ${this.#asked.port}> `,
      commands: this.#commands(),
    });
  }

  /** Starts the nodes, takes commands until the prompt ends, and ends the nodes, come what may. */
  async run(): Promise<void> {
    // Nobody reads what is said any more.
    standardOutput.failure.catch(() => this.close());
    try {
      await this.#nodes.start();
      this.#say(this.#welcome());
      for (const line of this.#early?.splice(0) ?? []) this.#say(line);
      this.#early = undefined;
      await this.#prompt.run();
    } catch (error) {
      // They are ended while they start: no failure.
      if (!this.#closing) throw error;
    } finally {
      this.#closing = true;
      for (const node of await this.#nodes.end()) {
        report(`halfway-run: the ${node.name} did not end in time, and was killed`);
      }
      if (this.#early === undefined) this.#say(`all nodes have ended${this.#kept}`);
    }
  }

  /** Ends the prompt, and all with it. */
  close(): void {
    this.#closing = true;
    this.#prompt.close();
    this.#nodes.end();
  }

  /** Ends the nodes on the spot. */
  kill(): void {
    this.#nodes.kill();
  }

  /** Has a line answered; says it where that cannot be, and goes on. */
  async #send(line: string): Promise<Reply | undefined> {
    const node = this.#asked;
    // Somebody else may listen at its port meanwhile.
    if (node.pid === undefined) {
      this.#failed(EXIT.UNREACHABLE);
      this.#say(`the ${node.name} has ended; ${startsAgain(node.port)}`);
      return undefined;
    }
    try {
      const client = this.#clients.get(node) ?? await this.#connect(node);
      const reply = await client.send(line);
      // What led to the reply is shown before it.
      if (this.#tracing) await this.#order.handedOn(YOU);
      return reply;
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      this.#failed(EXIT.UNREACHABLE);
      const { port } = node;
      this.#say(`${error.message}${node.pid === undefined ? `; ${startsAgain(port)}` : ""}`);
      return undefined;
    }
  }

  async #connect(node: Node): Promise<TableClient> {
    const client = await TableClient.connect(node.address, {
      events: (event) => this.#order.add(YOU, event),
    });
    this.#clients.set(node, client);
    client.ended.then(() => {
      if (this.#clients.get(node) === client) this.#clients.delete(node);
    });
    return client;
  }

  /** The program ends with the gravest of what failed. */
  #failed(status: number): void {
    this.status = Math.max(this.status, status);
  }

  #show(teller: Node | typeof YOU, event: NodeEvent): void {
    const name = teller === YOU ? YOU : label(teller);
    const line = this.#lines.of(name, event);
    if (line !== undefined && this.#tracing && !this.#closing) this.#say(line);
  }

  #logged(node: Node, line: string): void {
    if (this.#closing) return;
    // How it is started here is said when it dies.
    const said = `${label(node)}: ${line.replace(/; start a \w+ first: .*$/, "")}`;
    if (this.#early === undefined) this.#say(said);
    else this.#early.push(said);
  }

  #died(node: Node, how: string): void {
    this.#order.leave(node);
    if (!this.#closing) this.#say(`the ${node.name} has ended ${how}; ${startsAgain(node.port)}`);
  }

  #say(text: string): void {
    try {
      this.#prompt.say(text);
    } catch (error) {
      // Nobody reads it any more.
      this.#prompt.close(error);
    }
  }

  #welcome(): string {
    const { server, proxies: [first, second], all } = this.#nodes;
    const moved = all.filter((node) => node.port !== node.wantedPort).map((node) =>
      `port ${node.wantedPort} is taken: the ${node.program} listens on ${node.port}\n`
    );
    return `${moved.join("")}${this.#list()}
type  trace on     to see what passes, then
      get 1        a miss: the proxy asks the server
      get 1        a hit: it answers from its memory
      at ${String(second!.port).padEnd(10)}to ask the second proxy, and there
      put 1=5      an invalidation: ${first!.port} is asked to drop what it holds
      at ${String(first!.port).padEnd(10)}and get 1 is 5: nobody sees an old value
      help         all commands; at ${server.port} asks the server itself
      quit         or Ctrl-D ends it all; Ctrl-C clears the line
`;
  }

  /** What runs where. */
  #list(): string {
    return this.#nodes.all.map((node) => {
      const what = node.program === "server" ? this.#keeps : "holds half of the table";
      const runs = node.pid === undefined ? "has ended" : `process ${node.pid}`;
      return `${node.program.padEnd(6)}  ${node.address}  ${runs.padEnd(15)}  ${what}\n`;
    }).join("");
  }

  #commands(): PromptCommand[] {
    const nodes = this.#nodes;
    const ports = () => nodes.all.map(({ port }) => String(port));
    const withPort = (rest: string, use: (node: Node) => string | Promise<string>) => {
      const node = nodes.all.find((node) => rest === label(node) || rest === String(node.port));
      return node === undefined ? `no node at "${rest}", but at ${ports().join(", ")}` : use(node);
    };
    return [
      {
        usage: "at 6003",
        what: "asks another node: a proxy, or the server",
        get words() {
          return ports();
        },
        run: (rest) =>
          withPort(rest, (node) => {
            this.#asked = node;
            const ended = node.pid === undefined
              ? `, which has ended; ${startsAgain(node.port)}`
              : "";
            return `asking the ${node.program} at ${node.address}${ended}`;
          }),
      },
      {
        usage: "trace on",
        what: "shows what passes between the nodes; trace off ends that",
        words: ["on", "off"],
        run: (rest) => {
          if (rest !== "on" && rest !== "off") return 'trace takes "on" or "off"';
          this.#tracing = rest === "on";
        },
      },
      { usage: "nodes", what: "what runs where", run: () => this.#list() },
      {
        usage: "start 6003",
        what: "starts a node again that has ended",
        get words() {
          return ports();
        },
        run: (rest) => withPort(rest, (node) => this.#startAgain(node)),
      },
    ];
  }

  async #startAgain(node: Node): Promise<string> {
    if (node.pid !== undefined) return `the ${node.name} runs: process ${node.pid}`;
    try {
      await node.startAgain();
      const found = node.program === "server"
        ? `; the proxies look for it every ${RECONNECT_LAST_MS / 1000} s`
        : "";
      return `the ${node.name} runs again: process ${node.pid}${found}`;
    } catch (error) {
      return (error as Error).message;
    }
  }
}

/** What a node is called where it is clear that it is one. */
function label(node: Node): string {
  return node.program === "server" ? SERVER : String(node.port);
}

function startsAgain(port: number): string {
  return `"start ${port}" starts it again`;
}
