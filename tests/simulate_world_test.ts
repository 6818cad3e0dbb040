/**
 * The simulated world as a user's tests have it, and in it what is assumed of clocks: to the edge, and
 * beyond it.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CoherentCache, TableClient, TableError, TableServer, UnreachableError } from "../mod.ts";
import {
  CALM_NETWORK,
  type ClockOptions,
  Disk,
  Machine,
  Network,
  World,
} from "../lib/simulate/mod.ts";

const SERVER = "server:6002";
const TERM_MS = 1000;
const OLD = 4, NEW = 5;

/** How an entry is read that another program has written meanwhile. */
interface Reader {
  readonly machine: Machine;
  /** What the cache answers: a value, or that it has no connection. */
  read(): Promise<number | 503>;
  /** Resolves when the write is acknowledged. */
  readonly written: Promise<void>;
  pass(ms: number): Promise<void>;
}

/**
 * A cache holds the old value, and is cut off; the new one is written.
 *
 * @param play What happens then, to who reads it.
 */
async function cutOff<T>(
  play: (reader: Reader) => Promise<T>,
  clocks: { [host: string]: ClockOptions } = {},
  seed = 1,
): Promise<T> {
  const world = new World(seed), network = new Network(world);
  const [there, machine, other] = ["server", "here", "other"].map((name) =>
    new Machine(name, network, clocks[name])
  ) as [Machine, Machine, Machine];
  return await world.until(async () => {
    await using _server = new Disk().serve(there.start(), { port: 6002, leaseMs: TERM_MS });
    const options = { timeoutMs: 200, runtime: machine.start() };
    await using cache = await CoherentCache.connect(SERVER, options);
    await using writer = await TableClient.connect(SERVER, { runtime: other.start() });
    await cache.put([[7, OLD]]);
    network.cut("here", "server");
    network.cut("server", "here");
    const written = writer.put([[7, NEW]]);
    const read = async () => {
      try {
        return (await cache.get([7]))[0]!;
      } catch (error) {
        if (error instanceof TableError && error.code === 503) return 503;
        throw error;
      }
    };
    const result = await play({ machine, read, written, pass: (ms) => world.pass(ms) });
    await written;
    network.healAll();
    return result;
  });
}

const slept: [what: string, awakeMs: number, asleepMs: number, setMs: number, read: number][] = [
  ["the term is not over", 970, 0, 0, OLD],
  ["both clocks show that the term is over", 1100, 0, 0, 503],
  ["it slept: the wall clock shows it", 0, 1100, 0, 503],
  ["the wall clock was set back: the monotonic clock shows it", 1100, 0, -1100, 503],
  ["it slept, and the wall clock was set forward", 0, 1100, 1100, 503],
  ["both, and the wall clock still shows it", 550, 550, -110, 503],
  ["both, and the monotonic clock still shows it", 990, 110, -1100, 503],
  ["not assumed: both, and neither clock shows it", 550, 550, -130, OLD],
  ["not assumed: set back by just what it slept, as a machine that is paused", 0, 1100, -1100, OLD],
];
for (const [what, awakeMs, asleepMs, setMs, expected] of slept) {
  Deno.test(`clocks: ${what}`, async () => {
    const read = await cutOff(async ({ machine, read, written, pass }) => {
      await pass(awakeMs);
      machine.sleep();
      await pass(asleepMs);
      machine.setWall(setMs);
      machine.wake();
      if (awakeMs + asleepMs > TERM_MS) await written;
      return await read();
    });
    assertEquals(read, expected);
  });
}

Deno.test("clocks: a lease that was found over stays over, though the wall clock is set back", async () => {
  const reads = await cutOff(async ({ machine, read, pass }) => {
    machine.sleep();
    await pass(1100);
    machine.wake();
    const found = await read();
    machine.setWall(-1100);
    return [found, await read()];
  });
  assertEquals(reads, [503, 503]);
});

Deno.test("clocks: within 2 % of each other nobody sees an old value, farther apart they do", async () => {
  const reads = async (drift: number) => {
    const clocks = { server: { rate: 1 + drift }, here: { rate: 1 - drift, wallRate: 1 - drift } };
    const seen = new Set<number>();
    for (let seed = 0; seed < 10; seed++) {
      const play = ({ read, written }: Reader) => written.then(read);
      seen.add(await cutOff(play, clocks, seed));
    }
    return [...seen];
  };
  assertEquals(await reads(0.0099), [503]);
  assertEquals(await reads(0.013), [OLD]);
});

