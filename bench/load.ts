/**
 * The load generator: connections × depth, the same for every node that is measured.
 *
 * Each connection sends a batch of `depth` requests in one write, and the next one as soon as all
 * replies are there, which it knows by their newlines. There is one promise per write and one per
 * read, none per message; nothing is parsed. The first reply of each batch is compared with what it
 * must begin with, so that errors are not measured.
 *
 * @module
 */

import { type Batch, batches, type Workload } from "./workload.ts";

/** What is to be measured. */
export interface Load {
  /** The ports on 127.0.0.1; connections are dealt out to them in turn. */
  readonly ports: readonly number[];
  /** How many connections. */
  readonly connections: number;
  /** How many requests are sent before their replies are waited for. */
  readonly depth: number;
  /** What is sent. */
  readonly workload: Workload;
  /** How long it runs before anything is counted, in milliseconds. */
  readonly warmUpMs: number;
  /** How long it is measured, in milliseconds. */
  readonly measureMs: number;
}

/** What was measured. */
export interface Measured {
  /** Requests answered per second. */
  readonly perSecond: number;
  /** From the write of a batch to its last reply, in microseconds: half of the batches took less. */
  readonly p50: number;
  /** The same for 99 % of them. */
  readonly p99: number;
  /** The same for 99.9 % of them. */
  readonly p999: number;
}

const NEWLINE = 10;
const BUFFER_BYTES = 64 * 1024;
/** Latencies kept; what comes after so many is still counted. */
const MAX_SAMPLES = 1_000_000;
/** After how long without any reply a measurement fails, in milliseconds. */
const SILENCE_MS = 5_000;

const samples = new Float64Array(MAX_SAMPLES);

/**
 * Measures once.
 *
 * @param warm Called when the warm-up is over.
 */
export async function measure(load: Load, warm: () => void): Promise<Measured> {
  const { ports, connections, depth, workload, warmUpMs, measureMs } = load;
  const sent = batches(workload, depth);
  const conns = await Promise.all(
    Array.from(
      { length: connections },
      (_, i) => Deno.connect({ hostname: "127.0.0.1", port: ports[i % ports.length]! }),
    ),
  );
  for (const conn of conns) conn.setNoDelay(true);
  const from = performance.now() + warmUpMs;
  const run = new Run(sent, from, from + measureMs);
  const watch = setInterval(() => {
    if (run.silent()) { for (const conn of conns) conn.close(); }
  }, SILENCE_MS);
  const warming = setTimeout(warm, warmUpMs);
  try {
    await Promise.all(conns.map((conn) => run.drive(conn)));
  } catch (error) {
    const silent = error instanceof Deno.errors.BadResource ||
      error instanceof Deno.errors.Interrupted;
    throw silent ? new Error(`No reply for ${SILENCE_MS} ms`) : error;
  } finally {
    clearInterval(watch);
    clearTimeout(warming);
    for (const conn of conns) {
      try {
        conn.close();
      } catch {
        // Closed by the watch.
      }
    }
  }
  return run.result(depth, measureMs);
}

class Run {
  readonly #batches: readonly Batch[];
  readonly #from: number;
  readonly #to: number;
  #next = 0;
  #count = 0;
  #heard = 0;
  #heardBefore = -1;

  constructor(batches: readonly Batch[], from: number, to: number) {
    this.#batches = batches;
    this.#from = from;
    this.#to = to;
  }

  /** Whether nothing was heard since this was last asked. */
  silent(): boolean {
    const silent = this.#heard === this.#heardBefore;
    this.#heardBefore = this.#heard;
    return silent;
  }

  /** Sends batches, one after the other, until the time is over. */
  async drive(conn: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(BUFFER_BYTES);
    while (true) {
      const batch = this.#batches[this.#next++ % this.#batches.length]!;
      const sentAt = performance.now();
      if (await conn.write(batch.bytes) < batch.bytes.length) {
        throw new Error("Cannot send a batch in one write");
      }
      let left = batch.lines;
      for (let first = true; left > 0; first = false) {
        const count = await conn.read(buffer);
        if (count === null) throw new Error("The node has closed the connection");
        if (first) check(buffer, count, batch.reply);
        for (let at = 0; at < count; at++) {
          if (buffer[at] === NEWLINE) left--;
        }
      }
      if (left < 0) throw new Error("The node has answered more than it was asked");
      const now = performance.now();
      this.#heard++;
      if (now >= this.#to) return;
      if (now < this.#from) continue;
      samples[this.#count % MAX_SAMPLES] = now - sentAt;
      this.#count++;
    }
  }

  /** What was measured, of batches of `depth`. */
  result(depth: number, measureMs: number): Measured {
    const taken = samples.slice(0, Math.min(this.#count, MAX_SAMPLES)).sort();
    if (taken.length === 0) throw new Error("No batch was answered in time");
    const microseconds = (part: number) => 1000 * taken[Math.floor(taken.length * part)]!;
    return {
      perSecond: this.#count * depth / measureMs * 1000,
      p50: microseconds(0.5),
      p99: microseconds(0.99),
      p999: microseconds(0.999),
    };
  }
}

function check(buffer: Uint8Array, count: number, reply: Uint8Array): void {
  for (let at = 0; at < reply.length && at < count; at++) {
    if (buffer[at] === reply[at]) continue;
    const line = new TextDecoder().decode(buffer.subarray(0, Math.min(count, 100))).split("\n")[0];
    throw new Error(`The node has answered ${line}`);
  }
}
