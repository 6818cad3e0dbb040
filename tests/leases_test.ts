import { assert, assertEquals } from "@std/assert";
import { Leases } from "../lib/server/leases.ts";
import type { Connection } from "../lib/net/connection.ts";
import { within } from "./support/within.ts";

/** A connection that takes everything. */
const sink = { send() {}, tell() {}, close() {}, unsent: 0, taken: 0 } as unknown as Connection;
const HOUR_MS = 3_600_000;

Deno.test("leases: what a session held that leaves while all are asked is held beside what others left", async () => {
  const leases = new Leases(HOUR_MS, 10);
  const early = leases.grant(sink);
  leases.hold(early, [1]);
  early.leaseEnd = performance.now() + 20;
  leases.leave(early);
  const late = leases.grant(sink);
  leases.hold(late, [2]);
  const answered: string[] = [];
  leases.invalidate([1], undefined, () => answered.push("1"));
  leases.invalidate(undefined, undefined, () => answered.push("all"));
  leases.leave(late);
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
  const leases = new Leases(HOUR_MS, 10);
  leases.leave(leases.grant(sink));
  assert(leases.unheld);
  leases.close();
});

Deno.test("leases: what is inherited is held, all of it, and by nobody who can answer", async () => {
  const leases = new Leases(HOUR_MS, 33);
  leases.inherit(20);
  assert(leases.held([0], undefined));
  assert(leases.held([32], undefined));
  const { promise, resolve } = Promise.withResolvers<void>();
  leases.invalidate([32], undefined, resolve);
  await within(promise, "the inherited lease to be over");
  leases.close();
  assert(leases.unheld);
});
