/**
 * The memory of a child process.
 *
 * @module
 */

/** Whether it can be measured here: where there is /proc. */
export const MEASURABLE = Deno.build.os === "linux";

const MIB = 1024 * 1024;

/** Resident memory in MiB: how much it is now, and how much it was at most. */
export interface Memory {
  readonly now: number;
  readonly peak: number;
}

/** Measures a child process. */
export async function memoryOf(pid: number): Promise<Memory> {
  // A program may not read /proc unless it may do everything; another that it runs may.
  const { stdout } = await new Deno.Command("cat", { args: [`/proc/${pid}/status`] }).output();
  const status = new TextDecoder().decode(stdout);
  const [now, peak] = ["VmRSS", "VmHWM"].map((name) => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
    if (kib === undefined) throw new Error(`No ${name} of process ${pid}: ${status}`);
    return Number(kib) * 1024 / MIB;
  });
  return { now: now!, peak: peak! };
}
