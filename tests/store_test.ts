/**
 * What a server keeps in its file, and what it does where it cannot.
 */

import {
  assert,
  assertEquals,
  assertLess,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { StoreError, TableClient, TableServer, type TableServerOptions } from "../mod.ts";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { openDatabase } from "../lib/server/store/database.ts";
import { openTable, SqliteStore } from "../lib/server/store/sqlite_store.ts";
import { CommitError, memoryStore, type OpenedStore } from "../lib/server/store/store.ts";
import { type Changes, Table } from "../lib/server/table.ts";
import { hear, hearErrors, Log, say } from "./support/both_ends.ts";
import { Folder, look, tamper } from "./support/folder.ts";
import { MEASURABLE, memoryOf } from "./support/memory.ts";
import { command, onFile, PICKED, ROOT, run, start, startServerOn } from "./support/program.ts";
import { FakeServer, listenAgain, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** Sends requests one after the other to a server, on a connection of their own. */
async function ask(address: string, ...requests: string[]): Promise<string[]> {
  await using wire = await Wire.connect(address);
  const replies = [];
  for (const request of requests) {
    await say(wire, request);
    replies.push(await wire.line());
  }
  return replies;
}

/** Has a server write, and ends it in order. */
async function write(options: TableServerOptions, ...requests: string[]): Promise<void> {
  await using server = await TableServer.listen({ port: 0, ...options });
  for (const reply of await ask(server.address, ...requests)) assert(!reply.includes("ERR"), reply);
}

const WRITTEN = [
  "OP=PUT;IND=0,1,2;DATA=9007199254740991,-9007199254740991,-0;",
  "OP=PUT;IND=9;DATA=5;",
];
const READ = "OP=GET;IND=0,1,2,3,9;DATA=9007199254740991,-9007199254740991,0,0,5;";

Deno.test("store: what was acknowledged is there after an orderly end, to the largest integers", async () => {
  await using folder = new Folder();
  await write({ data: folder.path() }, ...WRITTEN);
  assertEquals(look(folder.path()).entries, "0=9007199254740991 1=-9007199254740991 2=0 9=5");
  await using server = await TableServer.listen({ port: 0, data: folder.path() });
  assertEquals(await ask(server.address, "OP=GET;IND=0,1,2,3,9;"), [READ]);
});

Deno.test("store: what was acknowledged is there after a kill, to the largest integers", async () => {
  await using folder = new Folder();
  await using first = await startServerOn(folder.path());
  await ask(first.address, ...WRITTEN);
  first.signal("SIGKILL");
  await first.ended();
  await using server = await startServerOn(folder.path());
  assertEquals(await ask(server.address, "OP=GET;IND=0,1,2,3,9;"), [READ]);
  assertEquals(server.logged, [
    "the last end was not clean: writes wait for its leases, 1000 ms",
  ]);
});

Deno.test("store: CLR empties the file, and what is written after it is there", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await write({ data, init: [1, 2, 3] }, "OP=PUT;IND=5;DATA=6;", "OP=CLR;");
  assertEquals(look(data).entries, "");
  // In one commit too, whichever comes first.
  await using wire = new DisposableWires();
  {
    await using server = await TableServer.listen({ port: 0, data });
    const client = await wire.connect(server.address);
    await say(client, "OP=PUT;IND=1;DATA=7;", "OP=CLR;", "OP=PUT;IND=2;DATA=8;");
    await hear(client, "OP=PUT;IND=1;DATA=7;", "OP=CLR;", "OP=PUT;IND=2;DATA=8;");
  }
  assertEquals(look(data).entries, "2=8");
});

/** Connections that are closed with the test. */
class DisposableWires implements AsyncDisposable {
  readonly #wires: Wire[] = [];

  async connect(address: string): Promise<Wire> {
    const wire = await Wire.connect(address);
    this.#wires.push(wire);
    return wire;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#wires) wire.close();
    return Promise.resolve();
  }
}

/** What a store that is wrapped does besides. */
interface Wrapping {
  commit?: (changes: Changes) => void;
  setTerm?: (termMs: number) => void;
  close?: (clean: boolean) => void;
}

/** A table of ten in memory, whose store does this. */
function storing({ commit, setTerm, close }: Wrapping): OpenedStore {
  const store = {
    commit: commit ?? (() => {}),
    setTerm: setTerm ?? (() => {}),
    close: close ?? (() => {}),
  };
  const data = Float64Array.from({ length: 10 }, (_, index) => 100 + index);
  return { store, table: new Table(data), leasedMs: 0 };
}

Deno.test("store: an entry that is written twice in one commit is stored once", async () => {
  const commits: string[] = [];
  const commit = ({ cleared, entries }: Changes) => {
    commits.push(`${cleared} ${[...entries].map((entry) => entry.join("="))}`);
  };
  await using server = TableServer.over(() => storing({ commit }), { port: 0 });
  await ask(server.address, "OP=PUT;IND=5,6,5,5;DATA=1,2,3,4;", "OP=CLR;");
  assertEquals(commits, ["false 5=4,6=2", "true "]);
});

Deno.test("store: an entry that was never written takes no row", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await write({ data, size: 1_000_000 }, "OP=PUT;IND=999999,7,7;DATA=1,2,3;");
  assertEquals(look(data), { entries: "7=3 999999=1", size: 1_000_000, termMs: 1000, clean: true });
});

