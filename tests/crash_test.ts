/**
 * Servers that are killed while many write, and started again on the same file and port.
 */

import { assert, assertEquals, fail } from "@std/assert";
import { CacheProxy, TableClient } from "../mod.ts";
import { Folder } from "./support/folder.ts";
import { Random } from "../lib/simulate/mod.ts";
import { runHistory } from "./support/history.ts";
import { checkHistory, type Recorded } from "../simulate/linearizability.ts";
import { startServerOn } from "./support/program.ts";
import { listenAgain } from "./support/wire.ts";
import { within } from "./support/within.ts";

const SIZE = 10;
const LEASE_MS = 100;
/** How many operations are sent, about, between two kills. */
const OPERATIONS_A_ROUND = 150;
/** The kill comes up to so much later, at random. */
const MAX_DELAY_MS = 20;
/** So few at a time that those whose outcome nobody knows do not make the search long. */
const BURST = 2;
const MAX_CONFIGURATIONS = 5_000_000;
const ROUNDS_A_HISTORY = 10;

/**
 * How many kills, and from which seed on: `deno task soak` asks for more. A few show that SQLite keeps
 * what it has acknowledged; what else may go wrong at a kill is simulated.
 */
const rounds = Number(Deno.env.get("HALFWAY_ROUNDS") ?? 4);
const firstSeed = Number(Deno.env.get("HALFWAY_SEED") ?? 1);

const WHOLE = Array.from({ length: SIZE }, (_, index) => index);

for (let done = 0, seed = firstSeed; done < rounds; done += ROUNDS_A_HISTORY, seed++) {
  const kills = Math.min(ROUNDS_A_HISTORY, rounds - done);
  Deno.test(`crash ${seed}: ${kills} servers killed under 16 writers lose nothing acknowledged, and the history is linearizable`, async (t) => {
    await using folder = new Folder();
    const random = new Random(2_000_000 + seed);
    const args = ["--lease", `${LEASE_MS}`, "--size", `${SIZE}`];
    let server = await startServerOn(folder.path(), ...args);
    const { address } = server;
    const port = address.split(":")[1]!;
    const starts: Recorded[] = [];
    /** The whole table, as one read, before anybody may write. */
    const readAll = async () => {
      await using client = await TableClient.connect(address);
      const invoked = performance.now();
      const data = await client.get(WHOLE);
      const returned = performance.now();
      const sequence = starts.length;
      const action = { kind: "GET" as const, ind: WHOLE, data };
      starts.push({ connection: -1, sequence, invoked, returned, action });
    };
    const kill = async () => {
      await new Promise((resolve) => setTimeout(resolve, random.below(MAX_DELAY_MS)));
      server.signal("SIGKILL");
      await server.ended();
      server = await listenAgain(() => startServerOn(folder.path(), ...args, "--port", port));
      assertEquals(server.address, address);
      await readAll();
    };
    try {
      const proxying = { port: 0, server: address, timeoutMs: 2000 };
      await using p = await CacheProxy.listen({ ...proxying, capacity: 5 });
      await using q = await CacheProxy.listen({ ...proxying, capacity: 3, eviction: "lru" });
      const nodes = [p, q, { address }].flatMap((node) => new Array(5).fill(node.address));
      let struck = 0, striking = Promise.resolve();
      const { recorded, unknown, refused } = await runHistory({
        random,
        size: SIZE,
        nodes: [...nodes, p.address],
        operations: OPERATIONS_A_ROUND * (kills + 1),
        burst: BURST,
        fault: {
          every: OPERATIONS_A_ROUND,
          strike: () => {
            if (struck++ < kills) striking = striking.then(kill);
            return striking;
          },
        },
      });
      await within(readAll(), "the last read");
      const history = [...recorded, ...starts];
      const writes = recorded.filter(({ action: { kind } }) => kind === "PUT" || kind === "CLR");
      const acknowledged = writes.length - unknown;
      assertEquals(starts.length, kills + 1);
      await t.step(
        `seed ${seed}: ${kills} kills; ${acknowledged} acknowledged writes, ${unknown} of unknown ` +
          `outcome, ${history.length - writes.length} reads; ${refused} refused`,
        () => {
          assert(acknowledged > 0);
          const verdict = checkHistory(history, SIZE, undefined, MAX_CONFIGURATIONS);
          if (!verdict.ok) fail(verdict.reason);
        },
      );
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
}
