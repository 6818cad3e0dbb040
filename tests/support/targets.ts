/**
 * The nodes that answer a client, as library objects in this process: what a test plays against both.
 *
 * @module
 */

import {
  CacheProxy,
  type CacheProxyOptions,
  TableServer,
  type TableServerOptions,
} from "../../mod.ts";
import type { Target } from "./session.ts";
import { HOUR_MS } from "./within.ts";

/** How the nodes of a target differ from their defaults; ports are free ones all the same. */
export interface TargetOptions {
  /** The server. */
  readonly server?: TableServerOptions;
  /** The proxy, where there is one. */
  readonly proxy?: CacheProxyOptions;
  /** The node that answers, whichever it is. */
  readonly maxConnections?: number;
}

/** How busy the machine is must not be seen: no lease lapses. */
const PATIENT = { leaseMs: HOUR_MS };

/** A server alone. */
export async function openServer(options: TargetOptions = {}): Promise<Target> {
  const { maxConnections } = options;
  const limit = maxConnections === undefined ? {} : { maxConnections };
  const server = await TableServer.listen({ ...PATIENT, ...options.server, ...limit, port: 0 });
  return { address: server.address, proxy: false, [Symbol.asyncDispose]: () => server.close() };
}

/** A proxy over a server; the proxy answers. */
export async function openProxy(options: TargetOptions = {}): Promise<Target> {
  const { maxConnections } = options;
  const limit = maxConnections === undefined ? {} : { maxConnections };
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await TableServer.listen({ ...PATIENT, ...options.server, port: 0 }));
  const proxy = stack.use(
    await CacheProxy.listen({
      timeoutMs: HOUR_MS,
      ...options.proxy,
      ...limit,
      port: 0,
      server: server.address,
    }),
  );
  const owned = stack.move();
  return {
    address: proxy.address,
    proxy: true,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Both, by name. */
export const TARGETS: readonly [
  name: string,
  open: (options?: TargetOptions) => Promise<Target>,
][] = [["a server", openServer], ["a proxy", openProxy]];
