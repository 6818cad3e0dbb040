/**
 * What happens at the nodes, as lines for the person at the prompt.
 *
 * ```text
 *          you → 6001             OP=PUT;IND=1;DATA=5;
 *                6001 → server    OP=PUT;IND=1;DATA=5;
 *                server  write of 1 waits for proxy 6003, 967 ms at most
 *                6003 ← server    OP=INV;IND=1;
 *                6003  drops 1 (invalidation)
 *                6003 → server    OP=INV;IND=1;
 *                server  commits 1=5
 *                6001 ← server    OP=PUT;IND=1;DATA=5;
 *                6001  enters 1=5
 *          you ← 6001             OP=PUT;IND=1;DATA=5;
 * ```
 *
 * A message between two of the nodes is shown once, as the proxy tells of it.
 *
 * @module
 */

import type { NodeEvent } from "../lib/events.ts";
import { parseAddress } from "../lib/wire/address.ts";
import { traceText } from "../lib/observe/trace_text.ts";
import { visible } from "../lib/protocol/visible.ts";

/** What the person's own side is called. */
export const YOU = "you";
/** What the server is called; a proxy is called by its port. */
export const SERVER = "server";

/** Where the name of a node begins, and the text of a message. */
const NODE_AT = 16, TEXT_AT = 33;

/** Of the server's events those that neither a proxy nor its log tells. */
const SERVER_TELLS: readonly NodeEvent["type"][] = ["wait", "holder-released", "commit"];

/** Of a proxy's events those of which its log tells, once, or which are a client's coming and going. */
const LOGGED: readonly NodeEvent["type"][] = ["connected", "disconnected", "unreachable"];

/** Makes lines of events, and learns from them which end of a connection is whose. */
export class Lines {
  readonly #names = new Map<string, string>();

  /** The line of an event at the node of that name, without a newline; `undefined` for none. */
  of(name: string, event: NodeEvent): string | undefined {
    // The end of the one who connected: a client's at a proxy, a proxy's at the server.
    if ("address" in event && name !== SERVER && event.peer !== "client") {
      if (event.type === "disconnected") this.#names.delete(event.address);
      else this.#names.set(event.address, name);
    }
    if (name === YOU) return undefined;
    if (event.type === "message") return event.renewal ? undefined : this.#message(name, event);
    if (name === SERVER ? !SERVER_TELLS.includes(event.type) : LOGGED.includes(event.type)) {
      return undefined;
    }
    const [, said] = /^\S+ +\w+ {2}(.*)$/.exec(traceText(event, new Date(0)) ?? "") ?? [];
    if (said === undefined) return undefined;
    const named = said.replaceAll(/\bproxy :(\d+)/g, (text, port) => {
      const proxy = this.#names.get(`127.0.0.1:${port}`);
      return proxy === undefined ? text : `proxy ${proxy}`;
    });
    return `${" ".repeat(NODE_AT)}${name}  ${named}`;
  }

  #message(
    name: string,
    { peer, peerAddress, direction, line }: Extract<NodeEvent, { type: "message" }>,
  ): string | undefined {
    const incoming = direction === "in";
    let passing;
    if (peer === "server") {
      passing = `${" ".repeat(NODE_AT)}${name} ${incoming ? "←" : "→"} ${SERVER}`;
    } else {
      const known = this.#names.get(peerAddress);
      // A proxy, which tells of it itself.
      if (name === SERVER && known !== YOU && (known !== undefined || peer === "proxy")) {
        return undefined;
      }
      const left = known ?? `client :${parseAddress(peerAddress).port}`;
      passing = `${left.padStart(NODE_AT - 3)} ${incoming ? "→" : "←"} ${name}`;
    }
    return `${passing.padEnd(TEXT_AT)}${visible(line)}`;
  }
}
