/**
 * What a process has used, as Linux tells it; elsewhere it is not known.
 *
 * @module
 */

/** What a process has used. */
export interface Usage {
  /** Processor time of all its threads, in milliseconds. */
  readonly cpuMs: number;
  /** Resident memory, in MiB. */
  readonly residentMiB: number;
  /** When that was, in milliseconds. */
  readonly at: number;
}

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;
const KIB_PER_MIB = 1024;

/** What the process has used so far. Deno reads /proc under `-A` alone, so `cat` does it. */
export async function usage(pid: number): Promise<Usage | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const { success, stdout } = await new Deno.Command("cat", {
    args: [`/proc/${pid}/stat`, `/proc/${pid}/status`],
    stderr: "null",
  }).output();
  if (!success) return undefined;
  const at = performance.now();
  const text = new TextDecoder().decode(stdout);
  // What stands before the last bracket is the name, which may hold anything.
  const fields = text.slice(text.indexOf(") ") + 2).split(" ");
  const residentKiB = Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(text)?.[1]);
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    residentMiB: residentKiB / KIB_PER_MIB,
    at,
  };
}

/** How much of the time between the process ran, 1 for one processor; NaN where it is not known. */
export function busyPart(before: Usage | undefined, after: Usage | undefined): number {
  if (before === undefined || after === undefined) return NaN;
  return (after.cpuMs - before.cpuMs) / (after.at - before.at);
}

/** What processor this machine has, where that can be told. */
export async function processor(): Promise<string> {
  let model: string | undefined;
  if (Deno.build.os === "linux") {
    const { stdout } = await new Deno.Command("cat", { args: ["/proc/cpuinfo"] }).output();
    model = /^model name\s*: (.*)$/m.exec(new TextDecoder().decode(stdout))?.[1];
  }
  return `${navigator.hardwareConcurrency} × ${model ?? Deno.build.arch}, ${Deno.build.os}`;
}
