/**
 * README.md kept honest: what it says to type is typed.
 */

import { assertEquals } from "@std/assert";
import { ROOT } from "./support/program.ts";
import { openProxy } from "./support/targets.ts";

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
