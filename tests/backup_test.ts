/**
 * A server's file beside other programs: those that back it up while it runs, and a backup that takes
 * its place.
 */

import { assertEquals, assertGreater, assertMatch, assertRejects } from "@std/assert";
import { StoreError, TableClient, TableError, TableServer } from "../mod.ts";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { openDatabase } from "../lib/server/store/database.ts";
import { openTable } from "../lib/server/store/sqlite_store.ts";
import { BUSY_TIMEOUT_MS } from "../lib/protocol/limits.ts";
import { Log } from "./support/both_ends.ts";
import { Folder, look } from "./support/folder.ts";
import { OtherProgram } from "./support/other_program.ts";
import { onFile, type Ran, ROOT, run, type RunningNode, startServerOn } from "./support/program.ts";
import { within } from "./support/within.ts";

/** Runs a command of the system to its end. */
async function shell(line: string, cwd: string | URL = ROOT): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", line],
    cwd,
  }).output();
  if (!success) throw new Error(`${line}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Whether there is the program of that name. */
const hasSqlite = await new Deno.Command("sqlite3", { args: ["-version"] }).output()
  .then(() => true, () => false);

/** Writes entry 1 at a server. */
async function put(server: { address: string }, data: number): Promise<void> {
  await using client = await TableClient.connect(server.address);
  await client.put([[1, data]]);
}

/** Reads entry 1 at a server. */
async function get(server: { address: string }): Promise<number> {
  await using client = await TableClient.connect(server.address);
  return (await client.get([1]))[0]!;
}

async function kill(server: RunningNode): Promise<void> {
  server.signal("SIGKILL");
  await server.ended();
}

async function end(server: RunningNode): Promise<void> {
  server.signal("SIGTERM");
  assertEquals((await server.ended()).code, 0);
}

/** What a server that starts on a file and does not end at once reads there as entry 1. */
async function found(file: string): Promise<number> {
  await using server = await startOn(file);
  return await get(server);
}

/** Starts a server, whose leases are short: the first write after a kill waits for them. */
function startOn(file: string): Promise<RunningNode> {
  return startServerOn(file, "--lease", "20");
}

/** Starts a server that is to be refused. */
function refused(file: string): Promise<Ran> {
  return run("server", ["--port", "0", "--data", file], { addresses: onFile(file) });
}

/** Waits until something holds that no event tells. */
async function until(holds: () => boolean, what: string): Promise<void> {
  let over = false;
  const holding = async () => {
    while (!holds() && !over) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  try {
    await within(holding(), what, 60_000);
  } finally {
    over = true;
  }
}

/** The names in a folder, without the path. */
function names(folder: Folder): string[] {
  return Object.keys(folder.contents());
}

/**
 * Does what Litestream does beside a server: it keeps a transaction open that reads, makes checkpoints
 * by itself, and writes to tables of its own in short transactions.
 */
class Replicator implements AsyncDisposable {
  readonly program: OtherProgram;

  private constructor(program: OtherProgram) {
    this.program = program;
  }

  static async attach(file: string): Promise<Replicator> {
    const program = await OtherProgram.open(file);
    for (
      const statement of [
        "PRAGMA wal_autocheckpoint = 0",
        "CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
        "CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)",
        "BEGIN",
        "SELECT COUNT(1) FROM _litestream_seq",
      ]
    ) await program.sql(statement);
    return new Replicator(program);
  }

  /** A checkpoint, after which it writes, so that the log begins anew. */
  async checkpoint(mode: string): Promise<void> {
    await this.program.sql("ROLLBACK");
    const [row] = await this.program.sql(`PRAGMA wal_checkpoint(${mode})`);
    assertEquals(row?.busy, 0, mode);
    const upsert = "ON CONFLICT (id) DO UPDATE SET seq = seq + 1";
    for (
      const statement of [
        `INSERT INTO _litestream_seq (id, seq) VALUES (1, 1) ${upsert}`,
        "BEGIN",
        "INSERT INTO _litestream_lock (id) VALUES (1)",
        "ROLLBACK",
        "BEGIN",
        "SELECT COUNT(1) FROM _litestream_seq",
      ]
    ) await this.program.sql(statement);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}

const MODES = ["PASSIVE", "RESTART", "TRUNCATE"];

Deno.test("backup: a replicator that reads, writes and makes checkpoints works on a running server", async () => {
  await using folder = new Folder();
  const data = folder.path(), copy = folder.path("copy.db");
  let written = 0;
  await using server = await startOn(data);
  await put(server, ++written);
  await using replicator = await Replicator.attach(data);
  for (const mode of [...MODES, ...MODES]) {
    await put(server, ++written);
    await replicator.checkpoint(mode);
    await put(server, ++written);
    // What it copies while its transaction is open: the file, and the pages of the log.
    Deno.copyFileSync(data, copy);
    Deno.copyFileSync(`${data}-wal`, `${copy}-wal`);
    assertEquals(look(copy).entries, `1=${written}`, mode);
  }
  assertMatch(server.logged.join("\n"), /^made a new table[^\n]*$/);
  assertEquals((await refused(data)).code, 3);
  await end(server);
  assertEquals(await found(data), written);
});

for (const mode of MODES) {
  Deno.test(`backup: a server that is killed beside a replicator starts again, whoever made a ${mode} checkpoint last`, async () => {
    await using folder = new Folder();
    const data = folder.path();
    let written = 0;
    {
      await using server = await startOn(data);
      await using replicator = await Replicator.attach(data);
      await put(server, ++written);
      await replicator.checkpoint(mode);
      // In the log alone, and not in the file to which the log belongs now.
      await put(server, ++written);
      await kill(server);
    }
    {
      await using server = await startOn(data);
      assertEquals(await get(server), written);
      await put(server, ++written);
      await using replicator = await Replicator.attach(data);
      await kill(server);
      // Nobody records this one.
      await replicator.checkpoint(mode);
    }
    assertEquals(await found(data), written);
  });
}

Deno.test("backup: a server starts after a checkpoint of part of its log that it has not seen", async () => {
  await using folder = new Folder();
  const data = folder.path();
  for (let written = 1; written < 4; written += 2) {
    await using server = await startOn(data);
    await put(server, written);
    await using reader = await OtherProgram.open(data);
    for (const statement of ["BEGIN", "SELECT * FROM entry"]) await reader.sql(statement);
    await put(server, written + 1);
    await kill(server);
    // What the reader does not see yet stays in the log alone.
    await using program = await OtherProgram.open(data);
    const [row] = await program.sql("PRAGMA wal_checkpoint(PASSIVE)");
    assertGreater(Number(row!.log), Number(row!.checkpointed));
    assertGreater(Number(row!.checkpointed), 0);
    await program[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    assertEquals(await found(data), written + 1);
  }
});

Deno.test("backup: a program that opens a running server's file and closes it leaves the log alone", async () => {
  await using folder = new Folder();
  const data = folder.path(), link = folder.path("link.db"), hard = folder.path("hard.db");
  await using server = await TableServer.listen({ port: 0, data });
  Deno.symlinkSync(data, link);
  Deno.linkSync(data, hard);
  const { ino } = Deno.statSync(`${data}-wal`);
  // Refused in this process too, under whatever name: and without a lock taken off the first.
  for (const path of [data, link, hard]) {
    await assertRejects(() => TableServer.listen({ port: 0, data: path }), StoreError, "is locked");
  }
  for (let data2 = 1; data2 <= 3; data2++) {
    await put(server, data2);
    await using program = await OtherProgram.open(data);
    assertEquals(await program.sql("SELECT data FROM entry"), [{ data: data2 }]);
    await program.end();
    // Unlike Deno's, an SQLite before 3.51 trusts in the lock on the file alone.
    if (hasSqlite) await shell(`sqlite3 '${data}' 'SELECT data FROM entry'`);
    assertEquals(Deno.statSync(`${data}-wal`).ino, ino);
  }
});

Deno.test("backup: a second server is refused by whatever path, and while other programs read", async () => {
  await using folder = new Folder();
  const data = folder.path(), link = folder.path("link.db");
  await using _server = await startOn(data);
  Deno.symlinkSync(data, link);
  await using program = await OtherProgram.open(data);
  for (const statement of ["BEGIN", "SELECT * FROM entry"]) await program.sql(statement);
  for (const path of [data, link]) {
    const stderr = `halfway-server: ${path} is locked: another server has it open\n`;
    assertEquals(await refused(path), { code: 3, stdout: "", stderr });
  }
});

/** README.md's commands between two of its lines. */
function commandsOfReadme(heading: RegExp): string[] {
  const lines = Deno.readTextFileSync(new URL("README.md", ROOT)).split("\n");
  const from = lines.findIndex((line) => heading.test(line));
  const start = lines.indexOf("```sh", from);
  return lines.slice(start + 1, lines.indexOf("```", start));
}

