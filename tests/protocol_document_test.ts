/** PROTOCOL.md kept honest: its examples are played over TCP, and its numbers are those of the code. */
import { assertEquals, assertMatch } from "@std/assert";
import {
  CacheProxy,
  type CacheProxyOptions,
  TableServer,
  type TableServerOptions,
} from "../mod.ts";
import * as limits from "../lib/protocol/limits.ts";
import { ERROR_CODES } from "../lib/protocol/message.ts";
import { FakeServer, NOBODY, Wire } from "./support/wire.ts";
import { HOUR_MS, within } from "./support/within.ts";

const DOCUMENT = "PROTOCOL.md";
const lines = (await Deno.readTextFile(new URL(`../${DOCUMENT}`, import.meta.url))).split("\n");

/** A line of an example: `C > S  OP=CLR;`. */
interface Step {
  /** The line of the document. */
  line: number;
  /** Who is named on the left, and on the right: C, D or E a client, P the proxy, S the server. */
  left: string;
  right: string;
  /** Whether the left one sends. */
  forth: boolean;
  /** What is sent; `undefined` for the end. */
  text: string | undefined;
}

/** A fenced block: its options, `size=2000` for example, and its lines. */
interface Example {
  line: number;
  options: Map<string, string>;
  steps: Step[];
}

function examples(): Example[] {
  const found: Example[] = [];
  let open: Example | undefined;
  lines.forEach((text, i) => {
    const line = i + 1;
    if (open === undefined) {
      const fence = /^```wire(?: (.*))?$/.exec(text);
      if (fence === null) return;
      const options = (fence[1] ?? "").split(" ").filter((option) => option !== "");
      open = {
        line,
        options: new Map(options.map((o) => [...o.split("="), ""] as never)),
        steps: [],
      };
      found.push(open);
    } else if (text === "```") {
      open = undefined;
    } else {
      const [, left, arrow, right, sent = ""] =
        /^([CDEP]) ([<>]) ([PS])(?: {2}(.+))?$/.exec(text) ??
          [];
      if (left === undefined || right === undefined) {
        throw new Error(`${DOCUMENT}:${line}: no line of an example: ${text}`);
      }
      const end = sent === "(ends)";
      open.steps.push({ line, left, right, forth: arrow === ">", text: end ? undefined : sent });
    }
  });
  return found;
}

/** The bytes for which a line of an example stands, its newline among them. */
function bytesOf(text: string): Uint8Array {
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const part of text.split(/(\\(?:r|t|x[0-9a-f]{2}))/)) {
    if (part === "\\r") bytes.push(13);
    else if (part === "\\t") bytes.push(9);
    else if (part.startsWith("\\x")) bytes.push(parseInt(part.slice(2), 16));
    else bytes.push(...encoder.encode(part));
  }
  return new Uint8Array([...bytes, 10]);
}

/** What is compared of a line: how long a lease still runs is any number. */
function comparable(text: string): string {
  return text.replace(/MSG=lease \d+ ms;$/, "MSG=lease (any number) ms;");
}

/** Plays one example against nodes made for it. */
class Play implements AsyncDisposable {
  readonly #options: Map<string, string>;
  readonly #stack = new AsyncDisposableStack();
  /** Clients by their letters. */
  readonly #clients = new Map<string, Wire>();
  /** Ends that have seen the other side's end. */
  readonly #ended = new Set<Wire>();
  #server: string | undefined;
  #proxy: Promise<CacheProxy> | undefined;
  /** The server, where the test plays it, and its end of the proxy's connection. */
  #fake: FakeServer | undefined;
  #upstream: Wire | undefined;

  constructor(options: Map<string, string>) {
    this.#options = options;
  }

