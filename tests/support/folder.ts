/**
 * Folders for tests, and what is in a table's file.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";

/** A folder that goes with the test that made it. */
export class Folder implements AsyncDisposable {
  readonly #path = Deno.makeTempDirSync({ prefix: "halfway-" });

  /** The path of a file in it. */
  path(name: string = "table.db"): string {
    return `${this.#path}/${name}`;
  }

  /** What is in it: every file with its bytes; a folder has none. */
  contents(): Record<string, Uint8Array | undefined> {
    const entries = [...Deno.readDirSync(this.#path)].toSorted((a, b) => a.name < b.name ? -1 : 1);
    return Object.fromEntries(
      entries.map(({ name, isFile }) => [
        name,
        isFile ? Deno.readFileSync(this.path(name)) : undefined,
      ]),
    );
  }

  /** Removes it, with all that is in it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path, { recursive: true });
  }
}

/** What a file keeps: see {@linkcode look}. */
export interface Kept {
  /** The rows of its table, `index=data`. */
  readonly entries: string;
  readonly size: number;
  readonly termMs: number;
  readonly clean: boolean;
}

/** Looks into the file of a server that has ended. */
export function look(path: string): Kept {
  using database = open(path);
  const statement = database.prepare("SELECT ind, data FROM entry ORDER BY ind");
  statement.setReadBigInts(true);
  const entries = statement.all().map(({ ind, data }) => `${ind}=${data}`).join(" ");
  const state = database.prepare("SELECT size, term_ms, clean FROM state").get()!;
  return {
    entries,
    size: Number(state.size),
    termMs: Number(state.term_ms),
    clean: state.clean === 1,
  };
}

/** Changes a file as no server would. */
export function tamper(path: string, sql: string): void {
  using database = open(path);
  database.exec(sql);
}

function open(path: string): DatabaseSync & Disposable {
  const database = new DatabaseSync(path);
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
}
