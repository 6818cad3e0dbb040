/**
 * Checks that a recorded history of a table is linearizable, the whole table being one object: an
 * operation on several indices is one step.
 *
 * It searches for an order in the way of Wing and Gong ("Testing and Verifying Concurrent Objects",
 * 1993), and remembers each configuration it has been in, as Lowe does ("Testing for
 * linearizability", 2017). Before that it deduces what every order must have in common, from who can
 * have written what was read, as Gibbons and Korach do for one register ("Testing Shared Memories",
 * 1997). The deduction makes the search short, and finds most violations without one. Values written
 * once make it strong, but nothing here needs them to be: with repeated values it deduces less.
 *
 * @module
 */
import { Order } from "./order.ts";
import { isWrite, Model, type Op, type Recorded, sees, show, touches } from "./recorded.ts";

export type { Recorded };

/** Whether an order exists; if not, what a person needs to see why, in several lines. */
export type Verdict = { ok: true } | { ok: false; reason: string };

/** How many steps the search takes, by default, before it gives up. */
export const MAX_STEPS = 100_000;

/** After how many steps without progress the search goes back a longer way. */
const PATIENCE = 100;

/** Thrown when the search gave up: the history may be linearizable or not. */
export class SearchGaveUpError extends Error {
  override name = "SearchGaveUpError";
}

/**
 * Checks a history against an atomic table.
 *
 * An order of all operations must exist in which an operation that returned before another was
 * invoked stands before it, those of one connection stand in the order sent, and each GET and ADD
 * sees the table as it is at its place. A write of unknown outcome stands anywhere after its
 * invocation and after the known ones sent before it on its connection, or nowhere; what was sent
 * after it need not wait for it. A read of unknown outcome says nothing and is left out.
 *
 * It is fastest where each value is put once and the values are far apart, so that a sum tells its
 * terms.
 *
 * @param history The operations, in any order.
 * @param size How many entries the table has.
 * @param initial The table at the start; zeros if left out.
 * @param limit How many steps to take at most.
 *   @default {MAX_STEPS}
 * @returns The verdict, with a reason if there is no order.
 * @throws {SearchGaveUpError} If the limit was reached before there was a verdict.
 * @throws {RangeError} If the history is not one of this table.
 */
export function checkHistory(
  history: readonly Recorded[],
  size: number,
  initial: readonly number[] = new Array(size).fill(0),
  limit: number = MAX_STEPS,
): Verdict {
  const order = new Order(new Model(history, size, initial));
  if (order.deduce()) return new Search(order).run(limit, true);
  // There is no order. A short search that deduces little shows a person how far one gets.
  const verdict = new Search(new Order(new Model(history, size, initial))).run(1_000, false);
  if (verdict.ok) throw new Error("Cannot be: an order was found where none can exist");
  return verdict;
}
/** A configuration, with the writes that may come next. */
interface Branch {
  readonly key: string;
  readonly choices: Op[];
  next: number;
  /** Whether the optional writes are among the choices: they are tried when the others failed. */
  widened: boolean;
  readonly depth: number;
  readonly mark: number;
}

/** Looks for an order, depth first. */
class Search {
  readonly #order: Order;
  readonly #path: Op[] = [];
  /** The longest order so far that nothing could follow, and why. */
  #longest = -1;
  #reason = "";
  #seed = 1;
  /** How far chance may change the order of choices. */
  #noise = 0;

  constructor(order: Order) {
    this.#order = order;
  }

