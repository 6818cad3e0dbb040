/**
 * What a write costs that proxies have to be asked for first.
 *
 * @module
 */

/** What is to be measured. */
export interface HoldersLoad {
  /** The server's port on 127.0.0.1. */
  readonly server: number;
  /** The ports of the proxies that hold the entry whenever it is written. */
  readonly holders: readonly number[];
  /** How many writes are measured, and as many before that are not. */
  readonly writes: number;
}

/**
 * Writes an entry over and over, each time after all holders have read it.
 *
 * @returns What a write takes in the median, in microseconds.
 */
export async function measureHolders(load: HoldersLoad): Promise<number> {
  const [server, ...holders] = await Promise.all(
    [load.server, ...load.holders].map((port) => Deno.connect({ hostname: "127.0.0.1", port })),
  );
  async function ask(conn: Deno.TcpConn, request: string): Promise<void> {
    await conn.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(64);
    const count = await conn.read(buffer);
    const reply = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
    if (!reply.startsWith(request.slice(0, "OP=GET;IND=0;".length)) || !reply.endsWith("\n")) {
      throw new Error(`The node has answered ${reply}`);
    }
  }
  for (const conn of [server!, ...holders]) conn.setNoDelay(true);
  const taken = [];
  for (let write = 0; write < 2 * load.writes; write++) {
    await Promise.all(holders.map((conn) => ask(conn, "OP=GET;IND=0;\n")));
    const from = performance.now();
    await ask(server!, "OP=PUT;IND=0;DATA=7;\n");
    if (write >= load.writes) taken.push(1000 * (performance.now() - from));
  }
  for (const conn of [server!, ...holders]) conn.close();
  return taken.sort((a, b) => a - b)[taken.length >> 1]!;
}
