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

/** One operation, as the client that sent it saw it. */
export interface Recorded {
  /** The connection it was sent on. */
  readonly connection: number;
  /** Its place in the order sent on that connection. */
  readonly sequence: number;
  /** When it was sent, by any monotonic clock: one for the whole history. */
  readonly invoked: number;
  /** When its reply came; undefined: the outcome is unknown (504, connection lost). */
  readonly returned: number | undefined;
  /** What was asked and, of a read, what was seen. */
  readonly action:
    | { kind: "GET"; ind: readonly number[]; data: readonly number[] }
    | { kind: "ADD"; ind: readonly number[]; sum: bigint }
    | { kind: "PUT"; ind: readonly number[]; data: readonly number[] }
    | { kind: "CLR" };
}

/** Whether an order exists; if not, what a person needs to see why, in several lines. */
export type Verdict = { ok: true } | { ok: false; reason: string };

/** How many steps the search takes, by default, before it gives up. */
export const MAX_STEPS = 100_000;

/** After how many steps without progress the search goes back a longer way. */
const PATIENCE = 100;

/** How many combinations of values are tried, at most, for one sum. */
const MAX_COMBINATIONS = 100_000;

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

/** An operation in the check. */
interface Op {
  readonly record: Recorded;
  /** By when it has taken effect; Infinity: it need not have. */
  until: number;
  /** Its row in {@linkcode Order}. */
  row: number;
  /** Its chain, and its place there; chain −1: it is optional, it may not have happened. */
  chain: number;
  place: number;
  /** What it writes: index and value. */
  readonly writes: ReadonlyMap<number, number>;
  /** The different indices that it reads. */
  readonly reads: readonly number[];
  /** For each of `reads`, the writes that it may have seen there; empty until that is looked at. */
  sources: Op[][];
  /** The reads that may have seen this write. */
  seenBy: Op[];
}

/** The operations of a history, in chains that are in order. Chain 0 holds the table's beginning. */
class Model {
  readonly chains: Op[][] = [];
  /** The writes that may have happened or not. */
  readonly optional: Op[] = [];
  /** The writes in the chains, by index and chain. */
  readonly writes: Op[][][];
  readonly size: number;
  readonly #chainOf = new Map<number, number>();

  constructor(history: readonly Recorded[], size: number, initial: readonly number[]) {
    this.size = size;
    const ind = Array.from({ length: size }, (_, index) => index);
    const start = this.#op({
      connection: -1,
      sequence: -1,
      invoked: -Infinity,
      returned: -Infinity,
      action: { kind: "PUT", ind, data: initial },
    });
    this.#append(this.chains.push([]) - 1, start);
    const ops = history
      .filter(({ returned, action }) => returned !== undefined || isWrite(action))
      .toSorted((a, b) => a.connection - b.connection || a.sequence - b.sequence)
      .map((record) => this.#op(record));
    for (const op of ops) {
      if (op.until === Infinity) continue;
      const { connection } = op.record;
      const chain = this.#chainOf.get(connection) ?? this.chains.push([]) - 1;
      this.#chainOf.set(connection, chain);
      this.#append(chain, op);
    }
    this.#settleUnknown(ops, [start, ...ops]);
    this.writes = ind.map((index) =>
      this.chains.map((chain) => chain.filter(({ writes }) => writes.has(index)))
    );
  }

  /** How many operations of which chain were sent before this one on its connection. */
  sentBefore({ record: { connection, sequence } }: Op): [chain: number, count: number] {
    const chain = this.#chainOf.get(connection) ?? 0;
    const ops = this.chains[chain]!;
    return [chain, firstWhere(ops, ({ record }) => record.sequence >= sequence)];
  }

  /**
   * Finds the one write that a GET can have seen, where there is one, and which of the writes of
   * unknown outcome happened, may have, and do not matter.
   *
   * One that alone can have written what a GET saw did happen, before that GET returned: from here
   * on it is like a known one. One that writes nothing that a GET saw, and no index that a later
   * ADD sums, is left out: where an order has it, what stands between it and the next write to an
   * index sees nothing of that index, so the order without it is as good. One that an ADD may have
   * seen stays, as one that may have happened.
   */
  #settleUnknown(ops: readonly Op[], all: readonly Op[]): void {
    const writers = Array.from({ length: this.size }, () => new Map<number, Op[]>());
    for (const op of all) {
      for (const [index, value] of op.writes) {
        const known = writers[index]!.get(value);
        if (known === undefined) writers[index]!.set(value, [op]);
        else known.push(op);
      }
    }
    const seen = new Set<Op>();
    const summed = new Array<number>(this.size).fill(-Infinity); // until when
    for (const op of ops) {
      const { action } = op.record;
      if (action.kind === "ADD") {
        for (const index of op.reads) summed[index] = Math.max(summed[index]!, op.until);
      }
      if (action.kind !== "GET") continue;
      const sources = op.reads.map((index) =>
        writers[index]!.get(action.data[action.ind.indexOf(index)]!) ?? []
      );
      for (const writer of sources.flat()) seen.add(writer);
      if (sources.some((list) => list.length > 1)) continue; // later, when more is known
      op.sources = sources;
      for (const writer of new Set(sources.flat())) {
        writer.seenBy.push(op);
        if (writer.chain < 0) writer.until = Math.min(writer.until, op.until);
      }
    }
    const shared: number[] = []; // chains in which each ends before the next begins
    const unknown = ops.filter(({ chain }) => chain < 0);
    for (const op of unknown.toSorted((a, b) => a.record.invoked - b.record.invoked)) {
      const { invoked } = op.record;
      if (op.until < Infinity) {
        let chain = shared.find((chain) => this.chains[chain]!.at(-1)!.until < invoked);
        if (chain === undefined) shared.push(chain = this.chains.push([]) - 1);
        this.#append(chain, op);
      } else if (seen.has(op) || [...op.writes.keys()].some((i) => summed[i]! >= invoked)) {
        this.optional.push(op);
      }
    }
  }

  #append(chain: number, op: Op): void {
    op.chain = chain;
    op.place = this.chains[chain]!.push(op) - 1;
  }

  #op(record: Recorded): Op {
    const { action, invoked, returned = Infinity } = record;
    const ind = action.kind === "CLR" ? [] : action.ind;
    const data = action.kind === "CLR" || action.kind === "ADD" ? [] : action.data;
    const inside = (index: number) => Number.isInteger(index) && index >= 0 && index < this.size;
    if (
      !(invoked <= returned) || !ind.every(inside) || !data.every(Number.isSafeInteger) ||
      (action.kind !== "ADD" && ind.length !== data.length)
    ) throw new RangeError(`Cannot check an operation: current value is ${show(record)}`);
    const writes = new Map<number, number>();
    if (action.kind === "PUT") ind.forEach((index, i) => writes.set(index, data[i]!));
    if (action.kind === "CLR") { for (let i = 0; i < this.size; i++) writes.set(i, 0); }
    const reads = isWrite(action) ? [] : [...new Set(ind)];
    const op = { record, until: returned, row: 0, chain: -1, place: 0, writes, reads };
    return { ...op, sources: [], seenBy: [] };
  }
}

