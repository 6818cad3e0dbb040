/**
 * The prompt: commands from a person at a terminal, with line editing and history.
 *
 * @module
 */

import { createInterface } from "node:readline";
import process from "node:process";
import type { Reply } from "../protocol/message.ts";
import { commandLine, COMMANDS_TEXT } from "./commands.ts";
import type { TableClient } from "./table_client.ts";

/**
 * Reads commands and shows their replies, until `quit`, `exit`, Ctrl-D or Ctrl-C.
 *
 * @param show Writes a reply.
 * @param say Writes anything else.
 * @throws {UnreachableError} If the connection is lost, or no answer comes in time.
 */
export async function prompt(
  client: TableClient,
  show: (reply: Reply) => void,
  say: (text: string) => void,
): Promise<void> {
  const { stdin: input, stdout: output } = process;
  const lines = createInterface({ input, output, prompt: "halfway> " });
  // A line counts once the one before it is answered.
  let turn = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => turn = turn.then(() => take(line)).catch(reject));
    lines.on("close", () => turn.then(resolve));
    lines.on("SIGINT", resolve);
    client.ended.then(reject);
    say(`connected to ${client.address}; "help" shows the commands\n`);
    lines.prompt();
  }).finally(() => {
    lines.close();
    say("\n");
  });

  async function take(line: string): Promise<void> {
    const text = line.trim();
    if (text === "quit" || text === "exit") return lines.close();
    if (text === "help") say(`${COMMANDS_TEXT}  quit          ends, as Ctrl-D does\n`);
    else if (text !== "") await answer(text);
    lines.prompt();
  }

  async function answer(text: string): Promise<void> {
    const command = commandLine(text);
    if (command.line !== undefined) show(await client.send(command.line));
    else say(`${command.mistake}; "help" shows the commands\n`);
  }
}
