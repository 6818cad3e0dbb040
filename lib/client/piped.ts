/**
 * Commands from standard input, pipelined.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import type { Reply } from "../protocol/message.ts";
import { commandLine } from "./commands.ts";
import type { TableClient } from "./table_client.ts";

/**
 * Sends every line, a command or, if it is none, as it is, without waiting for the reply to the one
 * before; resolves when all are answered. While what is shown is not read, no more is sent: all that
 * was sent is answered in the meantime, so that no reader is too slow for the time of a request.
 *
 * @param show Told of each reply, in order; it must not wait.
 * @param showRoom Resolves when more may be shown; `undefined` where it may now.
 * @throws {UnreachableError} If the connection is lost, or no answer comes in time.
 */
export async function sendPiped(
  client: TableClient,
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
  show: (reply: Reply) => void,
  showRoom: () => Promise<void> | undefined,
): Promise<void> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  client.ended.then(reject);
  await Promise.race([failed, sendAll()]);

  async function sendAll(): Promise<void> {
    let last: Promise<void> | undefined;
    const lines = input.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const line of lines) {
      for (let room; (room = client.room() ?? showRoom()) !== undefined;) await room;
      last = client.send(commandLine(line).line ?? line).then(show).catch(reject);
    }
    await last;
  }
}
