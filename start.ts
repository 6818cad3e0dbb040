/**
 * What the tasks of the three programs run: it starts the program, in a process of its own, in the
 * sandbox that stands in the task, but for the addresses and the folder that the program's own flags
 * name, which are allowed in place of the defaults.
 *
 * ```sh
 * deno run --allow-run=… start.ts --no-prompt --allow-net=… proxy.ts --port 6003
 * ```
 *
 * @module
 */

import { command } from "./lib/cli/child.ts";
import { addressesIn, isProgramName } from "./lib/cli/permissions.ts";
import { atEndSignals } from "./lib/cli/signals.ts";

async function main(): Promise<never> {
  const [file = "", ...args] = Deno.args.slice(Deno.args.findIndex((arg) => !arg.startsWith("--")));
  const program = file.replace(/\.ts$/, "");
  if (!isProgramName(program)) throw new TypeError(`Cannot start what is no program: "${file}"`);
  const { promise: starting, resolve } = Promise.withResolvers<Deno.ChildProcess>();
  atEndSignals(async (signal) => {
    try {
      (await starting).kill(signal);
    } catch {
      // It has ended.
    }
  });
  const [deno = "", ...words] = command(program, addressesIn(program, args));
  const child = new Deno.Command(deno, {
    args: [...words, ...args],
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  resolve(child);
  Deno.exit((await child.status).code);
}

if (import.meta.main) await main();
