/**
 * Simulated machines, and the processes on them: a process is the runtime of a node.
 *
 * @module
 */

import type {
  Address,
  FailureKind,
  Listening,
  Runtime,
  Socket,
  Timer,
} from "../runtime/runtime.ts";
import { type ClockOptions, RIGHT } from "./clock.ts";
import { SimulatedError } from "./end.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Happening, World } from "./world.ts";

/** The wall clock of every machine when the world begins, before it is set. */
const WALL_START = Date.UTC(2026, 0, 1);

/** By how much a timer may come early at most, in milliseconds: less than the unit of a clock. */
const EARLY_MS = 1;
/** How long a process needs to read all that stands at its sockets, in milliseconds. */
const READING_MS = 0.001;

/**
 * A machine: it has a name, a monotonic and a wall clock, sleeps, and runs processes.
 *
 * Its name is the host of its addresses; for its own processes `127.0.0.1` and `localhost` are, too.
 */
export class Machine {
  /** Its name. */
  readonly name: string;
  /** The world it is in. */
  readonly world: World;
  /** The network it is on. */
  readonly network: Network;
  readonly #clock: Required<ClockOptions>;
  readonly #processes = new Set<Process>();
  /** How long it has slept, and since when it does. */
  #sleptMs = 0;
  #asleepSince: number | undefined;
  #setMs = 0;

