/**
 * The command line of the three programs, flag by flag.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import type { ProgramName } from "../lib/cli/permissions.ts";
import { Folder, look } from "./support/folder.ts";
import {
  Child,
  client,
  command,
  run,
  type RunningNode,
  start,
  startProxy,
  startServer,
  startServerOn,
} from "./support/program.ts";
import { FakeServer, NOBODY, Wire } from "./support/wire.ts";

const PROGRAMS: ProgramName[] = ["server", "proxy", "client"];
const COMMON = ["--quiet", "--trace[=text|all|json]", "--help", "--version"];
const NODE = [
  "--host HOST",
  "--port PORT",
  "--max-connections N",
  "--idle-timeout MS",
  "--open",
  "--until-eof",
];

/** Every flag, with a part of its line in the usage text. */
const FLAGS: Record<ProgramName, string[]> = {
  server: [
    ...NODE,
    ...COMMON,
    "--data FILE",
    "--folder DIR",
    "--memory",
    "--size N",
    "--init 10,11,…",
    "--lease MS",
  ],
  proxy: [
    ...NODE,
    ...COMMON,
    "--server HOST:PORT",
    "--capacity N",
    "--eviction fifo|lru",
    "--on-write allocate|around",
    "--solo",
    "--timeout MS",
  ],
  client: [...COMMON, "--proxy HOST:PORT", "--timeout MS", "--format wire|json"],
};

/** Defaults as the usage texts show them. */
const DEFAULTS: Record<ProgramName, string[]> = {
  server: [
    "127.0.0.1",
    "6002",
    "1024",
    "never",
    "table.db in --folder",
    "data; of a compiled program what HALFWAY_DATA was then",
    "those in the file; 10 for a new one",
    "all 0",
    "1000 ms",
  ],
  proxy: [
    "127.0.0.1",
    "6001",
    "1024",
    "never",
    "127.0.0.1:6002",
    "half of the server's table, rounded up",
    "fifo",
    "allocate",
    "2000 ms",
  ],
  client: ["127.0.0.1:6001", "5000 ms", "wire"],
};

for (const program of PROGRAMS) {
  Deno.test(`halfway-${program} --help prints every flag with its default and ends 0`, async () => {
    const { code, stdout, stderr } = await run(program, ["--help"]);
    assertEquals([code, stderr], [0, ""]);
    for (const flag of FLAGS[program]) assertStringIncludes(stdout, `  ${flag} `);
    const flags = stdout.match(/^ {2}--/gm) ?? [];
    assertEquals(flags.length, FLAGS[program].length, "a flag without a row here");
    for (const value of DEFAULTS[program]) assertStringIncludes(stdout, `(default: ${value})\n`);
    assertStringIncludes(stdout, "Examples:\n");
  });

  Deno.test(`halfway-${program} --version prints the version of deno.json and ends 0`, async () => {
    const ran = await run(program, ["--version"]);
    assertEquals(ran, {
      code: 0,
      stdout: `halfway-${program} ${config.version}\n`,
      stderr: "",
    });
  });
}