/**
 * The beginning of an order, and what that and the history tell about the rest.
 *
 * As the chains are in order, what must stand before an operation is one number for each chain (a
 * vector clock). Once only one write is left that a read can have seen, every other write to the
 * index stands before that write or after the read; this is followed until nothing new is found. All
 * that is found holds in every order that begins like this, so nothing is lost by relying on it.
 */
class Order {
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
    const values = terms.map((term) => new Set(term));
    const bound = values.reduce((sum, term) => sum + Math.max(...[...term].map(Math.abs)), 0);
    const combinations = values.slice(1).reduce((product, { size }) => product * size, 1);
    if (bound > Number.MAX_SAFE_INTEGER || combinations > MAX_COMBINATIONS) return;
    const kept = values.map(() => new Set<number>());
    const fit = (i: number, rest: number): boolean => {
      let any = false;
      for (const value of i > 0 ? values[i]! : values[0]!.has(rest) ? [rest] : []) {
        if (i > 0 && !fit(i - 1, rest - value)) continue;
        kept[i]!.add(value);
        any = true;
      }
      return any;
    };
    fit(values.length - 1, Number(sum));
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

function isWrite({ kind }: Recorded["action"]): boolean {
  return kind === "PUT" || kind === "CLR";
}

/** Whether an operation, if it is a read, saw what the table holds. */
function sees({ record: { action } }: Op, table: readonly number[]): boolean {
  if (action.kind === "GET") return action.ind.every((index, i) => table[index] === action.data[i]);
  if (action.kind !== "ADD") return true;
  return action.ind.reduce((sum, index) => sum + BigInt(table[index]!), 0n) === action.sum;
}

/** Whether an operation may see a value of the write, or writes some of its indices and not all. */
function touches({ record: { action }, reads, writes }: Op, write: Op): boolean {
  if (action.kind === "GET") {
    return action.ind.some((index, i) => write.writes.get(index) === action.data[i]);
  }
  if (action.kind === "ADD") return reads.some((index) => write.writes.has(index));
  const shared = [...write.writes.keys()].filter((index) => writes.has(index)).length;
  return shared > 0 && shared < write.writes.size;
}

/** The first place in the list, not before `low`, from which on the test is true. */
function firstWhere<T>(list: readonly T[], test: (item: T) => boolean, low = 0): number {
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** An operation, for a person. */
function show({ connection, sequence, invoked, returned, action }: Recorded): string {
  const what = action.kind === "CLR"
    ? ""
    : ` ${action.ind} = ${action.kind === "ADD" ? action.sum : action.data}`;
  const when = `${invoked} to ${returned ?? "unknown"}`;
  return `${action.kind}${what} (connection ${connection}, number ${sequence}, ${when})`;
}
