/**
 * The rules of the house, which ARCHITECTURE.md draws: which folder may import which, no circle, and how
 * long a file may be.
 */

import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** A room, and the rooms that it may import; itself always. */
const ROOMS: { readonly [room: string]: readonly string[] } = {
  protocol: [],
  util: ["protocol"],
  events: [],
  runtime: ["protocol"],
  observe: ["events", "protocol"],
  common: ["events", "protocol", "runtime"],
  table_calls: ["protocol", "util"],
  wire: ["events", "protocol", "util", "runtime"],
  coherence: ["events", "protocol", "util", "runtime", "wire"],
  server: ["common", "events", "protocol", "util", "runtime", "wire", "coherence"],
  proxy: ["common", "events", "protocol", "util", "runtime", "wire", "coherence", "table_calls"],
  client: ["common", "events", "protocol", "util", "runtime", "wire", "table_calls"],
  simulate: ["protocol", "util", "runtime", "wire", "server"],
  cli: ["events", "observe", "protocol", "util", "runtime", "wire"],
};

/** What a file imports, types too. */
async function imports(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(path, ROOT));
  const found = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm,
  );
  return [...found].map(([, from, dynamic]) => {
    const url = new URL((from ?? dynamic)!, new URL(path, ROOT));
    return url.href.slice(ROOT.href.length);
  });
}

/** `lib/wire/serve.ts` is in `wire`, `lib/events.ts` in `events`. */
function roomOf(path: string): string {
  return /^lib\/(?:(\w+)\/|(\w+)\.ts$)/.exec(path)!.slice(1).find((room) => room !== undefined)!;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* sources(`${folder}/${name}`);
    else if (name.endsWith(".ts")) yield `${folder}/${name}`;
  }
}

const graph = new Map<string, string[]>();
for await (const path of sources("lib")) graph.set(path, await imports(path));

Deno.test("house: each room imports what is below it, and nothing else", () => {
  const wrong: string[] = [];
  for (const [path, imported] of graph) {
    const room = roomOf(path), allowed = ROOMS[room] ?? [];
    for (const other of imported) {
      if (!other.startsWith("lib/")) {
        if (other !== "deno.json") wrong.push(`${path} imports ${other}`);
      } else if (
        roomOf(other) !== room &&
        !allowed.some((each) => other === `lib/${each}.ts` || other.startsWith(`lib/${each}/`))
      ) wrong.push(`${path} imports ${other}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("house: no file imports itself, by whatever way, not even for a type", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" → "));
    else if (!done.has(path)) {
      for (const other of graph.get(path) ?? []) visit(other, [...way, path]);
      done.add(path);
    }
  };
  for (const path of graph.keys()) visit(path, []);
  assertEquals(circles, []);
});

/** A reader's patience, in lines. */
const MAX_LINES = 320;

Deno.test("house: no file is longer than a reader's patience", async () => {
  const long: string[] = [];
  for (const folder of ["lib", "run", "simulate", "bench"]) {
    for await (const path of sources(folder)) {
      const lines = (await Deno.readTextFile(new URL(path, ROOT))).split("\n").length - 1;
      if (lines > MAX_LINES) long.push(`${path}: ${lines} lines`);
    }
  }
  assertEquals(long, []);
});

Deno.test("house: a client, a proxy and a cache load no SQLite, and a client no server and no cache", () => {
  const loaded = (entry: string, seen = new Set<string>()) => {
    if (seen.has(entry)) return seen;
    seen.add(entry);
    for (const other of graph.get(entry) ?? []) loaded(other, seen);
    return seen;
  };
  const entries = {
    client: "lib/client/mod.ts",
    proxy: "lib/proxy/mod.ts",
    cache: "lib/proxy/cache.ts",
  };
  for (const [name, entry] of Object.entries(entries)) {
    const others = [...loaded(entry)].map((path) => path.split("/")[1]);
    assertEquals(others.includes("server"), false, name);
    assertEquals(others.includes("proxy"), name !== "client", name);
  }
});
