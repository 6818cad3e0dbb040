/**
 * The rows that show how it grows: with the table, the connections, the proxies and the holders.
 *
 * @module
 */

import { TableClient } from "../mod.ts";
import type { Child } from "./child.ts";
import type { HoldersLoad } from "./holders.ts";
import type { Node, Nodes } from "./nodes.ts";
import type { Row, Times } from "./rounds.ts";
import { CAPACITY, CONNECTIONS, DEPTHS, fill, GET, held, TABLE } from "./rows.ts";
import { usage } from "./usage.ts";

/** The tables; the proxy holds half of each. */
export const TABLES = [TABLE, 10_000, 1_000_000] as const;
const MORE_CONNECTIONS = [1, 10, CONNECTIONS, 200] as const;
const PROXIES = [1, 3, 10] as const;
/** How many proxies hold an entry that is written. */
export const HOLDERS = [0, 1, 3, 10] as const;
const WRITES = 200;

/** The name of the row of a table. */
export function tableRow(size: number): string {
  return `table ${count(size)}, capacity ${count(size / 2)}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function connectionsRow(connections: number): string {
  return `${count(connections)} ${connections === 1 ? "connection" : "connections"}`;
}

function proxiesRow(proxies: number): string {
  return `${count(proxies)} ${proxies === 1 ? "proxy" : "proxies"}`;
}

/** A proxy that holds half of a table. */
export interface Half {
  /** The proxy. */
  readonly proxy: Node;
  /** The table's size. */
  readonly size: number;
}

/** Starts a server and a proxy for each table, and fills the proxies. */
export async function startTables(nodes: Nodes): Promise<Half[]> {
  const halves = [];
  for (const size of TABLES) {
    const proxy = await nodes.proxy(await nodes.server({ size }), { capacity: size / 2 });
    await fill(proxy, size / 2);
    halves.push({ proxy, size });
  }
  return halves;
}

/** Resident memory of each proxy, in MiB; NaN where it is not known. */
export function resident(halves: readonly Half[]): Promise<number[]> {
  return Promise.all(
    halves.map(async ({ proxy }) => (await usage(proxy.pid))?.residentMiB ?? NaN),
  );
}

/** GET hits at random indices, table by table. */
export function tableRows(halves: readonly Half[]): Row[] {
  return DEPTHS.flatMap((depth) =>
    halves.map(({ proxy, size }): Row => ({
      name: tableRow(size),
      depth,
      connections: CONNECTIONS,
      nodes: [proxy],
      workload: held(GET, size / 2),
      of: tableRow(TABLE),
    }))
  );
}

/** GET hits on few connections and many. */
export function connectionRows({ proxy }: Half): Row[] {
  return MORE_CONNECTIONS.map((connections): Row => ({
    name: connectionsRow(connections),
    depth: 1,
    connections,
    nodes: [proxy],
    workload: held(GET),
    of: connectionsRow(CONNECTIONS),
  }));
}

/** How many connections that say nothing a proxy is given. */
export const IDLE_CONNECTIONS = 1000;

/** By how much they make it grow, in MiB. */
export async function measureIdle({ proxy }: Half): Promise<number> {
  const before = (await usage(proxy.pid))?.residentMiB ?? NaN;
  const conns = [];
  for (let i = 0; i < IDLE_CONNECTIONS; i++) {
    conns.push(await Deno.connect({ hostname: "127.0.0.1", port: proxy.port }));
  }
  // One more is served when those before it are taken.
  await fill(proxy, CAPACITY);
  const after = (await usage(proxy.pid))?.residentMiB ?? NaN;
  for (const conn of conns) conn.close();
  return after - before;
}

/** The term of the leases that a silent holder has, in milliseconds. */
export const SILENT_LEASE_MS = 250;
const SILENT_WRITES = 8;

/** The longest that a PUT waits for a holder that never answers, in milliseconds. */
export async function measureSilent(nodes: Nodes): Promise<number> {
  const { port } = await nodes.server({ size: TABLE, leaseMs: SILENT_LEASE_MS });
  await using writer = await TableClient.connect(`127.0.0.1:${port}`);
  let longest = 0;
  for (let write = 0; write < SILENT_WRITES; write++) {
    const holder = await Deno.connect({ hostname: "127.0.0.1", port });
    await holder.write(new TextEncoder().encode("OP=SUB;\nOP=GET;IND=0;\n"));
    const buffer = new Uint8Array(128);
    for (let heard = ""; !heard.includes("OP=GET;");) {
      heard += new TextDecoder().decode(buffer.subarray(0, await holder.read(buffer) ?? 0));
    }
    const from = performance.now();
    await writer.put([[0, write + 1]]);
    longest = Math.max(longest, performance.now() - from);
    holder.close();
  }
  return longest;
}

/** A server and its proxies. */
export interface Fleet {
  /** The server. */
  readonly server: Node;
  /** The proxies. */
  readonly proxies: readonly Node[];
}

/** Starts as many proxies of one server as are ever measured. */
export async function startFleet(nodes: Nodes): Promise<Fleet> {
  const server = await nodes.server({ size: TABLE });
  const proxies = [];
  for (let i = 0; i < Math.max(...PROXIES, ...HOLDERS); i++) {
    const proxy = await nodes.proxy(server, { capacity: CAPACITY });
    await fill(proxy, CAPACITY);
    proxies.push(proxy);
  }
  return { server, proxies };
}

/** GET hits, the connections dealt out to one proxy or many. */
export function proxyRows({ proxies }: Fleet): Row[] {
  return PROXIES.map((some): Row => ({
    name: proxiesRow(some),
    depth: 32,
    connections: CONNECTIONS,
    nodes: proxies.slice(0, some) as [Node, ...Node[]],
    workload: held(GET),
    of: proxiesRow(1),
  }));
}

/** What a PUT takes with each number of holders, in microseconds, by rounds. */
export async function measurePuts(
  generator: Child,
  { server, proxies }: Fleet,
  times: Times,
  progress: (text: string) => void,
): Promise<number[][]> {
  const taken = HOLDERS.map((): number[] => []);
  for (let round = 1; round <= times.rounds; round++) {
    for (const [i, some] of HOLDERS.entries()) {
      progress(`round ${round} of ${times.rounds}: PUT with ${some} holders`);
      const holders: HoldersLoad = {
        server: server.port,
        holders: proxies.slice(0, some).map(({ port }) => port),
        writes: WRITES,
      };
      await generator.send(JSON.stringify({ holders }));
      taken[i]!.push(JSON.parse(await generator.line()));
    }
  }
  return taken;
}
