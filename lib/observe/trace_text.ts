/**
 * A trace for people: an event, a line.
 *
 * ```text
 * 12:00:01.234  client :40312 → proxy           OP=GET;IND=1,8;
 * 12:00:01.234                  proxy  miss 1 (hit 8)
 * 12:00:01.234                  proxy → server  OP=GET;IND=1;
 * 12:00:01.235                  proxy ← server  OP=GET;IND=1;DATA=0;
 * 12:00:01.235                  proxy  enters 1=0, evicts 7
 * 12:00:01.235  client :40312 ← proxy           OP=GET;IND=1,8;DATA=0,5;
 * ```
 *
 * The node that tells stands in the middle, those who connect to it on the left, whom it connects to on
 * the right. A line with an arrow is a message, its text as it was sent; any other is what the node
 * says itself, so that no peer can have it say anything.
 *
 * @module
 */

import type { Indices, NodeEvent, Role } from "../events.ts";
import { HOST } from "../protocol/limits.ts";
import { visible } from "../protocol/visible.ts";

/** Where the node, and where a message's text, begins, counted from the end of the time. */
const NODE_AT = 16, TEXT_AT = 32;

/**
 * The line of an event, without a newline; `undefined` for one that another line shows already.
 *
 * @param time When it happened; shown by this machine's clock.
 * @param renewals Whether renewals of a running lease are shown too: some six lines a second and proxy.
 */
export function traceText(
  event: NodeEvent,
  time: Date,
  renewals: boolean = false,
): string | undefined {
  if (event.type === "message") {
    if (event.renewal && !renewals) return undefined;
    return `${clock(time)}  ${passing(event).padEnd(TEXT_AT - 2)}  ${visible(event.line)}`;
  }
  if (event.type === "lease-renewed" && !renewals) return undefined;
  const said = sentence(event);
  if (said === undefined) return undefined;
  return `${clock(time)}  ${" ".repeat(NODE_AT)}${event.node}  ${visible(said)}`;
}

/** The hour of the day, to the millisecond. */
function clock(time: Date): string {
  const two = (part: number) => `${part}`.padStart(2, "0");
  const millis = `${time.getMilliseconds()}`.padStart(3, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${millis}`;
}

/** Who sends a message to whom. */
function passing(
  { node, peer, peerAddress, direction }: Extract<NodeEvent, { type: "message" }>,
): string {
  const read = direction === "in";
  if (isInward({ node, peer })) {
    return `${party(peer, peerAddress).padEnd(NODE_AT - 3)} ${read ? "→" : "←"} ${node}`;
  }
  return `${" ".repeat(NODE_AT)}${node} ${read ? "←" : "→"} ${peer}`;
}

/** Whether the other side has connected to the node that tells, not that to it. */
function isInward({ node, peer }: { node: Role; peer: Role }): boolean {
  return node === "server" || peer === "client";
}

/** What a node says of itself. */
function sentence(event: Exclude<NodeEvent, { type: "message" }>): string | undefined {
  switch (event.type) {
    case "connected": {
      const { peer, peerAddress, address, direction } = event;
      return direction === "in"
        ? `${party(peer, peerAddress)} connected`
        : `connected to ${party(peer, peerAddress)}, from ${short(address)}`;
    }
    case "disconnected":
      return isInward(event)
        ? `${party(event.peer, event.peerAddress)} disconnected: ${event.why}`
        : `disconnected from ${party(event.peer, event.peerAddress)}: ${event.why}`;
    case "unterminated": {
      const { peer, peerAddress, bytes } = event;
      return `${bytes} ${bytes === 1 ? "byte" : "bytes"} came of ${
        party(peer, peerAddress)
      } and no newline`;
    }
    case "unreachable":
      return `cannot reach ${party("server", event.peerAddress)}: ${event.why}`;
    case "hit":
      return `hit ${event.ind}`;
    case "miss":
      return `miss ${event.ind}`;
    case "part-hit":
      return `miss ${event.misses} (hit ${event.hits})`;
    case "bypass":
      return `bypass ${event.ind} (${BYPASSES[event.why]})`;
    case "enter": {
      const { ind, data, evicted } = event;
      return `enters ${pairs(ind, data).join(" ")}${
        evicted.length > 0 ? `, evicts ${evicted}` : ""
      }`;
    }
    case "drop":
      return `drops ${event.ind === "all" ? `all ${event.count}` : event.ind} (${event.why})`;
    case "lease-granted":
    case "lease-renewed": {
      const { node, holder, termMs, type } = event;
      const [said, done] = type === "lease-granted" ? ["grants", "granted"] : ["renews", "renewed"];
      return node === "server"
        ? `${said} ${party("proxy", holder)} a lease of ${termMs} ms`
        : `lease ${done} for ${termMs} ms`;
    }
    case "lease-lapsed":
      return "lease lapsed";
    case "lease-returned":
      return event.node === "server"
        ? `${party("proxy", event.holder)} gave its lease back`
        : "lease given back";
    case "wait":
      return `${waiting(event)} waits for ${parties(event.holders)}, ${event.atMostMs} ms at most`;
    case "long-wait":
      return `${waiting(event)} waits for ${parties(event.holders)}, ${event.waitedMs} ms so far`;
    case "holder-asked":
      // The INV itself is shown.
      return undefined;
    case "holder-answered":
      return event.late
        ? `${party("proxy", event.holder)} answered when no longer waited for`
        : undefined;
    case "holder-released": {
      const { holder, ind, why } = event;
      const since = why === "lapsed" ? "lease lapsed" : "lease given back";
      return `no longer waits for ${party("proxy", holder)} to drop ${ind} (${since})`;
    }
    case "commit": {
      const { cleared, ind, data } = event;
      return `commits ${[...cleared ? ["all=0"] : [], ...pairs(ind, data)].join(" ")}`;
    }
    case "commit-refused":
      return `refuses a commit: ${event.why}`;
    case "commit-unknown":
      return `cannot know whether a commit was made: ${event.why}`;
  }
}

const BYPASSES = {
  "in-flight": "a request of this client is in flight",
  "no-lease": "no lease",
  dropped: "what had hit was dropped",
} as const;

function waiting({ what, ind }: { what: "write" | "clear" | "end"; ind: Indices }): string {
  return ind === "all" ? what : `${what} of ${ind}`;
}

/** `7=4 8=5`. */
function pairs(ind: readonly number[], data: readonly number[]): string[] {
  return ind.map((index, i) => `${index}=${data[i]}`);
}

function parties(holders: readonly string[]): string {
  return holders.map((holder) => party("proxy", holder)).join(", ");
}

/** Another node: what it is, and where. */
function party(role: Role, address: string): string {
  return address === "disconnected" ? `a ${role} that disconnected` : `${role} ${short(address)}`;
}

/** An address without the host that nodes listen on unless told otherwise: `:6001`. */
function short(address: string): string {
  return address.startsWith(`${HOST}:`) ? address.slice(HOST.length) : address;
}
