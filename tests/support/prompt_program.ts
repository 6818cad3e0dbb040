/**
 * A program with a prompt of its own commands, which asks one of two nodes that it plays.
 *
 * @module
 */

import { Prompt } from "../../lib/client/prompt.ts";
import { format } from "../../lib/protocol/format.ts";

const encoder = new TextEncoder();
let node = "a";

const prompt = new Prompt({
  send: (line) => Promise.resolve({ op: "ERR", code: 400, message: `asked ${node}: ${line}` }),
  show: (reply) => write(`${reply.op === "ERR" ? reply.message : format(reply)}\n`),
  write,
  label: () => `${node}> `,
  commands: [{
    usage: "use a|bee",
    what: "asks another",
    words: ["a", "bee"],
    run: (rest) => `now ${node = rest}`,
  }, {
    usage: "fail",
    what: "fails",
    run: () => {
      throw new Error("it failed");
    },
  }],
});

function write(text: string): void {
  Deno.stdout.writeSync(encoder.encode(text));
}

if (Deno.stdin.isTerminal()) Deno.addSignalListener("SIGUSR1", () => prompt.say("said above"));
try {
  await prompt.run();
} catch (error) {
  write(`${(error as Error).message}\n`);
  Deno.exit(7);
}
Deno.exit(0);
