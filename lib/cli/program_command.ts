/**
 * The commands that a person is told: in the form in which the program that says them was started.
 *
 * @module
 */

import { isLoopback, parseAddress } from "../wire/address.ts";
import { folderOf } from "../util/path.ts";
import { HOST, PROXY_PORT, SERVER_PORT } from "../protocol/limits.ts";

/** The tasks that start or ask nodes. */
export type TaskName = "server" | "proxy" | "client" | "run" | "demo";

/** The command that starts a program: the compiled one beside this one, or its task. */
export function programCommand(program: TaskName, args: readonly string[] = []): string {
  const path = Deno.execPath();
  // Where npx keeps what it runs without installing it.
  const deno = /[\\/]_npx[\\/]/.test(path) ? ["npx", `deno@${Deno.version.deno}`] : ["deno"];
  const command = Deno.build.standalone
    ? [`${folderOf(path)}/halfway-${program}`]
    : [...deno, "task", program];
  return [...command, ...args].map(quoted).join(" ");
}

/**
 * What to start where a sentence says that a connection was refused: nobody listens at the address.
 *
 * @param sentence What was said.
 * @param addresses Those at which the program that said it looks for a server, or a proxy.
 * @returns What to say behind it; empty where there is nothing to say.
 */
export function startHint(
  sentence: string,
  { server, proxy }: { readonly server?: string; readonly proxy?: string },
): string {
  const address = server ?? proxy;
  // Deno's words for it on Linux and macOS, and on Windows.
  if (address === undefined || !/connection refused|actively refused/i.test(sentence)) return "";
  const { host, port } = parseAddress(address);
  // Of another machine nobody knows here how its programs are started.
  if (!isLoopback(host)) return "";
  const isServer = server !== undefined || port === SERVER_PORT;
  const args = [
    ...host === HOST || host === "localhost" ? [] : ["--host", host],
    ...port === (isServer ? SERVER_PORT : PROXY_PORT) ? [] : ["--port", String(port)],
  ];
  const program = isServer ? "server" : "proxy";
  return `; start a ${program} first: ${programCommand(program, args)}`;
}

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
