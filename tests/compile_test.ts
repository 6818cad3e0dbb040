/**
 * The compiled programs: run where they can be made; otherwise what was put into them is looked at.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { dirname } from "node:path";
import config from "../deno.json" with { type: "json" };
import { compiledHint, type ProgramName } from "../lib/cli/permissions.ts";
import { Folder } from "./support/folder.ts";
import { PICKED, ROOT, run, start } from "./support/program.ts";

const PROGRAMS: ProgramName[] = ["server", "proxy", "client"];
/** How long one compilation may take, in milliseconds; it may try to download, on a busy machine. */
const COMPILE_LIMIT_MS = 600_000;

/** The commands of the task, with their output in `folder`, for tables in the folder `data`. */
function commands(folder: string, data: string): string[][] {
  const [, ...compiling] = config.tasks.compile
    .replaceAll("$(deno run -q airgap/pick.ts)", "PICKED").split(" && ");
  return compiling.map((command) =>
    command.split(" ").flatMap((word) =>
      word === "PICKED"
        ? PICKED
        : [word.replace(/^bin\//, `${folder}/`).replace('"$HALFWAY_DATA"', data)]
    ).slice(1)
  );
}

async function compile(
  args: string[],
  env: Record<string, string>,
): Promise<{ success: boolean; text: string }> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
    signal: AbortSignal.timeout(COMPILE_LIMIT_MS),
    stdout: "null",
    stderr: "piped",
  }).output();
  return { success, text: new TextDecoder().decode(stderr) };
}

Deno.test("deno task compile makes three programs that hold what they need and no more", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [first, ...others] = commands(folder, "data");
    let env = {};
    const { success, text } = await compile(first!, env);
    if (!success) {
      if (!/denort/.test(text)) throw new Error(text);
      // deno-lint-ignore no-console
      console.log("denort cannot be had here: the compiled programs are looked at, not run");
      env = { DENORT_BIN: Deno.execPath() };
      others.unshift(first!);
    }
    for (const args of others) {
      const made = await compile(args, env);
      assertEquals(made.success, true, made.text);
    }
    for (const program of PROGRAMS) await look(`${folder}/halfway-${program}`, program);
    if (success) await play(folder);
    const [elsewhere] = commands(folder, "/srv/half way");
    const made = await compile(elsewhere!, env);
    assertEquals(made.success, true, made.text);
    await look(`${folder}/halfway-server`, "server", "/srv/half way");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("deno task compile is for the folder that HALFWAY_DATA names, and for data without it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The commands as the task's shell reads them, but for what they run.
    const task = config.tasks.compile.replaceAll(
      "deno compile $(deno run -q airgap/pick.ts)",
      "echo",
    );
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ tasks: { compile: task } }));
    for (
      const [data, env] of [["data", {}], ["/srv/half way", { HALFWAY_DATA: "/srv/half way" }]]
    ) {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "-q", "compile"],
        cwd: folder,
        env: { HALFWAY_DATA: "", ...env as Record<string, string> },
      }).output();
      assertEquals(new TextDecoder().decode(stdout).split("\n"), [
        `--no-prompt --allow-net --allow-read=${data} --allow-write=${data} ` +
        `-o bin/halfway-server server.ts --folder=${data}`,
        "--no-prompt --allow-net -o bin/halfway-proxy proxy.ts",
        "--no-prompt --allow-net -o bin/halfway-client client.ts",
        "",
      ]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a compiled server keeps its table in its folder, and says how to make one for another", async () => {
  await using folder = new Folder();
  const data = folder.path("table.db"), other = folder.path("it's there");
  // As a compiled program: under the permissions and behind the argument that it was compiled with.
  const compiled = [
    ...[Deno.execPath(), "run", ...PICKED, "--preload=tests/support/standalone.ts", "--no-prompt"],
    ...["--allow-net", `--allow-read=${dirname(data)}`, `--allow-write=${dirname(data)}`],
    ...["server.ts", `--folder=${dirname(data)}`],
  ];
  for (let i = 0; i < 2; i++) {
    await using server = await start("server", ["--port", "0"], { command: compiled });
    server.signal("SIGTERM");
    assertEquals((await server.ended()).code, 0);
    const made = `made a new table of 10 entries in ${data}`;
    assertEquals(server.logged.slice(0, -2), i > 0 ? [] : [made]);
  }
  assertEquals(Object.keys(folder.contents()), ["table.db"]);
  const elsewhere = "/srv/elsewhere";
  for (const args of [["--data", `${elsewhere}/t.db`], ["--folder", elsewhere]]) {
    assertEquals(await run("server", ["--port", "0", ...args], { command: compiled }), {
      code: 3,
      stdout: "",
      stderr: `halfway-server: the sandbox forbids ${elsewhere}: this program was compiled for ` +
        `another folder; for this one: HALFWAY_DATA=${elsewhere} deno task compile\n`,
    });
  }
  assertMatch(
    compiledHint({ folder: other }),
    / HALFWAY_DATA='.*it'\\''s there' deno task compile$/,
  );
  const help = await run("server", ["--help"], { command: compiled });
  assertMatch(help.stdout, /\n {2}HALFWAY_DATA=\S+ deno task compile {2}/);
});

