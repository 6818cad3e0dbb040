/**
 * The ports that the programs take unless told otherwise, for one test of this machine at a time.
 *
 * @module
 */

import { dirname } from "node:path";
import { WAIT_MS, within } from "./within.ts";

/**
 * Waits until no other test uses the usual ports. Where several runs of the tests share a machine, a
 * node that starts on the port of one that was killed would be taken for it.
 */
export async function usualPorts(): Promise<AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "halfway-" });
  await Deno.remove(folder);
  // It stays there, since another may wait for it.
  const path = `${dirname(folder)}/halfway-usual-ports.lock`;
  const file = await Deno.open(path, { create: true, write: true });
  try {
    await within(file.lock(true), "the usual ports", 4 * WAIT_MS);
  } catch (error) {
    file.close();
    throw error;
  }
  return {
    async [Symbol.asyncDispose]() {
      await file.unlock();
      file.close();
    },
  };
}
