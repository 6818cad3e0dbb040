/**
 * Outputs that are not just read: in non-blocking mode, at a terminal that is read slowly, or not at all.
 *
 * @module
 */

import { ROOT } from "./program.ts";
import { within } from "./within.ts";

/** Whether Python can be had here, which makes what Deno cannot. */
export const HAS_PYTHON = Deno.build.os !== "windows" && (() => {
  try {
    const args = ["-c", "import fcntl, os, pty"];
    return new Deno.Command("python3", { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
})();

/** Runs a command with small pipes, in non-blocking mode, as standard output and standard error. */
export function nonBlocking(command: readonly string[]): string[] {
  const program = `
import fcntl, os, sys
for fd in (1, 2):
    if hasattr(fcntl, "F_SETPIPE_SZ"): fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(fd, False)
os.execvp(sys.argv[1], sys.argv[1:])
`;
  return ["python3", "-c", program, ...command];
}

/** Runs a command whose standard output is a terminal in non-blocking mode, which is read slowly. */
export function slowTerminal(command: readonly string[]): string[] {
  const program = `
import os, pty, subprocess, sys, time, tty
terminal, output = pty.openpty()
tty.setraw(output)
os.set_blocking(output, False)
child = subprocess.Popen(sys.argv[1:], stdout=output)
os.close(output)
while True:
    try: read = os.read(terminal, 1000)
    except OSError: break
    sys.stdout.buffer.write(read)
    sys.stdout.buffer.flush()
    time.sleep(0.0002)
sys.exit(child.wait())
`;
  return ["python3", "-c", program, ...command];
}

/** A program whose standard output and standard error are read when the test says so. */
export class Unread implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #readers: Record<"stdout" | "stderr", ReadableStreamDefaultReader<string>>;
  readonly #text = { stdout: "", stderr: "" };
  #ended = false;

  /** Starts it; `stdin` is written to its standard input, which is then closed. */
  constructor([path, ...args]: readonly string[], stdin: string = "") {
    this.#process = new Deno.Command(path!, {
      args,
      cwd: ROOT,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { stdout, stderr, status } = this.#process;
    const decoded = (stream: typeof stdout) =>
      stream.pipeThrough(new TextDecoderStream()).getReader();
    this.#readers = { stdout: decoded(stdout), stderr: decoded(stderr) };
    status.then(() => this.#ended = true);
    const input = new Blob([stdin]).stream() as ReadableStream<Uint8Array<ArrayBuffer>>;
    // It may end without having read all of it.
    input.pipeTo(this.#process.stdin).catch(() => {});
  }

  /** Reads an output until `found` is in it, or to its end: what was read of it in all. */
  async read(output: "stdout" | "stderr", found?: RegExp): Promise<string> {
    while (found === undefined || !found.test(this.#text[output])) {
      const what = `more of ${output}; so far ${this.#text[output].slice(-200)}`;
      const { value } = await within(this.#readers[output].read(), what);
      if (value === undefined) break;
      this.#text[output] += value;
    }
    return this.#text[output];
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Waits for its end: its status. */
  async status(): Promise<number> {
    return (await within(this.#process.status, "the program to end")).code;
  }

  /** Ends it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#process.kill("SIGKILL");
    await this.#process.status;
    for (const reader of Object.values(this.#readers)) await reader.cancel();
  }
}
