/**
 * The framing: which bytes are a message, in and out. A message is a line, and what ends one is known
 * here alone.
 *
 * @module
 */

import { TableError } from "../protocol/error.ts";
import { MAX_LINE_BYTES, READ_BUFFER_BYTES } from "../protocol/limits.ts";

const NEWLINE = 10;

/** What ends a line. */
export const END = "\n";

/** Where the line of `lines`, a text of whole lines, ends that begins at `start`. */
export function lineEnd(lines: string, start: number): number {
  return lines.indexOf(END, start);
}

/** What a line stream reads from; a `Deno.TcpConn` is one. */
export interface ByteSource {
  /** Reads into `buffer`: how many bytes, at least one, or `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
}

/** What has come since the last newline, and is no line yet. */
export interface Rest {
  /** How many bytes; kept up to date by the stream. */
  bytes: number;
  /** Told after a read that has left some. */
  left(): void;
  /** Told where the bytes end with some. */
  ended(): void;
}

/**
 * A stream of the lines that a connection brings.
 *
 * Each pull reads once into one buffer of 16 KiB and hands on, as one text, all the whole lines that
 * the read brought, each with its newline. What stands after the last newline is kept for the next
 * read, and is no message where the bytes end.
 *
 * @param source Where the bytes come from. Its errors become the stream's.
 * @param rest Told of what is left over.
 * @returns The stream. It fails with a {@linkcode TableError} 413 at a line over 64 KiB and with 400
 * at a line that is not UTF-8, each after the lines before it.
 */
export function lineStream(
  source: ByteSource,
  rest: Rest = { bytes: 0, left() {}, ended() {} },
): ReadableStream<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const buffer = new Uint8Array(READ_BUFFER_BYTES);
  /** How much of the buffer an unfinished line fills. */
  let filled = 0;
  /** The beginning of an unfinished line that outgrew the buffer, and its length. */
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  let failure: TableError | undefined;

  /** The lines in the buffer up to `end`, the first of them with what was begun before. */
  function decode(end: number): string {
    const bytes = begunBytes === 0 ? buffer.subarray(0, end) : joined(end);
    try {
      return decoder.decode(bytes);
    } catch {
      failure = new TableError(400, "the line is not UTF-8");
      return wholeLines(bytes);
    }
  }

  function joined(end: number): Uint8Array {
    const bytes = new Uint8Array(begunBytes + end);
    let at = 0;
    for (const part of [...begun, buffer.subarray(0, end)]) {
      bytes.set(part, at);
      at += part.length;
    }
    begun = [];
    begunBytes = 0;
    return bytes;
  }

  /** The lines before the first one that is not UTF-8. */
  function wholeLines(bytes: Uint8Array): string {
    let text = "";
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, start) + 1;
      try {
        text += decoder.decode(bytes.subarray(start, end));
      } catch {
        break;
      }
      start = end;
    }
    return text;
  }

  return new ReadableStream<string>({
    async pull(controller) {
      while (failure === undefined) {
        const fresh = filled === 0 ? buffer : buffer.subarray(filled);
        const count = await source.read(fresh);
        if (count === null) {
          if (rest.bytes > 0) rest.ended();
          return controller.close();
        }
        const length = filled + count;
        const newline = fresh.lastIndexOf(NEWLINE, count - 1);
        const end = newline < 0 ? 0 : filled + newline + 1;
        const firstEnd = end === 0 ? length : begunBytes === 0 ? 0 : buffer.indexOf(NEWLINE);
        if (begunBytes + firstEnd > MAX_LINE_BYTES) {
          failure = new TableError(413, `the line is longer than ${MAX_LINE_BYTES} bytes`);
        } else if (end > 0) {
          const text = decode(end);
          filled = rest.bytes = length - end;
          if (filled > 0) {
            buffer.copyWithin(0, end, length);
            rest.left();
          }
          if (text !== "") return controller.enqueue(text);
        } else {
          if (length === buffer.length) {
            begun.push(buffer.slice());
            begunBytes += length;
            filled = 0;
          } else {
            filled = length;
          }
          rest.bytes = begunBytes + filled;
          rest.left();
        }
      }
      controller.error(failure);
    },
  }, { highWaterMark: 0 });
}
