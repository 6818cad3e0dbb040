/**
 * What a signal does to a node.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Child, command, start, startProxy, startServer } from "./support/program.ts";
import { FakeServer, Wire } from "./support/wire.ts";
import { within } from "./support/within.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const CLEANLY = "has ended cleanly: no lease is out";
const NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

for (const signal of SIGNALS) {
  Deno.test(`a server and a proxy with connections end 0 at ${signal}, and say so`, async () => {
    await using server = await startServer();
    await using proxy = await startProxy(server.address);
    for (const [node, ended] of [[proxy, "has ended"], [server, CLEANLY]] as const) {
      await using wire = await Wire.connect(node.address);
      await wire.send("OP=GET;IND=1;\n");
      assertEquals(await wire.line(), "OP=GET;IND=1;DATA=0;");
      node.signal(signal);
      assertEquals(await wire.rest(), "");
      const { code } = await node.ended();
      assertEquals([code, node.logged], [0, [`${signal}: it ends`, ended]]);
    }
  });

  Deno.test(`a proxy answers what is in hand at ${signal}, takes no more, and ends 0`, async () => {
    await using server = FakeServer.listen();
    const starting = startProxy(server.address);
    const upstream = await server.accept();
    assertEquals(await upstream.line(), "OP=SUB;");
    await upstream.send("OP=SUB;DATA=3600000,10;\n");
    await using proxy = await starting;
    await using client = await Wire.connect(proxy.address);
    await client.send("OP=GET;IND=1;\nOP=PUT;IND=2;DATA=3;\n");
    assertEquals(await upstream.line(), "OP=GET;IND=1;");
    assertEquals(await upstream.line(), "OP=PUT;IND=2;DATA=3;");
    proxy.signal(signal);
    await within(refused(proxy.address), "the proxy to take no more connections");
    await upstream.send("OP=GET;IND=1;DATA=7;\nOP=PUT;IND=2;DATA=3;\n");
    assertEquals(await client.rest(), "OP=GET;IND=1;DATA=7;\nOP=PUT;IND=2;DATA=3;\n");
    assertEquals(await upstream.line(), "OP=SUB;DATA=0;");
    await upstream.send("OP=SUB;DATA=0;\n");
    assertEquals(await upstream.rest(), "");
    assertEquals((await proxy.ended()).code, 0);
  });

  Deno.test(`a second ${signal}, half a second later, ends a node that still waits`, async () => {
    await using server = FakeServer.listen();
    const starting = startProxy(server.address, "--timeout", "60000");
    const upstream = await server.accept();
    await upstream.send("OP=SUB;DATA=3600000,10;\n");
    await using proxy = await starting;
    await using client = await Wire.connect(proxy.address);
    await client.send("OP=GET;IND=1;\n");
    await upstream.line();
    await upstream.line();
    // Those that come too early to be a second one change nothing.
    const ended = proxy.ended();
    const timer = setInterval(() => proxy.signal(signal), 20);
    try {
      assertEquals((await ended).code, 128 + NUMBERS[signal]);
    } finally {
      clearInterval(timer);
    }
    assertEquals(await client.rest(), "");
  });

  Deno.test(`${signal} ends a proxy that does not listen yet`, async () => {
    await using server = FakeServer.listen();
    const addresses = { listen: "127.0.0.1:0", server: server.address };
    const args = ["--port", "0", "--server", server.address, "--timeout", "60000"];
    await using proxy = new Child([...command("proxy", addresses), ...args]);
    assertEquals(await (await server.accept()).line(), "OP=SUB;");
    proxy.signal(signal);
    assertEquals((await proxy.ended()).code, 0);
    const said = [`${signal}: it ends`, "has ended before it listened"];
    assertEquals([proxy.stdout, proxy.logged], ["", said]);
  });
}

Deno.test("a log line is its time in UTC, the program and a sentence; --quiet writes none", async () => {
  await using server = await startServer();
  await using proxy = await startProxy(server.address);
  await using quiet = await startServer("--quiet");
  for (const node of [proxy, server, quiet]) {
    node.signal("SIGTERM");
    assertEquals((await node.ended()).code, 0);
  }
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
  for (const [node, name] of [[proxy, "proxy"], [server, "server"]] as const) {
    assertMatch(node.stderr, new RegExp(`^(${time} halfway-${name}: [^\n]+\n){2}$`));
  }
  assertEquals(quiet.stderr, "");
});

Deno.test({
  name: "under nohup a node does not end at SIGHUP, and ends in order at another signal",
  ignore: Deno.build.os === "windows",
  async fn() {
    // What GNU's does where standard input is a terminal: a null device that cannot be read.
    const nohup = ["sh", "-c", 'trap "" HUP; exec "$@" 0>/dev/null', "nohup"];
    const program = command("server", { listen: "127.0.0.1:0" });
    await using server = await start("server", ["--port", "0", "--memory"], {
      command: [...nohup, ...program],
    });
    server.signal("SIGHUP");
    assertEquals(await ask(server.address), "OP=GET;IND=1;DATA=0;");
    server.signal("SIGTERM");
    assertEquals((await server.ended()).code, 0);
    assertEquals(server.logged, ["SIGTERM: it ends", CLEANLY]);
  },
});

for (const [first, second] of [["SIGINT", "SIGTERM"], ["SIGHUP", "SIGINT"]] as const) {
  Deno.test(`${second} right behind ${first} is the same: a node ends in order`, async () => {
    await using server = FakeServer.listen();
    const starting = startProxy(server.address);
    const upstream = await server.accept();
    assertEquals(await upstream.line(), "OP=SUB;");
    await upstream.send("OP=SUB;DATA=3600000,10;\n");
    await using proxy = await starting;
    await using client = await Wire.connect(proxy.address);
    await client.send("OP=GET;IND=1;\n");
    assertEquals(await upstream.line(), "OP=GET;IND=1;");
    // Two that differ, since a system may hand on two of the same as one.
    proxy.signal(first);
    proxy.signal(second);
    await within(refused(proxy.address), "the proxy to take no more connections");
    await upstream.send("OP=GET;IND=1;DATA=7;\n");
    assertEquals(await client.rest(), "OP=GET;IND=1;DATA=7;\n");
    assertEquals(await upstream.line(), "OP=SUB;DATA=0;");
    await upstream.send("OP=SUB;DATA=0;\n");
    assertEquals(await upstream.rest(), "");
    assertEquals((await proxy.ended()).code, 0);
  });
}

/** The reply to a request at a node. */
async function ask(address: string): Promise<string> {
  await using wire = await Wire.connect(address);
  await wire.send("OP=GET;IND=1;\n");
  return await wire.line();
}

/** Resolves when nothing listens there any more. */
async function refused(address: string): Promise<void> {
  while (true) {
    try {
      (await Wire.connect(address)).close();
    } catch {
      return;
    }
  }
}