const PORT = "--port must be a whole number from 0 to 65535";
const NODE_REFUSALS: [args: string[], message: string][] = [
  [["--port", "63x"], `${PORT}: "63x"`],
  [["--port=63x"], `${PORT}: "63x"`],
  [["--port"], `${PORT}: ""`],
  [["--port="], `${PORT}: ""`],
  [["--port", "1e3"], `${PORT}: "1e3"`],
  [["--port", "0x10"], `${PORT}: "0x10"`],
  [["--port", " 80"], `${PORT}: " 80"`],
  [["--port", "-1"], `${PORT}: "-1"`],
  [["--port", "+1"], `${PORT}: "+1"`],
  [["--port", "1.0"], `${PORT}: "1.0"`],
  [["--port", "65536"], `${PORT}: "65536"`],
  [["--port", "\x1b[31m1"], `${PORT}: "\\u{1b}[31m1"`],
  [["--port", "1", "--port=2"], "--port is given twice: --port=2"],
  [["--no-port=80"], "unknown flag: --no-port=80"],
  [["--host", "0.0.0.0"], '--host "0.0.0.0" is not loopback: it needs --open'],
  [["--host", "::"], '--host "::" is not loopback: it needs --open'],
  [["--host", "example.org"], '--host "example.org" is not loopback: it needs --open'],
  [["--host", "[::1]"], '--host must be a name or an IP address: "[::1]"'],
  [["--host", "127.0.0.1:80"], '--host must be a name or an IP address: "127.0.0.1:80"'],
  [["--host="], '--host must be a name or an IP address: ""'],
  [
    ["--max-connections", "0"],
    '--max-connections must be a whole number from 1 to 1000000: "0"',
  ],
  [["--idle-timeout", "0"], '--idle-timeout must be a whole number from 1 to 2147483647: "0"'],
  [["--idle-timeout="], '--idle-timeout must be a whole number from 1 to 2147483647: ""'],
  [["--open=yes"], "--open takes no value: --open=yes"],
  [["--until-eof=1"], "--until-eof takes no value: --until-eof=1"],
  [["word"], 'unexpected argument: "word"'],
  [["-"], 'unexpected argument: "-"'],
  [["--", "word"], 'unexpected argument: "word"'],
];
const COMMON_REFUSALS: [args: string[], message: string][] = [
  [["--bogus"], "unknown flag: --bogus"],
  [["--bogus", "1"], "unknown flag: --bogus"],
  [["-p", "80"], "unknown flag: -p"],
  [["-h"], "unknown flag: -h"],
  [["--_"], "unknown flag: --_"],
  [["--_=1"], "unknown flag: --_=1"],
  [["-_"], "unknown flag: -_"],
  [["--__proto__=1"], "unknown flag: --__proto__=1"],
  [["--constructor"], "unknown flag: --constructor"],
  [["--=1"], "unknown flag: --=1"],
  [["--no-quiet"], "unknown flag: --no-quiet"],
  [["--quiet=maybe"], "--quiet takes no value: --quiet=maybe"],
  [["--quiet=true"], "--quiet takes no value: --quiet=true"],
  [["--trace="], '--trace must be text or all or json: ""'],
  [["--trace=yes"], '--trace must be text or all or json: "yes"'],
  [["--trace=JSON"], '--trace must be text or all or json: "JSON"'],
  [["--trace", "--trace=json"], "--trace is given twice: --trace=json"],
  [["--no-trace"], "unknown flag: --no-trace"],
  [["--help=1"], "--help takes no value: --help=1"],
  [["--version=1"], "--version takes no value: --version=1"],
  [["--quiet", "--quiet"], "--quiet is given twice: --quiet"],
  [["--help", "--bogus"], "unknown flag: --bogus"],
];
const INIT = "--init must be integers within ±(2^53 - 1) with commas between";
const REFUSALS: Record<ProgramName, [args: string[], message: string][]> = {
  server: [
    ...COMMON_REFUSALS,
    ...NODE_REFUSALS,
    [["--data="], '--data must be the path of a file: ""'],
    [["--data"], '--data must be the path of a file: ""'],
    [["--data", "a.db", "--data=b.db"], "--data is given twice: --data=b.db"],
    [["--folder="], '--folder must be the path of a folder: ""'],
    [["--folder", "a", "--folder="], '--folder must be the path of a folder: ""'],
    [["--memory=yes"], "--memory takes no value: --memory=yes"],
    [["--memory", "--data", "a.db"], '--memory keeps nothing, and --data was given: "a.db"'],
    [["--size", "0"], '--size must be a whole number from 1 to 1000000: "0"'],
    [["--size", "1000001"], '--size must be a whole number from 1 to 1000000: "1000001"'],
    [["--lease", "0"], '--lease must be a whole number from 1 to 3600000: "0"'],
    [["--lease", "1s"], '--lease must be a whole number from 1 to 3600000: "1s"'],
    [["--init", "1,,2"], `${INIT}: "1,,2"`],
    [["--init", "1.5"], `${INIT}: "1.5"`],
    [["--init", "9007199254740992"], `${INIT}: "9007199254740992"`],
    [["--init="], `${INIT}: ""`],
    [["--size", "2", "--init", "1,2,3"], "--init has 3 entries, more than --size 2"],
  ],
  proxy: [
    ...COMMON_REFUSALS,
    ...NODE_REFUSALS,
    [["--server", "127.0.0.1"], '--server must be host:port: "127.0.0.1"'],
    [["--server", "127.0.0.1:"], '--server must be host:port: "127.0.0.1:"'],
    [["--server", "127.0.0.1:0"], '--server must be host:port: "127.0.0.1:0"'],
    [["--server", "127.0.0.1:65536"], '--server must be host:port: "127.0.0.1:65536"'],
    [["--capacity", "0"], '--capacity must be a whole number from 1 to 1000000: "0"'],
    [["--eviction", "LRU"], '--eviction must be fifo or lru: "LRU"'],
    [["--on-write", "never"], '--on-write must be allocate or around: "never"'],
    [["--timeout", "0"], '--timeout must be a whole number from 1 to 2147483647: "0"'],
    [["--solo"], "--solo needs --capacity"],
    [["--solo=yes", "--capacity", "1"], "--solo takes no value: --solo=yes"],
    [["--timeout", "2s"], '--timeout must be a whole number from 1 to 2147483647: "2s"'],
  ],
  client: [
    ...COMMON_REFUSALS,
    [["--proxy", "6001"], '--proxy must be host:port: "6001"'],
    [["--timeout", "-5"], '--timeout must be a whole number from 1 to 2147483647: "-5"'],
    [["--format", "xml"], '--format must be wire or json: "xml"'],
    [["--quiet", "true"], 'no command: "true"'],
    [["gte", "1"], 'no command: "gte 1"'],
    [["hello"], 'no command: "hello"'],
    [[""], 'no command: ""'],
    [["get"], 'get takes indices: ""'],
    [["get", "x"], 'get takes indices: "x"'],
    [["get", "1,,2"], 'get takes indices: "1,,2"'],
    [["get", "0x1"], 'get takes indices: "0x1"'],
    [["add", "1;2"], 'add takes indices: "1,2"'],
    [["put", "1"], 'put takes index=data: "1"'],
    [["put", "1=2", "3="], 'put takes index=data: "1=2 3="'],
    [["clr", "1"], 'clr takes nothing: "1"'],
    [["inf", "1"], 'inf takes nothing: "1"'],
    [["OP=GET;IND=1;\nOP=CLR;"], 'no command: "OP=GET,IND=1,·OP=CLR,"'],
  ],
};

