/**
 * Redis and memcached, where they are on the PATH.
 *
 * @module
 */

import { Child } from "./child.ts";
import type { Node, Nodes } from "./nodes.ts";

/** The peers that are there; one that is not installed is absent. */
export interface Peers {
  /** Redis that keeps nothing. */
  readonly redis?: Node;
  /** Redis with an append-only file that it syncs before it answers. */
  readonly durableRedis?: Node;
  /** Memcached. */
  readonly memcached?: Node;
  /** What they call their versions. */
  readonly versions: Readonly<Record<string, string>>;
}

/** How long a peer may take to listen, in milliseconds. */
const START_MS = 5_000;
const RETRY_MS = 20;
/** The entries that are read: as many as the proxy holds. */
const KEYS = 5;

/** Starts those that are there, each on a free port; what one stores is put in `folder`. */
export async function startPeers(nodes: Nodes, folder: string): Promise<Peers> {
  const redisVersion = await version("redis-server");
  const memcachedVersion = await version("memcached");
  const redis = redisVersion === undefined
    ? {}
    : { redis: await startRedis([]), durableRedis: await startRedis(DURABLE) };
  const memcached = memcachedVersion === undefined ? {} : { memcached: await startMemcached() };
  return {
    ...redis,
    ...memcached,
    versions: {
      ...redisVersion === undefined ? {} : { redis: redisVersion },
      ...memcachedVersion === undefined ? {} : { memcached: memcachedVersion },
    },
  };

  async function startRedis(args: readonly string[]): Promise<Node> {
    const node = await start("redis-server", (port) => [
      ...["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--dir", folder],
      ...args,
    ]);
    await fill(node, (key) => `SET ${key} 1000\r\n`, "+OK\r\n");
    return node;
  }

  async function startMemcached(): Promise<Node> {
    const node = await start("memcached", (port) => [
      // It refuses to run as root; for anybody else -u does nothing.
      ...["-l", "127.0.0.1", "-p", String(port), "-U", "0", "-u", "nobody"],
    ]);
    await fill(node, (key) => `set ${key} 0 0 4\r\n1000\r\n`, "STORED\r\n");
    return node;
  }

  async function start(program: string, args: (port: number) => string[]): Promise<Node> {
    const port = freePort();
    const child = new Child(program, [program, ...args(port)], { mute: true });
    nodes.add(child);
    for (const from = performance.now(); performance.now() - from < START_MS;) {
      if (child.ended) break;
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return { port, pid: child.pid };
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    throw new Error(`${program} does not listen`);
  }
}

const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

/** The first line of what `--version` prints; `undefined` where the program is not there. */
async function version(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(program, { args: ["--version"] }).output();
    return /v?=?([0-9]+\.[0-9.]+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "unknown";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Stores every key. */
async function fill(node: Node, set: (key: number) => string, reply: string): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: node.port });
  const buffer = new Uint8Array(1024);
  for (let key = 0; key < KEYS; key++) {
    await conn.write(new TextEncoder().encode(set(key)));
    const text = new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
    if (text !== reply) throw new Error(`A peer has answered ${text}`);
  }
}
