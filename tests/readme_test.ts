/**
 * README.md kept honest: what it says to type is typed.
 */

import { assertEquals } from "@std/assert";
import { ROOT, Task } from "./support/program.ts";
import { openProxy } from "./support/targets.ts";
import { usualPorts } from "./support/usual_ports.ts";

/** How long a line is tried again that gives a slow node a second, in milliseconds. */
const PATIENCE_MS = 120_000;

const readme = await Deno.readTextFile(new URL("README.md", ROOT));

/** The line of README.md that uses netcat, and what it says comes of it. */
function netcat(): { line: string; output: string } {
  const match = /```sh\n(printf [^\n]+ \| nc [^\n]+)\n```\n\n```text\n([^`]+)```\n/.exec(readme);
  if (match === null) throw new Error("README.md has no line with nc and its output");
  return { line: match[1]!, output: match[2]! };
}

async function shell(line: string): Promise<{ stdout: string; stderr: string }> {
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", line] }).output();
  const text = new TextDecoder();
  return { stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

const has = await shell("command -v nc").then(({ stdout }) => stdout !== "", () => false);

Deno.test("README.md's line with nc gives what stands there, with the netcat there is", {
  ignore: !has,
}, async () => {
  await using proxy = await openProxy();
  const { line, output } = netcat();
  const here = line.replace(/ 127\.0\.0\.1 6001$/, ` ${proxy.address.replace(":", " ")}`);
  const giveUp = Date.now() + PATIENCE_MS;
  let ran = await shell(here);
  while (ran.stdout !== output && Date.now() < giveUp) ran = await shell(here);
  assertEquals(ran, { stdout: output, stderr: "" }, here);
});

Deno.test("README.md's session of deno task run happens as it stands there", async () => {
  const [, session] = /```text\n(halfway 6001> trace on\n[^`]+)```\n/.exec(readme) ?? [];
  if (session === undefined) throw new Error("README.md has no session of deno task run");
  const typed = [...session.matchAll(/^halfway \d+> (.*)$/gm)].map(([, line]) => line!);
  const giveUp = Date.now() + PATIENCE_MS;
  let happened;
  do {
    await using _ports = await usualPorts();
    await using run = new Task("run", "--memory");
    const ports = () =>
      [...run.stdout.matchAll(/ 127\.0\.0\.1:(\d+) +process /g)].map(([, p]) => p!);
    await run.until(() => run.stdout.includes("Ctrl-C clears"), "the ports of the nodes");
    const [server, first, second] = ports();
    const standard = ["6002", "6001", "6003"];
    const here = (text: string) =>
      text.replaceAll(/\b600[123]\b/g, (port) => [server, first, second][standard.indexOf(port)]!);
    await run.write(typed.map((line) => `${here(line)}\n`).join(""));
    assertEquals((await run.ended()).code, 0, run.stderr);
    const from = run.stdout.indexOf(`halfway ${first}> trace on`);
    happened = alike(run.stdout.slice(from).replace(/all nodes have ended\n$/, ""));
    if (happened === alike(here(session))) return;
    // On a busy machine a lease may have lapsed in between.
  } while (Date.now() < giveUp);
  assertEquals(happened, session);
});

/** What is the same whichever ports there are, and however fast the machine. */
function alike(text: string): string {
  return text.replaceAll(/ +/g, " ").replaceAll(/\d+ ms/g, "967 ms");
}
