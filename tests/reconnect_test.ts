/** When a proxy connects again, and what it says of it. */
import { assertEquals, assertMatch } from "@std/assert";
import { RECONNECT_FIRST_MS } from "../lib/protocol/limits.ts";
import { CoherentCache } from "../mod.ts";
import { GRANT, hear, Log, say } from "./support/both_ends.ts";
import type { Process } from "../lib/simulate/mod.ts";
import { simulated } from "./support/stage.ts";
import { FakeServer, type Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

/** The pauses that a process makes; each is the longest that it may be. */
function pausesOf(process: Process): number[] {
  const pauses: number[] = [], setTimer = process.setTimer.bind(process);
  const longest = Array.from({ length: 6 }, (_, i) => RECONNECT_FIRST_MS * 2 ** i);
  process.random = () => 1;
  process.setTimer = (callback, ms) => {
    if (longest.includes(ms)) pauses.push(ms);
    return setTimer(callback, ms);
  };
  return pauses;
}

/** A cache's next connection, on which SUB is answered. */
async function granted(server: FakeServer): Promise<Wire> {
  const upstream = await server.accept();
  await hear(upstream, "OP=SUB;");
  await say(upstream, GRANT);
  return upstream;
}

simulated(
  "reconnect: pauses grow, and little is said, until a connection has lasted",
  async (stage) => {
    const runtime = stage.process("cache"), pauses = pausesOf(runtime);
    await using server = FakeServer.listen(0, stage);
    const log = new Log();
    // No timeout is as long as one of the pauses.
    const options = { timeoutMs: 1234, log: log.log, runtime };
    const starting = CoherentCache.connect(server.address, options);
    // It breaks as soon as it has answered SUB, always in the same way.
    for (let i = 0; i < 5; i++) {
      const upstream = await granted(server);
      await say(upstream, "hello");
      assertEquals(await upstream.rest(), "");
    }
    const lasting = await granted(server);
    assertEquals(pauses, [100, 200, 400, 800, 1600]);
    const lost = `lost the server at ${server.address}: no NAME=VALUE: "hello"`;
    const again = `the server at ${server.address} is there again`;
    assertEquals(log.sentences, [lost, again, lost]);
    await log.next("lost");
    await log.next(again);
    await log.next("lost");
    // Now it does not break.
    await log.next(again);
    await using cache = await within(starting, "the cache");
    lasting.close();
    await log.next("lost");
    const upstream = await granted(server);
    assertEquals(pauses, [100, 200, 400, 800, 1600, 100]);
    await log.next(again);
    server.stopListening();
    const read = cache.get([1]);
    await hear(upstream, "OP=GET;IND=1;");
    await say(upstream, "OP=GET;IND=1;DATA=5;");
    assertEquals(await within(read, "the answer"), [5]);
    const closing = cache.close();
    await hear(upstream, "OP=SUB;DATA=0;");
    await say(upstream, "OP=SUB;DATA=0;");
    await within(closing, "the cache to close");
  },
);

simulated(
  "reconnect: of many different complaints some are logged, until a connection has lasted",
  async (stage) => {
    const runtime = stage.process("cache");
    await using server = FakeServer.listen(0, stage);
    const log = new Log();
    const options = { timeoutMs: 1234, log: log.log, runtime };
    const starting = CoherentCache.connect(server.address, options);
    for (let i = 0; i < 12; i++) {
      const upstream = await server.accept();
      await hear(upstream, "OP=SUB;");
      await say(upstream, GRANT, `it is ${i}`);
      assertEquals(await upstream.rest(), "");
    }
    server.stopListening();
    await (await within(starting, "the cache")).close();
    assertEquals(log.sentences.filter((sentence) => sentence.startsWith("lost")).length, 9);
    assertMatch(log.sentences.at(-1)!, /"it is 8"$/);
  },
);