/** What deno compile appends, as far as it is looked at here. */
interface Metadata {
  argv: string[];
  permissions: Record<string, unknown>;
  entrypoint_key: string;
  node_modules: unknown;
}

/** An embedded folder, file or link. */
type Embedded = Record<string, { n: string; e?: Embedded[] }>;

const LENGTH_BYTES = 8;

/** Checks the permissions, the arguments, the entry point and the embedded files. */
async function look(path: string, program: ProgramName, folder = "data"): Promise<void> {
  // Each part is JSON behind its length.
  const tail = (await Deno.readFile(path)).subarray(-4 * 1024 * 1024);
  const metadata = part(tail, "d3n0l4nd", /\{"argv":/g) as Metadata;
  const { argv, permissions, entrypoint_key, node_modules } = metadata;
  const isServer = program === "server";
  const args = isServer ? [`--folder=${folder}`] : [];
  assertEquals([argv, entrypoint_key, node_modules], [args, `${program}.ts`, null], program);
  const allowed = Object.entries(permissions).filter(([name, value]) =>
    name.startsWith("allow_") && name !== "allow_import" && value !== null
  );
  const data = isServer ? { allow_read: [folder], allow_write: [folder] } : {};
  // An empty list is every address.
  assertEquals(Object.fromEntries(allowed), { allow_net: [], ...data }, program);
  assertEquals(permissions.prompt, false, program);

  // Which of the two comes first depends on the names: on whether airgap/ is among them, too.
  const files = paths(part(tail, "", /\[\{"(?:Dir|File)":\{"n":/g) as Embedded[]);
  assertEquals(files.includes(`${program}.ts`), true, files.join(" "));
  for (const file of files) {
    assertMatch(file, /^(lib\/|airgap\/|deno\.json$|(server|proxy|client)\.ts$)/, program);
  }
  for (const other of PROGRAMS) {
    if (other === program) continue;
    const mine = files.filter((file) => file.startsWith(`lib/${other}/`));
    assertEquals(mine, [], `${program} holds code of the ${other}`);
  }
}

/** The last JSON that begins so, behind `before` and its length. */
function part(bytes: Uint8Array<ArrayBuffer>, before: string, beginning: RegExp): unknown {
  // A character for each byte, so that they are counted alike.
  const text = new TextDecoder("latin1").decode(bytes);
  const lengths = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const { index: at } of [...text.matchAll(beginning)].reverse()) {
    if (at < LENGTH_BYTES || !text.slice(0, at - LENGTH_BYTES).endsWith(before)) continue;
    const length = Number(lengths.getBigUint64(at - LENGTH_BYTES, true));
    // A list within another has a piece of a name before it, which is no length.
    if (length > bytes.length - at) continue;
    return JSON.parse(new TextDecoder().decode(bytes.subarray(at, at + length)));
  }
  throw new Error(`no ${beginning} in the compiled program`);
}

function paths(entries: Embedded[], folder: string = ""): string[] {
  return entries.flatMap(Object.values).flatMap(({ n, e }) =>
    e === undefined ? [`${folder}${n}`] : paths(e, `${folder}${n}/`)
  );
}

/** A short session through the compiled programs. */
async function play(folder: string): Promise<void> {
  const at = (program: ProgramName) => ({ command: [`${folder}/halfway-${program}`] });
  await using server = await start("server", ["--port", "0", "--memory"], at("server"));
  const args = ["--port", "0", "--server", server.address];
  await using proxy = await start("proxy", args, at("proxy"));
  const stdin = "put 7=4 8=5\nget 1,8\nadd 7,8\n";
  assertEquals(await run("client", ["--proxy", proxy.address], { ...at("client"), stdin }), {
    code: 0,
    stdout: "OP=PUT;IND=7,8;DATA=4,5;\nOP=GET;IND=1,8;DATA=0,5;\nOP=ADD;IND=7,8;DATA=9;\n",
    stderr: "",
  });
}
