/**
 * What the sandbox lets the programs do, and what they say where it refuses.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname } from "node:path";
import config from "../deno.json" with { type: "json" };
import {
  type Addresses,
  addressesIn,
  permissionFlags,
  type ProgramName,
} from "../lib/cli/permissions.ts";
import { Folder, look } from "./support/folder.ts";
import { DENO, PICKED, ROOT, run, startServer, startTask, Task } from "./support/program.ts";

const PROGRAMS: ProgramName[] = ["server", "proxy", "client"];

Deno.test("permissionFlags gives the flags of the tasks, with the addresses that are asked", () => {
  for (const program of PROGRAMS) {
    const task: string = config.tasks[program];
    const flags = permissionFlags(program).join(" ");
    assertEquals(task.endsWith(` start.ts ${flags} ${program}.ts`), true, task);
    assertEquals(/-A|--allow-(all|env|run|sys|ffi|import|net |net$)/.test(flags), false, task);
    assertMatch(flags, /^--cached-only --no-npm --no-prompt /);
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
  assertEquals(permissionFlags("server", { folder: "" }).slice(3), ["--allow-net=127.0.0.1:6002"]);
  assertEquals(permissionFlags("proxy", { server: "127.0.0.1:9" }), [
    "--cached-only",
    "--no-npm",
    "--no-prompt",
    "--allow-net=127.0.0.1:6001,127.0.0.1:9",
  ]);
});

Deno.test("addressesIn gives what a command line names, and nothing that would allow more", () => {
  const listen = "127.0.0.1:6001";
  const rows: [program: ProgramName, args: string, addresses: Addresses][] = [
    ["proxy", "", { listen }],
    ["proxy", "--port 6003", { listen: "127.0.0.1:6003" }],
    ["proxy", "--port=0 --server=[::1]:7 --trace", { listen: "127.0.0.1:0", server: "[::1]:7" }],
    ["proxy", "--host ::1", { listen: "[::1]:6001" }],
    ["proxy", "--open --host=0.0.0.0 --port 1", { listen: "0.0.0.0:1" }],
    ["proxy", "--server", { listen }],
    ["proxy", "--server 127.0.0.1", { listen }],
    ["proxy", "--server a,b:1", { listen }],
    ["proxy", "--server *:1,c:2", { listen }],
    ["proxy", "--port 1,2", { listen }],
    ["proxy", "--port 6003x", {}],
    ["proxy", "--port 65536", {}],
    ["proxy", "--port --quiet", {}],
    ["proxy", "--host a,0.0.0.0", { listen }],
    ["proxy", "--host a/b", {}],
    ["proxy", "-- --port 1", { listen }],
    ["proxy", "--ports 1 --data x/y", { listen }],
    ["server", "--data elsewhere/t.db", { listen: "127.0.0.1:6002", folder: "elsewhere" }],
    ["server", "--data=/a b/t.db --port 1", { listen: "127.0.0.1:1", folder: "/a b" }],
    ["server", "--memory --port 1", { listen: "127.0.0.1:1", folder: "" }],
    ["server", "--data t.db", { listen: "127.0.0.1:6002", folder: "." }],
    ["server", "--data a,/t.db", { listen: "127.0.0.1:6002" }],
    ["client", "", {}],
    ["client", "get 1", {}],
    ["client", "--proxy 127.0.0.1:6003 get 1", { proxy: "127.0.0.1:6003" }],
    ["client", "get --port 1", {}],
  ];
  for (const [program, args, addresses] of rows) {
    // A blank is within a word where it follows a slash and a letter.
    const words = args.split(/(?<!\/a) /).filter((word) => word !== "");
    assertEquals(addressesIn(program, words), addresses, `${program} ${args}`);
  }
});

/** Runs the probe; whatever it should succeed to ask of the network ends at `address`. */
async function probe(flags: string[], address: string): Promise<string> {
  const registry = `http://${address}/`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...PICKED, ...flags, "tests/support/sandbox_probe.ts", address],
    cwd: ROOT,
    env: { HTTPS_PROXY: registry, JSR_URL: registry, NPM_CONFIG_REGISTRY: registry },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** An address that is no program's, where every connection is closed at once. */
function closing(): { address: string } & AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const conn of listener) conn.close();
  })();
  return {
    address: `127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
    },
  };
}

for (const program of PROGRAMS) {
  Deno.test(`under its task's permissions a ${program} can do nothing but its work`, async () => {
    await using other = closing();
    assertEquals(await probe(permissionFlags(program), other.address), "");
  });
}

