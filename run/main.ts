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

import { exit } from "../lib/cli/output.ts";
import { ASKING_FLAGS, runProgram } from "../lib/cli/program.ts";
import { programCommand } from "../lib/cli/program_command.ts";
import { atEndSignals } from "../lib/cli/signals.ts";
import { tableFile, tableFileFlags } from "../lib/cli/table_file.ts";
import { DATA_FILE } from "../lib/protocol/limits.ts";
import { Session } from "./session.ts";

const FLAGS = {
  ...tableFileFlags(DATA_FILE),
  ...ASKING_FLAGS,
};

/** Ends the session at a signal, and on the spot at a second one. */
function endAtSignals(session: Session): void {
  atEndSignals((_signal, number, isSecond) => {
    if (!isSecond) return session.close();
    session.kill();
    return exit(128 + number);
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
  }, async (values) => {
    const session = new Session(tableFile(values, DATA_FILE));
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
