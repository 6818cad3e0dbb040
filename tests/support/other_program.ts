/**
 * Another program that has a table's file open: what is written to its standard input is SQL, or
 * `.backup FILE`, a line each, and for each it prints what came of it as a line of JSON.
 *
 * ```sh
 * deno run --allow-read --allow-write tests/support/other_program.ts data/table.db
 * ```
 *
 * @module
 */

import { backup, DatabaseSync } from "node:sqlite";
import { Child } from "./program.ts";

/** Rows of a result, or what was thrown. */
type Answer = { rows: Record<string, number | string>[] } | { error: string };

/** Such a program, as the test that started it sees it. */
export class OtherProgram implements AsyncDisposable {
  readonly #child: Child;
  #answers = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Starts it. It waits for locks of others for so long, in milliseconds. */
  static async open(file: string, timeoutMs: number = 5000): Promise<OtherProgram> {
    const path = new URL(import.meta.url).pathname;
    const program = new OtherProgram(
      new Child([
        Deno.execPath(),
        "run",
        "--no-prompt",
        "--allow-read",
        "--allow-write",
        path,
        file,
      ]),
    );
    await program.sql(`PRAGMA busy_timeout = ${timeoutMs}`);
    return program;
  }

  /** Has it do this, and gives the rows that it got. */
  async sql(statement: string): Promise<Record<string, number | string>[]> {
    await this.#child.writeMore(`${statement}\n`);
    const line = this.#answers++;
    const lines = () => this.#child.stdout.split("\n");
    await this.#child.until(() => lines().length > line + 1, statement);
    const answer: Answer = JSON.parse(lines()[line]!);
    if ("error" in answer) throw new Error(`${statement}: ${answer.error}`);
    return answer.rows;
  }

  /** Closes the database, and ends. */
  async end(): Promise<void> {
    await this.#child.write("");
    await this.#child.ended("the other program to end");
  }

  /** Kills it, if it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

async function main(): Promise<void> {
  using database = new DatabaseSync(Deno.args[0]!);
  const output = Deno.stdout.writable.getWriter();
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const statement of lines) {
      let answer: Answer;
      try {
        const copy = /^\.backup (.*)/.exec(statement)?.[1];
        if (copy !== undefined) await backup(database, copy);
        const rows = copy === undefined ? database.prepare(statement).all() : [];
        answer = { rows: rows as Record<string, number | string>[] };
      } catch (error) {
        answer = { error: (error as Error).message };
      }
      await output.write(new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
    }
  }
}

if (import.meta.main) await main();
