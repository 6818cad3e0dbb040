/**
 * What the programs tell a person to type.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { ProgramName } from "../lib/cli/permissions.ts";
import { startHint } from "../lib/cli/program_command.ts";
import { client, DENO, run, startProxy, Task } from "./support/program.ts";
import { NOBODY, Wire } from "./support/wire.ts";

Deno.test("a client whom nobody answers says which proxy to start", async () => {
  const address = NOBODY, port = address.split(":")[1]!;
  const { code, stderr } = await client(address, ["get", "1"]);
  assertEquals(code, 3);
  const hint = `start a proxy first: ${DENO} task proxy --port ${port}`;
  assertMatch(stderr, new RegExp(`^halfway-client: cannot reach ${address}: [^\n]*; ${hint}\n$`));
});

Deno.test("a proxy whose server is away says which one to start", async () => {
  const address = NOBODY, port = address.split(":")[1]!;
  await using proxy = await startProxy(address, "--timeout", "1000");
  await proxy.until(() => proxy.stderr.endsWith("\n"), "the line about the server");
  const hint = `start a server first: ${DENO} task server --port ${port}`;
  assertMatch(
    proxy.logged.join("\n"),
    new RegExp(`^cannot reach the server at ${address}: [^\n]*; ${hint}$`),
  );
  await using wire = await Wire.connect(proxy.address);
  await wire.send("OP=GET;IND=1;\n");
  assertMatch(await wire.line(), /^OP=ERR;DATA=503;/);
});

Deno.test("startHint names what listens at the address, and nothing where it cannot know", () => {
  const refused = "cannot reach it: Connection refused (os error 111)";
  const rows: [addresses: { server?: string; proxy?: string }, hint: string][] = [
    [{ proxy: "127.0.0.1:6001" }, `; start a proxy first: ${DENO} task proxy`],
    [{ proxy: "localhost:6003" }, `; start a proxy first: ${DENO} task proxy --port 6003`],
    [{ proxy: "127.0.0.1:6002" }, `; start a server first: ${DENO} task server`],
    [{ server: "127.0.0.1:6002" }, `; start a server first: ${DENO} task server`],
    [
      { server: "[::1]:6001" },
      `; start a server first: ${DENO} task server --host ::1 --port 6001`,
    ],
    [{ server: "10.0.0.1:6002" }, ""],
    [{ proxy: "table.example:6001" }, ""],
    [{}, ""],
  ];
  for (const [addresses, hint] of rows) assertEquals(startHint(refused, addresses), hint);
  const windows = "No connection could be made because the target machine actively refused it.";
  assertEquals(startHint(windows, { server: "127.0.0.1:6002" }), rows[3]![1]);
  assertEquals(startHint("no answer in 5 ms", { server: "127.0.0.1:6002" }), "");
});

Deno.test("--help gives its examples in the form in which the program was started", async () => {
  for (const program of ["server", "proxy", "client"] as ProgramName[]) {
    const { stdout } = await run(program, ["--help"]);
    assertStringIncludes(stdout, `\n  ${DENO} task ${program} `);
  }
});

Deno.test("deno task demo helps, and refuses what it does not know", async () => {
  await using help = new Task("demo", "--help");
  assertEquals((await help.ended()).code, 0, help.stderr);
  assertMatch(help.stdout, /^halfway-demo \S+: [^]*\nUsage: halfway-demo [^]*\n {2}--help /);
  await using wrong = new Task("demo", "--proxy", "127.0.0.1:1");
  assertEquals([(await wrong.ended()).code, wrong.stdout], [2, ""]);
  assertStringIncludes(wrong.stderr, "\nhalfway-demo: unknown flag: --proxy; see --help\n");
});
