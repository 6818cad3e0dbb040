/**
 * A recorded history of a table, as its operations in chains.
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

/** An operation in the check. */
export interface Op {
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
export class Model {
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

export function isWrite({ kind }: Recorded["action"]): boolean {
  return kind === "PUT" || kind === "CLR";
}

/** Whether an operation, if it is a read, saw what the table holds. */
export function sees({ record: { action } }: Op, table: readonly number[]): boolean {
  if (action.kind === "GET") return action.ind.every((index, i) => table[index] === action.data[i]);
  if (action.kind !== "ADD") return true;
  return action.ind.reduce((sum, index) => sum + BigInt(table[index]!), 0n) === action.sum;
}

/** Whether an operation may see a value of the write, or writes some of its indices and not all. */
export function touches({ record: { action }, reads, writes }: Op, write: Op): boolean {
  if (action.kind === "GET") {
    return action.ind.some((index, i) => write.writes.get(index) === action.data[i]);
  }
  if (action.kind === "ADD") return reads.some((index) => write.writes.has(index));
  const shared = [...write.writes.keys()].filter((index) => writes.has(index)).length;
  return shared > 0 && shared < write.writes.size;
}

/** The first place in the list, not before `low`, from which on the test is true. */
export function firstWhere<T>(list: readonly T[], test: (item: T) => boolean, low = 0): number {
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(list[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** An operation, for a person. */
export function show({ connection, sequence, invoked, returned, action }: Recorded): string {
  const what = action.kind === "CLR"
    ? ""
    : ` ${action.ind} = ${action.kind === "ADD" ? action.sum : action.data}`;
  const when = `${invoked} to ${returned ?? "unknown"}`;
  return `${action.kind}${what} (connection ${connection}, number ${sequence}, ${when})`;
}
