/**
 * The proxy: it answers reads from its own memory, and is never stale.
 *
 * ```sh
 * deno task proxy [--capacity 5] [--eviction lru] [--port 6001] [--help for all flags]
 * ```
 *
 * @module
 */

import { COMMON_FLAGS } from "./lib/cli/program.ts";
import { address, choice, isGiven, UsageError, whole } from "./lib/cli/flags.ts";
import { listeningFlags, runNode } from "./lib/cli/node_program.ts";
import { formatAddress } from "./lib/wire/address.ts";
import {
  HOST,
  MAX_TABLE_SIZE,
  MAX_TIMEOUT_MS,
  PROXY_PORT,
  SERVER_PORT,
  SERVER_TIMEOUT_MS,
} from "./lib/protocol/limits.ts";
import { CacheProxy } from "./lib/proxy/cache_proxy.ts";

const FLAGS = {
  ...listeningFlags(PROXY_PORT),
  server: address("the server to connect to", formatAddress({ host: HOST, port: SERVER_PORT })),
  capacity: whole({
    value: "N",
    what: "how many entries it holds at most",
    least: 1,
    most: MAX_TABLE_SIZE,
    standard: undefined,
    shown: "half of the server's table, rounded up",
  }),
  eviction: choice("which entry goes: first in, or used longest ago", ["fifo", "lru"]),
  "on-write": choice("whether what is written is held too", ["allocate", "around"]),
  solo: isGiven("the only writer and cache of a server without leases; needs --capacity"),
  timeout: whole({
    value: "MS",
    what: "how long a request may wait for the server",
    least: 1,
    most: MAX_TIMEOUT_MS,
    standard: SERVER_TIMEOUT_MS,
    shown: `${SERVER_TIMEOUT_MS} ms`,
  }),
  ...COMMON_FLAGS,
};

async function main(): Promise<void> {
  await runNode({
    name: "proxy",
    what: "the node between, a write-through cache of the table that is never stale",
    flags: FLAGS,
    words: "",
    examples: [
      ["deno task proxy", "holds half of the table of the server at port 6002"],
      ["deno task proxy --capacity 3 --eviction lru", "holds the 3 entries used last"],
      ["deno task proxy --trace", "shows every message, hit, miss and eviction"],
    ],
    addresses: (values) => ({ listen: formatAddress(values), server: values.server }),
  }, (values, options) => {
    const { server, capacity, eviction, solo, timeout } = values;
    if (solo && capacity === undefined) throw new UsageError("--solo needs --capacity");
    return CacheProxy.listen({
      ...options,
      server,
      ...capacity === undefined ? {} : { capacity },
      eviction,
      onWrite: values["on-write"],
      solo,
      timeoutMs: timeout,
    });
  });
}

if (import.meta.main) await main();
