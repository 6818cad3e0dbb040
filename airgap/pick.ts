/**
 * Picks where the packages of `@std` come from: prints the flags that a task gives to `deno`.
 *
 * ```sh
 * deno run $(deno run -q airgap/pick.ts) server.ts
 * deno run $(deno run -q airgap/pick.ts run) demo.ts
 * ```
 *
 * Where the packages that deno.json names can be loaded, it prints an empty line; where they cannot,
 * `--import-map=airgap/import_map.json`, which puts the stand-ins in their place. With the argument
 * `run` it adds the flag that allows running Deno itself. It needs no permission, writes nothing to
 * standard error and always ends with status 0: a shell does not see that a command in `$()` failed.
 *
 * @module
 */

/** What the project imports of JSR. The names are data, so that checking this file asks no network. */
const SPECIFIERS = ["@std/assert", "@std/cli/parse-args", "@std/streams/text-line-stream"];

/** How long all packages together may take to load. */
const LOAD_LIMIT_MS = 3_000;

/** The flag for the stand-ins; its path is that of a task, which runs where deno.json is. */
const STAND_INS = "--import-map=airgap/import_map.json";

/** Whether all packages load within the limit. */
async function packagesLoad(): Promise<boolean> {
  const loaded = Promise.all(SPECIFIERS.map((specifier) => import(specifier)));
  const late = new Promise<false>((resolve) => setTimeout(resolve, LOAD_LIMIT_MS, false));
  return await Promise.race([loaded.then(() => true, () => false), late]);
}

/**
 * The flag that allows a program to run Deno, and nothing else where that can be said.
 *
 * A shell cuts what `$()` gives at every blank, whatever quotes are in it; Deno cuts at commas.
 * For a path with either, or with a sign that a shell completes, the flag allows any program.
 *
 * @param execPath The path of the `deno` executable.
 * @returns The flag, without a blank.
 */
export function allowRun(execPath: string): string {
  return /[\s,*?[\]]/.test(execPath) ? "--allow-run" : `--allow-run=${execPath}`;
}

/** Prints the flags and ends, though an import may still be under way. */
async function main(): Promise<never> {
  const flags = await packagesLoad() ? [] : [STAND_INS];
  if (Deno.args.includes("run")) flags.push(allowRun(Deno.execPath()));
  // deno-lint-ignore no-console
  console.log(flags.join(" "));
  Deno.exit(0);
}

if (import.meta.main) await main();
