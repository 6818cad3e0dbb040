/**
 * The whole in one terminal: a server, two proxies and a prompt that asks them. Each node is a process
 * of its own in its own sandbox.
 *
 * ```sh
 * deno task run [--data data/table.db | --memory] [--help]
 * ```
 *
 * A node that dies is said, and the rest goes on. All end with the prompt, and at a signal.
 *
 * @module
 */

import { isGiven, path, UsageError } from "../lib/cli/flags.ts";
import { ASKING_FLAGS, runProgram } from "../lib/cli/program.ts";
import { programCommand } from "../lib/cli/program_command.ts";
import { atEndSignals } from "../lib/cli/signals.ts";
import { DATA_FILE } from "../lib/protocol/limits.ts";
import { Session } from "./session.ts";

const FLAGS = {
  data: path("the file that keeps the table; made where there is none", DATA_FILE),
  memory: isGiven("keep the table in memory alone: it ends with the server"),
  ...ASKING_FLAGS,
};

/** Ends the session at a signal, and on the spot at a second one. */
function endAtSignals(session: Session): void {
  atEndSignals((_signal, number, isSecond) => {
    if (!isSecond) return session.close();
    session.kill();
    Deno.exit(128 + number);
  });
}

async function main(): Promise<void> {
  await runProgram({
    name: "run",
    what: "a server, two proxies and a prompt in one terminal, each node in its own sandbox",
    flags: FLAGS,
    words: "",
    examples: [
      ["deno task run", `keeps its table in ${DATA_FILE}`],
      ["deno task run --memory", "keeps nothing"],
    ],
    addresses: () => ({}),
  }, async ({ data, memory }) => {
    if (memory && data !== undefined) {
      throw new UsageError(`--memory keeps nothing, and --data was given: "${data}"`);
    }
    const session = new Session(memory ? undefined : data ?? DATA_FILE);
    endAtSignals(session);
    try {
      await session.run();
    } catch (error) {
      if (!/another server/.test((error as Error).message)) throw error;
      const other = programCommand("run", ["--data", "data/other.db"]);
      throw new Error(`${(error as Error).message}; end that one, or keep another table: ${other}`);
    }
    return session.status;
  });
}

if (import.meta.main) await main();
