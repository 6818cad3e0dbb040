/** The sessions of `tests/sessions/`, each against every target. */
import { assertEquals } from "@std/assert";
import { playSession, playSessionAtOnce, readSession } from "./support/session.ts";
import { TARGETS } from "./support/targets.ts";

const SESSIONS: [name: string, rows: number][] = [["assignment.tsv", 12], ["corners.tsv", 25]];

for (const [name, open] of TARGETS) {
  for (const [session] of SESSIONS) {
    Deno.test(`${name} plays ${session}, reply by reply`, async () => {
      await using target = await open();
      await playSession(await readSession(session), target);
    });

    Deno.test(`${name} plays ${session} in one write`, async () => {
      await using target = await open();
      await playSessionAtOnce(await readSession(session), target);
    });
  }
}

Deno.test("the sessions are whole", async () => {
  for (const [session, rows] of SESSIONS) {
    assertEquals((await readSession(session)).length, rows, session);
  }
});
