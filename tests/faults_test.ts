/**
 * A fault inside a program is told from wrong usage, and from what the world does to it.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { PICKED, run } from "./support/program.ts";

const PROGRAM = [
  ...[Deno.execPath(), "run", ...PICKED, "--no-prompt", "--allow-net=127.0.0.1"],
  "tests/support/faulty_program.ts",
];

/** What goes wrong; what standard error begins with, behind the program's name. */
const FAULTS: [fault: string, said: string][] = [
  ["asked", "TypeError: none.f is not a function"],
  ["start", "TypeError: none.f is not a function"],
  ["range", "RangeError: Invalid array length"],
  ["timer", "TypeError: none.f is not a function"],
  ["promise", "TypeError: none.f is not a function"],
];

for (const [fault, said] of FAULTS) {
  Deno.test(`a fault inside is said with its stack, status 3 and no --help: ${fault}`, async () => {
    const { code, stderr } = await run("server", [fault, "--quiet"], { command: PROGRAM });
    const [first, ...stack] = stderr.trimEnd().split("\n");
    assertEquals([code, first], [3, `halfway-server: a fault inside, please report it: ${said}`]);
    assertEquals(stack.every((line) => /^ {4}at /.test(line)), true, stderr);
    assertMatch(stderr, /faulty_program\.ts:\d+/);
  });
}

Deno.test("what is thrown and no error is a fault inside too", async () => {
  const ran = await run("server", ["no error"], { command: PROGRAM });
  const stderr = "halfway-server: a fault inside, please report it: thrown as it is\n";
  assertEquals(ran, { code: 3, stdout: "", stderr });
});

Deno.test("an option that a node refuses, a file and an address are no faults inside", async () => {
  const rows = [
    ["option", 2, "Cannot take size outside 1 to 1000000: current value is 0; see --help"],
    ["store", 3, "the file is none"],
    ["listen", 3, "somebody else does"],
  ] as const;
  for (const [fault, code, said] of rows) {
    const ran = await run("server", [fault], { command: PROGRAM });
    assertEquals(ran, { code, stdout: "", stderr: `halfway-server: ${said}\n` }, fault);
  }
});
