/**
 * The client: it asks a proxy, or a server.
 *
 * ```sh
 * deno task client get 1,8        # or put 7=4 8=5, add 7,8, clr, inf, 'OP=GET;IND=1;'
 * deno task client                # a prompt; --help for all flags
 * ```
 *
 * @module
 */

import { COMMON_FLAGS, EXIT, type Program, runProgram, usage } from "./lib/cli/program.ts";
import { address, choice, UsageError, type Values, whole } from "./lib/cli/flags.ts";
import { print, report, reportTrace, standardOutput } from "./lib/cli/output.ts";
import { atEndSignals } from "./lib/cli/signals.ts";
import {
  ANY_LINE,
  commandLine,
  commandsText,
  replyForPeople,
  replyJson,
  showsFault,
  TABLE_COMMANDS,
} from "./lib/client/commands.ts";
import { TableClient } from "./lib/client/table_client.ts";
import { formatAddress } from "./lib/wire/address.ts";
import { format } from "./lib/protocol/format.ts";
import {
  CLIENT_TIMEOUT_MS,
  HOST,
  MAX_TIMEOUT_MS,
  MAX_UNREAD_OUTPUT_BYTES,
  PROXY_PORT,
} from "./lib/protocol/limits.ts";
import type { Reply } from "./lib/protocol/message.ts";
import { visible } from "./lib/protocol/visible.ts";

const FLAGS = {
  proxy: address("the proxy to ask, or a server", formatAddress({ host: HOST, port: PROXY_PORT })),
  timeout: whole({
    value: "MS",
    what: "how long connecting, and each request, may take",
    least: 1,
    most: MAX_TIMEOUT_MS,
    standard: CLIENT_TIMEOUT_MS,
    shown: `${CLIENT_TIMEOUT_MS} ms`,
  }),
  format: choice("replies as lines of the protocol, or as JSON", ["wire", "json"]),
  ...COMMON_FLAGS,
};

const WORDS = `[command]

Commands; without one a prompt, or the lines of standard input, pipelined:
${commandsText([...TABLE_COMMANDS, ANY_LINE])}`.trimEnd();

const PROGRAM: Program<Values<typeof FLAGS>> = {
  name: "client",
  what: "asks a proxy, or a server",
  flags: FLAGS,
  words: WORDS,
  examples: [
    ["deno task client get 1,8", "the data of two entries"],
    ["deno task client --format json inf", "what the proxy holds"],
    ["deno task client --proxy 127.0.0.1:6003 get 1", "asks another proxy"],
    ["printf 'put 1=2\\nget 1\\n' | deno task client", "two commands"],
  ],
  addresses: ({ proxy }) => ({ proxy }),
};

async function main(): Promise<void> {
  await runProgram(PROGRAM, async ({ proxy, timeout, format: form, trace }, words) => {
    // As at the prompt; whatever help is wanted with.
    if (words[0]?.trim().toLowerCase() === "help") {
      print(usage(PROGRAM));
      await standardOutput.flushed();
      return EXIT.DONE;
    }
    const command = words.length === 0 ? undefined : commandLine(words.join(" "));
    if (command !== undefined && command.line === undefined) throw new UsageError(command.mistake);
    // On a prompt's own terminal the trace takes its place among what the prompt writes.
    let tell = report;
    const client = await TableClient.connect(proxy, {
      timeoutMs: timeout,
      events: trace && reportTrace(trace, (line) => tell(line)),
    });
    let status: number = EXIT.DONE, signalled: number | undefined;
    function show(reply: Reply, wire: (reply: Reply) => string = format): void {
      if (showsFault(reply)) status = EXIT.ERROR_ANSWERED;
      print(`${form === "json" ? replyJson(reply) : wire(reply)}\n`);
    }
    async function ask(line: string | undefined): Promise<void> {
      if (line !== undefined) {
        show(await client.send(line));
      } else if (Deno.stdin.isTerminal() && Deno.stdout.isTerminal()) {
        const { Prompt } = await import("./lib/client/prompt.ts");
        const prompt = new Prompt({
          send: (line) => client.send(line),
          show: (reply) => show(reply, replyForPeople),
          write: print,
        });
        if (Deno.stderr.isTerminal()) tell = (line) => prompt.say(visible(line));
        client.ended.then((why) => prompt.close(why));
        // An end on the spot would leave the terminal raw.
        atEndSignals((_signal, number) => {
          signalled = 128 + number;
          prompt.close();
        });
        prompt.say(`connected to ${client.address}; "help" shows the commands`);
        await prompt.run();
      } else {
        const { sendPiped } = await import("./lib/client/piped.ts");
        const room = () => standardOutput.room(MAX_UNREAD_OUTPUT_BYTES);
        await sendPiped(client, Deno.stdin.readable, show, room);
      }
    }
    try {
      await Promise.race([ask(command?.line), standardOutput.failure]);
    } finally {
      // Whatever has happened since, the replies that came are shown; not at a terminal that is gone.
      if (signalled === undefined) await standardOutput.flushed();
    }
    return signalled ?? status;
  });
}

if (import.meta.main) await main();
