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

import { isHost } from "../wire/address.ts";
import type { Address, Listening, Socket } from "../runtime/runtime.ts";
import { closed, End, type NetworkOptions, type Owner, refused, SimulatedError } from "./end.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export type { NetworkOptions };

/** What every machine calls itself. */
const LOOPBACK = ["127.0.0.1", "localhost", "::1"];
/** What stands for every address of a machine. */
const ANY = ["0.0.0.0", "::"];

/** A fast network, 0.05 to 0.1 ms one way, on which nothing comes in pieces. */
export const CALM_NETWORK: NetworkOptions = {
  latencyMs: [0.05, 0.1],
  windowBytes: 256 * 1024,
  bytesPerMs: 1_000_000,
  pieces: 0,
};

/**
 * Connects the machines of a world: a process listens on its machine's name, and is reached by that
 * from every machine, or on `127.0.0.1`, and is reached from its own. A port on which nobody listens
 * refuses.
 */
export class Network {
  /** The world it is in. */
  readonly world: World;
  #options!: NetworkOptions;
  readonly #hosts = new Set<string>();
  /** Told of all bytes that are sent, as they are sent; it must return at once. */
  heard: ((from: Address, to: Address, bytes: Uint8Array) => void) | undefined;
  readonly #listeners = new Map<string, SimulatedListening>();
  /** The ways on which nothing passes: `from>to`. */
  readonly #cuts = new Set<string>();
  /** What waits for a way to be whole again. */
  #held: { readonly way: string; readonly pass: () => void }[] = [];
  readonly #ends = new Set<End>();
  #ports = 40_000;

  /**
   * Makes one without a cut.
   *
   * @throws {RangeError} If an option is outside its range.
   */
  constructor(world: World, options: NetworkOptions = CALM_NETWORK) {
    this.world = world;
    this.options = options;
  }

  /**
   * How it behaves; may be changed at any time, for what is sent from then on.
   *
   * @throws {RangeError} When set, if one is outside its range.
   */
  get options(): NetworkOptions {
    return this.#options;
  }
  set options(options: NetworkOptions) {
    const { latencyMs: [least, most], windowBytes, bytesPerMs, pieces } = options;
    if (!(least >= 0 && most >= least)) {
      throw new RangeError(`Cannot take latencyMs ${least}, ${most}`);
    }
    if (!(windowBytes >= 1)) throw new RangeError(`Cannot take windowBytes ${windowBytes}`);
    if (!(bytesPerMs > 0)) throw new RangeError(`Cannot take bytesPerMs ${bytesPerMs}`);
    if (!(pieces >= 0 && pieces <= 1)) throw new RangeError(`Cannot take pieces ${pieces}`);
    this.#options = options;
  }

  /**
   * Takes in a machine.
   *
   * @ignore
   */
  join(name: string): void {
    const own = [...LOOPBACK, ...ANY].includes(name);
    if (own || !isHost(name)) throw new TypeError(`Cannot take "${name}" for a machine's name`);
    if (this.#hosts.has(name)) throw new TypeError(`There is a machine "${name}" already`);
    this.#hosts.add(name);
  }

  /**
   * Chance, of the world.
   *
   * @ignore
   */
  get random(): Random {
    return this.world.random;
  }

  /**
   * Cuts the way from one machine to another, and not the way back: what is sent there from now on, or
   * is under way, is held. Neither side learns of it.
   *
   * @throws {TypeError} If there is no machine of such a name.
   */
  cut(from: string, to: string): void {
    this.#known(from, to);
    this.#cuts.add(`${from}>${to}`);
  }

  /**
   * Makes the way from one machine to another whole again; what was held goes on, at once.
   *
   * @throws {TypeError} If there is no machine of such a name.
   */
  heal(from: string, to: string): void {
    this.#known(from, to);
    const way = `${from}>${to}`;
    this.#cuts.delete(way);
    const free = this.#held.filter((each) => each.way === way);
    this.#held = this.#held.filter((each) => each.way !== way);
    for (const { pass } of free) pass();
  }

  /** Makes all ways whole, as {@linkcode heal} does one. */
  healAll(): void {
    for (const way of [...this.#cuts]) {
      const [from, to] = way.split(">") as [string, string];
      this.heal(from, to);
    }
  }

  /**
   * The connections between two machines break, as those do whose packets were lost for too long: the
   * ends at `host` learn of it now, the others where the way to them is whole, or when it is again.
   *
   * @throws {TypeError} If there is no machine of such a name.
   */
  breakAt(host: string, other: string): void {
    this.#known(host, other);
    for (const end of [...this.#ends]) {
      if (end.local.host === host && end.remote.host === other) end.break();
    }
  }

  #known(...names: string[]): void {
    for (const name of names) {
      if (!this.#hosts.has(name)) throw new TypeError(`There is no machine "${name}"`);
    }
  }

  /**
   * {@linkcode Carrier.carry}.
   *
   * @ignore
   */
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

  /**
   * {@linkcode Runtime.listen}, in a process.
   *
   * @ignore
   */
  listen(process: Owner, { host, port }: Address): Listening {
    if (![process.host, ...LOOPBACK, ...ANY].includes(host)) {
      throw new SimulatedError("AddrNotAvailable", "Cannot assign requested address (os error 99)");
    }
    const address = { host, port: port === 0 ? this.#ports++ : port };
    const name = `${process.host}:${address.port}`;
    if (this.#listeners.has(name)) {
      throw new SimulatedError("AddrInUse", "Address already in use (os error 98)");
    }
    const listening = new SimulatedListening(process, address, () => this.#listeners.delete(name));
    this.#listeners.set(name, listening);
    return listening;
  }

  /** Who listens there, if it can be reached from `process`. */
  #listenerAt({ host, port }: Address, process: Owner): SimulatedListening | undefined {
    const listening = this.#listeners.get(`${host}:${port}`);
    const open = listening !== undefined && !LOOPBACK.includes(listening.address.host);
    return open || process.host === host ? listening : undefined;
  }

  /**
   * {@linkcode Runtime.connect}, in a process.
   *
   * @ignore
   */
  connect(process: Owner, { host, port }: Address, signal: AbortSignal): Promise<Socket> {
    const remote = { host: LOOPBACK.includes(host) ? process.host : host, port };
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
        const listening = this.#listenerAt(remote, process);
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

  /**
   * {@linkcode Carrier.forget}.
   *
   * @ignore
   */
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