Deno.test("world: a disk keeps a table while its server is killed; a program goes on with the next", async () => {
  const world = new World(1), network = new Network(world), disk = new Disk(20);
  const there = new Machine("server", network), here = new Machine("here", network);
  const values = await world.until(async () => {
    const process = there.start();
    disk.serve(process, { port: 6002 });
    await using cache = await CoherentCache.connect(SERVER, { runtime: here.start() });
    await cache.put([[19, 4]]);
    process.kill();
    const next = there.start();
    await using _server = disk.serve(next, { port: 6002 });
    const refused = { runtime: next };
    assertThrows(() => disk.serve(next, { port: 6002 }), Error, "Address already in use");
    await assertRejects(
      () => TableClient.connect("server:1", refused),
      UnreachableError,
      "refused",
    );
    await world.pass(2000);
    return await cache.get([19]);
  });
  assertEquals(values, [4]);
});

Deno.test("world: 127.0.0.1 is one's own machine", async () => {
  const world = new World(1), network = new Network(world);
  const there = new Machine("there", network), here = new Machine("here", network);
  await world.until(async () => {
    const runtime = there.start();
    await using server = await TableServer.listen({ port: 0, runtime });
    await using own = await TableClient.connect(server.address, { runtime: there.start() });
    assertEquals(await own.get([7]), [0]);
    const other = { runtime: here.start() };
    for (const host of ["127.0.0.1", "there"]) {
      const address = server.address.replace("127.0.0.1", host);
      await assertRejects(() => TableClient.connect(address, other), UnreachableError, "refused");
    }
    await using open = await TableServer.listen({ host: "0.0.0.0", port: 0, runtime });
    const address = open.address.replace("0.0.0.0", "there");
    await using client = await TableClient.connect(address, other);
    assertEquals(await client.get([7]), [0]);
    await assertRejects(
      () => TableServer.listen({ host: "here", port: 0, runtime }),
      Error,
      "assign",
    );
  });
});

Deno.test("world: what it cannot do is an error", async () => {
  const world = new World(1), network = new Network(world);
  new Machine("there", network);
  for (const name of ["there", "127.0.0.1", "a b", ""]) {
    assertThrows(() => new Machine(name, network), TypeError, `"${name}"`);
  }
  assertThrows(() => new Machine("here", network, { rate: 0 }), RangeError, "clock");
  const here = new Machine("here", network);
  assertThrows(() => network.cut("here", "ther"), TypeError, '"ther"');
  assertThrows(() => network.heal("her", "there"), TypeError, '"her"');
  assertThrows(() => network.breakAt("her", "there"), TypeError, '"her"');
  for (
    const wrong of [{ pieces: 2 }, { windowBytes: 0 }, { bytesPerMs: NaN }, {
      latencyMs: [2, 1] as const,
    }]
  ) {
    assertThrows(() => new Network(world, { ...CALM_NETWORK, ...wrong }), RangeError);
  }
  assertThrows(() => new Disk(0), RangeError, "size");
  const never = new Promise<void>(() => {});
  await assertRejects(() => world.until(never), Error, "Nothing more is to happen");
  await using _server = await world.until(() =>
    TableServer.listen({ host: "here", port: 1, runtime: here.start() })
  );
  const forever = (): void => void world.after(60_000, forever);
  forever();
  await assertRejects(() => world.until(never), Error, "Not all is done after 3600000 ms");
  assertEquals(world.now, 3_600_000);
  await assertRejects(() => world.until(never, 120_000), Error, "Not all is done after 120000 ms");
  assertEquals(world.now, 3_720_000);
  for (const runtime of [null, "Deno"] as unknown as undefined[]) {
    await assertRejects(() => TableServer.listen({ runtime }), TypeError, "runtime");
    await assertRejects(() => CoherentCache.connect(SERVER, { runtime }), TypeError, "runtime");
    await assertRejects(() => TableClient.connect(SERVER, { runtime }), TypeError, "runtime");
  }
});
