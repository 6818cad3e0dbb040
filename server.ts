/**
 * The server: it holds the table.
 *
 * ```sh
 * deno task server [--size 10] [--init 10,11,…] [--port 6002] [--help for all flags]
 * ```
 *
 * @module
 */

import { COMMON_FLAGS } from "./lib/cli/program.ts";
import { integers, UsageError, whole } from "./lib/cli/flags.ts";
import { listeningFlags, runNode } from "./lib/cli/node_program.ts";
import { formatAddress } from "./lib/net/address.ts";
import {
  LEASE_TERM_MS,
  MAX_LEASE_TERM_MS,
  MAX_TABLE_SIZE,
  SERVER_PORT,
  TABLE_SIZE,
} from "./lib/protocol/limits.ts";
import { TableServer } from "./lib/server/table_server.ts";

const FLAGS = {
  ...listeningFlags(SERVER_PORT),
  size: whole({
    value: "N",
    what: "how many entries the table has",
    least: 1,
    most: MAX_TABLE_SIZE,
    standard: TABLE_SIZE,
  }),
  lease: whole({
    value: "MS",
    what: "the term of a lease: how long at most a lost proxy delays a write",
    least: 1,
    most: MAX_LEASE_TERM_MS,
    standard: LEASE_TERM_MS,
    shown: `${LEASE_TERM_MS} ms`,
  }),
  init: integers("the first entries; the others are 0", "all 0"),
  ...COMMON_FLAGS,
};

async function main(): Promise<void> {
  await runNode({
    name: "server",
    what: "the node that holds the whole table",
    flags: FLAGS,
    words: "",
    examples: [
      ["deno task server", "10 entries, all 0"],
      ["deno task server --size 4 --init 10,11", "10, 11, 0, 0"],
      ["deno task server --trace", "shows every message"],
    ],
    addresses: (values) => ({ listen: formatAddress(values) }),
  }, ({ size, init, lease }, options) => {
    if (init.length > size) {
      throw new UsageError(`--init has ${init.length} entries, more than --size ${size}`);
    }
    return TableServer.listen({ ...options, size, init, leaseMs: lease });
  });
}

if (import.meta.main) await main();
