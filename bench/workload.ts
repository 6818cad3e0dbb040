/**
 * What is sent: requests made of templates, as bytes, before anything is timed.
 *
 * @module
 */

/** A request, `#` standing for an index and `%` for an integer, and what its reply is known by. */
export interface Template {
  /** The request, with its newline. */
  readonly request: string;
  /** How many newlines its reply has. */
  readonly lines: number;
  /** What its reply begins with. */
  readonly reply: string;
}

/** Requests to one kind of node. */
export interface Workload {
  /** The reads; for a workload of writes alone, the writes. */
  readonly main: Template;
  /** What a part of the requests is in place of those. */
  readonly other?: { readonly part: number; readonly template: Template };
  /** An index is 0 to this less 1. */
  readonly indices: number;
  /** Whether indices are drawn at random, or come one after the other over all connections. */
  readonly order: "random" | "cyclic";
}

/** `depth` requests, sent in one write. */
export interface Batch {
  /** The requests. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many newlines the replies have. */
  readonly lines: number;
  /** What the first reply begins with. */
  readonly reply: Uint8Array;
}

/** How many requests are made at least; they are sent over and over. */
const REQUESTS = 20_000;

/** Makes batches; the same for the same workload and depth. */
export function batches(workload: Workload, depth: number): Batch[] {
  const { main, other, indices, order } = workload;
  const encoder = new TextEncoder();
  const random = randomNumbers();
  let next = 0, integers = 0;
  function index(): string {
    return String(order === "cyclic" ? next++ % indices : Math.floor(random() * indices));
  }
  // Another one each time: what is written again as it stands costs a database nothing.
  function integer(): string {
    return String(1000 + integers++ % 9000);
  }
  return Array.from({ length: Math.ceil(REQUESTS / depth) }, () => {
    const templates = Array.from(
      { length: depth },
      () => other !== undefined && random() < other.part ? other.template : main,
    );
    return {
      bytes: encoder.encode(
        templates.map((t) => t.request.replaceAll("#", index).replaceAll("%", integer)).join(""),
      ),
      lines: templates.reduce((sum, { lines }) => sum + lines, 0),
      reply: encoder.encode(templates[0]!.reply),
    };
  });
}

/** Numbers from 0 to 1 that look random, the same ones every time (mulberry32). */
function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
