/** A connection over a socket that the test plays: what becomes of it when something goes wrong. */
import { assertEquals, assertRejects } from "@std/assert";
import { denoRuntime } from "../lib/runtime/deno_runtime.ts";
import { Connection } from "../lib/wire/connection.ts";
import type { Socket } from "../lib/runtime/runtime.ts";
import { within } from "./support/within.ts";

const encoder = new TextEncoder();
const OK = { op: "CLR" } as const;

/** A promise that may be refused before anybody waits for it. */
function awaited<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

/** A socket whose every read and write is answered by the test. */
class PlayedSocket implements Socket {
  readonly local = { host: "127.0.0.1", port: 1 };
  readonly remote = { host: "127.0.0.1", port: 2 };
  closed = 0;
  #reading = awaited<string | null>();
  #writing = awaited<void>();

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const text = await this.#reading.promise;
    this.#reading = awaited();
    return text === null ? null : encoder.encodeInto(text, buffer).written;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#writing.promise;
    return bytes.length;
  }

  /** As the system does with what is under way. */
  close(): void {
    this.closed++;
    this.#reading.reject(new Deno.errors.Interrupted("operation canceled"));
    this.#writing.reject(new Deno.errors.BadResource("Bad resource ID"));
  }

  /** The read that waits, or the next, brings this; `null` is the end. */
  bring(text: string | null): void {
    this.#reading.resolve(text);
  }

  failRead(error: Error): void {
    this.#reading.reject(error);
  }

  failWrite(error: Error): void {
    this.#writing.reject(error);
  }
}

function connectionOf(socket: PlayedSocket): Connection {
  return new Connection(socket, denoRuntime, "client", "server", undefined);
}

/** Resolves when a write has failed, which nobody else is told of. */
async function broken(connection: Connection): Promise<void> {
  await within(connection.orGone(new Promise(() => {})), "the write to fail");
}

/** The message with which a read fails. */
async function failure(reading: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => within(reading, "a read to fail"), Error)).message;
}

const PIPE = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
const RESET = new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)");

Deno.test("connection: a failed write is what its reader is told, after what had come", async () => {
  const socket = new PlayedSocket(), connection = connectionOf(socket);
  connection.send(OK);
  const reading = connection.read();
  socket.failWrite(PIPE);
  await broken(connection);
  assertEquals([connection.closed, connection.send(OK), socket.closed], [true, false, 0]);
  socket.bring("OP=CLR;\n");
  assertEquals(await within(reading, "what had come"), "OP=CLR;\n");
  socket.bring(null);
  assertEquals(await failure(connection.read()), PIPE.message);
  connection.close();
  assertEquals(socket.closed, 1);
});

Deno.test("connection: the first error counts, whichever side it is on", async () => {
  const writes = (socket: PlayedSocket) => socket.failWrite(PIPE);
  const reads = (socket: PlayedSocket) => socket.failRead(RESET);
  for (const [first, then, error] of [[writes, reads, PIPE], [reads, writes, RESET]] as const) {
    const socket = new PlayedSocket(), connection = connectionOf(socket);
    connection.send(OK);
    const reading = connection.read();
    reading.catch(() => {});
    first(socket);
    // Everything that follows from it happens.
    await new Promise((resolve) => setTimeout(resolve));
    then(socket);
    assertEquals(await failure(reading), error.message);
    connection.close("too late");
    assertEquals(await failure(connection.read()), error.message);
  }
});

Deno.test("connection: who closes it says why to its reader", async () => {
  const socket = new PlayedSocket(), connection = connectionOf(socket);
  const reading = connection.read();
  connection.close("it does not answer");
  connection.close("another reason");
  assertEquals(await failure(reading), "it does not answer");
  assertEquals(await failure(connection.read()), "it does not answer");
  const other = connectionOf(new PlayedSocket());
  const waiting = other.read();
  other.close();
  assertEquals(await failure(waiting), "this side closed the connection");
});

Deno.test("connection: after a failed write it is closed, though its reader never ends", async () => {
  const socket = new PlayedSocket(), connection = connectionOf(socket);
  connection.send(OK);
  const reading = connection.read();
  socket.failWrite(PIPE);
  assertEquals(await failure(reading), PIPE.message);
  assertEquals(socket.closed, 1);
});

Deno.test("connection: one that is told to read no more ends, though a write has failed", async () => {
  const socket = new PlayedSocket(), connection = connectionOf(socket);
  connection.send(OK);
  const reading = connection.read();
  socket.failWrite(PIPE);
  await broken(connection);
  await connection.stopReading("this side ended it");
  assertEquals(await within(reading, "the end"), undefined);
  await within(connection.end(), "the connection to end");
  assertEquals(socket.closed, 1);
});
