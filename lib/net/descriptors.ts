/**
 * File descriptors, of which a process may have only so many: clients do not take the last ones.
 *
 * A process cannot ask for its limit (the sandbox does not tell it), and holds none in reserve. It
 * learns the limit when it has none left. Then the listeners give some back, the newest connections',
 * and take fewer from then on; and what was tried is tried again. It is the limit of a whole process,
 * so all listeners of the process are asked.
 *
 * @module
 */

/** Who holds descriptors, and can give some back. */
export interface DescriptorHolder {
  /** Whether there is none left, as far as it can tell without taking one. */
  noneLeft(): boolean;
  /** Gives some back; resolves when they are free. */
  giveBack(): Promise<void>;
}

const holders = new Set<DescriptorHolder>();
let giving: Promise<unknown> | undefined;

/** Makes a holder known, for as long as it holds some. */
export function addHolder(holder: DescriptorHolder): void {
  holders.add(holder);
}

/** See {@linkcode addHolder}. */
export function removeHolder(holder: DescriptorHolder): void {
  holders.delete(holder);
}

/**
 * Does what takes a descriptor. Where there is none left, the holders give some back and it is done
 * once more.
 *
 * @throws {Error} Whatever `take` throws.
 */
export async function withDescriptor<T>(take: () => Promise<T>): Promise<T> {
  try {
    return await take();
  } catch (error) {
    if (holders.size === 0 || !isShortage(error)) throw error;
    giving ??= Promise.all([...holders].map((holder) => holder.giveBack()))
      .finally(() => giving = undefined);
    await giving;
    return await take();
  }
}

/** Whether an error says that a descriptor was needed and there was none. */
function isShortage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  // The look-up of a name needs some, too, and does not say what it lacked.
  if (code === undefined) return [...holders].some((holder) => holder.noneLeft());
  return isNoneLeft(error);
}

/** Whether an error of the system is that the process (EMFILE), or the system (ENFILE), has none. */
export function isNoneLeft(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "EMFILE" || code === "ENFILE";
}