Deno.test("store: the size is the file's, may grow, and is not made smaller", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await write({ data }, "OP=PUT;IND=9;DATA=1;");
  assertEquals(look(data).size, 10);
  await write({ data, size: 20 }, "OP=PUT;IND=19;DATA=2;");
  await write({ data }, "OP=PUT;IND=18;DATA=3;");
  assertEquals(look(data), { entries: "9=1 18=3 19=2", size: 20, termMs: 1000, clean: true });
  const before = folder.contents();
  const message = `${data} holds a table of 20 entries, more than 19`;
  await assertRejects(() => TableServer.listen({ port: 0, data, size: 19 }), StoreError, message);
  const args = ["--port", "0", "--data", data, "--size", "19"];
  const ran = await run("server", args, { addresses: onFile(data) });
  assertEquals(ran, { code: 3, stdout: "", stderr: `halfway-server: ${message}\n` });
  assertEquals(folder.contents(), before);
  // Nor does a refusal keep the file locked.
  await write({ data, size: 20 });
});

Deno.test("store: init fills a new file, and is refused for one that is there", async () => {
  await using folder = new Folder();
  const data = folder.path("new/er/table.db");
  await write({ data, init: [-1, 0, 2] });
  assertEquals(look(data), { entries: "0=-1 1=0 2=2", size: 10, termMs: 1000, clean: true });
  const message = `Cannot take init for a table that exists: ${data}`;
  await assertRejects(() => TableServer.listen({ port: 0, data, init: [] }), TypeError, message);
  const args = ["--port", "0", "--data", data, "--init", "1"];
  const ran = await run("server", args, { addresses: onFile(data) });
  assertEquals(ran, { code: 2, stdout: "", stderr: `halfway-server: ${message}; see --help\n` });
  assertEquals(look(data).entries, "0=-1 1=0 2=2");
});

/** 1024 entries in one PUT: more than a few pages hold. */
const LONG = (() => {
  const ind = Array.from({ length: 1024 }, (_, i) => 10 * i);
  return `OP=PUT;IND=${ind};DATA=${ind.map((index) => 1e15 + index)};`;
})();

Deno.test("store: a full disk is 500 and changes nothing, and the next write is tried afresh", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await write({ data, size: 20_000 }, "OP=PUT;IND=0,1;DATA=5,6;");
  const log = new Log();
  const database = openDatabase(data, denoRuntime);
  {
    await using server = TableServer.over(() => {
      const pages = Number(database.prepare("PRAGMA page_count").get()!.page_count);
      database.exec(`PRAGMA max_page_count = ${pages}`);
      return SqliteStore.open(database, data, { size: undefined, init: undefined });
    }, { port: 0, log: log.log });
    await using wire = await Wire.connect(server.address);
    for (let i = 0; i < 3; i++) {
      await say(wire, LONG);
      await hearErrors(wire, 500);
      // Said once, not for each.
      assertEquals(log.sentences.length, 1);
      assertMatch(log.sentences[0]!, /^a commit failed, and nothing was written: .*full/);
      await say(wire, "OP=GET;IND=0,1,10,20;");
      await hear(wire, "OP=GET;IND=0,1,10,20;DATA=5,6,0,0;");
    }
    // What needs no more room is written all the same.
    await say(wire, "OP=PUT;IND=1;DATA=7;");
    await hear(wire, "OP=PUT;IND=1;DATA=7;");
    database.exec("PRAGMA max_page_count = 1000000");
    await say(wire, LONG);
    await hear(wire, LONG);
    assertEquals(log.sentences.length, 1);
  }
  assertMatch(log.sentences[1]!, /^a commit failed, .*full: 2 times more in \d+ s$/);
  assertMatch(look(data).entries, /^0=1000000000000000 1=7 10=1000000000000010 .*/);
});

