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
 * That they load is tried each time, which costs little once they are in Deno's cache. That they did
 * not is remembered for a while, in the Web Storage of this project, which Deno keeps in its cache:
 * who empties that has the packages asked for anew.
 *
 * @module
 */

/** All that the project imports of JSR, as data: to check this file asks no network. */
export const SPECIFIERS = ["@std/assert", "@std/cli/parse-args", "@std/streams/text-line-stream"];

/** How long all packages together may take to load, in milliseconds. */
const LOAD_LIMIT_MS = 800;

/**
 * For how long after a failure nothing is tried, as a multiple of what that took: 50 ms, a refusal,
 * are a minute, and the whole limit, a network that drops packets, a quarter of an hour.
 */
const PAUSE_FACTOR = 1_000;

/** What the moment at which that pause ends is stored under, in milliseconds since 1970. */
const PAUSE_KEY = "the packages are not tried before";

/** The flag for the stand-ins; its path is that of a task, which runs where deno.json is. */
const STAND_INS = "--import-map=airgap/import_map.json";

/** The flags under which the packages, or what stands in for them, are found. */
export async function packageFlags(): Promise<string[]> {
  return await packagesLoad() ? [] : [STAND_INS];
}

/** Whether all packages load within the limit; `false` without a try soon after a failure. */
async function packagesLoad(): Promise<boolean> {
  if (isPaused()) return false;
  const from = performance.now();
  const loaded = Promise.all(SPECIFIERS.map((specifier) => import(specifier)));
  const late = new Promise<false>((resolve) => setTimeout(resolve, LOAD_LIMIT_MS, false));
  const inTime = await Promise.race([loaded.then(() => true, () => false), late]);
  if (!inTime) pause(Math.min(performance.now() - from, LOAD_LIMIT_MS) * PAUSE_FACTOR);
  return inTime;
}

function isPaused(): boolean {
  try {
    const leftMs = Number(localStorage.getItem(PAUSE_KEY)) - Date.now();
    // No pause is longer than this: a clock was set back.
    return leftMs > 0 && leftMs <= LOAD_LIMIT_MS * PAUSE_FACTOR;
  } catch {
    return false;
  }
}

function pause(ms: number): void {
  try {
    localStorage.setItem(PAUSE_KEY, String(Date.now() + ms));
  } catch {
    // A cache that cannot be written to: the next run tries again.
  }
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
  const flags = await packageFlags();
  if (Deno.args.includes("run")) flags.push(allowRun(Deno.execPath()));
  // deno-lint-ignore no-console
  console.log(flags.join(" "));
  Deno.exit(0);
}

if (import.meta.main) await main();