for (const program of PROGRAMS) {
  Deno.test(`halfway-${program} answers wrong usage with one line and status 2`, async () => {
    for (const [args, message] of REFUSALS[program]) {
      const ran = await run(program, args);
      assertEquals(
        ran,
        { code: 2, stdout: "", stderr: `halfway-${program}: ${message}; see --help\n` },
        `${program} ${JSON.stringify(args)}`,
      );
    }
  });
}

/** Sends one line to a node and returns the reply. */
async function ask(address: string, line: string): Promise<string> {
  await using wire = await Wire.connect(address);
  await wire.send(`${line}\n`);
  return await wire.line();
}

/** A port that nothing listens on, nor did a moment ago. */
async function freeAddress(): Promise<string> {
  await using fake = FakeServer.listen();
  return fake.address;
}

Deno.test("a server prints one line once it listens, and takes --size, --init and -- alone", async () => {
  await using server = await startServer("--size", "4", "--init", "-5,+03", "--");
  assertEquals(await ask(server.address, "OP=INF;"), "OP=INF;IND=0,1,2,3;DATA=-5,3,0,0;");
  assertEquals(server.stdout, `halfway-server listening on ${server.address}\n`);
  assertEquals(server.stderr, "");
});

Deno.test("a node takes --port, --host of loopback, and --host of any network with --open", async () => {
  const listen = await freeAddress();
  const port = listen.split(":")[1]!;
  const hosts = [["127.0.0.1"], ["localhost"], ["127.0.0.2"], ["0.0.0.0", "--open"]];
  for (const [host, ...open] of hosts) {
    const addresses = { listen: `${host}:${port}` };
    await using node = await start(
      "server",
      [`--port=${port}`, "--host", host!, ...open, "--memory"],
      { addresses },
    );
    assertEquals(node.address, `${host}:${port}`);
  }
});

Deno.test("a node takes --max-connections and refuses one more", async () => {
  await using server = await startServer("--max-connections", "1");
  await using first = await Wire.connect(server.address);
  await first.send("OP=GET;IND=0;\n");
  await first.line();
  await using second = await Wire.connect(server.address);
  assertMatch(await second.line(), /^OP=ERR;DATA=429;/);
});

