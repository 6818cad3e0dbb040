/**
 * Those who ask: what they ask, and what is noted of it.
 *
 * @module
 */

import type { TableCalls } from "../lib/table_calls.ts";
import { TableError } from "../lib/protocol/error.ts";
import { CoherentCache } from "../lib/proxy/coherent_cache.ts";
import type { Random } from "../lib/simulate/random.ts";
import type { Action } from "./check.ts";
import type { CallerPlan } from "./plan.ts";
import { begun, type Stage } from "./stage.ts";

/** What is asked, and the same with what was seen, once it is answered. */
type Asked = [Action, Promise<Action>];

/** All callers of a plan. */
export class Callers {
  readonly #stage: Stage;
  #asked = 0;

  /** Nobody asks yet. */
  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Whether as much was asked as the plan says. */
  get done(): boolean {
    return this.#asked >= this.#stage.plan.operations;
  }

  /** They ask, until all is asked and answered. */
  async askAll(): Promise<void> {
    await Promise.all(this.#stage.plan.callers.map((caller) => this.#call(caller)));
  }

  /** Over one connection after the other, or by the calls of a cache. */
  async #call(caller: CallerPlan): Promise<void> {
    const stage = this.#stage;
    const random = stage.world.random.fork();
    while (!this.done) {
      try {
        if (stage.plan.caches.find(({ name }) => name === caller.node)?.embedded) {
          const { process, node } = stage.place(caller.node);
          if (node instanceof CoherentCache && !process.dead) {
            // Who asks inside a program ends with it.
            await Promise.race([process.killed, this.#ask(caller, node, random, false)]);
          }
        } else {
          const client = await stage.connect(caller.node, caller.timeoutMs);
          try {
            await this.#ask(caller, client, random, true);
          } finally {
            // Not awaited: it may hang on a way that is cut.
            client.close();
          }
        }
      } catch (error) {
        if (!isOutage(error)) throw error;
      }
      await stage.world.pass(random.between(0, 2 * caller.thinkMs));
    }
  }

  /** In bursts, until the connection has had enough. */
  async #ask(
    caller: CallerPlan,
    table: TableCalls,
    random: Random,
    ordered: boolean,
  ): Promise<void> {
    const stage = this.#stage;
    const connection = stage.connection();
    for (let sent = 0; sent < caller.perConnection && !this.done;) {
      const burst = [];
      for (let left = 1 + random.below(caller.burst); left > 0; left--, sent++) {
        // Calls of a cache that are not awaited are concurrent.
        const of = ordered ? connection : stage.connection();
        const performed = this.perform(caller, table, of, random);
        // Looked at below, and it may fail before that.
        performed.catch(() => {});
        burst.push(performed);
        if (caller.spreadMs > 0) await stage.world.pass(random.between(0, caller.spreadMs));
      }
      for (const result of await Promise.allSettled(burst)) {
        if (result.status === "rejected") throw result.reason;
      }
      await stage.world.pass(random.between(0, 2 * caller.thinkMs));
    }
  }

  /** Asks once; rejects where the node is away. */
  async perform(
    caller: CallerPlan,
    table: TableCalls,
    connection: number,
    random: Random,
  ): Promise<void> {
    if (!caller.watches) this.#asked++;
    const stage = this.#stage;
    const note = begun(stage, caller.name, connection);
    const [action, done] = this.#choose(caller, table, random);
    note(action, "unknown");
    try {
      note(await done, "done");
    } catch (error) {
      if (/does not answer what was asked|answers no request|OP is missing/.test(String(error))) {
        stage.note("broken protocol", `${caller.name}: ${(error as Error).message}`);
      }
      const known = error instanceof TableError && error.code !== 504;
      if (known && stage.plan.faults.length === 0) {
        stage.note("refused for nothing", `${caller.name}: ${error.message}`);
      }
      note(action, known ? "refused" : "unknown");
      if (!(error instanceof TableError)) throw error;
    }
  }

  #choose({ writes, clears, watches }: CallerPlan, table: TableCalls, random: Random): Asked {
    const stage = this.#stage, { size } = stage.plan;
    const indices = (most: number) =>
      Array.from({ length: 1 + random.below(most) }, () => random.below(size));
    const dice = random.next();
    if (dice < writes * (1 - clears)) return put(stage, table, indices(3));
    if (dice < writes) return clear(table);
    if (watches || random.next() < 0.85) return get(table, indices(watches ? 1 : 4));
    return add(table, indices(3));
  }
}

/** Writes values that are new. */
export function put(stage: Stage, table: TableCalls, ind: number[]): Asked {
  const action = { kind: "PUT", ind, data: stage.values(ind.length) } as const;
  const entries = ind.map((index, i) => [index, action.data[i]!] as const);
  return [action, table.put(entries).then(() => action)];
}

/** Reads. */
export function get(table: TableCalls, ind: number[]): Asked {
  const asked = { kind: "GET", ind, data: [] } as const;
  return [asked, table.get(ind).then((data) => ({ kind: "GET", ind, data }))];
}

/** Adds up. */
export function add(table: TableCalls, ind: number[]): Asked {
  const asked = { kind: "ADD", ind, sum: 0n } as const;
  return [asked, table.add(ind).then((sum) => ({ kind: "ADD", ind, sum }))];
}

/** Sets all to 0. */
export function clear(table: TableCalls): Asked {
  const action = { kind: "CLR" } as const;
  return [action, table.clear().then(() => action)];
}

/** Whether an error is one of a node that is away, which comes back. */
function isOutage(error: unknown): boolean {
  return (error as Error).name === "UnreachableError" || error instanceof TableError;
}
