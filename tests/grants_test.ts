import { assert, assertEquals } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { Grants } from "../lib/coherence/grants.ts";
import { ConnectionOrder } from "../lib/server/operation.ts";
import type { Connection } from "../lib/wire/connection.ts";
import { within } from "./support/within.ts";

/** A connection that takes everything. */
const sink = {
  runtime: denoRuntime,
  send() {},
  tell() {},
  close() {},
  unsent: 0,
  taken: 0,
} as unknown as Connection;
const HOUR_MS = 3_600_000;

function leasesOf(tableSize: number): Grants {
  return new Grants({
    termMs: HOUR_MS,
    tableSize,
    runtime: denoRuntime,
    pendingBytes: () => 0,
    events: undefined,
    log: () => {},
  });
}

Deno.test("leases: what a session held that leaves while all are asked is held beside what others left", async () => {
  const leases = leasesOf(10);
  const early = leases.grant(sink, new ConnectionOrder());
  leases.hold(early, [1]);
  early.leaseEnd = performance.now() + 1000;
  leases.disconnect(early);
  const late = leases.grant(sink, new ConnectionOrder());
  leases.hold(late, [2]);
  const answered: string[] = [];
  leases.invalidate([1], undefined, () => answered.push("1"));
  leases.invalidate(undefined, undefined, () => answered.push("all"));
  leases.disconnect(late);
  const passed = async () => {
    while (answered.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  await within(passed(), "the early lease to be over");
  // The late one is out for an hour yet, though nobody can ask its proxy.
  assertEquals(answered, ["1"]);
  assert(leases.held([2], undefined));
  assert(!leases.unheld);
  leases.giveBack(late);
  assertEquals(answered, ["1", "all"]);
  leases.close();
});

Deno.test("leases: a session that leaves and holds nothing leaves nothing behind", () => {
  const leases = leasesOf(10);
  leases.disconnect(leases.grant(sink, new ConnectionOrder()));
  assert(leases.unheld);
  leases.close();
});

Deno.test("leases: what is inherited is held, all of it, and by nobody who can answer", async () => {
  const leases = leasesOf(33);
  leases.inherit(1000);
  assert(leases.held([0], undefined));
  assert(leases.held([32], undefined));
  const { promise, resolve } = Promise.withResolvers<void>();
  leases.invalidate([32], undefined, resolve);
  await within(promise, "the inherited lease to be over");
  leases.close();
  assert(leases.unheld);
});

Deno.test("leases: what sessions held that are disconnected ends index by index, each when the last lease on it does", async () => {
  const leases = leasesOf(70);
  const moments: number[] = [];
  for (const [ms, ind] of [[60, [0, 31, 32]], [HOUR_MS, [33, 69]], [20, [0, 33, 64]]] as const) {
    const session = leases.grant(sink, new ConnectionOrder());
    leases.hold(session, ind);
    session.leaseEnd = performance.now() + ms;
    moments.push(session.leaseEnd);
    leases.disconnect(session);
  }
  for (const index of [0, 31, 32, 33, 64, 69]) assert(leases.held([index], undefined), `${index}`);
  for (const index of [1, 30, 63, 65]) assert(!leases.held([index], undefined), `${index}`);
  const written = (ind: number[]) =>
    new Promise<number>((resolve) =>
      leases.invalidate(ind, undefined, () => resolve(performance.now()))
    );
  const passed = await within(
    Promise.all([written([1]), written([64]), written([0, 64])]),
    "the short leases to be over",
  );
  assert(passed[1]! >= moments[2]!);
  assert(passed[2]! >= moments[0]!);
  assert(!leases.held([0, 31, 32, 64], undefined));
  assert(leases.held([33], undefined) && leases.held([69], undefined));
  leases.close();
});
