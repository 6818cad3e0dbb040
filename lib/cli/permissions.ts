/**
 * What the sandbox allows each program. The flags stand once, in deno.json's tasks.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** The programs. */
export type ProgramName = "server" | "proxy" | "client";

/** The addresses, `host:port`, at which a program listens or to which it connects; and its folder. */
export interface Addresses {
  /** Where a node listens; with port 0 on any port that is free. */
  readonly listen?: string;
  /** The server, for a proxy. */
  readonly server?: string;
  /** The proxy, for a client. */
  readonly proxy?: string;
  /** The folder of a server's file. */
  readonly folder?: string;
}

/** What the addresses in a task's `--allow-net` are, in their order. */
const ADDRESSES = {
  server: ["listen"],
  proxy: ["listen", "server"],
  client: ["proxy"],
} as const;

/**
 * The flags under which a program's task runs it.
 *
 * @param addresses Those to allow in place of the defaults.
 * @returns The flags, `--no-prompt` among them.
 */
export function permissionFlags(program: ProgramName, addresses: Addresses = {}): string[] {
  const flags = config.tasks[program].split(" ").filter((word) =>
    /^--(no-prompt|allow-)/.test(word)
  );
  return flags.map((flag) => {
    const [name, list = ""] = flag.split("=");
    if (name === "--allow-read" || name === "--allow-write") {
      return `${name}=${addresses.folder ?? list}`;
    }
    if (name !== "--allow-net") return flag;
    const allowed = list.split(",").map((standard, i) => {
      const role = ADDRESSES[program][i];
      return (role && addresses[role]) ?? standard;
    });
    return `${name}=${allowed.join(",")}`;
  });
}

/** Says what to do about what the sandbox refused to a program that was run with these arguments. */
export function permissionHint(
  program: ProgramName,
  addresses: Addresses,
  args: readonly string[],
): string {
  if (Deno.build.standalone) return "this program was compiled without that permission";
  // Where the packages are stood in for, the command must say so too.
  const standIns = import.meta.resolve("@std/cli/parse-args").startsWith("file:")
    ? ["--import-map=airgap/import_map.json"]
    : [];
  const flags = [...standIns, ...permissionFlags(program, addresses)];
  return `run ${["deno", "run", ...flags, `${program}.ts`, ...args].map(quoted).join(" ")}`;
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
