/**
 * Waiting that ends.
 *
 * @module
 */

/**
 * Resolves when `work` is done, to its result, or when `ms` milliseconds have passed; fewer than none
 * count as none.
 */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer;
  const patience = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.max(0, ms));
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
  }
}