  /**
   * Makes one that is awake, on a network.
   *
   * @throws {TypeError} If the name is none of a host, or another machine of the network has it.
   * @throws {RangeError} If a clock does not go forward.
   */
  constructor(name: string, network: Network, clock: ClockOptions = {}) {
    this.#clock = { ...RIGHT, ...clock };
    if (!(this.#clock.rate > 0 && this.#clock.wallRate > 0)) {
      throw new RangeError("Cannot take a clock that does not go forward");
    }
    network.join(name);
    this.name = name;
    this.world = network.world;
    this.network = network;
  }

  /** Whether it sleeps: nothing runs on it, and its monotonic clock stands still. */
  get asleep(): boolean {
    return this.#asleepSince !== undefined;
  }

  /** How many milliseconds of its monotonic clock pass in one of the world's. */
  get rate(): number {
    return this.#clock.rate;
  }

  /** What its monotonic clock shows, in milliseconds: it is never set, and stands still in sleep. */
  get monotonic(): number {
    const asleepMs = this.#asleepSince === undefined ? 0 : this.world.now - this.#asleepSince;
    // Not 0 at the start: no clock of a real machine is.
    return 1000 + (this.world.now - this.#sleptMs - asleepMs) * this.#clock.rate;
  }

  /** What its wall clock shows, in whole milliseconds since 1970: it goes on in sleep. */
  get wall(): number {
    const { wallAhead, wallRate } = this.#clock;
    return Math.floor(WALL_START + wallAhead + this.#setMs + this.world.now * wallRate);
  }

  /**
   * Sets the wall clock forward by `ms` milliseconds, or back where `ms` is negative.
   *
   * A cache is right about its lease as long as one of its two clocks is: do not both have the machine
   * sleep and set this back within one term, unless it is the old value that you want to see.
   */
  setWall(ms: number): void {
    this.#setMs += ms;
  }

  /**
   * Falls asleep, as a laptop does: no process of it runs, and its monotonic clock stands still. What
   * comes over the network is kept until it wakes.
   */
  sleep(): void {
    this.#asleepSince ??= this.world.now;
  }

  /** Wakes up: each process finds what has come meanwhile, in any order. */
  wake(): void {
    if (this.#asleepSince === undefined) return;
    this.#sleptMs += this.world.now - this.#asleepSince;
    this.#asleepSince = undefined;
    for (const process of this.#processes) process.catchUp();
  }

  /** Starts a process, also while it sleeps: that runs when it wakes. */
  start(): Process {
    const process = new Process(this, () => this.#processes.delete(process));
    this.#processes.add(process);
    return process;
  }
}

/** Something that a process is told, and has not taken yet. */
interface Delivery {
  readonly run: () => void;
  /** Of a timer, when it was due, by the process's monotonic clock. */
  readonly due: number | undefined;
}

class SimulatedTimer {
  happening: Happening | undefined;
}

/**
 * A process on a machine: the `runtime` of the nodes that run in it, which have its clocks, timers,
 * chance and connections, end with it, and wait while it is stopped or its machine sleeps.
 *
 * It holds up what the world tells a node, and not what your code calls: a call of a cache is made
 * whether its process runs or not. What is part of the process goes through {@linkcode deliver}.
 */
export class Process implements Runtime {
  /** The machine it is on. */
  readonly machine: Machine;
  readonly #random: Random;
  readonly #ended: () => void;
  /** What came while it could not run. */
  #deliveries: Delivery[] = [];
  #stopped = false;
  #dead = false;
  readonly #killed = Promise.withResolvers<void>();
  /** Its sockets, so that they end with it. */
  readonly #closers = new Set<() => void>();

  /**
   * Started by {@linkcode Machine.start}.
   *
   * @ignore
   */
  constructor(machine: Machine, ended: () => void) {
    this.machine = machine;
    this.#random = machine.world.random.fork();
    this.#ended = ended;
  }

  /** The host of its addresses: the name of its machine. */
  get host(): string {
    return this.machine.name;
  }

  /** Resolves when it is killed; waits for ever where it never is. */
  get killed(): Promise<void> {
    return this.#killed.promise;
  }

  /** Whether it was killed. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Whether it is stopped, or its machine sleeps: what it is told waits. */
  get suspended(): boolean {
    return this.#stopped || this.machine.asleep;
  }

  /** Stops it, as SIGSTOP does: its machine goes on, and takes what comes over the network. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets it go on: it finds what has come meanwhile, in any order. */
  continue(): void {
    this.#stopped = false;
    this.catchUp();
  }

  /**
   * Kills it, as SIGKILL does: its machine ends its connections, and whatever its nodes wait for never
   * comes. A server without a {@linkcode Disk} loses its table.
   */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#killed.resolve();
    this.#deliveries = [];
    for (const close of this.#closers) close();
    this.#ended();
  }

  /** Calls `run` in this process: now, or when it runs again; never once it is dead. */
  deliver(run: () => void): void {
    this.#deliver({ run, due: undefined });
  }

  #deliver(delivery: Delivery): void {
    if (this.#dead) return;
    if (this.suspended) this.#deliveries.push(delivery);
    else delivery.run();
  }

  /**
   * Has what came meanwhile taken, one thing after the other: whoever waits on several sockets and
   * timers finds them in any order, but earlier timers before later ones.
   *
   * @ignore
   */
  catchUp(): void {
    if (this.suspended) return;
    const deliveries = this.#random.shuffle(this.#deliveries);
    this.#deliveries = [];
    const timers = deliveries.filter(({ due }) => due !== undefined)
      .sort((a, b) => a.due! - b.due!);
    for (const each of deliveries) {
      const delivery = each.due === undefined ? each : timers.shift()!;
      this.machine.world.after(0, () => this.#deliver(delivery));
    }
  }

  /**
   * Has `close` called when this is killed; the function that is returned takes that back.
   *
   * @ignore
   */
  whenKilled(close: () => void): () => void {
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  now(): number {
    return this.machine.monotonic;
  }

  wallClock(): number {
    return this.machine.wall;
  }

  random(): number {
    return this.#random.next();
  }

  setTimer(callback: () => void, ms: number): Timer {
    const timer = new SimulatedTimer();
    // Late by a little, seldom by much; and early by less than the clock's unit.
    const late = this.#random.chance(0.02)
      ? this.#random.between(0, 20)
      : this.#random.next() - 0.5;
    this.#arm(timer, callback, this.now() + Math.max(0, ms) + late);
    return timer;
  }

  afterReading(callback: () => void): Timer {
    const timer = new SimulatedTimer();
    // What was told while it could not run is told at this moment, and read in the same.
    this.#arm(timer, callback, this.now() + READING_MS);
    return timer;
  }

  clearTimer(timer: Timer | undefined): void {
    if (!(timer instanceof SimulatedTimer) || timer.happening === undefined) return;
    timer.happening.run = undefined;
    timer.happening = undefined;
  }

  listen(address: Address): Listening {
    return this.machine.network.listen(this, address);
  }

  connect(address: Address, signal: AbortSignal): Promise<Socket> {
    return this.machine.network.connect(this, address, signal);
  }

  kindOf(error: unknown): FailureKind {
    return error instanceof SimulatedError ? error.kind : "other";
  }

  #arm(timer: SimulatedTimer, callback: () => void, due: number): void {
    const happening = this.machine.world.after((due - this.now()) / this.machine.rate, () => {
      const run = () => {
        // Taken back meanwhile.
        if (timer.happening !== happening) return;
        // The machine has slept, and its clock stood still.
        if (this.now() < due - EARLY_MS) return this.#arm(timer, callback, due);
        timer.happening = undefined;
        callback();
      };
      this.#deliver({ run, due });
    });
    timer.happening = happening;
  }
}
