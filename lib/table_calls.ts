/**
 * The calls by which a program uses a table, whoever answers them.
 *
 * @module
 */

import { TableError } from "./protocol/error.ts";
import { MAX_INDICES } from "./protocol/limits.ts";
import type { Reply, Request } from "./protocol/message.ts";
import { checkCount, checkInteger } from "./protocol/parse.ts";
import { current } from "./util/options.ts";

/**
 * A table as a program uses it.
 *
 * Calls that are not awaited are concurrent. An argument that is not of its type is a `TypeError`.
 * Whatever else goes wrong is a {@linkcode TableError}: 400 for numbers that no message can hold, and
 * where there are none, 413 for too many, 404 for an index outside the table, 503 where nobody could
 * be asked and nothing was changed, 504 where whether a write happened is not known. Wrong arguments
 * are found before anything is sent.
 */
export abstract class TableCalls {
  /** Has a request answered; an ERR is a reply like any other. */
  protected abstract ask(request: Request): Promise<Reply>;

  /**
   * Reads entries.
   *
   * @param ind Their indices, 1 to 1,024; one that repeats counts each time.
   * @returns Their data, in that order.
   * @throws {TypeError} If `ind` is no array, or holds what is no number.
   * @throws {TableError} See the class.
   */
  async get(ind: readonly number[]): Promise<number[]> {
    // Made for this call alone.
    return (await this.#answer({ op: "GET", ind: checked("GET", ind) })).data as number[];
  }

  /**
   * Adds entries up, exactly: the sum may leave the range of an entry.
   *
   * @param ind Their indices, 1 to 5; one that repeats counts each time.
   * @throws {TypeError} If `ind` is no array, or holds what is no number.
   * @throws {TableError} See the class.
   */
  async add(ind: readonly number[]): Promise<bigint> {
    return (await this.#answer({ op: "ADD", ind: checked("ADD", ind) })).sum;
  }

  /**
   * Writes entries, all or none.
   *
   * @param entries Pairs of an index and an integer within ±(2^53 − 1), 1 to 1,024 of them; applied
   * from left to right.
   * @throws {TypeError} If `entries` cannot be iterated over, or gives what is no pair of numbers.
   * @throws {TableError} See the class.
   * @throws Whatever iterating over `entries` throws; nothing was sent.
   */
  async put(entries: Iterable<readonly [index: number, data: number]>): Promise<void> {
    await this.#answer({ op: "PUT", ...separated(entries) });
  }

  /**
   * Sets every entry of the table to 0.
   *
   * @throws {TableError} See the class.
   */
  async clear(): Promise<void> {
    await this.#answer({ op: "CLR" });
  }

  /**
   * Tells what the node holds: a server its whole table, a proxy or a cache what it holds, the
   * oldest first.
   *
   * @returns The entries, and the state of a cache's lease: `lease 640 ms`, `no lease`, `no server`
   * or `solo`; `undefined` from a server.
   * @throws {TableError} 413 where it holds more than 1,024 entries; otherwise see the class.
   */
  async info(): Promise<Info> {
    const { ind, data, msg } = await this.#answer({ op: "INF" });
    return { entries: ind.map((index, i) => [index, data[i]!]), state: msg };
  }

  async #answer<R extends Request>(request: R): Promise<Extract<Reply, { op: R["op"] }>> {
    const reply = await this.ask(request);
    if (reply.op === "ERR") throw new TableError(reply.code, reply.message);
    return reply as Extract<Reply, { op: R["op"] }>;
  }
}

/** What a node holds. */
export interface Info {
  /** The entries, `[index, data]`. */
  entries: [index: number, data: number][];
  /** The state of a cache's lease. */
  state: string | undefined;
}

/** The indices, checked, and no longer the caller's to change. */
function checked(op: "GET" | "ADD", ind: readonly number[]): readonly number[] {
  if (!Array.isArray(ind)) {
    throw new TypeError(`Cannot take indices that are no array: ${current(ind)}`);
  }
  for (const index of ind) checkNumber("IND", index);
  checkCount(op, ind);
  return ind.slice();
}

/** The indices of pairs and their data, checked. */
function separated(
  entries: Iterable<readonly [index: number, data: number]>,
): { ind: number[]; data: number[] } {
  if (typeof entries?.[Symbol.iterator] !== "function") {
    throw new TypeError(`Cannot put entries that are not iterable: ${current(entries)}`);
  }
  const ind: number[] = [], data: number[] = [];
  for (const entry of entries) {
    if (!Array.isArray(entry) || entry.length !== 2) {
      throw new TypeError(`Cannot put an entry that is no [index, data]: ${current(entry)}`);
    }
    const [index, integer] = entry;
    checkNumber("IND", index);
    checkNumber("DATA", integer);
    // No further: there may be no end of them.
    if (ind.length === MAX_INDICES) {
      throw new TableError(413, `PUT takes at most ${MAX_INDICES} indices: it has more`);
    }
    ind.push(index);
    data.push(integer);
  }
  checkCount("PUT", ind);
  return { ind, data };
}

function checkNumber(name: "IND" | "DATA", value: number): void {
  if (Number.isSafeInteger(value)) return;
  if (typeof value !== "number") {
    const what = name === "IND" ? "an index" : "data";
    throw new TypeError(`Cannot take ${what} that is no number: ${current(value)}`);
  }
  checkInteger(name, value);
}
