/**
 * What every order of a recorded history has in common.
 *
 * @module
 */

import { firstWhere, Model, type Op } from "./recorded.ts";
import { thatSum } from "./sums.ts";

/**
 * The beginning of an order, and what that and the history tell about the rest.
 *
 * As the chains are in order, what must stand before an operation is one number for each chain (a
 * vector clock). Once only one write is left that a read can have seen, every other write to the
 * index stands before that write or after the read; this is followed until nothing new is found. All
 * that is found holds in every order that begins like this, so nothing is lost by relying on it.
 */
export class Order {
  readonly model: Model;
  /** How many operations of each chain are in the order. */
  readonly positions: Int32Array;
  /** The optional writes in the order. */
  readonly taken: Set<Op> = new Set();
  /** For each index, the last write to it in the order. */
  readonly present: Op[] = [];
  readonly #width: number;
  /** A row for each operation: how many of each chain must stand before it. */
  readonly #before: Int32Array;
  /** The operations in the chains, by their invocation. */
  readonly #known: Op[];
  /** The operations about which something was found, not yet followed. */
  #queue: Op[] = [];
  readonly #queued = new Set<Op>();
  #failed = false;
  /** The sources of an ADD when its sum was last looked at. */
  readonly #summed = new Map<Op, Op[][]>();
  /** Whether to deduce anything, and whether it is to be undone. */
  #deducing = false;
  #recording = false;
  readonly #trail: (() => void)[] = [];

