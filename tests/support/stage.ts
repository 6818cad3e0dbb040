/**
 * A simulated world for one test: the node that is tested runs in it, and so do those whom the test
 * plays. Nothing is different but the time, which takes none to pass.
 *
 * @example
 * ```ts ignore
 * simulated("lease: it lapses", async (stage) => {
 *   await using ends = await BothEnds.start({ stage });
 *   await stage.pass(HOUR_MS);
 * });
 * ```
 *
 * @module
 */

import { Machine, Network, type Process, World } from "../../lib/simulate/mod.ts";
import type { Socket } from "../../lib/runtime/runtime.ts";
import { parseAddress } from "../../lib/wire/address.ts";
import type { Net } from "./wire.ts";

/** Whatever is not done after so much simulated time is waited for in vain. */
const LIMIT_MS = 24 * 3_600_000;

/** The world of one test. */
export class Stage implements Net {
  readonly world: World;
  readonly network: Network;
  readonly #machines = new Map<string, Machine>();
  readonly #processes = new Map<string, Process>();

  constructor(seed: number) {
    this.world = new World(seed);
    this.network = new Network(this.world);
  }

  /** A machine, by its name. */
  machine(name: string): Machine {
    const machine = this.#machines.get(name) ?? new Machine(name, this.network);
    this.#machines.set(name, machine);
    return machine;
  }

  /** The process on a machine that runs nothing else. */
  process(name: string): Process {
    const process = this.#processes.get(name) ?? this.machine(name).start();
    this.#processes.set(name, process);
    return process;
  }

  /** Where a node runs, as its options say it. */
  on(name: string): { host: string; runtime: Process } {
    return { host: name, runtime: this.process(name) };
  }

  /** Time passes. */
  pass(ms: number): Promise<void> {
    return this.world.pass(ms);
  }

  /** The test listens, as a node would. */
  listen(port: number): Deno.TcpListener {
    const listening = this.process("test").listen({ host: "test", port });
    const { host: hostname } = listening.address;
    return {
      addr: { hostname, port: listening.address.port, transport: "tcp" },
      accept: async () => asConn(await listening.accept()),
      close: () => listening.close(),
    } as Deno.TcpListener;
  }

  /** The test connects. */
  async connect(address: string): Promise<Deno.TcpConn> {
    const never = new AbortController().signal;
    return asConn(await this.process("test").connect(parseAddress(address), never));
  }
}

/** As much of Deno's connections as the tests use. */
function asConn(socket: Socket): Deno.TcpConn {
  const { local, remote } = socket;
  return {
    localAddr: { hostname: local.host, port: local.port, transport: "tcp" },
    remoteAddr: { hostname: remote.host, port: remote.port, transport: "tcp" },
    setNoDelay: () => {},
    read: (buffer: Uint8Array) => socket.read(buffer),
    write: (bytes: Uint8Array) => socket.write(bytes),
    closeWrite: () => socket.closeWrite(),
    close: () => socket.close(),
  } as unknown as Deno.TcpConn;
}

/**
 * A test in a simulated world.
 *
 * @param seeds In so many worlds, one after the other, where chance is a part of what is tested.
 */
export function simulated(
  name: string,
  test: (stage: Stage) => Promise<void>,
  seeds: number = 1,
): void {
  Deno.test(name, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const stage = new Stage(seed);
      await stage.world.until(test(stage), LIMIT_MS);
    }
  });
}