Deno.test("a proxy takes --capacity, --eviction, --on-write and --server", async () => {
  // The proxies are killed, and give nothing back.
  await using server = await startServer("--size", "7", "--lease", "50");
  const address = server.address;
  const rows: [args: string[], requests: string[], held: string][] = [
    [[], ["OP=GET;IND=0,1,2,3,4;"], "1,2,3,4"],
    [["--capacity", "2"], ["OP=GET;IND=0,1,2;"], "1,2"],
    [["--capacity", "2"], ["OP=GET;IND=0,1;", "OP=GET;IND=0;", "OP=GET;IND=2;"], "1,2"],
    [
      ["--capacity", "2", "--eviction", "lru"],
      ["OP=GET;IND=0,1;", "OP=GET;IND=0;", "OP=GET;IND=2;"],
      "0,2",
    ],
    [["--on-write=allocate"], ["OP=PUT;IND=5;DATA=0;"], "5"],
    [["--on-write=around"], ["OP=PUT;IND=5;DATA=0;", "OP=GET;IND=6;"], "6"],
  ];
  for (const [args, requests, held] of rows) {
    await using proxy = await startProxy(address, ...args);
    await using wire = await Wire.connect(proxy.address);
    for (const request of [...requests, "OP=INF;"]) await wire.send(`${request}\n`);
    for (const _ of requests) await wire.line();
    assertMatch(await wire.line(), new RegExp(`^OP=INF;IND=${held};`), args.join(" "));
  }
});

Deno.test("a server takes --data, and keeps the table there; with --memory it keeps nothing", async () => {
  await using folder = new Folder();
  const data = folder.path("a b/ü.db");
  const made = `made a new table of 3 entries in ${data}`;
  for (const [said, reply, ...args] of [[made, "0", "--size", "3"], ["", "5"]]) {
    await using server = await startServerOn(data, ...args);
    assertEquals(await ask(server.address, "OP=GET;IND=2;"), `OP=GET;IND=2;DATA=${reply};`);
    await ask(server.address, "OP=PUT;IND=2;DATA=5;");
    server.signal("SIGTERM");
    assertEquals((await server.ended()).code, 0);
    assertEquals(server.logged, [
      ...said === "" ? [] : [said!],
      "SIGTERM: it ends",
      "has ended cleanly: no lease is out",
    ]);
  }
  assertEquals(look(data).entries, "2=5");
  for (let i = 0; i < 2; i++) {
    await using server = await startServer();
    assertEquals(await ask(server.address, "OP=GET;IND=2;"), "OP=GET;IND=2;DATA=0;");
    await ask(server.address, "OP=PUT;IND=2;DATA=5;");
  }
});

Deno.test("a node takes --idle-timeout, and closes who says nothing", async () => {
  await using server = await startServer("--idle-timeout", "40");
  await using proxy = await startProxy(server.address, "--idle-timeout=40");
  for (const { address } of [server, proxy]) {
    await using silent = await Wire.connect(address);
    assertEquals(await silent.rest(), "");
  }
});

Deno.test("a node takes --until-eof, and ends in order when its input does", async () => {
  await using server = await startServer("--until-eof");
  await using proxy = await startProxy(server.address, "--until-eof");
  const nodes = [[proxy, "has ended"], [server, "has ended cleanly: no lease is out"]] as const;
  for (const [node, end] of nodes) {
    assertEquals(await ask(node.address, "OP=GET;IND=1;"), "OP=GET;IND=1;DATA=0;");
    await node.writeMore("whatever\n");
    assertEquals(await ask(node.address, "OP=GET;IND=1;"), "OP=GET;IND=1;DATA=0;");
    await node.write("");
    assertEquals((await node.ended()).code, 0);
    assertEquals(node.logged, ["standard input has ended: it ends", end]);
  }
});

Deno.test("a server takes --lease", async () => {
  await using server = await startServer("--lease", "12345");
  assertEquals(await ask(server.address, "OP=SUB;"), "OP=SUB;DATA=12345,10;");
});

