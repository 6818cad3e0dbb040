/**
 * The simulation can fail: a sample of the mutants is found out, and the program says what to do then.
 * `deno task mutants` has all of them.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { packageFlags } from "../lib/cli/permissions.ts";
import { findOut } from "../simulate/mutants.ts";
import type { Mutant } from "../simulate/mutant.ts";
import { MUTANTS } from "../simulate/mutant_table.ts";
import { Folder } from "./support/folder.ts";

const SAMPLE: readonly [name: string, found: RegExp][] = [
  ["a GET makes nobody a holder", /^stale read$/],
  ["entries are not dropped before a write is sent", /^stale read$/],
  ["a session that has disconnected holds nothing", /^stale read$/],
  ["a commit whose outcome is not known counts as refused", /^dishonest refusal$/],
  ["disconnected sessions share one end", /^waits for nobody$/],
];

function named(name: string): Mutant {
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
  return mutant;
}

for (const [name, found] of SAMPLE) {
  Deno.test(`simulate: a mutant is found out: ${name}`, async () => {
    const { what } = await findOut(named(name), 100_000);
    assertMatch(what ?? "it survived", found);
  });
}

Deno.test("simulate: every mutant changes what is there, once", async () => {
  for (const { name, edits } of MUTANTS) {
    for (const { file, from } of edits) {
      const text = await Deno.readTextFile(new URL(`../${file}`, import.meta.url));
      assertEquals(text.split(from).length, 2, `${name}: ${file}`);
    }
  }
});

/** Copies a file of the project, or a folder with all in it. */
async function copy(name: string, folder: string): Promise<void> {
  const from = new URL(`../${name}`, import.meta.url);
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, `${folder}/${name}`);
  await Deno.mkdir(`${folder}/${name}`);
  for await (const entry of Deno.readDir(from)) await copy(`${name}/${entry.name}`, folder);
}

/** The program, in a folder. */
async function simulate(cwd: string, args: string[]): Promise<{ code: number; text: string }> {
  const flags = ["run", ...packageFlags(), "--no-check", "--no-prompt", "--allow-env=NO_COLOR"];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...flags, "simulate/main.ts", ...args],
    cwd,
  }).output();
  return { code, text: new TextDecoder().decode(stdout) };
}

Deno.test("simulate: the program ends with 1, prints the shortest history, and its own command replays it", async () => {
  await using folder = new Folder();
  const root = folder.path(".");
  for (const name of ["deno.json", "lib", "simulate", "airgap"]) await copy(name, root);
  const [edit] = named("entries are not dropped before a write is sent").edits;
  const path = `${root}/${edit!.file}`;
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace(edit!.from, () => edit!.to));
  const found = await simulate(root, ["--until-found", "--seeds=100", "--operations=1000"]);
  assertEquals(found.code, 1, found.text);
  const story = found.text.slice(0, found.text.indexOf("Again: "));
  assertMatch(story, /^seed \d+: stale read\n/);
  const [, history] = story.split("The shortest history that shows it:\n");
  const lines = history!.trimEnd().split("\n");
  for (const line of lines) assertMatch(line, /^ {2}[^:]+: (?:GET|PUT|ADD|CLR)\b.* \(.* to .*\)$/);
  assertEquals(lines.length <= 6, true, story);

  const again = /^Again: deno task simulate (.*)$/m.exec(found.text)![1]!;
  const args = [...again.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
  const replayed = await simulate(root, args);
  assertEquals(replayed.code, 1);
  // With --trace the plan and all that happens stand before it.
  assertEquals(replayed.text.includes(`\n${story}Again: `), true);
  assertMatch(replayed.text, /violations: [1-9]/);

  const well = await simulate(new URL("../", import.meta.url).pathname, args.slice(0, -1));
  assertEquals([well.code, /^violations: 0$/m.test(well.text)], [0, true], well.text);
});