  /** Begins with real time, the order of each connection, and the table's beginning in place. */
  constructor(model: Model) {
    this.model = model;
    this.#width = model.chains.length;
    this.positions = new Int32Array(this.#width);
    const byStart = (a: Op, b: Op) => a.record.invoked - b.record.invoked;
    this.#known = model.chains.flat().sort(byStart);
    const all = [...this.#known, ...model.optional].sort(byStart);
    const byEnd = this.#known.toSorted((a, b) => a.until - b.until);
    this.#before = new Int32Array(all.length * this.#width);
    const over = new Int32Array(this.#width);
    let ended = 0;
    all.forEach((op, row) => {
      for (; ended < byEnd.length && byEnd[ended]!.until < op.record.invoked; ended++) {
        const { chain, place } = byEnd[ended]!;
        over[chain] = Math.max(over[chain]!, place + 1);
      }
      op.row = row;
      this.#before.set(over, row * this.#width);
      const [chain, count] = model.sentBefore(op);
      this.#before[row * this.#width + chain] = Math.max(over[chain]!, count);
    });
    this.take(model.chains[0]![0]!);
    this.#recording = true;
  }

  /** Whether the operation is in the order. */
  has(op: Op): boolean {
    return op.chain < 0 ? this.taken.has(op) : op.place < this.positions[op.chain]!;
  }

  /** Whether all that must stand before the operation is in the order. */
  allows(op: Op): boolean {
    const from = op.row * this.#width;
    for (let c = 0; c < this.#width; c++) {
      if (this.positions[c]! < this.#before[from + c]!) return false;
    }
    return true;
  }

  /** A read that must still see what is at the index now, if there is one. */
  keeper(index: number): Op | undefined {
    const write = this.present[index]!;
    return write.seenBy.find((read) => !this.has(read) && this.#sees(read, index, write));
  }

  /** How many reads may still see what the write would replace. */
  hopes({ writes }: Op): number {
    let count = 0;
    for (const index of writes.keys()) {
      const write = this.present[index]!;
      for (const read of write.seenBy) {
        if (!this.has(read) && read.sources[read.reads.indexOf(index)]?.includes(write)) count++;
      }
    }
    return count;
  }

  /** A mark for {@linkcode undo}. */
  mark(): number {
    return this.#trail.length;
  }

  /** Takes back all that was done since the mark. */
  undo(mark: number): void {
    while (this.#trail.length > mark) this.#trail.pop()!();
  }

  /** Puts the operation next, and deduces what follows; false: there is no order that begins so. */
  take(op: Op): boolean {
    const change = (by: number) => {
      if (op.chain >= 0) this.positions[op.chain]! += by;
      else if (by > 0) this.taken.add(op);
      else this.taken.delete(op);
    };
    change(1);
    this.#onUndo(() => change(-1));
    for (const index of op.writes.keys()) {
      const replaced = this.present[index];
      this.present[index] = op;
      if (replaced === undefined) continue; // the table's beginning
      this.#onUndo(() => this.present[index] = replaced);
      for (const read of replaced.seenBy) {
        const i = read.reads.indexOf(index);
        if (i < 0 || this.has(read) || !read.sources[i]!.includes(replaced)) continue;
        this.#narrow(read, i, read.sources[i]!.filter((source) => source !== replaced));
      }
      for (const read of op.seenBy) if (this.#sees(read, index, op)) this.#enqueue(read);
    }
    return this.#settle();
  }

  /** Deduces what all orders have in common; false: there is none. Not to be undone. */
  deduce(): boolean {
    this.#deducing = true;
    this.#recording = false;
    for (const op of this.#known) this.#enqueue(op);
    if (!this.#settle()) return false;
    // With what was unambiguous settled, few writes are left that the other reads can have seen.
    for (const op of this.#known) {
      if (op.sources.length === op.reads.length) continue;
      op.sources = op.reads.map((index) => this.#candidates(op, index));
      for (const source of new Set(op.sources.flat())) source.seenBy.push(op);
      this.#enqueue(op);
    }
    return this.#settle() && (this.#recording = true);
  }

  /** The writes to the index that the read may have seen, by what is known of the order. */
  #candidates(read: Op, index: number): Op[] {
    const list = this.model.optional.filter(({ record, writes }) =>
      record.invoked <= read.until && writes.has(index)
    );
    this.model.writes[index]!.forEach((chain, c) => {
      const from = Math.max(0, this.#countBefore(chain, c, read) - 1);
      list.push(...chain.slice(from, firstWhere(chain, (write) => this.#ordered(read, write))));
    });
    const { action } = read.record;
    if (action.kind !== "GET") return list;
    const value = action.data[action.ind.indexOf(index)];
    return list.filter(({ writes }) => writes.get(index) === value);
  }

  /** Follows what was found until there is nothing new. */
  #settle(): boolean {
    for (let next = 0; next < this.#queue.length && !this.#failed; next++) {
      const op = this.#queue[next]!;
      this.#queued.delete(op);
      if (!this.has(op)) this.#follow(op);
    }
    const failed = this.#failed;
    this.#queue = [];
    this.#queued.clear();
    this.#failed = false;
    return !failed;
  }

  /** Follows what was found about one operation. */
  #follow(op: Op): void {
    const { chains, writes } = this.model;
    // What must stand before what stands before this one; and the same for what stands after it.
    for (let c = 0; c < this.#width; c++) {
      const before = this.#count(op, c) - 1;
      if (before >= this.positions[c]!) this.#inherit(op, chains[c]![before]!);
      const after = firstWhere(chains[c]!, (o) => this.#ordered(op, o), this.positions[c]);
      if (after < chains[c]!.length) this.#inherit(chains[c]![after]!, op);
    }
    if (this.#ordered(op, op)) this.#failed = true;
    for (let i = 0; i < op.sources.length && !this.#failed; i++) this.#followSource(op, i);
    if (op.record.action.kind === "ADD" && op.sources.length > 0) {
      this.#followSum(op, op.record.action);
    }
    // What saw a write to the same index that stands before this one stands before this one, too.
    for (const index of op.writes.keys()) {
      for (let c = 0; c < this.#width; c++) {
        const write = writes[index]![c]![this.#countBefore(writes[index]![c]!, c, op) - 1];
        if (write === undefined || this.has(write)) continue;
        for (const read of write.seenBy) {
          if (!this.#ordered(read, op) && this.#sees(read, index, write)) this.#put(read, op);
        }
      }
    }
  }

  /** Finds out what a read saw at an index and, once that is one write, what follows. */
  #followSource(read: Op, i: number): void {
    const index = read.reads[i]!;
    const writes = this.model.writes[index]!;
    /** The last writes to the index that must stand before the read, one of each chain. */
    const earlier: Op[] = [];
    writes.forEach((chain, c) => {
      const last = chain[this.#countBefore(chain, c, read) - 1];
      if (last !== undefined) earlier.push(last);
    });
    if (read.sources[i]!.length > 1) {
      const left = read.sources[i]!.filter((source) =>
        !this.#ordered(read, source) &&
        !earlier.some((write) => write !== source && this.#ordered(source, write))
      );
      if (left.length < read.sources[i]!.length) this.#narrow(read, i, left);
    }
    const [source, other] = read.sources[i]!;
    if (source === undefined) this.#failed = true;
    if (source === undefined || other !== undefined) return;
    if (source.chain < 0 && !this.has(source)) return;
    // The read saw this write, so that any other to the index is before that or after the read.
    this.#put(source, read);
    for (const write of earlier) if (write !== source) this.#put(write, source);
    writes.forEach((chain, c) => {
      const from = firstWhere(chain, (write) => write.place >= this.positions[c]!);
      const later = chain[firstWhere(chain, (write) => this.#ordered(source, write), from)];
      if (later !== undefined) this.#put(read, later);
    });
  }

  /** Keeps these as the writes that a read may have seen at an index. */
  #narrow(read: Op, i: number, left: Op[]): void {
    const old = read.sources;
    this.#onUndo(() => read.sources = old);
    read.sources = old.with(i, left);
    for (const source of this.#recording ? [] : old[i]!) {
      if (read.sources.some((list) => list.includes(source))) continue;
      source.seenBy = source.seenBy.filter((other) => other !== read);
    }
    if (left.length === 0) this.#failed = true;
    else this.#enqueue(read);
  }

  /** Keeps of the writes that an ADD may have seen those of which some combination gives its sum. */
  #followSum(add: Op, { ind, sum }: { ind: readonly number[]; sum: bigint }): void {
    if (this.#summed.get(add) === add.sources) return;
    const terms = add.reads.map((index, i) => {
      const times = ind.filter((other) => other === index).length;
      return add.sources[i]!.map(({ writes }) => writes.get(index)! * times);
    });
    const kept = thatSum(terms.map((term) => new Set(term)), sum);
    if (kept === undefined) return;
    terms.forEach((term, i) => {
      const left = add.sources[i]!.filter((_, at) => kept[i]!.has(term[at]!));
      if (left.length < term.length) this.#narrow(add, i, left);
    });
    this.#summed.set(add, add.sources);
  }

  /** Whether the read can only have seen this write at the index. */
  #sees(read: Op, index: number, write: Op): boolean {
    const sources = read.sources[read.reads.indexOf(index)];
    return sources?.length === 1 && sources[0] === write;
  }

  /** Whether a stands before b, as far as is known. */
  #ordered(a: Op, b: Op): boolean {
    return a.chain >= 0 && this.#count(b, a.chain) > a.place || this.has(a) && !this.has(b);
  }

  #count(op: Op, chain: number): number {
    return this.#before[op.row * this.#width + chain]!;
  }

  /** How many of the chain's writes must stand before the operation, which is not in the order. */
  #countBefore(writes: readonly Op[], chain: number, op: Op): number {
    const end = Math.max(this.#count(op, chain), this.positions[chain]!);
    return firstWhere(writes, (write) => write.place >= end);
  }

  /** Notes that a stands before b. */
  #put(a: Op, b: Op): void {
    if (this.has(a)) return;
    if (this.has(b)) this.#failed = true;
    else this.#raise(b, a.chain, a.place + 1);
  }

  /** Notes that what stands before `from` stands before the operation. */
  #inherit(op: Op, from: Op): void {
    for (let c = 0; c < this.#width; c++) this.#raise(op, c, this.#count(from, c));
  }

  #raise(op: Op, chain: number, count: number): void {
    const at = op.row * this.#width + chain;
    const old = this.#before[at]!;
    if (old >= count) return;
    this.#before[at] = count;
    this.#onUndo(() => this.#before[at] = old);
    this.#enqueue(op);
  }

  #enqueue(op: Op): void {
    if (!this.#deducing || this.#queued.has(op)) return;
    this.#queued.add(op);
    this.#queue.push(op);
  }

  #onUndo(undo: () => void): void {
    if (this.#recording) this.#trail.push(undo);
  }
}
