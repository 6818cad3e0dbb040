/**
 * The server: it holds the table.
 *
 * ```sh
 * deno task server [--data data/table.db | --memory] [--size 10] [--help for all flags]
 * ```
 *
 * @module
 */

import { COMMON_FLAGS } from "./lib/cli/program.ts";
import { integers, path, UsageError, whole } from "./lib/cli/flags.ts";
import { listeningFlags, runNode } from "./lib/cli/node_program.ts";
import { tableFile, tableFileFlags } from "./lib/cli/table_file.ts";
import { formatAddress } from "./lib/wire/address.ts";
import { folderOf } from "./lib/util/path.ts";
import {
  DATA_FILE,
  LEASE_TERM_MS,
  MAX_LEASE_TERM_MS,
  MAX_TABLE_SIZE,
  SERVER_PORT,
  TABLE_SIZE,
} from "./lib/protocol/limits.ts";
import { TableServer } from "./lib/server/table_server.ts";

const FOLDER = folderOf(DATA_FILE), FILE_NAME = DATA_FILE.slice(FOLDER.length + 1);

const FLAGS = {
  ...listeningFlags(SERVER_PORT),
  ...tableFileFlags(`${FILE_NAME} in --folder`),
  folder: {
    ...path(
      "the folder of that file",
      `${FOLDER}; of a compiled program what HALFWAY_DATA was then`,
    ),
    value: "DIR",
    must: "must be the path of a folder",
    again: true,
  },
  size: whole({
    value: "N",
    what: "how many entries the table has",
    least: 1,
    most: MAX_TABLE_SIZE,
    standard: undefined,
    shown: `those in the file; ${TABLE_SIZE} for a new one`,
  }),
  lease: whole({
    value: "MS",
    what: "the term of a lease: how long at most a lost proxy delays a write",
    least: 1,
    most: MAX_LEASE_TERM_MS,
    standard: LEASE_TERM_MS,
    shown: `${LEASE_TERM_MS} ms`,
  }),
  init: integers("the first entries of a new table; the others are 0", "all 0"),
  ...COMMON_FLAGS,
};

/** The file that keeps the table where `--data` names none. */
function fileIn(folder: string | undefined): string {
  return `${folder ?? FOLDER}/${FILE_NAME}`;
}

async function main(): Promise<void> {
  await runNode({
    name: "server",
    what: "the node that holds the whole table",
    flags: FLAGS,
    words: "",
    examples: [
      ["deno task server", `keeps its table in ${DATA_FILE}`],
      ["deno task server --memory --size 4 --init 10,11", "10, 11, 0, 0, and nothing kept"],
      [
        "HALFWAY_DATA=/srv/halfway deno task compile",
        "makes a program that keeps it in that folder",
      ],
      ["deno task server --trace", "shows every message, and what comes of it"],
    ],
    addresses: (values) => ({
      listen: formatAddress(values),
      folder: folderOf(values.data ?? fileIn(values.folder)),
    }),
  }, ({ data, folder, memory, size, init, lease }, options) => {
    const file = tableFile({ data, memory }, fileIn(folder));
    if ((init?.length ?? 0) > (size ?? TABLE_SIZE)) {
      throw new UsageError(
        `--init has ${init?.length} entries, more than --size ${size ?? TABLE_SIZE}`,
      );
    }
    return TableServer.listen({
      ...options,
      ...file === undefined ? {} : { data: file },
      ...size === undefined ? {} : { size },
      ...init === undefined ? {} : { init },
      leaseMs: lease,
    });
  });
}

if (import.meta.main) await main();
