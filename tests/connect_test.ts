/** How connections are made: what is no connection, and what is set on one. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { connect } from "../lib/wire/connect.ts";
import { CacheProxy, TableClient, TableServer, UnreachableError } from "../mod.ts";
import { say } from "./support/both_ends.ts";
import { FakeServer } from "./support/wire.ts";
import { within } from "./support/within.ts";

const OPTIONS = {
  role: "client",
  peerRole: "server",
  timeoutMs: 60_000,
  events: undefined,
  runtime: denoRuntime,
} as const;

/** The port of `host:port`. */
function portOf(address: string): number {
  return Number(address.split(":")[1]);
}

Deno.test("connect: a write is not acknowledged by the client's own echo", async () => {
  await using server = FakeServer.listen();
  const real = Deno.connect;
  const made = Promise.withResolvers<void>();
  Deno.connect = (async (options: Deno.ConnectOptions) => {
    const conn = await real(options);
    made.resolve();
    return new Proxy(conn, {
      get: (_, name) => {
        const value = Reflect.get(conn, name === "localAddr" ? "remoteAddr" : name, conn);
        return typeof value === "function" ? value.bind(conn) : value;
      },
    });
  }) as typeof Deno.connect;
  try {
    const put = TableClient.connect(server.address).then(async (client) => {
      await using _ = client;
      await client.put([[1, 5]]);
    });
    await made.promise;
    const wire = await server.accept();
    const echo = wire.line().then((line) => say(wire, line)).catch(() => {});
    const error = await assertRejects(() => within(put, "the put"), UnreachableError);
    assertStringIncludes(error.message, "Connection refused");
    wire.close();
    await echo;
  } finally {
    Deno.connect = real;
  }
});

Deno.test({
  name: "connect: a socket that meets itself is refused, as if nobody listened",
  // Elsewhere a system may never give the port that is connected to.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using server = FakeServer.listen();
    const first = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server.address) });
    // One of those that the system gives out, and then nobody's.
    const { port } = first.localAddr;
    (await server.accept()).close();
    first.close();
    // It gives out one after the other: there are some 14,000 of the same kind as that.
    for (let i = 0; i < 60_000; i++) {
      let connection;
      try {
        connection = await connect(`127.0.0.1:${port}`, OPTIONS);
      } catch (error) {
        const { name, message } = error as Error;
        assertEquals(name, "ConnectionRefused");
        if (message.includes("met itself")) return;
        continue;
      }
      connection.send({ op: "INF" });
      const line = await connection.read();
      connection.close();
      // Another test's node may listen there by now, and says more.
      assertEquals(line === "OP=INF;\n", false, "it has met itself, and was taken for a server");
    }
    throw new Error("No socket has met itself");
  },
});

/** The timers of established connections of these ports, as Linux shows them: 02 is keepalive. */
async function timers(ports: readonly number[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("cat", { args: ["/proc/net/tcp"] }).output();
  const rows = new TextDecoder().decode(stdout).trim().split("\n").slice(1);
  return rows.map((row) => row.trim().split(/\s+/)).filter(([, local, remote, state]) =>
    state === "01" &&
    [local, remote].some((address) => ports.includes(parseInt(address!.split(":")[1]!, 16)))
  ).map((columns) => columns[5]!.split(":")[0]!);
}

Deno.test({
  name: "connect: a peer that vanishes is found out by keepalive, at both ends of both connections",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // No renewal within the test, so that the connections are idle.
    await using server = await TableServer.listen({ port: 0, leaseMs: 600_000 });
    await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
    await using client = await TableClient.connect(proxy.address);
    await client.put([[1, 2]]);
    const ports = [server.address, proxy.address].map(portOf);
    const idle = async () => {
      // Another timer stands there as long as what was sent is not acknowledged.
      for (;;) {
        const found = await timers(ports);
        assertEquals(found.length, 4, `${found}`);
        if (found.every((timer) => timer === "02")) return;
        assertEquals(found.includes("00"), false, `no timer at one of ${found}`);
      }
    };
    await within(idle(), "four idle connections", 60_000);
  },
});