Deno.test("store: a disk that is full when the server ends leaves an end that is not clean", async () => {
  const log = new Log();
  const close = () => {
    throw new Error("the disk is full");
  };
  await TableServer.over(() => storing({ close }), { port: 0, log: log.log }).close();
  assertEquals(log.sentences, ["the end is not recorded as a clean one: the disk is full"]);
});

Deno.test("store: of a batch whose commit is refused every write is 500, and the reads are right", async () => {
  let refusing = true, commits = 0;
  const commit = () => {
    commits++;
    if (refusing) throw new CommitError("no");
  };
  await using server = TableServer.over(() => storing({ commit }), { port: 0 });
  await using wire = await Wire.connect(server.address);
  const batch = [
    "OP=GET;IND=1;",
    "OP=PUT;IND=1;DATA=5;",
    "OP=GET;IND=1,2;",
    "OP=CLR;",
    "OP=ADD;IND=1,2;",
    "OP=GET;IND=99;",
    "OP=PUT;IND=2;DATA=6;",
    "OP=GET;IND=1,2;",
  ];
  await say(wire, ...batch);
  await hear(wire, "OP=GET;IND=1;DATA=101;");
  await hearErrors(wire, 500);
  await hear(wire, "OP=GET;IND=1,2;DATA=101,102;");
  await hearErrors(wire, 500);
  await hear(wire, "OP=ADD;IND=1,2;DATA=203;");
  await hearErrors(wire, 404, 500);
  await hear(wire, "OP=GET;IND=1,2;DATA=101,102;");
  refusing = false;
  const refused = commits;
  await say(wire, ...batch);
  await hear(wire, "OP=GET;IND=1;DATA=101;", "OP=PUT;IND=1;DATA=5;", "OP=GET;IND=1,2;DATA=5,102;");
  await hear(wire, "OP=CLR;", "OP=ADD;IND=1,2;DATA=0;");
  await hearErrors(wire, 404);
  await hear(wire, "OP=PUT;IND=2;DATA=6;", "OP=GET;IND=1,2;DATA=0,6;");
  assert(commits > refused);
});

Deno.test("store: a refused write is refused to a proxy too, which then does not hold it", async () => {
  const commit = () => {
    throw new CommitError("no");
  };
  await using server = TableServer.over(() => storing({ commit }), { port: 0 });
  await using proxy = await Wire.connect(server.address);
  await say(proxy, "OP=SUB;", "OP=PUT;IND=1;DATA=5;", "OP=GET;IND=1;");
  await hear(proxy, "OP=SUB;DATA=1000,10;");
  await hearErrors(proxy, 500);
  await hear(proxy, "OP=GET;IND=1;DATA=101;");
  await say(proxy, "OP=SUB;DATA=0;");
  await hear(proxy, "OP=SUB;DATA=0;");
});

Deno.test("store: a commit whose outcome nobody knows ends the server, and nobody is answered", async () => {
  const closed: boolean[] = [];
  const commit = () => {
    throw new Error("the disk is gone");
  };
  const close = (clean: boolean) => void closed.push(clean);
  await using server = TableServer.over(() => storing({ commit, close }), { port: 0 });
  const { address } = server;
  await using writer = await Wire.connect(address);
  await using reader = await Wire.connect(address);
  await say(reader, "OP=GET;IND=1;");
  await hear(reader, "OP=GET;IND=1;DATA=101;");
  await say(
    writer,
    "OP=GET;IND=1;",
    "OP=PUT;IND=1;DATA=5;",
    "OP=GET;IND=1;",
    "OP=PUT;IND=2;DATA=5;",
  );
  assertEquals(await end(writer), "OP=GET;IND=1;DATA=101;\n");
  assertEquals(await end(reader), "");
  assertEquals((await within(server.failure, "the failure")).message, "the disk is gone");
  await within(server.close(), "the server to close");
  assertEquals(closed, [false]);
  await assertRejects(() => Wire.connect(address), Deno.errors.ConnectionRefused);
});

