/**
 * `host:port`, to and from text.
 *
 * @module
 */

import { current, optionError } from "../util/options.ts";

import type { Address } from "../runtime/runtime.ts";

/**
 * Parses `host:port`; an IPv6 address stands in brackets, `[::1]:6001`.
 *
 * @throws {TypeError} If it is none.
 */
export function parseAddress(text: string): Address {
  const match = typeof text !== "string"
    ? null
    : /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:[\]/]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) {
    throw optionError(
      new TypeError(`Cannot take an address that is no host:port: ${current(text)}`),
    );
  }
  return { host, port };
}

/** Whether a text is a host that can be listened on: a name, or an IP address without brackets. */
export function isHost(text: string): boolean {
  // One colon is no IPv6 address but a host and a port.
  if (/^[^:]*:[^:]*$/.test(text)) return false;
  try {
    parseAddress(formatAddress({ host: text, port: 0 }));
    return true;
  } catch {
    return false;
  }
}

/** Formats an address as `host:port`, an IPv6 address in brackets. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether the host is this machine, reached by loopback: 127.0.0.0/8, `::1` or `localhost`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" ||
    /^127(?:\.(?:25[0-5]|2[0-4]\d|1\d\d|\d?\d)){3}$/.test(host);
}
