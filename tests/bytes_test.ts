/** What a node does with bytes, good and bad, however they come, and with clients that misbehave. */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { MAX_LINE_BYTES } from "../lib/protocol/limits.ts";
import { TARGETS } from "./support/targets.ts";
import { within } from "./support/within.ts";
import { Wire } from "./support/wire.ts";

const encoder = new TextEncoder();

for (const [name, open] of TARGETS) {
  Deno.test(`${name} answers messages that come byte by byte`, async () => {
    await using target = await open();
    await using wire = await Wire.connect(target.address);
    const text = "OP=PUT;IND=1;DATA=-5;\r\nOP=😀;\n\nOP=GET;IND=1,2;\n";
    for (const byte of encoder.encode(text)) await wire.send(new Uint8Array([byte]));
    await wire.endWriting();
    assertEquals(
      await wire.rest(),
      "OP=PUT;IND=1;DATA=-5;\n" +
        'OP=ERR;DATA=400;MSG=unknown operation: "😀";\n' +
        "OP=ERR;DATA=400;MSG=the line is empty;\n" +
        "OP=GET;IND=1,2;DATA=-5,0;\n",
    );
  });

  Deno.test(`${name} answers 20,000 messages in one write, in order`, async () => {
    await using target = await open();
    await using wire = await Wire.connect(target.address);
    const sent: string[] = [], expected: string[] = [];
    for (let i = 0; sent.length < 20_000; i++) {
      const index = i % 10, other = (i + 3) % 10;
      sent.push(`OP=PUT;IND=${index};DATA=${i};`, `OP=GET;IND=${index};`);
      sent.push(`op=add;ind=${index},${index}`, `OP=GET;IND=${other},10;`);
      expected.push(`OP=PUT;IND=${index};DATA=${i};`, `OP=GET;IND=${index};DATA=${i};`);
      expected.push(`OP=ADD;IND=${index},${index};DATA=${2 * i};`);
      expected.push("OP=ERR;DATA=404;MSG=index 10 is outside the table: it has 0 to 9;");
    }
    const sending = wire.send(sent.map((line) => `${line}\n`).join(""))
      .then(() => wire.endWriting());
    const replies = (await wire.rest()).split("\n");
    await sending;
    assertEquals(replies.length, 20_001);
    assertEquals(replies.pop(), "");
    const wrong = replies.findIndex((reply, i) => reply !== expected[i]);
    assertEquals(replies[wrong], expected[wrong], `the reply to message ${wrong}`);
  });

  Deno.test(`${name} takes no notice of empty writes`, async () => {
    await using target = await open();
    await using wire = await Wire.connect(target.address);
    const nothing = new Uint8Array(0);
    await wire.conn.write(nothing);
    await wire.send("OP=GET;");
    await wire.conn.write(nothing);
    await wire.send("IND=1;\n");
    await wire.conn.write(nothing);
    assertEquals(await wire.line(), "OP=GET;IND=1;DATA=0;");
    await wire.endWriting();
    assertEquals(await wire.rest(), "");
  });

  Deno.test(`${name} answers all that came before a half-close, and then closes`, async () => {
    await using target = await open();
    const rows: [sent: string, replies: string][] = [
      ["", ""],
      ["OP=GET;IND=1;\n", "OP=GET;IND=1;DATA=0;\n"],
      ["OP=GET;IND=1;\nOP=GET;IND=2;", "OP=GET;IND=1;DATA=0;\n"],
      ["OP=CLR;", ""],
      [
        "OP=PUT;IND=3;DATA=1;\n".repeat(500),
        "OP=PUT;IND=3;DATA=1;\n".repeat(500),
      ],
    ];
    for (const [sent, replies] of rows) {
      await using wire = await Wire.connect(target.address);
      await wire.send(sent);
      await wire.endWriting();
      assertEquals(await wire.rest(), replies, JSON.stringify(sent.slice(0, 50)));
    }
  });

  Deno.test(`${name} answers a line of 64 KiB, and closes at one byte more`, async () => {
    await using target = await open();
    const longest = `OP=GET;IND=1;X=${"é".repeat((MAX_LINE_BYTES - 16) / 2)};`;
    assertEquals(encoder.encode(longest).length, MAX_LINE_BYTES);
    for (const end of ["\n", ""]) {
      await using wire = await Wire.connect(target.address);
      await wire.send(`${longest}\nOP=GET;IND=2;\n`);
      assertEquals(await wire.line(), "OP=GET;IND=1;DATA=0;");
      await wire.send(`OP=GET;IND=3;\n${longest};${end}`);
      assertEquals(
        await wire.rest(),
        "OP=GET;IND=2;DATA=0;\nOP=GET;IND=3;DATA=0;\n" +
          "OP=ERR;DATA=413;MSG=the line is longer than 65536 bytes;\n",
      );
    }
  });

  Deno.test(`${name} closes at a line that is not UTF-8, after the lines before it`, async () => {
    await using target = await open();
    await using wire = await Wire.connect(target.address);
    const bad = [0x4f, 0xc3, 0x28, 10];
    await wire.send(
      new Uint8Array([
        ...encoder.encode("OP=GET;IND=1;\n"),
        ...bad,
        ...encoder.encode("OP=PUT;IND=1;DATA=9;\n"),
      ]),
    );
    assertEquals(
      await wire.rest(),
      "OP=GET;IND=1;DATA=0;\nOP=ERR;DATA=400;MSG=the line is not UTF-8;\n",
    );
    assertEquals(await oneReply(target.address, "OP=GET;IND=1;"), "OP=GET;IND=1;DATA=0;");
  });

  Deno.test(`${name} lets no browser reach the table, whatever a page has it send`, async () => {
    await using target = await open();
    const put = "OP=PUT;IND=1;DATA=9;";
    const body = `${put}\n${put}\n`;
    const http = "this is no HTTP server", tls = "this node speaks no TLS";
    const rows: [reason: string, sent: string | Uint8Array, message: string][] = [
      ...["GET", "POST", "PUT", "OPTIONS", "FOO", "patch", "PROPFIND", "QUERY", "OP", "!~"].map((
        method,
      ): [string, string, string] => [
        `the method ${method}`,
        `${method} / HTTP/1.1\r\nHost: a:6001\r\n\r\n${body}`,
        http,
      ]),
      ["a target that is a message", `GET /?x=1;${put}y= HTTP/1.1\r\n\r\n${body}`, http],
      ["blanks as lenient servers take them", ` FOO\t/  HTTP/1.1\r\n${body}`, http],
      ["a header", `Host: a:6001\r\n\r\n${body}`, http],
      ["a header that no request line stood before", `X-Anything:1\n${body}`, http],
      ["a WebSocket", `GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n${body}`, http],
      ["HTTP/2", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${body}`, http],
      // A server that a page may have spoken to before chooses bytes of it: the ticket of a session.
      ["TLS, with a newline of its own", clientHello(`\n${body}`), "the line is not UTF-8"],
      ["TLS, all of it UTF-8", `\x16\x03\x01\x02\0\x01\n${body}`, tls],
      ["TURN, as WebRTC does", stun(`\n${body}`), "the line is not UTF-8"],
    ];
    for (const [reason, sent, message] of rows) {
      await using wire = await Wire.connect(target.address);
      const bytes = typeof sent === "string" ? encoder.encode(sent) : sent;
      // In one write, so that what stands behind it is there when it is read.
      await wire.send(new Uint8Array([...encoder.encode("OP=GET;IND=1;\n"), ...bytes]));
      assertEquals(
        await wire.rest(),
        `OP=GET;IND=1;DATA=0;\nOP=ERR;DATA=400;MSG=${message};\n`,
        reason,
      );
    }
    assertEquals(await oneReply(target.address, "OP=GET;IND=1;"), "OP=GET;IND=1;DATA=0;");
  });

  Deno.test(`${name} answers each of 10,000 random lines, or closes as PROTOCOL.md says`, async (t) => {
    const seed = Number(Deno.env.get("SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    await t.step(`SEED=${seed}`, async () => {
      await using target = await open();
      const lines = randomLines(seed, 10_000);
      for (let next = 0; next < lines.length;) {
        // Up to the first line that closes, and what comes behind that one, which is not read.
        let end = next;
        while (end < lines.length && end < next + 100 && !closes(lines[end]!)) end++;
        const closing = end < lines.length && end < next + 100;
        const answered = lines.slice(next, closing ? end + 1 : end);
        next += answered.length;
        await using wire = await Wire.connect(target.address);
        await wire.send(joined(answered));
        if (closing) await wire.send("OP=PUT;IND=0;DATA=1;\n");
        else await wire.endWriting();
        const replies = (await wire.rest()).split("\n");
        assertEquals(replies.pop(), "");
        assertEquals(replies.length, answered.length, shown(answered.at(-1)!));
        replies.forEach((reply, i) => {
          assertMatch(
            reply,
            /^OP=ERR;DATA=(?:400|404|413);MSG=[^;\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}]+;$/u,
            shown(answered[i]!),
          );
        });
      }
      assertEquals(await oneReply(target.address, "OP=GET;IND=0;"), "OP=GET;IND=0;DATA=0;");
    });
  });

  Deno.test(`${name} does not read a client that does not read, and serves the others`, async () => {
    await using target = await open();
    await using other = await Wire.connect(target.address);
    await other.send("OP=GET;IND=0,1,2,3,4;\n");
    await other.line();

    await using wire = await Wire.connect(target.address);
    // Far more than the system's own buffers for a connection.
    const chunk = encoder.encode("OP=INF;\n".repeat(8192));
    const chunks = 512;
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < chunks; i++) {
        for (let at = 0; at < chunk.length;) {
          const count = await wire.conn.write(chunk.subarray(at));
          at += count;
          written += count;
        }
      }
    })();
    // It ends with the connection, which is closed under it.
    writing.catch(() => {});

    /** Waits until nothing was written in the time of 500 round trips of the other client. */
    const stalled = async () => {
      for (let before = -1, still = 0; still < 500; before = written) {
        still = written === before ? still + 1 : 0;
        await other.send("OP=GET;IND=0;\n");
        assertEquals(await other.line(), "OP=GET;IND=0;DATA=0;");
      }
      return written;
    };
    const first = await within(stalled(), "the writes to stall");
    assert(first < chunks * chunk.length, `all of ${first} bytes were taken`);

    while (written === first) assertMatch(await wire.line(), /^OP=INF;IND=0,1,2,3,4/);
    assertGreater(written, first);
    wire.close();
    await writing.catch(() => {});
    assertEquals(await oneReply(target.address, "OP=GET;IND=0;"), "OP=GET;IND=0;DATA=0;");
  });

  Deno.test(`${name} goes on when a client leaves in the middle of a message`, async () => {
    await using target = await open();
    for (const sent of ["", "OP=GET;IN", "OP=INF;\n".repeat(5000)]) {
      const wire = await Wire.connect(target.address);
      await wire.send(sent);
      wire.close();
    }
    assertEquals(await oneReply(target.address, "OP=GET;IND=0;"), "OP=GET;IND=0;DATA=0;");
  });

  Deno.test(`${name} answers one connection too many with 429 and closes it`, async () => {
    await using target = await open({ maxConnections: 2 });
    await using first = await Wire.connect(target.address);
    await using second = await Wire.connect(target.address);
    for (const wire of [first, second]) {
      await wire.send("OP=GET;IND=0;\n");
      assertEquals(await wire.line(), "OP=GET;IND=0;DATA=0;");
    }
    await using third = await Wire.connect(target.address);
    await third.send("OP=PUT;IND=0;DATA=1;\n");
    assertMatch(await third.rest(), /^OP=ERR;DATA=429;MSG=[^;]+;\n$/);
    await second.send("OP=GET;IND=0;\n");
    assertEquals(await second.line(), "OP=GET;IND=0;DATA=0;");

    await first.endWriting();
    assertEquals(await first.rest(), "");
    first.close();
    await within(
      (async () => {
        while ((await oneReply(target.address, "OP=GET;IND=0;")).startsWith("OP=ERR;DATA=429;"));
      })(),
      "the place of the connection that has ended",
    );
  });
}

/** Asks one thing on a connection of its own. */
async function oneReply(address: string, request: string): Promise<string> {
  await using wire = await Wire.connect(address);
  await wire.send(`${request}\n`);
  return await wire.line();
}

/** The beginning of TLS as a browser says it, up to the ticket of a session, and the ticket. */
function clientHello(ticket: string): Uint8Array {
  const head = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...new Uint8Array(32).fill(0x41), 32];
  return new Uint8Array([...head, ...encoder.encode(ticket)]);
}

/** A request to a TURN server over TCP, up to what a page may choose, and that. */
function stun(username: string): Uint8Array {
  const head = [0, 3, 0, 64, 0x21, 0x12, 0xa4, 0x42, ...new Uint8Array(12).fill(0x41), 0, 6, 0, 40];
  return new Uint8Array([...head, ...encoder.encode(username)]);
}

/** A source of integers below `2 ** 32` that are the same for the same seed (Marsaglia's xorshift). */
function random(seed: number): (below: number) => number {
  let state = (seed | 0) || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Lines, without their newlines, of which none is a good request: bytes, text, spoilt messages. */
function randomLines(seed: number, count: number): Uint8Array[] {
  const below = random(seed);
  const text = (length: number) =>
    Array.from({ length }, () => String.fromCodePoint(32 + below(3) * below(95 * 40))).join("");
  const spoilt = [
    () => `OP=GET;IND=${1 + below(9)}${text(1).replace(/[\s;\d,]/u, "x")};`,
    () => `OP=PUT;IND=${below(10)};DATA=${2 ** 53}${below(1000)};`,
    () => `OP=ADD;IND=${Array(6 + below(50)).fill(below(10)).join(",")};`,
    () => `OP=GET;IND=${10 + below(2 ** 31)};`,
    () => `OP=${text(4).replaceAll(/[;]/g, "x")};IND=1;`,
    () => `OP=GET;IND=${below(10)};ind=${below(10)};`,
    () => ";".repeat(below(100)),
  ];
  return Array.from({ length: count }, () => {
    switch (below(4)) {
      case 0:
        return Uint8Array.from({ length: below(60) }, () => below(256)).filter((byte) =>
          byte !== 10
        );
      case 1:
        return encoder.encode(text(below(80)));
      default:
        return encoder.encode(spoilt[below(spoilt.length)]!());
    }
  });
}

/** Whether PROTOCOL.md has a node close at this line. */
function closes(line: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(line);
    return /^[!#-'*+.^-`|~\w-]+(?::|[\s]+[^\s=][^]*\sHTTP\/\d)/.test(text);
  } catch {
    return true;
  }
}

/** The lines, each with its newline. */
function joined(lines: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(lines.flatMap((line) => [...line, 10]));
}

/** A line as an error may show it. */
function shown(line: Uint8Array): string {
  return JSON.stringify(new TextDecoder().decode(line));
}