/** What still comes; a connection that was closed with bytes unread ends by a reset. */
async function end(wire: Wire): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1024);
  try {
    for (let count; (count = await within(wire.conn.read(buffer), "the end")) !== null;) {
      text += decoder.decode(buffer.subarray(0, count));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}

Deno.test({
  name:
    "store: a program whose disk fails in a commit ends 3 with one line, all acknowledged is there",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using folder = new Folder();
    const data = folder.path();
    // A write beyond that size fails, and no SQLite can tell how much of the commit is on the disk.
    const limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 600; exec "$@"', "sh"];
    await using server = await start("server", ["--port", "0", "--data", data], {
      command: [...limited, ...command("server", onFile(data))],
    });
    await using wire = await Wire.connect(server.address);
    let written = 0;
    try {
      for (; written < 10_000; written++) {
        await say(wire, `OP=PUT;IND=1;DATA=${written + 1};`);
        await hear(wire, `OP=PUT;IND=1;DATA=${written + 1};`);
      }
    } catch (error) {
      assertMatch((error as Error).message, /closed before|reset|Broken pipe/);
    }
    const { code } = await server.ended();
    assertEquals(code, 3);
    assertMatch(
      server.logged.join("\n"),
      /^made a new table[^\n]+\nthe server ended: [^\n]+$/,
    );
    await using again = await startServerOn(data);
    const [reply] = await ask(again.address, "OP=GET;IND=1;");
    // The last one may have been made or not.
    assert([written, written + 1].some((value) => reply === `OP=GET;IND=1;DATA=${value};`), reply);
  },
});

/** A table's file with `entries` rows, in which nothing is left to be done. */
async function tableFile(path: string, entries: number): Promise<void> {
  const init = Array.from({ length: entries }, (_, index) => 1e12 + index);
  await write({ data: path, size: entries, init });
}

/** What replaces an entry, or has another type, in tables that take everything. */
const ENTRY = (data: string) => `UPDATE entry SET data = ${data} WHERE ind = 3;`;
const LOOSE = "DROP TABLE entry; CREATE TABLE entry (ind INTEGER PRIMARY KEY, data); " +
  "INSERT INTO entry VALUES (3, 0); " +
  "DROP TABLE state; CREATE TABLE state (size, term_ms, clean); " +
  "INSERT INTO state VALUES (10, 0, 1);";
/** What is said of such. */
const DATA = (data: string) => `table entry, row 3: data is ${data}, not within ±\\(2\\^53 - 1\\)$`;
const STATE = ([said]: TemplateStringsArray) => `table state, row 1: ${said}`;

