/**
 * What repeats is said once, and then how often it came.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { Recurrence } from "../lib/runtime/recurrence.ts";
import { CommitError, type Store } from "../lib/server/store/store.ts";
import { Table } from "../lib/server/table.ts";
import { TableServer } from "../lib/server/table_server.ts";
import { Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

const HOUR_MS = 3_600_000;

Deno.test("Recurrence says the first at once, then nothing, and at the end how many there were", () => {
  const said: string[] = [];
  const recurrence = new Recurrence((sentence) => said.push(sentence), denoRuntime);
  recurrence.happened("it failed: 1");
  assertEquals(said, ["it failed: 1"]);
  for (let i = 2; i <= 1235; i++) recurrence.happened(`it failed: ${i}`);
  assertEquals(said, ["it failed: 1"]);
  recurrence.close();
  assertEquals(said, ["it failed: 1", "it failed: 1235: 1,234 times more in 1 s"]);
  // What happens after that is a new beginning.
  recurrence.happened("again");
  recurrence.happened("again");
  recurrence.close();
  assertEquals(said.slice(2), ["again", "again: once more in 1 s"]);
});

Deno.test("Recurrence says nothing more of what happened once", async () => {
  const said: string[] = [];
  const recurrence = new Recurrence((sentence) => said.push(sentence), denoRuntime, 1);
  recurrence.happened("once");
  await new Promise((resolve) => setTimeout(resolve, 50));
  recurrence.close();
  assertEquals(said, ["once"]);
});

Deno.test("Recurrence says by itself when it is over", async () => {
  const said: string[] = [];
  const over = Promise.withResolvers<void>();
  const recurrence = new Recurrence(
    (sentence) => {
      if (said.push(sentence) === 2) over.resolve();
    },
    denoRuntime,
    20,
  );
  for (let i = 0; i < 3; i++) recurrence.happened("full");
  await within(over.promise, "it to be over");
  assertEquals(said, ["full", "full: 2 times more in 1 s, and not since"]);
});

Deno.test("Recurrence says once in a while that it goes on", () => {
  const said: string[] = [];
  const recurrence = new Recurrence((sentence) => said.push(sentence), denoRuntime, HOUR_MS, 0);
  for (let i = 0; i < 3; i++) recurrence.happened("full");
  recurrence.close();
  const reminder = "full: once more in 1 s";
  assertEquals(said, ["full", reminder, reminder]);
});

Deno.test("a server whose disk is full logs that once, not for each write, and then how often", async () => {
  const said: string[] = [];
  const store: Store = {
    commit: () => {
      throw new CommitError("database or disk is full");
    },
    setTerm: () => {},
    close: () => {},
  };
  const table = new Table(new Float64Array(10));
  const log = (sentence: string) => said.push(sentence);
  const server = TableServer.over(() => ({ store, table, leasedMs: 0 }), { port: 0, log });
  await using wire = await Wire.connect(server.address);
  for (let i = 0; i < 1000; i++) {
    await wire.send("OP=PUT;IND=1;DATA=5;\n");
    assertMatch(await wire.line(), /^OP=ERR;DATA=500;/);
  }
  const sentence = "a commit failed, and nothing was written: database or disk is full";
  assertEquals(said, [sentence]);
  await server.close();
  assertEquals(said.length, 2);
  assertMatch(said[1]!, new RegExp(`^${sentence}: 999 times more in \\d+ s$`));
});