Deno.test({
  name: `backup: README.md's three lines make one of a running server, and three restore it${
    hasSqlite ? "" : " (not looked at here: there is no sqlite3)"
  }`,
  ignore: !hasSqlite,
  fn: async () => {
    await using folder = new Folder();
    const cwd = folder.path("."), data = folder.path("data/table.db");
    const making = commandsOfReadme(/^\*\*A backup\*\*/);
    const restoring = commandsOfReadme(/^\*\*To restore\*\*/);
    assertEquals([making.length, restoring.length], [3, 3]);
    await using server = await startOn(data);
    await put(server, 1);
    const said = [];
    for (const line of making) said.push(await shell(line, cwd));
    assertEquals(said.join(""), "ok\n");
    await put(server, 2);
    // A log is left that is newer than the backup.
    await kill(server);
    assertEquals(restoring.at(-1), "deno task server");
    for (const line of restoring.slice(0, -1)) await shell(line, cwd);
    await using restored = await startOn(data);
    assertEquals(await get(restored), 1);
    await put(restored, 3);
  },
});

/** How a backup takes the place of the file. */
const RESTORES: [name: string, line: string][] = [
  ["copied", "cp backup.db table.db"],
  ["copied with its time", "cp -p backup.db table.db"],
  ["moved", "mv backup.db table.db"],
];

