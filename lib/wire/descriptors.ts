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

import type { Runtime } from "../runtime/runtime.ts";

/** Who holds descriptors, and can give some back. */
export interface DescriptorHolder {
  /** Whether there is none left, as far as it can tell without taking one. */
  noneLeft(): boolean;
  /** Gives some back; resolves when they are free. */
  giveBack(): Promise<void>;
}

/** The holders of a process, and whether they are giving some back. */
interface Holders {
  readonly known: Set<DescriptorHolder>;
  giving: Promise<unknown> | undefined;
}

/** Of each runtime: it stands for a process. */
const holdersOf = new WeakMap<Runtime, Holders>();

/** Makes a holder known, for as long as it holds some. */
export function addHolder(runtime: Runtime, holder: DescriptorHolder): void {
  const holders = holdersOf.get(runtime) ?? { known: new Set(), giving: undefined };
  holders.known.add(holder);
  holdersOf.set(runtime, holders);
}

/** See {@linkcode addHolder}. */
export function removeHolder(runtime: Runtime, holder: DescriptorHolder): void {
  holdersOf.get(runtime)?.known.delete(holder);
}

/**
 * Does what takes a descriptor. Where there is none left, the holders give some back and it is done
 * once more.
 *
 * @throws {Error} Whatever `take` throws.
 */
export async function withDescriptor<T>(runtime: Runtime, take: () => Promise<T>): Promise<T> {
  try {
    return await take();
  } catch (error) {
    const holders = holdersOf.get(runtime);
    // A process without a listener has nobody to ask, also where it had one before.
    if (holders === undefined || holders.known.size === 0) throw error;
    if (!isShortage(runtime, error, holders)) throw error;
    holders.giving ??= Promise.all([...holders.known].map((holder) => holder.giveBack()))
      .finally(() => holders.giving = undefined);
    await holders.giving;
    return await take();
  }
}

/** Whether an error says that a descriptor was needed and there was none. */
function isShortage(runtime: Runtime, error: unknown, { known }: Holders): boolean {
  // The look-up of a name needs some, too, and does not say what it lacked.
  return runtime.kindOf(error) === "full" ||
    (error as { code?: unknown }).code === undefined &&
      [...known].some((holder) => holder.noneLeft());
}
