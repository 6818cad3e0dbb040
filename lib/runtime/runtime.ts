/**
 * What a node needs of the world: clocks, timers, chance and connections.
 *
 * A node gets its runtime when it is made, and nothing in it reaches past that: so the same node runs
 * on Deno, and on the simulated clocks and network of `lib/simulate/`, also where there is no Deno.
 *
 * @module
 */

/** Where a node listens, or is to be reached. */
export interface Address {
  /** A name or an IP address; an IPv6 address stands here without brackets. */
  readonly host: string;
  /** 0 to 65535; 0 asks for any free port. */
  readonly port: number;
}

/**
 * The world, as one process sees it. One runtime stands for one process: give all nodes of a process
 * the same.
 *
 * A lease rests on the two clocks. Over the term of one, the monotonic clocks of two processes run alike
 * to within 2 %; that of a machine that sleeps may stand still, where its wall clock then shows the time.
 */
export interface Runtime {
  /** The monotonic clock, in milliseconds: it is never set, and may stand still in sleep. */
  now(): number;
  /** The wall clock, in milliseconds since 1970: it goes on in sleep, and may be set. */
  wallClock(): number;
  /** Calls `callback` once, in `ms` milliseconds; it may come late, and a little early. */
  setTimer(callback: () => void, ms: number): Timer;
  /** Takes a timer back; one that has come, or none, is passed over. */
  clearTimer(timer: Timer | undefined): void;
  /**
   * Calls `callback` once all that stands at the sockets of this process has been read: what has come,
   * and was not read since the process stood still.
   */
  afterReading(callback: () => void): Timer;
  /** A number from 0 on, below 1, by chance. */
  random(): number;
  /**
   * Listens on an address; port 0 stands for any that is free.
   *
   * @throws {Error} If that cannot be: {@linkcode Runtime.kindOf} tells why.
   */
  listen(address: Address): Listening;
  /**
   * Connects to an address.
   *
   * @param signal Ends the connecting: it rejects with the signal's reason.
   * @throws {Error} If that cannot be: {@linkcode Runtime.kindOf} tells why.
   */
  connect(address: Address, signal: AbortSignal): Promise<Socket>;
  /** What kind of failure an error of this runtime is. */
  kindOf(error: unknown): FailureKind;
}

/** What a timer is to be taken back by. */
export type Timer = object | number;

/**
 * The kinds of failure that a node tells apart:
 *
 * - `forbidden`: the sandbox does not allow it;
 * - `full`: no descriptor is left;
 * - `gone`: the other side had gone before its connection was taken;
 * - `other`: anything else.
 */
export type FailureKind = "forbidden" | "full" | "gone" | "other";

/** One end of a connection of bytes, as TCP makes it. */
export interface Socket {
  /** The address of this end. */
  readonly local: Address;
  /** The address of the other end. */
  readonly remote: Address;
  /**
   * Reads into `buffer`.
   *
   * @returns How many bytes, at least one; `null` when the other side has ended.
   * @throws {Error} If the connection is broken or closed.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Writes bytes; one write at a time.
   *
   * @returns How many were taken, at least one.
   * @throws {Error} If the connection is broken or closed.
   */
  write(bytes: Uint8Array): Promise<number>;
  /** Tells the other side that no more will come. */
  closeWrite(): Promise<void>;
  /** Closes at once: a read or a write that waits fails. */
  close(): void;
}

/** A listening socket. */
export interface Listening {
  /** Where it listens. */
  readonly address: Address;
  /**
   * The next connection.
   *
   * @throws {Error} If it could not be taken, or this is closed.
   */
  accept(): Promise<Socket>;
  /** Listens no more; an accept that waits fails. */
  close(): void;
}
