/**
 * Waiting that ends.
 *
 * @module
 */

/** Resolves when `work` is done, or `ms` milliseconds have passed. */
export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer;
  const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  try {
    await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