/** Files that no server of this program can open: each with what is said of it. */
const REFUSED: [name: string, make: (path: string) => void | Promise<void>, said: string][] = [
  ["a text", (path) => Deno.writeTextFileSync(path, "name,age\n".repeat(1000)), "is no table"],
  ["a short text", (path) => Deno.writeTextFileSync(path, "\n"), "is no table"],
  [
    "random bytes",
    (path) => {
      const bytes = new Uint8Array(20_000);
      crypto.getRandomValues(bytes);
      Deno.writeFileSync(path, bytes);
    },
    "is no table",
  ],
  [
    "another program's database",
    (path) => tamper(path, "CREATE TABLE person (name TEXT); INSERT INTO person VALUES ('Ada')"),
    "is no table",
  ],
  [
    "another program's database in WAL mode",
    (path) => tamper(path, "PRAGMA journal_mode = WAL; CREATE TABLE person (name TEXT)"),
    "is no table",
  ],
  [
    "an empty database of another program",
    (path) => tamper(path, "PRAGMA user_version = 1"),
    "is no table",
  ],
  ["a folder", (path) => Deno.mkdirSync(path), "is no regular file"],
  [
    "a file cut within its first page",
    async (path) => {
      await tableFile(path, 10);
      Deno.truncateSync(path, 300);
    },
    "is (damaged|no table)",
  ],
  [
    "a file cut within its header",
    async (path) => {
      await tableFile(path, 10);
      Deno.truncateSync(path, 50);
    },
    "is no table",
  ],
  [
    "a file cut after its first page",
    async (path) => {
      await tableFile(path, 10);
      Deno.truncateSync(path, 4096);
    },
    "is damaged",
  ],
  [
    "a file cut in the middle",
    async (path) => {
      await tableFile(path, 10_000);
      Deno.truncateSync(path, 8 * 4096 + 5);
    },
    "is damaged",
  ],
  [
    "a file with a damaged page",
    async (path) => {
      await tableFile(path, 10_000);
      const bytes = Deno.readFileSync(path);
      bytes.fill(0xa5, 6 * 4096, 7 * 4096);
      Deno.writeFileSync(path, bytes);
    },
    "is damaged",
  ],
  [
    // All of them can be read all the same, so that nobody notices who does not look.
    "a file whose rows are out of order",
    async (path) => {
      await tableFile(path, 10);
      const bytes = Deno.readFileSync(path);
      // The second page is the root of the entries: behind 8 bytes, 2 for each row.
      const rows = 4096 + 8;
      const first = bytes.slice(rows, rows + 2);
      bytes.copyWithin(rows, rows + 2, rows + 4);
      bytes.set(first, rows + 2);
      Deno.writeFileSync(path, bytes);
    },
    "is damaged",
  ],
  [
    "a file of a newer version",
    async (path) => {
      await tableFile(path, 10);
      tamper(path, "PRAGMA user_version = 2");
    },
    "is of version 2, this program of 1",
  ],
  ...([
    ["without its state", "DELETE FROM state", "its table state has no row"],
    [
      "with two states",
      "INSERT INTO state SELECT * FROM state",
      "its table state has more than one",
    ],
    ["without its table", "DROP TABLE entry", "it has no table entry"],
    ["without any table", "DROP TABLE entry; DROP TABLE state", "it has no table entry"],
    ["without its other table", "DROP TABLE state", "it has no table state"],
    [
      "with a view for a table",
      "DROP TABLE entry; CREATE VIEW entry AS SELECT 1 AS ind, 2 AS data",
      "key",
    ],
    [
      "without a column",
      "ALTER TABLE entry DROP COLUMN data",
      "its table entry has no column data",
    ],
    [
      "without a term",
      "ALTER TABLE state DROP COLUMN term_ms",
      "its table state has no column term_ms",
    ],
    ["of more than one row to an entry", "DROP TABLE entry; CREATE TABLE entry (ind, data)", "key"],
    ["of no entries", "UPDATE state SET size = 0", STATE`size is 0, not within 1 to 1000000`],
    [
      "of fewer",
      "UPDATE state SET size = -9223372036854775808",
      STATE`size is -9223372036854775808, `,
    ],
    ["of too many", "UPDATE state SET size = 1000001", STATE`size is 1000001, not within`],
    [
      "of a term below 0",
      "UPDATE state SET term_ms = -1",
      STATE`term_ms is -1, not within 0 to 3600000`,
    ],
    ["of too long a term", "UPDATE state SET term_ms = 3600001", STATE`term_ms is 3600001, not`],
    ["neither clean nor not", "UPDATE state SET clean = 2", STATE`clean is 2, not within 0 to 1`],
    ["with a text for a size", `${LOOSE} UPDATE state SET size = '10'`, STATE`size is '10', not`],
    [
      "with a fraction for a term",
      `${LOOSE} UPDATE state SET term_ms = 0.5`,
      STATE`term_ms is 0.5, `,
    ],
    ["with nothing for a state", `${LOOSE} UPDATE state SET clean = NULL`, STATE`clean is NULL, `],
    [
      "with an entry before the first",
      "INSERT INTO entry VALUES (-1, 5)",
      "row -1: ind is -1, not within 0 to 9",
    ],
    [
      "with an entry behind the last",
      "INSERT INTO entry VALUES (10, 5)",
      "row 10: ind is 10, not within 0 to 9",
    ],
    [
      "with the last entry of all",
      "INSERT INTO entry VALUES (9223372036854775807, 5)",
      "row 9223372036854775807: ind is 9223372036854775807, not",
    ],
    ["with 2^53", ENTRY("9007199254740992"), DATA("9007199254740992")],
    ["with 2^53 + 1", ENTRY("9007199254740993"), DATA("9007199254740993")],
    ["with -2^53", ENTRY("-9007199254740992"), DATA("-9007199254740992")],
    ["with -2^63", ENTRY("-9223372036854775808"), DATA("-9223372036854775808")],
    ["with a text for an entry", `${LOOSE} ${ENTRY("'5'")}`, DATA("'5'")],
    ["with a fraction for an entry", `${LOOSE} ${ENTRY("0.5")}`, DATA("0.5")],
    ["with nothing for an entry", `${LOOSE} ${ENTRY("NULL")}`, DATA("NULL")],
    ["with bytes for an entry", `${LOOSE} ${ENTRY("x'0a'")}`, DATA("X'0A'")],
    [
      "with a long text for an entry",
      `${LOOSE} ${ENTRY(`'${"x".repeat(99)}'`)}`,
      DATA(`'${"x".repeat(63)}`),
    ],
  ] as const).map(([name, sql, said]): typeof REFUSED[number] => [
    `a file ${name}`,
    async (path) => {
      await tableFile(path, 10);
      tamper(path, sql);
    },
    `is damaged: .*${said}`,
  ]),
];