/** Leaves a log with 2 as entry 1, and puts a backup in the place of its file, in which it is 1. */
async function restore(folder: Folder, line: string, ofEnded: boolean): Promise<void> {
  const data = folder.path();
  {
    await using server = await startOn(data);
    await put(server, 1);
    if (ofEnded) await end(server);
    await using program = await OtherProgram.open(data);
    await program.sql(`.backup ${folder.path("backup.db")}`);
    if (ofEnded) await shell("cp -p table.db backup.db", folder.path("."));
  }
  {
    await using server = await startOn(data);
    await put(server, 2);
    await kill(server);
  }
  await shell(line, folder.path("."));
}

for (const [name, line] of RESTORES) {
  for (const ofEnded of [false, true]) {
    const of = ofEnded ? "an ended" : "a running";
    Deno.test(`backup: one of ${of} server, ${name} over the file of a killed one, is not undone by its log`, async () => {
      for (
        const [way, data1] of [["table.db-wal table.db-shm", 1], ["table.db-lock", 2]] as const
      ) {
        await using folder = new Folder();
        const data = folder.path();
        await restore(folder, line, ofEnded);
        const before = folder.contents();
        const stderr =
          `halfway-server: ${data} is not the file to which ${data}-wal belongs: remove ` +
          `${data}-wal and ${data}-shm to use the file as it is, as after a restore; or remove ` +
          `${data}-lock, if nobody replaced the file, to take the log with it\n`;
        for (let i = 0; i < 2; i++) {
          assertEquals(await refused(data), { code: 3, stdout: "", stderr });
          assertEquals(folder.contents(), before);
        }
        await assertRejects(() => TableServer.listen({ port: 0, data }), StoreError);
        assertEquals(folder.contents(), before);
        await shell(`rm -f ${way}`, folder.path("."));
        assertEquals(await found(data), data1);
      }
    });
  }
}

Deno.test("backup: one that takes the place of a file after a checkpoint of another program is not undone either", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using server = await startOn(data);
  await using program = await OtherProgram.open(data);
  await put(server, 1);
  await program.sql(`.backup ${folder.path("backup.db")}`);
  await program.sql("PRAGMA wal_checkpoint(TRUNCATE)");
  await put(server, 2);
  // It is recorded once it is certainly over.
  const { mtime } = Deno.statSync(data);
  await until(() => {
    const { mtimeMs, changing } = JSON.parse(Deno.readTextFileSync(`${data}-lock`));
    return mtimeMs === mtime!.getTime() && !changing;
  }, "the checkpoint to be recorded");
  await kill(server);
  await program[Symbol.asyncDispose]();
  Deno.copyFileSync(folder.path("backup.db"), data);
  assertEquals((await refused(data)).code, 3);
});

Deno.test("backup: a folder that is copied with its log starts as it was", async () => {
  await using folder = new Folder();
  const data = folder.path("a/table.db");
  await using server = await startOn(data);
  await put(server, 7);
  await kill(server);
  const cwd = folder.path(".");
  // Everything, with its times and without; and without the lock file.
  await shell("cp -a a b && cp -r a c && mkdir d && cp a/table.db a/table.db-wal d", cwd);
  for (const name of ["a", "b", "c", "d"]) {
    assertEquals(await found(folder.path(`${name}/table.db`)), 7, name);
  }
});

