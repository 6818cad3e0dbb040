/**
 * Tries what no node may do, and prints what was not refused.
 *
 * ```sh
 * deno run --no-prompt … tests/support/sandbox_probe.ts 127.0.0.1:6009
 * ```
 *
 * @module
 */

/** How long an attempt may take that is not refused: that it was made is enough. */
const ATTEMPT_LIMIT_MS = 10_000;

interface Address {
  hostname: string;
  port: number;
}

/** Each with its name; the argument is an address where somebody listens. */
const ATTEMPTS: Record<string, (address: Address) => unknown> = {
  "read a file": () => Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)),
  "read a directory": () => [...Deno.readDirSync(".")],
  "write a file": () => Deno.writeTextFileSync("probe.txt", ""),
  "run a program": () => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync(),
  "signal a program": () => Deno.kill(Deno.ppid, "SIGCONT"),
  "read the environment": () => Deno.env.get("HOME"),
  "ask the system": () => Deno.hostname(),
  "open a library": () => Deno.dlopen("libc.so.6", {}),
  "connect to another port": (address) => Deno.connect(address),
  "listen on another address": () => Deno.listen({ hostname: "127.0.0.2", port: 0 }),
  "listen on every address": () => Deno.listen({ hostname: "0.0.0.0", port: 0 }),
  "look a name up": () => Deno.resolveDns("localhost", "A"),
  "fetch": ({ hostname, port }) => fetch(`http://${hostname}:${port}`),
  "open a WebSocket": ({ hostname, port }) =>
    new Promise((_, reject) => {
      const socket = new WebSocket(`ws://${hostname}:${port}`);
      socket.onerror = (event) => reject((event as ErrorEvent).error);
    }),
  "compile another's WebAssembly": ({ hostname, port }) =>
    WebAssembly.compileStreaming(fetch(`http://${hostname}:${port}`)),
  "import another's code": ({ hostname, port }) => import(`http://${hostname}:${port}/a.ts`),
  // Of the hosts that Deno trusts with code unless it is told otherwise, and never in a cache.
  "import code of a known host": () => import(`https://esm.sh/${crypto.randomUUID()}`),
  "import a package of JSR": () => import(`jsr:@halfway-probe/a${crypto.randomUUID()}`),
  "import a package of npm": () => import(`npm:halfway-probe-${crypto.randomUUID()}`),
  "import another file": () => import(new URL("./within.ts", import.meta.url).href),
  "run another's code in a worker": ({ hostname, port }) =>
    new Promise((_, reject) => {
      const url = `http://${hostname}:${port}/worker.ts`;
      const worker = new Worker(url, { type: "module" });
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new TypeError(event.message.replace(/^Uncaught \(in worker ""\) /, "")));
      };
    }),
  ...Object.fromEntries(
    (["read", "write", "net", "env", "run", "sys", "ffi"] as const).map((name) => [
      `be granted ${name}`,
      async () => {
        const { state } = await Deno.permissions.request({ name });
        if (state !== "granted") throw new Deno.errors.NotCapable(name);
      },
    ]),
  ),
};

/** Whether an attempt failed since the sandbox refused it. */
function isRefusal(error: unknown): boolean {
  // What may not be loaded is a TypeError, or an Error of a WebSocket, that says so.
  return error instanceof Deno.errors.NotCapable ||
    error instanceof Error &&
      /Requires \w+ access|--cached-only is specified|--no-npm is specified/.test(error.message);
}

async function main(): Promise<void> {
  const [hostname = "", port] = Deno.args[0]!.split(":");
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    try {
      let timer;
      const late = new Promise((resolve) => timer = setTimeout(resolve, ATTEMPT_LIMIT_MS));
      await Promise.race([attempt({ hostname, port: Number(port) }), late]);
      clearTimeout(timer);
    } catch (error) {
      if (isRefusal(error)) continue;
    }
    // deno-lint-ignore no-console
    console.log(name);
  }
  Deno.exit(0);
}

if (import.meta.main) await main();