for (const [name, make, said] of REFUSED) {
  Deno.test(`store: ${name} is refused with one line and status 3, and stays as it is`, async () => {
    await using folder = new Folder();
    const data = folder.path("a.db");
    await make(data);
    const before = folder.contents();
    const message = new RegExp(`^(a\\.db )?.*${said}`);
    const error = await assertRejects(() => TableServer.listen({ port: 0, data }), StoreError);
    assertMatch(error.message, message);
    assert(error.message.includes(data), error.message);
    const args = ["--port", "0", "--data", data];
    const ran = await run("server", args, { addresses: onFile(data) });
    const stderr = `halfway-server: ${error.message}\n`;
    assertEquals(ran, { code: 3, stdout: "", stderr });
    assertEquals(folder.contents(), before);
  });
}

Deno.test("store: a new table is said, with its path from the root; one that is there is not", async () => {
  await using folder = new Folder();
  const { pathname: root } = ROOT;
  const flags = ["--no-prompt", "--allow-net=127.0.0.1", "--allow-read=data", "--allow-write=data"];
  const packages = PICKED.map((flag) => flag.replace("=", `=${root}`));
  const deno = [Deno.execPath(), "run", ...packages, ...flags, `${root}server.ts`, "--port", "0"];
  const there = ["sh", "-c", 'cd "$0" && exec "$@"', folder.path("."), ...deno];
  const made = `made a new table of 12 entries in ${folder.path("data/table.db")}`;
  for (const said of [[made], []]) {
    await using server = await start("server", ["--size", "12"], { command: there });
    server.signal("SIGTERM");
    assertEquals([(await server.ended()).code, server.logged.slice(0, -2)], [0, said]);
  }
});

Deno.test("store: an empty file is a new one", async () => {
  await using folder = new Folder();
  const data = folder.path();
  Deno.createSync(data).close();
  await write({ data, init: [7] });
  assertEquals(look(data).entries, "0=7");
});

Deno.test("store: a file that another server has open is refused with one line and status 3", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using first = await startServerOn(data);
  await ask(first.address, "OP=PUT;IND=1;DATA=5;");
  const message = `${data} is locked: another server has it open`;
  await assertRejects(() => TableServer.listen({ port: 0, data }), StoreError, message);
  const args = ["--port", "0", "--data", data];
  const ran = await run("server", args, { addresses: onFile(data) });
  assertEquals(ran, { code: 3, stdout: "", stderr: `halfway-server: ${message}\n` });
  // The first is none the worse for it.
  assertEquals(await ask(first.address, "OP=PUT;IND=2;DATA=6;", "OP=GET;IND=1,2;"), [
    "OP=PUT;IND=2;DATA=6;",
    "OP=GET;IND=1,2;DATA=5,6;",
  ]);
  first.signal("SIGTERM");
  assertEquals((await first.ended()).code, 0);
  assertEquals(look(data).entries, "1=5 2=6");
});

