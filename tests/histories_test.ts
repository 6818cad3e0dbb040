import { fail } from "@std/assert";
import { CacheProxy, TableClient, TableServer } from "../mod.ts";
import { type History, Random, runHistory } from "./support/history.ts";
import { checkHistory, type Recorded } from "./support/linearizability.ts";
import { startProxy } from "./support/program.ts";
import { Relay } from "./support/relay.ts";

const SIZE = 10;
const LEASE_MS = 150;
/** Shorter than a stop, so that what stands behind one is answered 503 or 504 and goes on. */
const TIMEOUT_MS = 400;

/** Writes whose outcome nobody knows make the search long: each may have happened at any time. */
const MAX_CONFIGURATIONS = 5_000_000;

/** How many histories are run, and from which seed on: `deno task soak` asks for more. */
const seeds = Number(Deno.env.get("HALFWAY_SEEDS") ?? 20);
const firstSeed = Number(Deno.env.get("HALFWAY_SEED") ?? 1);

/** Checks a history and the last read of its table; the step tells how many operations that were. */
async function check(t: Deno.TestContext, history: History, last: Recorded): Promise<void> {
  const { recorded, unknown, refused } = history;
  const counts = `${recorded.length} operations, ${unknown} of them with an unknown outcome`;
  await t.step(`${counts}; ${refused} more were refused`, () => {
    const verdict = checkHistory([...recorded, last], SIZE, undefined, MAX_CONFIGURATIONS);
    if (!verdict.ok) fail(verdict.reason);
  });
}

/** The whole table, read once everybody has finished: a write that was lost shows at the latest here. */
async function lastRead(address: string): Promise<Recorded> {
  await using client = await TableClient.connect(address);
  const ind = Array.from({ length: SIZE }, (_, index) => index);
  const invoked = performance.now();
  const data = await client.get(ind);
  const returned = performance.now();
  return { connection: -1, sequence: 0, invoked, returned, action: { kind: "GET", ind, data } };
}

for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
  Deno.test(`history ${seed}: three proxies and direct clients, no fault, is linearizable`, async (t) => {
    const random = new Random(seed);
    await using server = await TableServer.listen({ port: 0, leaseMs: LEASE_MS });
    await using p = await proxy(server.address, 3, "fifo");
    await using q = await proxy(server.address, 4, "lru");
    await using r = await proxy(server.address, 5, "fifo", "around");
    const nodes = [p, q, r, server].flatMap(({ address }) => [address, address, address]);
    const history = await runHistory({ random, size: SIZE, nodes, operations: 500 });
    await check(t, history, await lastRead(server.address));
  });

  Deno.test(`history ${seed}: proxies stopped, killed, cut and half-cut, is linearizable`, async (t) => {
    const random = new Random(1_000_000 + seed);
    await using server = await TableServer.listen({ port: 0, leaseMs: LEASE_MS });
    await using toP = new Relay(server.address);
    await using toQ = new Relay(server.address);
    await using p = await proxy(toP.address, 3, "fifo");
    await using q = await proxy(toQ.address, 4, "lru");
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
    await check(t, history, await lastRead(server.address));
  });
}

function proxy(
  server: string,
  capacity: number,
  eviction: "fifo" | "lru",
  onWrite: "allocate" | "around" = "allocate",
): Promise<CacheProxy> {
  return CacheProxy.listen({ port: 0, server, capacity, eviction, onWrite, timeoutMs: TIMEOUT_MS });
}
