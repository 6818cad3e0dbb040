/**
 * A simulated network: connections of bytes between processes, as TCP makes them.
 *
 * ```text
 *  process a            machine a             the way             machine b           process b
 *  write() ──────────→ taken while there ──→ pieces, late,  ──→ received, kept ──→ read(), in pieces
 *                       is room               in order,          until it is read
 *                                             held by a cut
 * ```
 *
 * @module
 */

import type { Address, Listening, Socket } from "../runtime/runtime.ts";
import {
  type Carrier,
  closed,
  End,
  type NetworkOptions,
  type Owner,
  refused,
  SimulatedError,
} from "./end.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export type { NetworkOptions };

/** A fast network on which nothing comes in pieces. */
export const CALM_NETWORK: NetworkOptions = {
  latencyMs: [0.05, 0.1],
  windowBytes: 256 * 1024,
  bytesPerMs: 1_000_000,
  pieces: 0,
};

/** Connects the machines of a world. */
export class Network implements Carrier {
  /** The world it is in. */
  readonly world: World;
  /** How it behaves; may be changed at any time. */
  options: NetworkOptions;
  /** Told of all bytes that are sent, as they are sent. */
  heard: ((from: Address, to: Address, bytes: Uint8Array) => void) | undefined;
  readonly #listeners = new Map<string, SimulatedListening>();
  /** The ways on which nothing passes: `from>to`. */
  readonly #cuts = new Set<string>();
  /** What waits for a way to be whole again. */
  #held: { readonly way: string; readonly pass: () => void }[] = [];
  readonly #ends = new Set<End>();
  #ports = 40_000;

  /** Makes one without a cut. */
  constructor(world: World, options: NetworkOptions = CALM_NETWORK) {
    this.world = world;
    this.options = options;
  }

  /** Chance, of the world. */
  get random(): Random {
    return this.world.random;
  }

  /**
   * Cuts the way from one host to another: what is sent there from now on, or is under way, is held.
   * Neither side learns of it.
   */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  /** Makes the way whole again; what was held goes on. */
  heal(from: string, to: string): void {
    const way = `${from}>${to}`;
    this.#cuts.delete(way);
    const free = this.#held.filter((each) => each.way === way);
    this.#held = this.#held.filter((each) => each.way !== way);
    for (const { pass } of free) pass();
  }

  /** Makes all ways whole. */
  healAll(): void {
    for (const way of [...this.#cuts]) {
      const [from, to] = way.split(">") as [string, string];
      this.heal(from, to);
    }
  }

  /**
   * The connections between two hosts break, as those do whose packets were lost for too long: the
   * ends at `host` learn of it now. The others are told, where the way is whole.
   */
  breakAt(host: string, other: string): void {
    for (const end of [...this.#ends]) {
      if (end.local.host === host && end.remote.host === other) end.break();
    }
  }

  /** {@linkcode Carrier.carry}. */
  carry(from: string, to: string, bytes: number, notBefore: number, arrive: () => void): number {
    const { latencyMs: [least, most], bytesPerMs } = this.options;
    const at = Math.max(
      notBefore,
      this.world.now + this.random.between(least, most) + bytes / bytesPerMs,
    );
    const way = `${from}>${to}`;
    const pass = () => {
      if (this.#cuts.has(way)) this.#held.push({ way, pass });
      else arrive();
    };
    // Not after a difference: what that is rounded by could let bytes overtake others.
    this.world.at(at, pass);
    return at;
  }

  /** Listens. */
  listen(process: Owner, { host, port }: Address): Listening {
    const address = { host, port: port === 0 ? this.#ports++ : port };
    const name = `${host}:${address.port}`;
    if (this.#listeners.has(name)) {
      throw new SimulatedError("AddrInUse", "Address already in use (os error 98)");
    }
    const listening = new SimulatedListening(process, address, () => this.#listeners.delete(name));
    this.#listeners.set(name, listening);
    return listening;
  }

  /** Connects. */
  connect(process: Owner, remote: Address, signal: AbortSignal): Promise<Socket> {
    const local = { host: process.host, port: this.#ports++ };
    return new Promise((resolve, reject) => {
      let over = false;
      const answer = (run: () => void) => {
        this.carry(remote.host, local.host, 0, 0, () =>
          process.deliver(() => {
            if (over) return;
            over = true;
            run();
          }));
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => {
        if (over) return;
        over = true;
        reject(signal.reason);
      });
      this.carry(local.host, remote.host, 0, 0, () => {
        const listening = this.#listeners.get(`${remote.host}:${remote.port}`);
        // Whoever asked for it has given up, or was killed.
        if (over || process.dead) return;
        if (listening === undefined) return answer(() => reject(refused()));
        const near = new End(this, process, local, remote);
        const far = new End(this, listening.process, remote, local);
        near.peer = far;
        far.peer = near;
        this.#ends.add(near).add(far);
        listening.arrive(far);
        answer(() => resolve(near));
        // Nobody takes the connection any more.
        signal.addEventListener("abort", () => over || near.close());
      });
    });
  }

  /** {@linkcode Carrier.forget}. */
  forget(end: object): void {
    this.#ends.delete(end as End);
  }
}

class SimulatedListening implements Listening {
  readonly process: Owner;
  readonly address: Address;
  readonly #backlog: End[] = [];
  readonly #close: () => void;
  #waiting: { resolve: (end: Socket) => void; reject: (error: Error) => void } | undefined;
  #closed = false;

  constructor(process: Owner, address: Address, forget: () => void) {
    this.process = process;
    this.address = address;
    const noLonger = process.whenKilled(() => this.close());
    this.#close = () => {
      noLonger();
      forget();
    };
  }

  accept(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed());
      this.#waiting = { resolve, reject };
      this.#hand();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#close();
    for (const end of this.#backlog) end.close();
    // A process that was killed learns of nothing.
    if (!this.process.dead) this.#waiting?.reject(closed());
  }

  /** A connection was made. */
  arrive(end: End): void {
    this.#backlog.push(end);
    this.#hand();
  }

  #hand(): void {
    if (this.#waiting === undefined || this.#backlog.length === 0) return;
    this.process.deliver(() => {
      const waiting = this.#waiting, end = this.#backlog.shift();
      if (this.#closed || waiting === undefined || end === undefined) return;
      this.#waiting = undefined;
      waiting.resolve(end);
    });
  }
}
