/**
 * Limited waiting.
 *
 * @module
 */

/** How long a test waits for what must come, in milliseconds: longer than any machine is busy. */
export const WAIT_MS = 300_000;

/** A deadline, or the term of a lease, that no test outlives, in milliseconds. */
export const HOUR_MS = 3_600_000;

/**
 * Waits for a promise, but not for ever.
 *
 * @param promise What is waited for; the wait ends with it.
 * @param what The same in words, to stand behind "Waited 300000 ms for".
 * @param ms The limit, in milliseconds. It is there to end a broken test, not to measure one.
 * @returns What the promise resolves to.
 * @throws {Error} If the limit is over; otherwise what the promise rejects with.
 */
export async function within<T>(
  promise: PromiseLike<T>,
  what: string,
  ms: number = WAIT_MS,
): Promise<T> {
  let timer;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
