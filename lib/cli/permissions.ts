/**
 * What the sandbox allows each program. The flags stand once, in deno.json's tasks.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { formatAddress, parseAddress } from "../wire/address.ts";
import { folderOf } from "../util/path.ts";
import { HOST, PROXY_PORT, SERVER_PORT } from "../protocol/limits.ts";
import { programCommand, quoted, type TaskName } from "./program_command.ts";

/** The programs. */
export type ProgramName = "server" | "proxy" | "client";

/** Whether it is one. */
export function isProgramName(name: string): name is ProgramName {
  return Object.hasOwn(ADDRESSES, name);
}

/** The addresses, `host:port`, at which a program listens or to which it connects; and its folder. */
export interface Addresses {
  /** Where a node listens; with port 0 on any port that is free. */
  readonly listen?: string;
  /** The server, for a proxy. */
  readonly server?: string;
  /** The proxy, for a client. */
  readonly proxy?: string;
  /** The folder of a server's file; empty for none. */
  readonly folder?: string;
}

/** What the addresses in a task's `--allow-net` are, in their order. */
const ADDRESSES = {
  server: ["listen"],
  proxy: ["listen", "server"],
  client: ["proxy"],
} as const;

/**
 * The flags of `deno run` under which a program's task runs it.
 *
 * @param addresses Those to allow in place of the defaults.
 * @returns The flags, `--no-prompt` among them.
 */
export function permissionFlags(program: ProgramName, addresses: Addresses = {}): string[] {
  const words = config.tasks[program].split(" ");
  const flags = words.slice(words.indexOf("start.ts") + 1, words.indexOf(`${program}.ts`));
  return flags.flatMap((flag) => {
    const [name, list = ""] = flag.split("=");
    if (name === "--allow-read" || name === "--allow-write") {
      const { folder = list } = addresses;
      return folder === "" ? [] : `${name}=${folder}`;
    }
    if (name !== "--allow-net") return flag;
    const allowed = list.split(",").map((standard, i) => {
      const role = ADDRESSES[program][i];
      return (role && addresses[role]) ?? standard;
    });
    return `${name}=${allowed.join(",")}`;
  });
}

/**
 * What a command line names in place of the defaults.
 *
 * What the program will refuse (a value that is none, a flag twice) may be missing or the last one.
 */
export function addressesIn(program: ProgramName, args: readonly string[]): Addresses {
  const end = args.indexOf("--");
  const flags = end === -1 ? args : args.slice(0, end);
  function value(name: string): string | undefined {
    const at = flags.findLastIndex((arg) => arg === name || arg.startsWith(`${name}=`));
    const text = flags[at] === name ? flags[at + 1] : flags[at]?.slice(name.length + 1);
    // A comma would make it two: Deno has no way to write one in a list.
    return text === undefined || text === "" || text.includes(",") ? undefined : text;
  }
  function address(text: string | undefined): string | undefined {
    try {
      return text === undefined ? undefined : formatAddress(parseAddress(text));
    } catch {
      return undefined;
    }
  }
  function listen(standard: number): string | undefined {
    const [host, port] = [value("--host") ?? HOST, value("--port") ?? standard];
    return address(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  }
  const data = value("--data");
  const folder = data === undefined ? value("--folder") : folderOf(data);
  const named = {
    server: {
      listen: listen(SERVER_PORT),
      folder: flags.includes("--memory") ? "" : folder,
    },
    proxy: { listen: listen(PROXY_PORT), server: address(value("--server")) },
    client: { proxy: address(value("--proxy")) },
  }[program];
  return Object.fromEntries(Object.entries(named).filter(([, text]) => text !== undefined));
}

/** The flags by which the packages are found: those under which this program runs itself. */
export function packageFlags(): string[] {
  return import.meta.resolve("@std/cli/parse-args").startsWith("file:")
    ? ["--import-map=airgap/import_map.json"]
    : [];
}

/** Says what to do about what the sandbox refused to a compiled program. */
export function compiledHint({ folder }: Addresses): string {
  if (folder === undefined) return "this program was compiled without that permission";
  const another = `HALFWAY_DATA=${quoted(folder)} deno task compile`;
  return `this program was compiled for another folder; for this one: ${another}`;
}

/** Says what to do about what the sandbox refused to a program that was run with these arguments. */
export function permissionHint(
  program: TaskName,
  addresses: Addresses,
  args: readonly string[],
): string {
  if (Deno.build.standalone) return compiledHint(addresses);
  if (Object.values(addresses).some((text) => text.includes(","))) {
    return "Deno cannot allow what has a comma in it";
  }
  return `run ${programCommand(program, args)}`;
}