Deno.test("a proxy takes --solo, and then caches what a server without leases holds", async () => {
  await using server = FakeServer.listen();
  await using proxy = await startWith(server, ["--solo", "--capacity", "2"]);
  assertEquals(await ask(proxy.address, "OP=INF;"), "OP=INF;MSG=solo;");
  await proxy.until(() => proxy.stderr.includes("\n"), "the line about leases");
  const wanted = `the server at ${server.address} grants no leases: ` +
    "solo, nobody else may write there";
  assertEquals(proxy.logged, [wanted]);
});

/** Starts a proxy before a server that grants no leases. */
async function startWith(server: FakeServer, args: string[]): Promise<RunningNode> {
  const starting = startProxy(server.address, ...args);
  const wire = await server.accept();
  await wire.line();
  await wire.send("OP=ERR;DATA=400;MSG=what is SUB;\n");
  return await starting;
}

Deno.test("a proxy takes --timeout, and logs that the server is away unless --quiet", async () => {
  const away = NOBODY;
  await using loud = await startProxy(away, "--timeout", "50");
  await using quiet = await startProxy(away, "--timeout", "50", "--quiet");
  for (const proxy of [loud, quiet]) {
    assertMatch(await ask(proxy.address, "OP=GET;IND=1;"), /^OP=ERR;DATA=503;/);
    proxy.signal("SIGTERM");
    assertEquals((await proxy.ended()).code, 0);
  }
  // On a busy machine it may have had more than one reason.
  const complaints = loud.logged.slice(0, -2);
  assert(complaints.length > 0);
  for (const complaint of complaints) {
    assertMatch(complaint, new RegExp(`^cannot reach the server at ${away}: `));
  }
  assertEquals(loud.logged.slice(-2), ["SIGTERM: it ends", "has ended"]);
  assertEquals(quiet.stderr, "");
});

Deno.test("a port in use is status 3 and one line with the address, --quiet or not", async () => {
  await using taken = FakeServer.listen();
  const port = taken.address.split(":")[1]!;
  for (const program of ["server", "proxy"] as const) {
    const addresses = { listen: taken.address };
    const { code, stdout, stderr } = await run(program, ["--port", port, "--quiet"], { addresses });
    assertEquals([code, stdout], [3, ""]);
    assertMatch(
      stderr,
      new RegExp(`^halfway-${program}: cannot listen on ${taken.address}: .*\n$`),
    );
  }
});

Deno.test("a client that nobody answers ends 3 with one line that names the address", async () => {
  const away = NOBODY;
  const nobody = await client(away, ["get", "1"]);
  assertEquals([nobody.code, nobody.stdout], [3, ""]);
  assertMatch(nobody.stderr, new RegExp(`^halfway-client: cannot reach ${away}: .*\n$`));

  await using silent = FakeServer.listen();
  for (const [args, stdin] of [[["get", "1"], ""], [[], "get 1\n"]] as const) {
    const ran = await client(silent.address, ["--timeout", "1500", ...args], stdin);
    assertEquals(ran, {
      code: 3,
      stdout: "",
      stderr: `halfway-client: no answer from ${silent.address} in 1500 ms\n`,
    });
  }
});

Deno.test("a client whose output nobody reads ends without a word", async () => {
  await using server = await startServer();
  const { address } = server;
  const args = [...command("client", { proxy: address }), "--proxy", address];
  await using child = new Child(args, { closeStdout: true });
  await child.write("get 1\n".repeat(20_000));
  assertEquals((await child.ended()).code, 0);
  assertEquals(child.stderr, "");
});

Deno.test("a node serves on where nobody reads its output", async () => {
  await using server = FakeServer.listen();
  const addresses = { listen: "127.0.0.1:0", server: server.address };
  await using child = new Child(
    [...command("proxy", addresses), "--port", "0", "--server", server.address],
    { closeStdout: true },
  );
  const wire = await server.accept();
  // It renews its lease: it lives after it has said, to nobody, where it listens.
  for (let i = 0; i < 3; i++) {
    assertEquals(await wire.line(), "OP=SUB;");
    await wire.send("OP=SUB;DATA=300,10;\n");
  }
  child.signal("SIGTERM");
  while (await wire.line() !== "OP=SUB;DATA=0;");
  await wire.send("OP=SUB;DATA=0;\n");
  assertEquals((await child.ended()).code, 0);
  assertEquals(child.logged, ["SIGTERM: it ends", "has ended"]);
});
