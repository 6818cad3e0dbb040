/**
 * What the sandbox lets the programs do, and what they say where it refuses.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { dirname } from "node:path";
import config from "../deno.json" with { type: "json" };
import { permissionFlags, type ProgramName } from "../lib/cli/permissions.ts";
import { Folder } from "./support/folder.ts";
import { client, PICKED, run, start, startProxy, startServer } from "./support/program.ts";
import { FakeServer } from "./support/wire.ts";

const PROGRAMS: ProgramName[] = ["server", "proxy", "client"];

Deno.test("permissionFlags gives the flags of the tasks, with the addresses that are asked", () => {
  for (const program of PROGRAMS) {
    const task: string = config.tasks[program];
    assertEquals(task.includes(` ${permissionFlags(program).join(" ")} ${program}.ts`), true, task);
    assertEquals(/-A|--allow-(all|env|run|sys|ffi|net |net$)/.test(task), false, task);
  }
  const addresses = { listen: "127.0.0.1:0", server: "[::1]:2", proxy: "localhost:3" };
  const nets = PROGRAMS.map((program) =>
    permissionFlags(program, addresses).filter((flag) => flag.startsWith("--allow-net"))
  );
  assertEquals(nets, [
    ["--allow-net=127.0.0.1:0"],
    ["--allow-net=127.0.0.1:0,[::1]:2"],
    ["--allow-net=localhost:3"],
  ]);
  assertEquals(permissionFlags("proxy", { server: "127.0.0.1:9" }), [
    "--no-prompt",
    "--allow-net=127.0.0.1:6001,127.0.0.1:9",
  ]);
});

for (const program of PROGRAMS) {
  Deno.test(`under its task's permissions a ${program} can do nothing but its work`, async () => {
    await using other = FakeServer.listen();
    const probe = "tests/support/sandbox_probe.ts";
    const ran = await run(program, [other.address], {
      command: [Deno.execPath(), "run", ...PICKED, ...permissionFlags(program), probe],
    });
    assertEquals(ran, { code: 0, stdout: "", stderr: "" });
  });
}

Deno.test("the probe finds what is allowed", async () => {
  await using other = FakeServer.listen();
  const ran = await run("server", [other.address], {
    command: [
      ...[Deno.execPath(), "run", "--no-prompt", `--allow-net=${other.address}`, "--allow-read"],
      "tests/support/sandbox_probe.ts",
    ],
  });
  assertEquals(ran.stdout, "read a file\nread a directory\nconnect to another port\nfetch\n");
});

/** The words of the command that a refusal says would work, with this test's own Deno. */
function hinted(stderr: string, program: string, address: string): string[] {
  const line = new RegExp(
    `^halfway-${program}: the sandbox forbids ${address}: run deno (run [^\n']+)\n$`,
  ).exec(stderr);
  if (line === null) throw new Error(`No such line: ${stderr}`);
  return [Deno.execPath(), ...line[1]!.split(" ")];
}

Deno.test("a node that may not listen ends 3, and the command that it names works", async () => {
  const fake = FakeServer.listen();
  const { address } = fake;
  await fake[Symbol.asyncDispose]();
  const { code, stdout, stderr } = await run("server", [
    "--memory",
    "--port",
    address.split(":")[1]!,
  ]);
  assertEquals([code, stdout], [3, ""]);
  await using server = await start("server", [], { command: hinted(stderr, "server", address) });
  assertEquals(server.address, address);
});

Deno.test("a server that may not use its file ends 3, and the command that it names works", async () => {
  await using folder = new Folder();
  const data = folder.path("new/table.db");
  const refused = await run("server", ["--port", "0", "--data", data], {
    addresses: { listen: "127.0.0.1:0" },
  });
  assertEquals([refused.code, refused.stdout], [3, ""]);
  assertEquals(folder.contents(), {});
  const command = hinted(refused.stderr, "server", dirname(data));
  await using server = await start("server", [], { command });
  assertMatch((await client(server.address, ["inf"])).stdout, /^OP=INF;IND=0,/);
  assertEquals(Object.keys(folder.contents()), ["new"]);
});

Deno.test("a proxy that may not reach its server ends 3, and the command that it names works", async () => {
  await using server = await startServer();
  const refused = await run("proxy", ["--port", "0", "--server", server.address], {
    addresses: { listen: "127.0.0.1:0" },
  });
  assertEquals([refused.code, refused.stdout], [3, ""]);
  const command = hinted(refused.stderr, "proxy", server.address);
  await using proxy = await start("proxy", [], { command });
  assertMatch((await client(proxy.address, ["inf"])).stdout, /^OP=INF;MSG=lease \d+ ms;\n$/);
});

Deno.test("a client that may not reach its proxy ends 3, and the command that it names works", async () => {
  await using server = await startServer("--init", "7");
  await using proxy = await startProxy(server.address);
  const refused = await run("client", ["--proxy", proxy.address, "get", "0"]);
  assertEquals([refused.code, refused.stdout], [3, ""]);
  const command = hinted(refused.stderr, "client", proxy.address);
  assertEquals(await run("client", [], { command }), {
    code: 0,
    stdout: "OP=GET;IND=0;DATA=7;\n",
    stderr: "",
  });
});

Deno.test("a client quotes what a shell would read in the command that it names", async () => {
  const { stderr } = await run("client", ["--proxy", "[::1]:9", "OP=GET;IND=1;MSG=it's"]);
  assertMatch(
    stderr,
    /: run deno run .*'--allow-net=\[::1\]:9' client\.ts --proxy '\[::1\]:9' 'OP=GET;IND=1;MSG=it'\\''s'\n$/,
  );
});
