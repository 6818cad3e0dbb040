/**
 * The rows of the benchmark: every kind of request, to every kind of node.
 *
 * @module
 */

import { TableClient } from "../mod.ts";
import type { Node, Nodes } from "./nodes.ts";
import type { Peers } from "./peers.ts";
import type { Row } from "./rounds.ts";
import type { Template, Workload } from "./workload.ts";

/** The names of the rows that others are compared with, or targets are set for. */
export const ECHO = "bare echo",
  HIT = "GET hit",
  MISS = "GET miss",
  AT_SERVER = "GET at the server",
  PUT = "PUT through the proxy",
  DURABLE_PUT = "PUT at the server, durable",
  REDIS_GET = "Redis GET",
  REDIS_FSYNC = "Redis SET, fsync",
  MEMCACHED_GET = "memcached get";

/** What ends the name of a row with one connection. */
const ALONE = ", 1 client";
const ALONE_DURABLE_PUT = DURABLE_PUT + ALONE, ALONE_REDIS_FSYNC = REDIS_FSYNC + ALONE;

/** The depths at which every row is measured. */
export const DEPTHS = [1, 32];
/** How many connections each row has, where it is not said otherwise. */
export const CONNECTIONS = 50;
/** The default table, and what the proxy holds of it. */
export const TABLE = 10, CAPACITY = 5;
/** So large a table that no request finds what the one before it has fetched. */
const MISSED_TABLE = 10_000;

/** A GET of one index. */
export const GET: Template = { request: "OP=GET;IND=#;\n", lines: 1, reply: "OP=GET;" };
const GET_5: Template = { request: "OP=GET;IND=#,#,#,#,#;\n", lines: 1, reply: "OP=GET;" };
const ADD_5: Template = { request: "OP=ADD;IND=#,#,#,#,#;\n", lines: 1, reply: "OP=ADD;" };
const PUT_1: Template = { request: "OP=PUT;IND=#;DATA=%;\n", lines: 1, reply: "OP=PUT;" };
/** As clients send it. An index is one digit here. */
const REDIS: Template = {
  request: "*2\r\n$3\r\nGET\r\n$1\r\n#\r\n",
  lines: 2,
  reply: "$4\r\n",
};
const REDIS_SET: Template = {
  request: "*3\r\n$3\r\nSET\r\n$1\r\n#\r\n$4\r\n%\r\n",
  lines: 1,
  reply: "+OK\r\n",
};
const MEMCACHED: Template = { request: "get #\r\n", lines: 3, reply: "VALUE " };

/** Requests for entries that the proxy holds. */
export function held(main: Template, indices: number = CAPACITY): Workload {
  return { main, indices, order: "random" };
}

function mixed(part: number): Workload {
  return { ...held(GET), other: { part, template: PUT_1 } };
}

/** Has `node` asked for the entries from 0 to `count` less 1, so that a proxy holds them. */
export async function fill(node: Node, count: number): Promise<void> {
  const most = 1024;
  await using client = await TableClient.connect(`127.0.0.1:${node.port}`);
  for (let from = 0; from < count; from += most) {
    await client.get(Array.from({ length: Math.min(most, count - from) }, (_, i) => from + i));
  }
}

/** Writes the entries from 0 to `count` less 1. */
export async function write(node: Node, count: number): Promise<void> {
  const most = 1024;
  await using client = await TableClient.connect(`127.0.0.1:${node.port}`);
  for (let from = 0; from < count; from += most) {
    const length = Math.min(most, count - from);
    await client.put(Array.from({ length }, (_, i) => [from + i, from + i + 1] as const));
  }
}

/** Starts the nodes, and gives the rows; those of peers that are not there are left out. */
export async function startRows(nodes: Nodes, peers: Peers, folder: string): Promise<Row[]> {
  const echo = await nodes.echo();
  const server = await nodes.server({ size: TABLE });
  const proxy = await nodes.proxy(server, { capacity: CAPACITY });
  const missed = await nodes.server({ size: MISSED_TABLE });
  const missing = await nodes.proxy(missed, { capacity: 1 });
  const solo = await nodes.proxy(await nodes.leaseless(), { capacity: CAPACITY, solo: true });
  const durable = await nodes.server({ size: TABLE, data: `${folder}/table.db` });
  const { redis, durableRedis, memcached } = peers;
  const each: [string, Node | undefined, Workload, string | undefined][] = [
    [ECHO, echo, held(GET), undefined],
    [HIT, proxy, held(GET), ECHO],
    [REDIS_GET, redis, held(REDIS), HIT],
    [MEMCACHED_GET, memcached, held(MEMCACHED), HIT],
    [AT_SERVER, server, held(GET), HIT],
    ["GET hit, solo: no lease", solo, held(GET), HIT],
    ["GET hit, 5 indices", proxy, held(GET_5), HIT],
    ["ADD hit, 5 indices", proxy, held(ADD_5), HIT],
    [MISS, missing, { main: GET, indices: MISSED_TABLE, order: "cyclic" }, HIT],
    ["10 % PUT, 90 % GET", proxy, mixed(0.1), HIT],
    ["50 % PUT, 50 % GET", proxy, mixed(0.5), HIT],
    [PUT, proxy, held(PUT_1), HIT],
    ["Redis SET", redis, held(REDIS_SET), PUT],
    [DURABLE_PUT, durable, held(PUT_1), PUT],
    [REDIS_FSYNC, durableRedis, held(REDIS_SET), DURABLE_PUT],
    [ALONE_DURABLE_PUT, durable, held(PUT_1), undefined],
    [ALONE_REDIS_FSYNC, durableRedis, held(REDIS_SET), ALONE_DURABLE_PUT],
  ];
  /** What there is of a row for a node alone. */
  function ofNode(node: Node): Partial<Row> {
    if (node === proxy) return { behind: server, prepare: () => fill(proxy, CAPACITY) };
    if (node === solo) return { prepare: () => fill(solo, CAPACITY) };
    return node === missing ? { behind: missed } : {};
  }
  return DEPTHS.flatMap((depth) =>
    each.flatMap(([name, node, workload, of]): Row[] =>
      node === undefined ? [] : [{
        name,
        depth,
        connections: name.endsWith(ALONE) ? 1 : CONNECTIONS,
        nodes: [node],
        workload,
        ...of === undefined ? {} : { of },
        ...ofNode(node),
      }]
    )
  );
}
