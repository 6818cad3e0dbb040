/**
 * Random histories of real processes, with signals and the network of the machine, which the simulation
 * does not have: `deno task simulate` has everything else, and ten thousand times as much of it.
 */

import { fail } from "@std/assert";
import { CacheProxy, type CacheProxyOptions, TableClient, TableServer } from "../mod.ts";
import { Random } from "../lib/simulate/mod.ts";
import { type History, runHistory } from "./support/history.ts";
import { checkHistory, type Recorded, SearchGaveUpError } from "../simulate/linearizability.ts";
import { startProxy } from "./support/program.ts";
import { Relay } from "./support/relay.ts";
import { HOUR_MS } from "./support/within.ts";

const SIZE = 10;
const LEASE_MS = 150;
/** Shorter than a stop, so that what stands behind one is answered 503 or 504 and goes on. */
const TIMEOUT_MS = 400;

/** Writes whose outcome nobody knows make the search long: each may have happened at any time. */
const MAX_CONFIGURATIONS = 5_000_000;

/** How often a history is run at most of which nothing can be decided. */
const MAX_TRIES = 5;

/** How many histories are run, and from which seed on: `deno task soak` asks for more. */
const seeds = Number(Deno.env.get("HALFWAY_SEEDS") ?? 2);
const firstSeed = Number(Deno.env.get("HALFWAY_SEED") ?? 1);

/**
 * Checks a history and the last read of its table; the step tells how many operations that were.
 *
 * On a busy machine so many writes may have an unknown outcome that the search decides nothing: then
 * the history is run anew.
 */
async function check(
  t: Deno.TestContext,
  run: () => Promise<{ history: History; last: Recorded }>,
): Promise<void> {
  for (let tries = 1;; tries++) {
    const { history: { recorded, unknown, refused }, last } = await run();
    try {
      const verdict = checkHistory([...recorded, last], SIZE, undefined, MAX_CONFIGURATIONS);
      const counts = `${recorded.length} operations, ${unknown} of them with an unknown outcome`;
      return void await t.step(`${counts}; ${refused} more were refused`, () => {
        if (!verdict.ok) fail(verdict.reason);
      });
    } catch (error) {
      if (!(error instanceof SearchGaveUpError) || tries === MAX_TRIES) throw error;
    }
  }
}

/** The whole table, read once everybody has finished: a write that was lost shows at the latest here. */
async function lastRead(address: string): Promise<Recorded> {
  await using client = await TableClient.connect(address, { timeoutMs: HOUR_MS });
  const ind = Array.from({ length: SIZE }, (_, index) => index);
  const invoked = performance.now();
  const data = await client.get(ind);
  const returned = performance.now();
  return { connection: -1, sequence: 0, invoked, returned, action: { kind: "GET", ind, data } };
}

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  Deno.test(`history ${seed}: proxies stopped, killed, cut and half-cut, is linearizable`, async (t) => {
    await check(t, async () => {
      const random = new Random(1_000_000 + seed);
      await using server = await TableServer.listen({ port: 0, leaseMs: LEASE_MS });
      await using toP = new Relay(server.address);
      await using toQ = new Relay(server.address);
      await using p = await proxy({ server: toP.address, capacity: 3, timeoutMs: TIMEOUT_MS });
      await using q = await proxy({
        server: toQ.address,
        capacity: 4,
        eviction: "lru",
        timeoutMs: TIMEOUT_MS,
      });
      const settings = ["--timeout", `${TIMEOUT_MS}`, "--capacity", "4"];
      await using stopped = await startProxy(server.address, ...settings);
      await using killed = await startProxy(server.address, ...settings);
      const nodes = [p, q, stopped, server].flatMap(({ address }) => [address, address, address]);
      const faults = [
        () => toP.cut(),
        () => toQ.mute("there"),
        () => toP.mute("back"),
        () => killed.signal("SIGKILL"),
        async () => {
          stopped.signal("SIGSTOP");
          // Its lease is over then, and what it holds has been written by others.
          await new Promise((resolve) => setTimeout(resolve, 3 * LEASE_MS));
          stopped.signal("SIGCONT");
        },
      ];
      let struck = random.below(faults.length);
      const strike = async () => await faults[struck++ % faults.length]!();
      const history = await runHistory({
        random,
        size: SIZE,
        nodes: [...nodes, killed.address],
        operations: 500,
        fault: { every: 95, strike },
      });
      return { history, last: await lastRead(server.address) };
    });
  });
}

function proxy(options: CacheProxyOptions): Promise<CacheProxy> {
  return CacheProxy.listen({ port: 0, ...options });
}
