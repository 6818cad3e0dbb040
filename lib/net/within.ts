/**
 * Waiting that ends.
 *
 * @module
 */

/** Resolves when `work` is done, or `ms` milliseconds have passed; fewer than none count as none. */
export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer;
  const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, Math.max(0, ms)));
  try {
    await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
