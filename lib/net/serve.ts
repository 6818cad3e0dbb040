/**
 * The requests of one connection, one after the other, to its end.
 *
 * @module
 */

import { beginsAsHttp } from "../protocol/http.ts";
import { errorReply, TableError } from "../protocol/error.ts";
import type { ErrorReply, Request } from "../protocol/message.ts";
import { parseRequest } from "../protocol/parse.ts";
import type { Connection } from "./connection.ts";

/** What a node does with the requests of one connection. */
export interface Peer {
  /** Told before requests are taken that were all there before; no `await` is between them. */
  begin(): void;
  /** Takes the next request, or what the line was instead of one, and answers it in its turn. */
  take(request: Request | ErrorReply): void;
  /** Resolves when one more may be taken; `undefined` where it may now. */
  room(): Promise<void> | undefined;
  /** Resolves when all that was taken is answered. */
  settled(): Promise<void>;
  /** Told once, when no more requests will come and all are answered, or the connection is broken. */
  left(): void;
}

/**
 * Hands the requests that a connection brings to `peer`, and closes it in order when they end: after
 * the last reply. Never rejects.
 */
export async function serve(connection: Connection, peer: Peer): Promise<void> {
  try {
    await takeAll(connection, peer);
  } catch (error) {
    if (error instanceof TableError) peer.take(error.reply);
    else connection.close();
  }
  if (!connection.closed) await peer.settled();
  peer.left();
  await connection.end();
}

async function takeAll(connection: Connection, peer: Peer): Promise<void> {
  for (let lines; (lines = await connection.read()) !== undefined;) {
    peer.begin();
    for (let start = 0, end; start < lines.length; start = end + 1) {
      for (let room; (room = peer.room()) !== undefined;) {
        await room;
        peer.begin();
      }
      end = lines.indexOf("\n", start);
      connection.tellLine(lines, start, end);
      if (beginsAsHttp(lines, start)) {
        peer.take(errorReply(400, "this is no HTTP server"));
        return;
      }
      peer.take(parseRequest(lines, start, end));
    }
  }
}
