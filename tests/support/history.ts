/**
 * Random histories: many clients of many nodes at once, with faults, recorded.
 *
 * @module
 */

import { TableClient, TableError, UnreachableError } from "../../mod.ts";
import type { Random } from "../../lib/simulate/mod.ts";
import type { Recorded } from "../../simulate/linearizability.ts";

/** What a history is made of. */
export interface HistoryOptions {
  readonly random: Random;
  /** How many entries the table has. */
  readonly size: number;
  /** The nodes that clients talk to: one client for each address that stands here. */
  readonly nodes: readonly string[];
  /** How many operations are sent in all. */
  readonly operations: number;
  /** How many a client sends at most before it waits for their answers. */
  readonly burst?: number;
  /** Called when another so many have been sent; the clients go on meanwhile. */
  readonly fault?: { readonly every: number; readonly strike: () => Promise<void> };
}

/** What was recorded, and how many operations had an unknown outcome or were refused. */
export interface History {
  readonly recorded: Recorded[];
  readonly unknown: number;
  readonly refused: number;
}

type Action = Recorded["action"];

/** Runs clients against nodes, and records what each of them saw. */
export async function runHistory(options: HistoryOptions): Promise<History> {
  const { random, size, nodes, operations, burst: most = 6, fault } = options;
  const recorded: Recorded[] = [];
  const written = new Set<number>();
  const strikes: Promise<void>[] = [];
  let connections = 0, sent = 0, unknown = 0, refused = 0;

  /** A value that was never written, far from the others: a sum then tells its terms. */
  function fresh(): number {
    let value;
    do value = random.below(2 ** 45); while (written.has(value));
    written.add(value);
    return value;
  }

  function indices(most: number): number[] {
    return Array.from({ length: 1 + random.below(most) }, () => random.below(size));
  }

  async function perform(client: TableClient, connection: number, sequence: number): Promise<void> {
    const dice = random.next();
    const invoked = performance.now();
    const note = (action: Action, returned: number | undefined) =>
      recorded.push({ connection, sequence, invoked, returned, action });
    let write: Action | undefined;
    try {
      if (dice < 0.55) {
        const ind = indices(4);
        const data = await client.get(ind);
        note({ kind: "GET", ind, data }, performance.now());
      } else if (dice < 0.65) {
        const ind = indices(3);
        const sum = await client.add(ind);
        note({ kind: "ADD", ind, sum }, performance.now());
      } else if (dice < 0.95) {
        const ind = indices(3);
        const data = ind.map(fresh);
        write = { kind: "PUT", ind, data };
        await client.put(ind.map((index, i) => [index, data[i]!]));
        note(write, performance.now());
      } else {
        write = { kind: "CLR" };
        await client.clear();
        note(write, performance.now());
      }
    } catch (error) {
      const lost = error instanceof UnreachableError;
      if (!lost && !(error instanceof TableError)) throw error;
      if (write === undefined || (!lost && error.code !== 504)) {
        refused++;
      } else {
        unknown++;
        note(write, undefined);
      }
      if (lost) throw error;
    }
  }

  async function talk(client: TableClient): Promise<void> {
    const connection = connections++;
    for (let sequence = 0; sent < operations;) {
      const burst = [];
      for (let left = 1 + random.below(most); left > 0; left--) {
        sent++;
        if (fault !== undefined && sent % fault.every === 0) strikes.push(fault.strike());
        burst.push(perform(client, connection, sequence++));
      }
      for (const { status, ...rest } of await Promise.allSettled(burst)) {
        if (status === "rejected") throw (rest as { reason: unknown }).reason;
      }
    }
  }

  async function work(node: string): Promise<void> {
    while (sent < operations) {
      try {
        await using client = await TableClient.connect(node, { timeoutMs: 4000 });
        await talk(client);
      } catch (error) {
        if (!(error instanceof UnreachableError)) throw error;
        // The node is away for a while; its clients come back as people's would.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  await Promise.all(nodes.map(work));
  await Promise.all(strikes);
  return { recorded, unknown, refused };
}
