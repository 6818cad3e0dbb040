import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { Child, PICKED } from "./support/program.ts";

Deno.test("deno task demo shows what passes between the nodes, and ends with 0 if all was right", async () => {
  const [, ...words] = config.tasks.demo.replace(/\$\([^)]*\)/, "").split(" ").filter(Boolean);
  await using demo = new Child([
    Deno.execPath(),
    words[0]!,
    ...PICKED,
    `--allow-run=${Deno.execPath()}`,
    ...words.slice(1),
  ]);
  const { code } = await demo.ended("the demo to end");
  assertEquals(code, 0, demo.stderr);
  // The first drawing begins with the request: what passed before is about the lease.
  assertMatch(demo.stdout, /^[^│]+\n│── OP=PUT;IND=7,8;DATA=4,5; ─/);
  assertStringIncludes(demo.stdout, "│── OP=GET;IND=1,8; ─");
  assertStringIncludes(demo.stdout, "│── OP=GET;IND=1; ─");
  assertStringIncludes(demo.stdout, "  held by the proxy:   7=4 8=5 1=0\n");
  assertEquals(demo.stdout.trimEnd().split("\n").at(-1), "12 of 12 replies were right");
});