Deno.test("backup: a log whose file is gone is not dropped without a word", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await using server = await startOn(data);
  await put(server, 7);
  await kill(server);
  for (const line of ["mv table.db moved.db", ": > table.db"]) {
    await shell(line, folder.path("."));
    const before = folder.contents();
    const stderr = `halfway-server: ${data} is missing, and its log is there: put the file back, ` +
      `or remove ${data}-wal and ${data}-shm to make a new table\n`;
    assertEquals(await refused(data), { code: 3, stdout: "", stderr }, line);
    assertEquals(folder.contents(), before);
  }
  await shell("mv moved.db table.db", folder.path("."));
  // It has its time still.
  assertEquals(await found(data), 7);
});

Deno.test("backup: an orderly end leaves the file alone; a kill leaves its log and its lock file", async () => {
  await using folder = new Folder();
  const data = folder.path();
  {
    await using server = await startOn(data);
    await put(server, 1);
    await end(server);
    assertEquals(names(folder), ["table.db"]);
  }
  for (let i = 2; i < 5; i++) {
    await using server = await startOn(data);
    await put(server, i);
    await kill(server);
    const all = ["table.db", "table.db-lock", "table.db-shm", "table.db-wal"];
    assertEquals(names(folder), all);
    assertEquals(await found(data), i);
  }
});

/** While it lasts nothing can be written by this process, but by SQLite. */
class FullDisk implements Disposable {
  readonly #write = Deno.FsFile.prototype.writeSync;

  constructor() {
    Deno.FsFile.prototype.writeSync = () => {
      throw new Error("No space left on device (os error 28)");
    };
  }

  [Symbol.dispose](): void {
    Deno.FsFile.prototype.writeSync = this.#write;
  }
}

Deno.test("backup: a server starts whatever stands in its lock file, and with one that cannot be written", async () => {
  await using folder = new Folder();
  const data = folder.path(), lock = `${data}-lock`;
  let written = 0;
  {
    await using server = await startOn(data);
    await put(server, ++written);
    await kill(server);
  }
  const torn = Deno.readTextFileSync(lock).slice(0, 50);
  const contents = ["", "\n", torn, torn.padEnd(160, "\0"), "null", "[]", "{}", "x".repeat(10_000)];
  for (const text of contents) {
    Deno.writeTextFileSync(lock, text);
    await using server = await startOn(data);
    assertEquals(await get(server), written, text);
    await put(server, ++written);
    await kill(server);
  }
  // A disk that is full for the lock file alone.
  Deno.removeSync(lock);
  using _ = new FullDisk();
  const log = new Log();
  await using server = TableServer.over(() => {
    const options = { size: undefined, init: undefined, checkpointPages: 1, log: log.log };
    return openTable(data, denoRuntime, options);
  }, { port: 0, log: log.log });
  for (let i = 0; i < 20; i++) await put(server, ++written);
  assertEquals(await get(server), written);
  assertEquals(log.sentences.filter((sentence) => !sentence.startsWith("the last end")), []);
});

Deno.test("store: a commit that meets a longer transaction of another program is 500, and the next is tried afresh", async () => {
  await using folder = new Folder();
  const data = folder.path();
  const log = new Log();
  {
    using database = openDatabase(data, denoRuntime);
    // How long it is waited for.
    assertEquals(database.prepare("PRAGMA busy_timeout").get()!.timeout, BUSY_TIMEOUT_MS);
  }
  await using server = await TableServer.listen({ port: 0, data, log: log.log });
  await using program = await OtherProgram.open(data);
  await using client = await TableClient.connect(server.address);
  await client.put([[1, 5]]);
  await program.sql("BEGIN IMMEDIATE");
  const error = await assertRejects(() => client.put([[1, 6]]), TableError);
  assertEquals(error.code, 500);
  assertEquals(await client.get([1]), [5]);
  assertEquals(
    log.sentences.at(-1),
    `a commit failed, and nothing was written: ${data} is locked: another program has been ` +
      `writing to it for ${BUSY_TIMEOUT_MS} ms`,
  );
  await program.sql("ROLLBACK");
  await client.put([[1, 7]]);
  assertEquals(await client.get([1]), [7]);
});

Deno.test("store: a server that meets a longer transaction of another program when it starts is refused", async () => {
  await using folder = new Folder();
  const data = folder.path();
  await end(await startOn(data));
  await using program = await OtherProgram.open(data);
  await program.sql("BEGIN IMMEDIATE");
  const before = folder.contents();
  assertEquals(await refused(data), {
    code: 3,
    stdout: "",
    stderr: `halfway-server: ${data} is locked: another program has been writing to it for ` +
      `${BUSY_TIMEOUT_MS} ms\n`,
  });
  assertEquals(names(folder), Object.keys(before));
  await program.sql("ROLLBACK");
  await using server = await startOn(data);
  await put(server, 1);
});
