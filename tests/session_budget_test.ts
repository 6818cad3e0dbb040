/**
 * Sessions are always read, so that what they may make a server keep is bounded for all together.
 */

import { assertEquals, assertLess } from "@std/assert";
import { RECURRENCE_OVER_MS } from "../lib/protocol/limits.ts";
import { hear, say } from "./support/both_ends.ts";
import { MEASURABLE, memoryOf } from "./support/memory.ts";
import { type RunningNode, startServer } from "./support/program.ts";
import { within } from "./support/within.ts";
import { Wire } from "./support/wire.ts";

/** What a server may take up in all, in MiB, whatever sessions do. */
const MOST_MIB = 512;
const LONG_GET = `OP=GET;IND=${Array.from({ length: 1024 }, (_, i) => i % 9)};\n`;
const CLOSED = /the session of 127\.0\.0\.1:\d+ is closed: /;

/** Sends `text` as often as it is taken, on one connection after the other, until it is stopped. */
class Attacker implements AsyncDisposable {
  readonly #address: string;
  readonly #bytes: Uint8Array;
  readonly #ended: Promise<void>;
  #wire: Wire | undefined;
  /** How many of its connections were closed. */
  closed = 0;
  #stopped = false;

  constructor(address: string, text: string) {
    this.#address = address;
    this.#bytes = new TextEncoder().encode(text);
    this.#ended = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#wire = await Wire.connect(this.#address);
      try {
        while (!this.#stopped) await this.#wire.send(this.#bytes);
      } catch {
        // Closed, by either side.
      }
      this.closed++;
      this.#wire.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#wire?.close();
    await within(this.#ended, "an attacker to end");
  }
}

/** Others are served until so many sessions of attackers were closed; and how much memory it took. */
async function serveOthers(
  server: RunningNode,
  attackers: readonly Attacker[],
  closings: number,
): Promise<void> {
  const began = performance.now();
  await using other = await Wire.connect(server.address);
  while (attackers.reduce((sum, { closed }) => sum + closed, 0) < closings) {
    await say(other, "OP=PUT;IND=9;DATA=5;", "OP=GET;IND=9;");
    await hear(other, "OP=PUT;IND=9;DATA=5;", "OP=GET;IND=9;DATA=5;");
  }
  // Said once, and now and then how often it has happened since: at most that it is over, and that it
  // happens again, for each time that it pauses for so long.
  const told = () => server.stderr.split("\n").filter((line) => CLOSED.test(line)).length;
  await server.until(() => told() > 0, "the log to say that one was closed");
  assertLess(told(), 4 + 2 * (performance.now() - began) / RECURRENCE_OVER_MS);
  if (MEASURABLE) assertLess((await memoryOf(server.pid)).peak, MOST_MIB, "MiB that it took up");
}

Deno.test("session budget: 40 sessions that ask for much behind a holder that never answers are closed, the largest first", async () => {
  await using server = await startServer("--lease", "1000");
  await using holder = await Wire.connect(server.address);
  await say(holder, "OP=SUB;", "OP=GET;IND=0;");
  await hear(holder, "OP=SUB;DATA=1000,10;", "OP=GET;IND=0;DATA=0;");
  let over = false;
  const holding = (async () => {
    while (!over) {
      // It renews, and reads the entry again, which it holds from then on: but it never answers INV.
      await say(holder, "OP=SUB;", "OP=GET;IND=0;");
      for (let line = ""; line !== "OP=SUB;DATA=1000,10;";) line = await holder.line();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  {
    await using stack = new AsyncDisposableStack();
    // None of it is of the entry that the other client reads and writes.
    const text = `OP=SUB;\nOP=PUT;IND=0;DATA=1;\n${LONG_GET.repeat(30)}`;
    const attackers = Array.from(
      { length: 40 },
      () => stack.use(new Attacker(server.address, text)),
    );
    await Promise.race([holding, serveOthers(server, attackers, 200)]);
    // It is served as well: what it takes up is little.
    over = true;
    await holding;
  }
});

Deno.test("session budget: 100 sessions that do not read what they ask for are closed, and the others are served", async () => {
  await using server = await startServer("--lease", "1000");
  await using stack = new AsyncDisposableStack();
  const text = `OP=SUB;\n${LONG_GET.repeat(30)}`;
  const attackers = Array.from(
    { length: 100 },
    () => stack.use(new Attacker(server.address, text)),
  );
  await serveOthers(server, attackers, 3);
});

Deno.test("session budget: a connection that has ended keeps its place until what it asked is done", async () => {
  await using server = await startServer("--max-connections", "2", "--lease", "60000");
  await using holder = await Wire.connect(server.address);
  await say(holder, "OP=SUB;", "OP=GET;IND=0;");
  await hear(holder, "OP=SUB;DATA=60000,10;", "OP=GET;IND=0;DATA=0;");
  const writer = await Wire.connect(server.address);
  await say(writer, "OP=PUT;IND=0;DATA=5;");
  await hear(holder, "OP=INV;IND=0;");
  writer.close();
  const refusal = "OP=ERR;DATA=429;MSG=this node takes 2 connections, and has them;\n";
  for (let i = 0; i < 3; i++) {
    await using one = await Wire.connect(server.address);
    assertEquals(await one.rest(), refusal);
  }
  await say(holder, "OP=INV;IND=0;", "OP=SUB;");
  await hear(holder, "OP=SUB;DATA=60000,10;");
  await using next = await Wire.connect(server.address);
  await say(next, "OP=GET;IND=0;");
  await hear(next, "OP=GET;IND=0;DATA=5;");
  await say(holder, "OP=SUB;DATA=0;");
  await hear(holder, "OP=SUB;DATA=0;");
});

Deno.test("session budget: a session that has given its lease back is counted and closed like any other", async () => {
  await using server = await startServer("--lease", "1000");
  await using holder = await Wire.connect(server.address);
  await say(holder, "OP=SUB;", "OP=GET;IND=0;");
  await hear(holder, "OP=SUB;DATA=1000,10;", "OP=GET;IND=0;DATA=0;");
  await using stack = new AsyncDisposableStack();
  const text = `OP=SUB;\nOP=SUB;DATA=0;\nOP=PUT;IND=0;DATA=1;\n${LONG_GET.repeat(30)}`;
  const attackers = Array.from({ length: 40 }, () => stack.use(new Attacker(server.address, text)));
  await serveOthers(server, attackers, 100);
});
