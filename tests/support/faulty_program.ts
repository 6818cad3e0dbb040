/**
 * A node's program with a fault in it: its first argument says which. It is run by a test.
 */

import { COMMON_FLAGS, EXIT, runProgram } from "../../lib/cli/program.ts";
import { listeningFlags, runNode } from "../../lib/cli/node_program.ts";
import { TableServer } from "../../lib/server/table_server.ts";
import { StoreError } from "../../lib/server/store/store.ts";

const [fault] = Deno.args;
const program = {
  name: "server",
  what: "a test",
  flags: { ...listeningFlags(0), ...COMMON_FLAGS },
  words: "[fault]",
  examples: [],
  addresses: () => ({}),
} as const;

function nothing(): void {
  const none: { f?: () => void } = {};
  none.f!();
}

if (fault === "asked") {
  await runProgram(program, () => {
    nothing();
    return Promise.resolve(EXIT.DONE);
  });
}
await runNode(program, async (_values, options) => {
  if (fault === "start") nothing();
  if (fault === "range") new Array(-1);
  if (fault === "no error") throw "thrown as it is";
  if (fault === "option") return TableServer.listen({ ...options, size: 0 });
  if (fault === "store") throw new StoreError("the file is none");
  if (fault === "listen") throw new Error("somebody else does");
  const node = await TableServer.listen(options);
  if (fault === "timer") setTimeout(nothing);
  if (fault === "promise") Promise.resolve().then(nothing);
  return node;
});