Deno.test("the probe finds what is allowed", async () => {
  await using other = closing();
  const { address } = other;
  const flags = ["--no-prompt", `--allow-net=${address}`, "--allow-read"];
  const found = (await probe([...flags, `--allow-import=${address}`], address)).split("\n");
  assertEquals(found.slice(0, -1), [
    "read a file",
    "read a directory",
    "connect to another port",
    "fetch",
    "open a WebSocket",
    "compile another's WebAssembly",
    "import another's code",
    "import a package of JSR",
    "import a package of npm",
    "import another file",
    "run another's code in a worker",
    "be granted read",
  ]);
  assertStringIncludes(await probe(flags, address), "\nimport code of a known host\n");
});

Deno.test("deno task proxy --port --server, server --port --data and client --proxy just work", async () => {
  await using folder = new Folder();
  const data = folder.path("else where/t.db");
  await using server = await startTask("server", "--port", "0", "--data", data);
  await using proxy = await startTask("proxy", "--port=0", "--server", server.address);
  await using second = await startTask("proxy", "--port=0", `--server=${server.address}`);
  await using put = new Task("client", "--proxy", proxy.address, "put", "1=5");
  assertEquals([(await put.ended()).code, put.stdout], [0, "OP=PUT;IND=1;DATA=5;\n"], put.stderr);
  await using get = new Task("client", `--proxy=${second.address}`, "get", "1");
  assertEquals([(await get.ended()).code, get.stdout], [0, "OP=GET;IND=1;DATA=5;\n"], get.stderr);
  for (const node of [proxy, second, server]) {
    node.signal("SIGTERM");
    assertEquals((await node.ended()).code, 0, node.stderr);
  }
  assertEquals(Object.keys(folder.contents()), ["else where"]);
  assertEquals(look(data).entries, "1=5");
});

Deno.test("a task gives its program's status, standard input and output", async () => {
  await using server = await startServer();
  await using lines = new Task("client", "--proxy", server.address);
  await lines.write("put 1=2\nget 99\n");
  assertEquals((await lines.ended()).code, 1, lines.stderr);
  assertEquals(
    lines.stdout,
    "OP=PUT;IND=1;DATA=2;\nOP=ERR;DATA=404;MSG=index 99 is outside the table: it has 0 to 9;\n",
  );
  await using wrong = new Task("proxy", "--port", "1,2");
  assertEquals((await wrong.ended()).code, 2);
  assertMatch(wrong.stderr, /\nhalfway-proxy: --port must be [^\n]+: "1,2"; see --help\n$/);
});

Deno.test("what the sandbox refuses is status 3, and the task that is named allows it", async () => {
  await using folder = new Folder();
  await using server = await startServer();
  const data = folder.path("new/it's.db");
  const rows: [program: ProgramName, args: string[], refused: string, command: string][] = [
    ["server", ["--memory", "--port", "1"], "127.0.0.1:1", "server --memory --port 1"],
    [
      "server",
      ["--port", "0", "--data", data],
      dirname(data),
      `server --port 0 --data '${data.replace("'", "'\\''")}'`,
    ],
    [
      "proxy",
      ["--port", "0", "--server", server.address],
      server.address,
      `proxy --port 0 --server ${server.address}`,
    ],
    [
      "client",
      ["--proxy", server.address, "get", "0"],
      server.address,
      `client --proxy ${server.address} get 0`,
    ],
    [
      "client",
      ["--proxy", "[::1]:9", "OP=GET;IND=1;"],
      "[::1]:9",
      "client --proxy '[::1]:9' 'OP=GET;IND=1;'",
    ],
  ];
  for (const [program, args, refused, command] of rows) {
    const addresses = program === "client" ? {} : { listen: "127.0.0.1:0" };
    assertEquals(await run(program, args, { addresses }), {
      code: 3,
      stdout: "",
      stderr: `halfway-${program}: the sandbox forbids ${refused}: run ${DENO} task ${command}\n`,
    });
  }
  assertEquals(folder.contents(), {});
  // No task could.
  const comma = await run("server", ["--port", "0", "--data", folder.path("a,b/t.db")], {
    addresses: { listen: "127.0.0.1:0" },
  });
  assertMatch(comma.stderr, /: Deno cannot allow what has a comma in it\n$/);
});

Deno.test("a program that npx runs names npx in the command", async () => {
  await using folder = new Folder();
  const deno = folder.path("_npx/0123/node_modules/deno/deno");
  await Deno.mkdir(dirname(deno), { recursive: true });
  await Deno.link(Deno.execPath(), deno).catch(() => Deno.copyFile(Deno.execPath(), deno));
  const args = ["run", ...PICKED, ...permissionFlags("client"), "client.ts"];
  const { stderr } = await run("client", ["--proxy", "127.0.0.1:9", "inf"], {
    command: [deno, ...args],
  });
  const command = `npx deno@${Deno.version.deno} task client --proxy 127.0.0.1:9 inf`;
  assertEquals(stderr, `halfway-client: the sandbox forbids 127.0.0.1:9: run ${command}\n`);
});
