/**
 * The events of several nodes, put in one order.
 *
 * Each node writes its own trace, and what two of them write in the same millisecond may be read in
 * either order. Here no message arrives before it was sent:
 *
 * ```text
 *  6001    →  PUT out · · · · · · · · · · · · · PUT in → enter        one queue for each node; its
 *  server  →  PUT in → wait → INV out · INV in → commit → PUT out     first event waits, if it is an
 *  6003    →  INV in → drop → INV out                                 "in" whose "out" is not there yet
 * ```
 *
 * @module
 */

import type { NodeEvent } from "../lib/events.ts";

/** How long a message waits for the word that it was sent, in milliseconds. */
const PATIENCE_MS = 250;

/** Hands events on in an order in which they can have happened. */
export class CausalOrder<Teller> {
  readonly #handOn: (teller: Teller, event: NodeEvent) => void;
  /** What waits, of each teller in its order, and since when its first does; none is empty. */
  readonly #queues = new Map<Teller, { events: NodeEvent[]; since: number }>();
  /** Ends of connections of which somebody tells. */
  readonly #told = new Map<string, Teller>();
  /** How many messages went one way of a connection, `from>to`, less those that have arrived. */
  readonly #underWay = new Map<string, number>();
  #idle: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param handOn Called for each event in turn. */
  constructor(handOn: (teller: Teller, event: NodeEvent) => void) {
    this.#handOn = handOn;
  }

  /** Takes the next event of a teller. */
  add(teller: Teller, event: NodeEvent): void {
    if ("address" in event) this.#told.set(event.address, teller);
    const queue = this.#queues.get(teller);
    if (queue === undefined) {
      this.#queues.set(teller, { events: [event], since: performance.now() });
    } else queue.events.push(event);
    this.#drain();
  }

  /** A teller has ended: nobody waits for what it has not told. */
  leave(teller: Teller): void {
    for (const [address, owner] of this.#told) if (owner === teller) this.#told.delete(address);
    this.#drain();
  }

  /** Resolves when all that was told so far by `teller` is handed on. */
  async handedOn(teller: Teller): Promise<void> {
    while (this.#queues.has(teller)) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  #drain(): void {
    const now = performance.now();
    for (let moved = true; moved;) {
      moved = false;
      for (const [teller, queue] of this.#queues) {
        // What was sent may never be told of: a trace that was cut, say.
        let late = now - queue.since >= PATIENCE_MS;
        while (queue.events.length > 0 && (late || !this.#mustWait(queue.events[0]!))) {
          late = false;
          moved = true;
          queue.since = now;
          this.#pass(teller, queue.events.shift()!);
        }
        if (queue.events.length === 0) this.#queues.delete(teller);
      }
    }
    for (const resolve of this.#idle.splice(0)) resolve();
    clearTimeout(this.#timer);
    if (this.#queues.size === 0) return;
    const first = Math.min(...[...this.#queues.values()].map(({ since }) => since));
    this.#timer = setTimeout(() => this.#drain(), first + PATIENCE_MS - now);
  }

  #mustWait(event: NodeEvent): boolean {
    return event.type === "message" && event.direction === "in" &&
      this.#told.has(event.peerAddress) && !(this.#underWay.get(arrived(event))! > 0);
  }

  #pass(teller: Teller, event: NodeEvent): void {
    if (event.type === "message") {
      const [way, change] = event.direction === "out" ? [sent(event), 1] : [arrived(event), -1];
      this.#underWay.set(way, Math.max(0, (this.#underWay.get(way) ?? 0) + change));
    } else if (event.type === "disconnected") {
      this.#underWay.delete(arrived(event));
      if (!this.#told.has(event.peerAddress)) this.#underWay.delete(sent(event));
      // The other end's address is the one at which a node listens.
      if (event.node === "client" || event.peer === "server") this.#told.delete(event.address);
    }
    this.#handOn(teller, event);
  }
}

interface Ends {
  readonly address: string;
  readonly peerAddress: string;
}

/** The way of a message that is sent. */
function sent({ address, peerAddress }: Ends): string {
  return `${address}>${peerAddress}`;
}

/** The way of a message that arrives. */
function arrived({ address, peerAddress }: Ends): string {
  return `${peerAddress}>${address}`;
}