Deno.test("store: a second server in the same process is refused, and takes no lock off the first", async () => {
  await using folder = new Folder();
  const data = folder.path(), link = folder.path("link.db");
  await using server = await TableServer.listen({ port: 0, data });
  Deno.symlinkSync(data, link);
  for (const path of [data, link, folder.path("./table.db")]) {
    await assertRejects(
      () => TableServer.listen({ port: 0, data: path }),
      StoreError,
      `${path} is locked: another server has it open`,
    );
  }
  // A process of its own: a lock that was lost on the way would let it in.
  const ran = await run("server", ["--port", "0", "--data", data], { addresses: onFile(data) });
  assertEquals([ran.code, ran.stdout], [3, ""]);
  assertEquals(await ask(server.address, "OP=PUT;IND=1;DATA=5;"), ["OP=PUT;IND=1;DATA=5;"]);
});

/** Whether a file that is read-only can be written all the same: root can. */
function isUnbound(): boolean {
  const path = Deno.makeTempFileSync();
  try {
    Deno.chmodSync(path, 0o400);
    Deno.openSync(path, { write: true }).close();
    return true;
  } catch {
    return false;
  } finally {
    Deno.removeSync(path);
  }
}

const unbound = Deno.build.os === "windows" || isUnbound();
const unless = unbound ? " (not looked at here: whoever runs this may write everywhere)" : "";

Deno.test({
  name: `store: a read-only folder or file is refused with one line and status 3${unless}`,
  ignore: unbound,
  fn: async () => {
    await using folder = new Folder();
    await write({ data: folder.path("file.db") }, "OP=PUT;IND=1;DATA=5;");
    Deno.chmodSync(folder.path("file.db"), 0o400);
    Deno.mkdirSync(folder.path("folder"));
    await write({ data: folder.path("folder/full.db") });
    Deno.chmodSync(folder.path("folder"), 0o500);
    const before = folder.contents();
    try {
      for (const name of ["file.db", "folder/full.db", "folder/new.db", "folder/new/table.db"]) {
        const data = folder.path(name);
        const error = await assertRejects(() => TableServer.listen({ port: 0, data }), StoreError);
        assert(error.message.includes(data), error.message);
        assertMatch(error.message, /cannot (be written|open)/);
        const args = ["--port", "0", "--data", data];
        const ran = await run("server", args, { addresses: { ...onFile(data) } });
        assertEquals([ran.code, ran.stdout], [3, ""], name);
        assertEquals(ran.stderr, `halfway-server: ${error.message}\n`);
      }
      assertEquals(folder.contents(), before);
      assertEquals([...Deno.readDirSync(folder.path("folder"))].length, 1);
    } finally {
      Deno.chmodSync(folder.path("folder"), 0o700);
    }
  },
});

Deno.test("store: a server that cannot start leaves its port free and its file as it was", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await tableFile(data, 20);
  const before = folder.contents();
  const free = FakeServer.listen();
  const port = Number(free.address.split(":")[1]);
  await free[Symbol.asyncDispose]();
  await assertRejects(() => TableServer.listen({ port, data, size: 10 }), StoreError);
  await assertRejects(() => TableServer.listen({ port, data, init: [1] }), TypeError);
  const broken = () => TableServer.over(() => storing({ setTerm: fail, close }), { port });
  const closed: boolean[] = [];
  const close = (clean: boolean) => void closed.push(clean);
  const fail = () => {
    throw new Error("the disk is full");
  };
  assertEquals(
    await assertRejects(async () => await broken()).then(String),
    "Error: the disk is full",
  );
  assertEquals(closed, [false], "the store of a server that did not start is closed");
  {
    await using taken = await listenAgain(() => FakeServer.listen(port));
    const addresses = { ...onFile(data) };
    const args = ["--port", `${port}`, "--data", data];
    assertEquals((await run("server", args, { addresses })).code, 3);
    const other = folder.path("other.db");
    await assertRejects(() => TableServer.listen({ port, data: other }), Deno.errors.AddrInUse);
    assertEquals(taken.address, `127.0.0.1:${port}`);
  }
  assertEquals(folder.contents(), before);
  await using server = await listenAgain(() => TableServer.listen({ port, data }));
  assertEquals(await ask(server.address, "OP=GET;IND=19;"), ["OP=GET;IND=19;DATA=1000000000019;"]);
});

