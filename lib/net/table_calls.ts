/**
 * The calls by which a program uses a table, whoever answers them.
 *
 * @module
 */

import { TableError } from "../protocol/error.ts";
import type { Reply, Request } from "../protocol/message.ts";
import { checkCount, checkIntegers } from "../protocol/parse.ts";

/**
 * A table as a program uses it.
 *
 * Calls that are not awaited are concurrent. All throw a {@linkcode TableError}: 400 or 413 for
 * arguments that no message can hold, 404 for an index outside the table, 503 where nobody could be
 * asked and nothing was changed, 504 where whether a write happened is not known.
 */
export abstract class TableCalls {
  /** Has a request answered; an ERR is a reply like any other. */
  protected abstract ask(request: Request): Promise<Reply>;

  /**
   * Reads entries.
   *
   * @param ind Their indices, 1 to 1,024; one that repeats counts each time.
   * @returns Their data, in that order.
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
   * @throws {TableError} See the class.
   */
  async put(entries: Iterable<readonly [index: number, data: number]>): Promise<void> {
    const pairs = [...entries];
    const ind = checked("PUT", pairs.map(([index]) => index));
    const data = pairs.map(([, integer]) => integer);
    checkIntegers("DATA", data);
    await this.#answer({ op: "PUT", ind, data });
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
function checked(op: "GET" | "PUT" | "ADD", ind: readonly number[]): readonly number[] {
  checkCount(op, ind);
  checkIntegers("IND", ind);
  return ind.slice();
}
