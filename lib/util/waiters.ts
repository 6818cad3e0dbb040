/**
 * Waiting for a state.
 *
 * @module
 */

/** Those who wait until something holds. */
export class Waiters {
  #waiting: { holds: () => boolean; resolve: () => void }[] = [];

  /** Resolves when `holds` does, at the latest when it is looked at next. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ holds, resolve }));
  }

  /** Has all look, since something has changed. */
  look(): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}
