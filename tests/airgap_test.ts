/**
 * The helper that picks between JSR's packages and the stand-ins, run as a task runs it, against a
 * registry that is not there, one that never answers and one that does.
 */
import { assertEquals, assertGreater } from "@std/assert";
import importMap from "../airgap/import_map.json" with { type: "json" };
import { allowRun, SPECIFIERS } from "../airgap/pick.ts";

/** The root of the project. */
const ROOT = new URL("../", import.meta.url);

/** How long one run of Deno may take before the test gives up, in milliseconds. */
const RUN_LIMIT_MS = 120_000;

const STAND_INS = "--import-map=airgap/import_map.json\n";

/** What a fake registry serves: by package, the export and the stand-in behind it. */
type Packages = Record<string, { name: string; file: string }>;
const PACKAGES: Packages = {
  assert: { name: ".", file: "assert.ts" },
  cli: { name: "./parse-args", file: "parse_args.ts" },
  streams: { name: "./text-line-stream", file: "text_line_stream.ts" },
};

/** Runs the helper with the registry and the cache given. */
function pick(registry: string, cache: string, ...args: string[]) {
  return deno(registry, cache, ["run", "-q", "airgap/pick.ts", ...args]);
}

/** The same where the packages can be had, if not in the time that one run has on a busy machine. */
async function pickInTime(registry: string, cache: string) {
  for (const giveUp = Date.now() + RUN_LIMIT_MS;;) {
    const picked = await pick(registry, cache);
    if (picked.stdout !== STAND_INS || Date.now() > giveUp) return picked;
    await passPause(cache);
  }
}

/** Lets the time pass after which the helper tries again, as far as the cache given knows. */
async function passPause(cache: string): Promise<void> {
  const past = 'for (const key of Object.keys(localStorage)) localStorage.setItem(key, "1");';
  const { code, stderr } = await deno("", cache, ["eval", `${past} console.log("")`]);
  assertEquals([code, stderr], [0, ""]);
}

async function deno(registry: string, cache: string, args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { JSR_URL: registry, DENO_DIR: cache, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, RUN_LIMIT_MS);
  const output = await child.output();
  clearTimeout(limit);
  if (late) throw new Error(`Waited ${RUN_LIMIT_MS} ms for ${args.join(" ")} to end`);
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

/** A directory for Deno's cache, empty at first and gone at the end. */
class Cache implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "halfway-" });

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A listener that accepts every connection and never answers. */
class SilentRegistry implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #conns: Deno.Conn[] = [];
  readonly #accepting = (async () => {
    for await (const conn of this.#listener) this.#conns.push(conn);
  })();
  readonly url = `http://127.0.0.1:${this.#listener.addr.port}/`;

  /** How many connections were made. */
  get connections(): number {
    return this.#conns.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const conn of this.#conns) conn.close();
  }
}

/** The version of each package that deno.json asks for at least. */
function versions(): Record<string, string> {
  const config = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  return Object.fromEntries(
    Object.keys(PACKAGES).map((name) => [name, config.imports[`@std/${name}`].split("@^")[1]]),
  );
}