  /** Looks for so many steps, then gives up or, if not `complete`, says that there is none. */
  run(limit: number, complete: boolean): Verdict {
    const { model: { chains }, positions, taken } = this.#order;
    const visited = new Set<string>();
    const branches: Branch[] = [];
    let [patience, longest, since] = [PATIENCE, 0, 0];
    for (let steps = 0;; steps++) {
      this.#takeReads();
      if (chains.every((chain, c) => chain.length === positions[c])) return { ok: true };
      const optional = [...taken].map((op) => op.row).sort((a, b) => a - b);
      const key = `${positions}|${this.#table()}|${optional}`;
      if (!visited.has(key)) {
        visited.add(key);
        const [depth, mark] = [this.#path.length, this.#order.mark()];
        branches.push({ key, choices: this.#nextWrites(), next: 0, widened: false, depth, mark });
      }
      const length = this.#path.length - taken.size;
      if (length > longest) [longest, since] = [length, steps];
      if (steps - since > patience) {
        // Long stuck: the mistake may be far back. What is left here is put off, not ruled out.
        const kept = Math.max(1, branches.length - 1 - Math.floor(this.#random() * 60));
        for (const { key } of branches.splice(kept)) visited.delete(key);
        branches[kept - 1]!.next = 0;
        branches[kept - 1]!.choices.sort(() => this.#random() - 0.5);
        this.#noise = 3;
        [patience, since] = [patience * 1.1, steps];
      }
      if (!this.#advance(branches)) return { ok: false, reason: this.#reason };
      if (steps < limit) continue;
      this.#note();
      if (!complete) return { ok: false, reason: this.#reason };
      throw new SearchGaveUpError(`Cannot decide within ${limit} steps; so far:\n${this.#reason}`);
    }
  }

  /** A number from 0 to below 1, the same ones in every run. */
  #random(): number {
    this.#seed = Math.imul(this.#seed, 1664525) + 1013904223 | 0;
    return (this.#seed >>> 0) / 2 ** 32;
  }

  /** Takes the next choice that is possible, of the last configuration that has one. */
  #advance(branches: Branch[]): boolean {
    for (let branch; (branch = branches.at(-1)) !== undefined;) {
      this.#order.undo(branch.mark);
      this.#path.length = branch.depth;
      const op = branch.choices[branch.next++];
      if (op !== undefined) {
        this.#path.push(op);
        if (this.#order.take(op)) return true;
      } else if (!branch.widened) {
        branch.widened = true;
        branch.choices.push(...this.#nextOptional(branch.choices));
        branch.next--;
      } else {
        this.#note();
        branches.pop();
      }
    }
    return false;
  }

  /** The first operations of the chains that are not in the order. */
  #heads(): Op[] {
    const { model: { chains }, positions } = this.#order;
    return chains.map((chain, c) => chain[positions[c]!]).filter((op) => op !== undefined);
  }

  #table(): number[] {
    return this.#order.present.map((op, index) => op.writes.get(index)!);
  }

  /**
   * Takes every read that may come next and sees the table as it is now.
   *
   * This loses no order. Take one that goes on from here and move the read to its front: all that
   * must stand before the read is in place already, nothing else comes earlier than it did, and
   * as the read changes nothing every other operation sees what it saw.
   */
  #takeReads(): void {
    const table = this.#table();
    for (let more = true; more;) {
      more = false;
      for (const op of this.#heads()) {
        if (isWrite(op.record.action) || !sees(op, table) || !this.#order.allows(op)) continue;
        this.#order.take(op);
        this.#path.push(op);
        more = true;
      }
    }
  }

  /** A read that must still see what the write would replace, if there is one. */
  #spoilt(write: Op): Op | undefined {
    for (const index of write.writes.keys()) {
      const read = this.#order.keeper(index);
      if (read !== undefined) return read;
    }
  }

  /** The writes that may come next and let a read follow at once; and all other known ones. */
  #nextWrites(): Op[] {
    const heads = this.#heads().filter((op) => this.#order.allows(op));
    const reads = heads.filter(({ record }) => !isWrite(record.action));
    const table = this.#table();
    const choices: { op: Op; score: number }[] = [];
    for (const op of [...heads, ...this.#optional()]) {
      if (!isWrite(op.record.action) || this.#spoilt(op)) continue;
      const after = [...table];
      for (const [index, value] of op.writes) after[index] = value;
      const follow = reads.filter((read) => sees(read, after)).length;
      if (op.chain < 0 && follow === 0) continue;
      choices.push({ op, score: follow - this.#order.hopes(op) + this.#noise * this.#random() });
    }
    return choices.sort((a, b) => b.score - a.score || a.op.until - b.op.until).map(({ op }) => op);
  }

  /** The optional writes that may come next. One that no read can see is as well left out. */
  #optional(): Op[] {
    const order = this.#order;
    return order.model.optional.filter((op) =>
      !order.has(op) && order.allows(op) &&
      op.seenBy.some((read) => !order.has(read) && read.sources.some((list) => list.includes(op)))
    );
  }

  /**
   * The optional writes that need be tried when all else has failed.
   *
   * Nothing need come after such a write, so that in any order it can be moved later until the next
   * operation touches it (sees a value of it, or writes some of its indices), and left out if that
   * operation writes all of them. So it need only be tried before an operation that touches it.
   */
  #nextOptional(tried: readonly Op[]): Op[] {
    const open = this.#optional();
    const next = [...this.#heads().filter((op) => this.#order.allows(op)), ...open];
    return open.filter((op) =>
      !tried.includes(op) && !this.#spoilt(op) && next.some((other) => touches(other, op))
    );
  }

  /** Keeps the reason why nothing could come next, if the order is the longest so far. */
  #note(): void {
    if (this.#path.length <= this.#longest) return;
    this.#longest = this.#path.length;
    const table = this.#table();
    const heads = this.#heads();
    const end = Math.min(...heads.map((op) => op.until));
    const why = (op: Op) => {
      const spoilt = this.#spoilt(op);
      if (spoilt !== undefined) {
        return `would replace what must still be seen by ${show(spoilt.record)}`;
      }
      if (!sees(op, table)) return `would see ${op.reads.map((i) => `${i}=${table[i]}`)}`;
      return this.#order.allows(op) ? "leads to no order" : "must come after others";
    };
    this.#reason = [
      `The longest order found has ${this.#longest} operations. It ends with:`,
      ...this.#path.slice(-10).map((op) => `  ${show(op.record)}`),
      `The table is then ${table}. Next could not be:`,
      ...heads.filter((op) => op.record.invoked <= end).map((op) =>
        `  ${show(op.record)}: ${why(op)}`
      ),
    ].join("\n");
  }
}
