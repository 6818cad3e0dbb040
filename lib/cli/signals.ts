/**
 * The signals that end a program from outside.
 *
 * @module
 */

import { SAME_SIGNAL_MS } from "../protocol/limits.ts";

/** Each, with its number. */
const SIGNALS = [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const;

/** One of them. */
export type EndSignal = typeof SIGNALS[number][0];

/**
 * Has `told` called at each signal that is to end this program, in place of its end on the spot.
 *
 * @param told Told the signal, its number, and whether it is a second one: a terminal, a task and a
 * program above may all send what was meant once, so that one within half a second of the first is
 * the same.
 */
export function atEndSignals(
  told: (signal: EndSignal, number: number, isSecond: boolean) => void,
): void {
  let first: number | undefined;
  const atTerminal = Deno.stdin.isTerminal();
  for (const [signal, number] of SIGNALS) {
    // Windows has but the first.
    if (Deno.build.os === "windows" && signal !== "SIGINT") continue;
    Deno.addSignalListener(signal, async () => {
      const now = performance.now();
      // With a listener to any signal, Deno ends at a SIGHUP that was ignored and has none.
      if (signal === "SIGHUP" && !atTerminal && await isUnderNohup()) return;
      first ??= now;
      told(signal, number, now - first >= SAME_SIGNAL_MS);
    });
  }
}

/**
 * Whether `nohup` has had SIGHUP ignored, as far as that shows: no sandbox lets a program ask which
 * signals are, but GNU's `nohup` puts a null device that cannot be read in place of a terminal.
 */
async function isUnderNohup(): Promise<boolean> {
  // Not before it is needed: it takes up 5 MB.
  const { fstatSync } = await import("node:fs");
  try {
    // A pipe or a file may hold what somebody is to read, and may keep a reader waiting.
    if (!fstatSync(0).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  try {
    Deno.stdin.readSync(new Uint8Array(1));
    return false;
  } catch {
    return true;
  }
}