/** A registry that serves the stand-ins under the names of the packages, and counts. */
class FakeRegistry implements AsyncDisposable {
  /** How many requests came. */
  requests = 0;
  readonly #packages: Packages;
  readonly #versions = versions();
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#answer(new URL(request.url).pathname),
  );
  readonly url = `http://127.0.0.1:${this.#server.addr.port}/`;

  constructor(packages: Packages) {
    this.#packages = packages;
  }

  async #answer(path: string): Promise<Response> {
    this.requests++;
    const [, name = "", rest = ""] = /^\/@std\/(\w+)\/(.+)$/.exec(path) ?? [];
    const [served, version] = [this.#packages[name], this.#versions[name]];
    if (served === undefined || version === undefined) return new Response(path, { status: 404 });
    const source = await Deno.readFile(new URL(`airgap/${served.file}`, ROOT));
    switch (rest) {
      case "meta.json":
        return Response.json({ scope: "std", name, latest: version, versions: { [version]: {} } });
      case `${version}_meta.json`: {
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", source)).toHex();
        return Response.json({
          manifest: { [`/${served.file}`]: { size: source.length, checksum: `sha256-${hash}` } },
          exports: { [served.name]: `./${served.file}` },
        });
      }
      case `${version}/${served.file}`:
        return new Response(source, { headers: { "content-type": "text/typescript" } });
      default:
        return new Response(path, { status: 404 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

Deno.test("airgap/pick.ts names the stand-ins where the registry cannot be reached", async () => {
  await using cache = new Cache();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closed = `http://127.0.0.1:${listener.addr.port}/`;
  listener.close();
  assertEquals(await pick(closed, cache.path), { code: 0, stdout: STAND_INS, stderr: "" });
});

Deno.test("airgap/pick.ts names the stand-ins where the registry never answers", async () => {
  await using cache = new Cache();
  await using registry = new SilentRegistry();
  assertEquals(await pick(registry.url, cache.path), { code: 0, stdout: STAND_INS, stderr: "" });
  const asked = registry.connections;
  assertGreater(asked, 0, "it did not ask the registry");
  assertEquals(await pick(registry.url, cache.path), { code: 0, stdout: STAND_INS, stderr: "" });
  assertEquals(registry.connections, asked, "the second run asked again");
});

Deno.test("airgap/pick.ts asks again after a while, or when the cache was emptied", async () => {
  const none = { code: 0, stdout: "\n", stderr: "" };
  await using cache = new Cache();
  await using silent = new SilentRegistry();
  await using registry = new FakeRegistry(PACKAGES);
  const standIns = { code: 0, stdout: STAND_INS, stderr: "" };
  assertEquals(await pick(silent.url, cache.path), standIns);
  assertEquals(await pick(registry.url, cache.path), standIns, "a moment later");
  assertEquals(registry.requests, 0);
  await passPause(cache.path);
  assertEquals(await pickInTime(registry.url, cache.path), none, "after a while");

  await using emptied = new Cache();
  assertEquals(await pick(silent.url, emptied.path), standIns);
  for (const { name } of Deno.readDirSync(emptied.path)) {
    await Deno.remove(`${emptied.path}/${name}`, { recursive: true });
  }
  const before = registry.requests;
  await pick(registry.url, emptied.path);
  assertGreater(registry.requests, before, "the cache was emptied, and nothing was asked");
});

Deno.test("airgap/ stands in for every package that is imported, and airgap/pick.ts loads it", async () => {
  const imported = new Set<string>();
  for (const path of sources(ROOT)) {
    const text = await Deno.readTextFile(path);
    for (const [, name] of text.matchAll(/(?:from|import\()\s*"(@std\/[^"]+)"/g)) {
      imported.add(name!);
    }
  }
  assertEquals([...imported].toSorted(), Object.keys(importMap.imports).toSorted());
  assertEquals(SPECIFIERS.toSorted(), Object.keys(importMap.imports).toSorted());
});

/** The modules of the project. */
function* sources(folder: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (name.startsWith(".")) continue;
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

Deno.test("airgap/pick.ts names the stand-ins where one package is missing", async () => {
  await using cache = new Cache();
  const { assert: _, ...others } = PACKAGES;
  await using registry = new FakeRegistry(others);
  assertEquals(await pick(registry.url, cache.path), { code: 0, stdout: STAND_INS, stderr: "" });
});

Deno.test("airgap/pick.ts names no import map where packages load, and then asks no network", async () => {
  const none = { code: 0, stdout: "\n", stderr: "" };
  await using cache = new Cache();
  let url: string;
  {
    await using registry = new FakeRegistry(PACKAGES);
    url = registry.url;
    assertEquals(await pickInTime(url, cache.path), none, "first run");
    const first = registry.requests;
    assertGreater(first, 8, "requests: per package at least two descriptions and a module");
    assertEquals(await pick(url, cache.path), none, "cached, with the registry there");
    assertEquals(registry.requests, first, "requests of a cached run");
  }
  assertEquals(await pick(url, cache.path), none, "cached, with the registry gone");
  assertEquals(
    await pick(url, cache.path, "run"),
    { code: 0, stdout: `${allowRun(Deno.execPath())}\n`, stderr: "" },
    "with the argument run",
  );
  await using empty = new Cache();
  assertEquals(
    await pick(url, empty.path, "run"),
    { code: 0, stdout: `${STAND_INS.trim()} ${allowRun(Deno.execPath())}\n`, stderr: "" },
    "with the argument run, and nothing cached",
  );
});

Deno.test("allowRun names the executable unless a shell or Deno would cut its path", () => {
  const rows: [reason: string, execPath: string, flag: string][] = [
    ["a plain path", "/usr/bin/deno", "--allow-run=/usr/bin/deno"],
    ["a path of Windows", "C:\\deno\\deno.exe", "--allow-run=C:\\deno\\deno.exe"],
    ["a blank, at which a shell cuts", "/opt/my tools/deno", "--allow-run"],
    ["a tab, at which a shell cuts", "/opt/my\ttools/deno", "--allow-run"],
    ["a comma, at which Deno cuts", "/opt/a,b/deno", "--allow-run"],
    ["a star, which a shell completes", "/opt/*/deno", "--allow-run"],
    ["a bracket, which a shell completes", "/opt/[a]/deno", "--allow-run"],
  ];
  for (const [reason, execPath, flag] of rows) assertEquals(allowRun(execPath), flag, reason);
});
