/**
 * How long a program takes from its start to the line that says where it listens.
 *
 * @module
 */

import { type Addresses, permissionFlags, type ProgramName } from "../lib/cli/permissions.ts";
import { Child } from "./child.ts";

/** The stand-ins of the packages, where this process itself runs on them. */
const PICKED = import.meta.resolve("@std/cli/parse-args").startsWith("file:")
  ? [`--import-map=${import.meta.dirname}/../airgap/import_map.json`]
  : [];

/** A server, started as its task does, with `folder` as the current one. In milliseconds. */
export function serverStart(folder: string): Promise<number> {
  return programStart("server", ["--port", "0", "--quiet"], { listen: "127.0.0.1:0" }, folder);
}

/** A proxy of the server at `port`. In milliseconds. */
export function proxyStart(port: number, folder: string): Promise<number> {
  const server = `127.0.0.1:${port}`;
  const addresses = { listen: "127.0.0.1:0", server };
  return programStart("proxy", ["--port", "0", "--quiet", "--server", server], addresses, folder);
}

/** The bare echo: what the runtime takes by itself. In milliseconds. */
export function echoStart(): Promise<number> {
  return timed(() => Child.module("echo.ts"));
}

function programStart(
  program: ProgramName,
  args: string[],
  addresses: Addresses,
  folder: string,
): Promise<number> {
  const flags = [...PICKED, ...permissionFlags(program, addresses)];
  const file = `${import.meta.dirname}/../${program}.ts`;
  const command = [Deno.execPath(), "run", ...flags, file, ...args];
  return timed(() => new Child(program, command, { cwd: folder }));
}

async function timed(start: () => Child): Promise<number> {
  const from = performance.now();
  await using child = start();
  await child.line();
  return performance.now() - from;
}
