/**
 * Waiting that ends.
 *
 * @module
 */

import type { Runtime } from "./runtime.ts";
import { Patience } from "./patience.ts";

/**
 * Resolves when `work` is done, to its result, or when `ms` milliseconds have passed and what had come
 * by then is read; fewer than none count as none.
 */
export async function within<T>(
  work: Promise<T>,
  ms: number,
  runtime: Runtime,
): Promise<T | undefined> {
  const over = Promise.withResolvers<undefined>();
  const patience = new Patience(runtime, ms, () => over.resolve(undefined));
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    patience.end();
  }
}