Deno.test("store: writes that are ready together share a commit", async () => {
  await using folder = new Folder();
  const data = folder.path();
  let commits = 0, writes = 0;
  {
    await using server = TableServer.over(() => {
      const opened = openTable(data, denoRuntime, { size: 1000, init: undefined });
      const { store } = opened;
      const commit = (changes: Changes) => {
        commits++;
        writes += changes.entries.size;
        store.commit(changes);
      };
      return {
        ...opened,
        store: {
          commit,
          setTerm: (ms) => store.setTerm(ms),
          close: (clean) => store.close(clean),
        },
      };
    }, { port: 0 });
    await using wires = new DisposableWires();
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => wires.connect(server.address)),
    );
    await Promise.all(clients.map(async (wire, client) => {
      const puts = Array.from({ length: 50 }, (_, i) => `OP=PUT;IND=${50 * client + i};DATA=${i};`);
      await say(wire, ...puts);
      await hear(wire, ...puts);
    }));
  }
  assertEquals(writes, 1000);
  assertLess(commits, 200);
  assertEquals(look(data).entries.split(" ").length, 1000);
});

Deno.test("store: what one connection writes again and again in a commit is stored as it was last", async () => {
  await using folder = new Folder();
  const data = folder.path();
  const puts = Array.from({ length: 500 }, (_, i) => `OP=PUT;IND=1;DATA=${i};`);
  {
    await using server = await TableServer.listen({ port: 0, data });
    await using wire = await Wire.connect(server.address);
    await say(wire, ...puts);
    await hear(wire, ...puts);
  }
  assertEquals(look(data).entries, "1=499");
});

const MANY = 1_000_000;
const MAX_MIB = 200;

Deno.test(`store: a table of 1,000,000 entries opens, and is held in under ${MAX_MIB} MiB`, async () => {
  await using folder = new Folder();
  const data = folder.path();
  await tableFile(data, MANY);
  await using server = await startServerOn(data);
  const [first, last] = await ask(server.address, "OP=GET;IND=0,1;", `OP=GET;IND=${MANY - 1};`);
  assertEquals(first, `OP=GET;IND=0,1;DATA=${1e12},${1e12 + 1};`);
  assertEquals(last, `OP=GET;IND=${MANY - 1};DATA=${1e12 + MANY - 1};`);
  if (MEASURABLE) assertLess((await memoryOf(server.pid)).peak, MAX_MIB);
});

Deno.test("store: a server in memory keeps nothing and touches no file", async () => {
  await using folder = new Folder();
  const args = ["--port", "0", "--memory"];
  await using server = await start("server", args, { addresses: onFile(folder.path()) });
  await ask(server.address, "OP=PUT;IND=1;DATA=5;");
  assertEquals(folder.contents(), {});
  assertEquals(Object.keys(memoryStore), ["commit", "setTerm", "close"]);
});

Deno.test("store: a client reads after a restart what it wrote before", async () => {
  await using folder = new Folder();
  const options = { port: 0, data: folder.path() };
  {
    await using server = await TableServer.listen(options);
    await using client = await TableClient.connect(server.address);
    await client.put([[1, 5], [2, 6]]);
    await client.clear();
    await client.put([[2, 7]]);
  }
  await using server = await TableServer.listen(options);
  await using client = await TableClient.connect(server.address);
  assertEquals(await client.get([1, 2]), [0, 7]);
});

Deno.test("store: of two servers started together on a new file one has it, the other says so", async () => {
  for (let round = 0; round < 3; round++) {
    await using folder = new Folder();
    const file = folder.path();
    const both = await Promise.allSettled([startServerOn(file), startServerOn(file)]);
    const [won, ...more] = both.filter((one) => one.status === "fulfilled");
    assertEquals(more, []);
    const lost = both.find((one) => one.status === "rejected");
    await using _ = won!.value;
    assertStringIncludes(String(lost!.reason), `${file} is locked: another server has it open`);
  }
});

Deno.test("store: what is no regular file is refused at once", async () => {
  await using folder = new Folder();
  const path = folder.path("pipe");
  assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  await assertRejects(
    () => TableServer.listen({ port: 0, data: path }),
    StoreError,
    `${path} is no regular file`,
  );
});
