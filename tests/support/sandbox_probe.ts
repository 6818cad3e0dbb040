/**
 * Tries what no node may do, and prints what was not refused.
 *
 * ```sh
 * deno run --no-prompt … tests/support/sandbox_probe.ts 127.0.0.1:6009
 * ```
 *
 * @module
 */

/** Nobody answers: that it was tried is enough. */
const FETCH_LIMIT_MS = 100;

/** Each with its name; the argument is an address where somebody listens. */
const ATTEMPTS: Record<string, (address: { hostname: string; port: number }) => unknown> = {
  "read a file": () => Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  "read a directory": () => [...Deno.readDirSync(".")],
  "write a file": () => Deno.writeTextFileSync("probe.txt", ""),
  "run a program": () => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync(),
  "read the environment": () => Deno.env.get("HOME"),
  "ask the system": () => Deno.hostname(),
  "open a library": () => Deno.dlopen("libc.so.6", {}),
  "connect to another port": (address) => Deno.connect(address),
  "listen on another address": () => Deno.listen({ hostname: "127.0.0.2", port: 0 }),
  "listen on every address": () => Deno.listen({ hostname: "0.0.0.0", port: 0 }),
  "fetch": ({ hostname, port }) =>
    fetch(`http://${hostname}:${port}`, { signal: AbortSignal.timeout(FETCH_LIMIT_MS) }),
  "import another's code": ({ hostname, port }) => import(`http://${hostname}:${port}/a.ts`),
};

async function main(): Promise<void> {
  const [hostname = "", port] = Deno.args[0]!.split(":");
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    try {
      await attempt({ hostname, port: Number(port) });
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) continue;
      // An import that is forbidden is a TypeError that says so.
      if (error instanceof TypeError && /^Requires import access/.test(error.message)) continue;
    }
    // deno-lint-ignore no-console
    console.log(name);
  }
  Deno.exit(0);
}

if (import.meta.main) await main();
