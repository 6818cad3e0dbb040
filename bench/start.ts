/**
 * How long a program takes from its start to the line that says where it listens.
 *
 * @module
 */

import { type Addresses, permissionFlags, type ProgramName } from "../lib/cli/permissions.ts";
import { Child } from "./child.ts";
import { usage } from "./usage.ts";

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

/** A server whose file holds a large table: milliseconds, and resident memory in MiB then. */
export async function largeStart(data: string): Promise<{ ms: number; residentMiB: number }> {
  const folder = data.replace(/\/[^/]*$/, "");
  const args = ["--port", "0", "--quiet", "--data", data];
  const from = performance.now();
  await using child = program("server", args, { listen: "127.0.0.1:0", folder }, folder);
  await child.line();
  const ms = performance.now() - from;
  return { ms, residentMiB: (await usage(child.pid))?.residentMiB ?? NaN };
}

/** The bare echo: what the runtime takes by itself. In milliseconds. */
export function echoStart(): Promise<number> {
  return timed(() => Child.module("echo.ts"));
}

function programStart(
  name: ProgramName,
  args: string[],
  addresses: Addresses,
  folder: string,
): Promise<number> {
  return timed(() => program(name, args, addresses, folder));
}

function program(
  name: ProgramName,
  args: string[],
  addresses: Addresses,
  folder: string,
): Child {
  const flags = [...PICKED, ...permissionFlags(name, addresses)];
  const file = `${import.meta.dirname}/../${name}.ts`;
  const command = [Deno.execPath(), "run", ...flags, file, ...args];
  return new Child(name, command, { cwd: folder });
}

async function timed(start: () => Child): Promise<number> {
  const from = performance.now();
  await using child = start();
  await child.line();
  return performance.now() - from;
}