  #number(name: string): number | undefined {
    const value = this.#options.get(name);
    return value === undefined ? undefined : Number(value);
  }

  /** Makes the nodes that the steps name. */
  async begin(steps: Step[]): Promise<void> {
    const throughProxy = steps.some((step) => step.left === "P" || step.right === "P");
    const playsServer = steps.some((step) => step.left === "P");
    const maxConnections = this.#number("max-connections");
    if (playsServer) {
      this.#fake = this.#stack.use(FakeServer.listen());
      this.#server = this.#fake.address;
    } else if (this.#options.get("server") === "away") {
      this.#server = NOBODY;
    } else {
      const init = this.#options.get("init")?.split(",").map(Number);
      const options: TableServerOptions = { port: 0 };
      const size = this.#number("size");
      if (size !== undefined) options.size = size;
      if (init !== undefined) options.init = init;
      if (maxConnections !== undefined) options.maxConnections = maxConnections;
      // What a proxy of ours holds is not to depend on how busy the machine is.
      const leaseMs = this.#number("lease") ?? (throughProxy ? HOUR_MS : undefined);
      if (leaseMs !== undefined) options.leaseMs = leaseMs;
      this.#server = this.#stack.use(await TableServer.listen(options)).address;
    }
    if (!throughProxy) return;
    const options: CacheProxyOptions = { port: 0, server: this.#server, timeoutMs: HOUR_MS };
    const capacity = this.#number("capacity"), timeoutMs = this.#number("timeout");
    if (capacity !== undefined) options.capacity = capacity;
    if (timeoutMs !== undefined) options.timeoutMs = timeoutMs;
    if (this.#options.has("solo")) options.solo = true;
    if (this.#options.get("eviction") === "lru") options.eviction = "lru";
    if (this.#options.get("on-write") === "around") options.onWrite = "around";
    // It is there when its SUB is answered, which may be one of the steps.
    this.#proxy = CacheProxy.listen(options);
    this.#proxy.catch(() => {});
  }

  /** Does one step. */
  async step({ left, right, forth, text }: Step): Promise<void> {
    const plays = left === "P" ? "S" : left;
    const wire = plays === "S" ? await this.#upstreamWire() : await this.#client(left, right);
    if (forth === (plays === left)) {
      if (text === undefined) await wire.endWriting();
      else await wire.send(bytesOf(text));
    } else if (text === undefined) {
      assertEquals(await wire.rest(), "", "what came before the end");
      this.#ended.add(wire);
      wire.close();
    } else {
      assertEquals(comparable(await wire.line()), comparable(text));
    }
    // What the proxy sends next comes on its next connection.
    if (plays === "S" && text === undefined) this.#upstream = undefined;
  }

  /** Asserts that no node sends anything more, up to its orderly end. */
  async end(): Promise<void> {
    for (const wire of this.#clients.values()) {
      if (this.#ended.has(wire)) continue;
      try {
        await wire.endWriting();
      } catch (error) {
        if (!(error instanceof Deno.errors.NotConnected)) throw error;
      }
      assertEquals(await wire.rest(), "", "what came after the example");
    }
    if (this.#proxy === undefined) return;
    const proxy = await this.#proxy;
    const closed = proxy.close();
    if (this.#upstream !== undefined) {
      // A proxy gives its lease back before it closes; one that has none just closes.
      await this.#upstream.endWriting();
      assertMatch(await this.#upstream.rest(), /^(?:OP=SUB;DATA=0;\n)?$/);
    }
    await within(closed, "the proxy to close");
  }

  async #client(letter: string, node: string): Promise<Wire> {
    const made = this.#clients.get(letter);
    if (made !== undefined) return made;
    const address = node === "S"
      ? this.#server!
      : (await within(this.#proxy!, "the proxy to listen")).address;
    const wire = this.#stack.use(await Wire.connect(address));
    this.#clients.set(letter, wire);
    return wire;
  }

  async #upstreamWire(): Promise<Wire> {
    this.#upstream ??= await this.#fake!.accept();
    return this.#upstream;
  }

  /** Ends the nodes and closes what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#clients.values()) wire.close();
    this.#upstream?.close();
    this.#fake?.stopListening();
    if (this.#proxy !== undefined) {
      await this.#fake?.[Symbol.asyncDispose]();
      await (await within(this.#proxy, "the proxy to listen")).close();
    }
    await this.#stack.disposeAsync();
  }
}

async function play(example: Example): Promise<void> {
  await using run = new Play(example.options);
  await run.begin(example.steps);
  let line = example.line;
  try {
    for (const step of example.steps) {
      line = step.line;
      await run.step(step);
    }
    line += 1;
    await run.end();
  } catch (cause) {
    throw new Error(`${DOCUMENT}:${line}: ${(cause as Error).message}`, { cause });
  }
}

Deno.test("PROTOCOL.md's examples happen exactly as they stand there", async (t) => {
  for (const example of examples()) {
    await t.step(`${DOCUMENT}:${example.line}`, () => play(example));
  }
});

Deno.test("PROTOCOL.md's examples show every operation and every error code", () => {
  const shown = examples().flatMap(({ steps }) => steps.map((step) => step.text ?? ""));
  for (const op of ["GET", "PUT", "CLR", "ADD", "INF", "SUB", "INV", "ERR"]) {
    assertEquals(shown.some((text) => text.startsWith(`OP=${op};`)), true, op);
  }
  const codes = new Set(shown.map((text) => Number(/^OP=ERR;DATA=(\d+);/.exec(text)?.[1])));
  for (const code of ERROR_CODES) assertEquals(codes.has(code), true, `${code}`);
});

/** A number as a table of the document has it: `65,536 bytes`, `2 %`, `1/3`. */
function stated(value: string): number {
  const [, digits = "", over, percent] = /^([\d,]+)(?:\/(\d+))?( %)?/.exec(value) ?? [];
  const number = Number(digits.replaceAll(",", ""));
  return over !== undefined ? number / Number(over) : percent !== undefined ? number / 100 : number;
}

Deno.test("PROTOCOL.md states every limit, with the code's number and unit", () => {
  const missing = new Map<string, string | number>(Object.entries(limits));
  lines.forEach((text, i) => {
    const [, value = "", name] = /^\|[^|]+\| ([^|]+?) +\| `([A-Z_]+)` +\|$/.exec(text) ?? [];
    if (name === undefined) return;
    const where = `${DOCUMENT}:${i + 1}: ${name}`;
    const limit = missing.get(name);
    assertEquals(missing.delete(name), true, `${where} is no limit, or stands twice`);
    assertEquals<unknown>(typeof limit === "string" ? value : stated(value), limit, where);
    if (name.endsWith("_BYTES")) assertMatch(value, / bytes$/, where);
    if (name.endsWith("_MS")) assertMatch(value, / ms$/, where);
  });
  assertEquals([...missing.keys()], [], `${DOCUMENT} does not state these`);
});

Deno.test("PROTOCOL.md lists every error code, and no other", () => {
  const codes = lines.map((text) => /^\| (\d{3}) +\|/.exec(text)?.[1])
    .filter((code) => code !== undefined).map(Number);
  assertEquals([...new Set(codes)], [...ERROR_CODES]);
});
