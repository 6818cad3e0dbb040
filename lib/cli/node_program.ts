/**
 * What the programs of the nodes that listen share: the flags, the line that says where, the signals.
 *
 * @module
 */

import { HOST, MAX_CONNECTIONS, MAX_TIMEOUT_MS } from "../protocol/limits.ts";
import { isLoopback } from "../wire/address.ts";
import type { NodeOptions } from "../wire/node_options.ts";
import { host, isGiven, UsageError, type Values, whole } from "./flags.ts";
import { exit, print, report, reportTrace } from "./output.ts";
import { type CommonValues, EXIT, type Program, runProgram } from "./program.ts";
import { startHint } from "./program_command.ts";
import { atEndSignals } from "./signals.ts";

/** The flags of every node that listens. */
export function listeningFlags(port: number) {
  return {
    host: host("the host to listen on", HOST),
    port: whole({
      value: "PORT",
      what: "the port to listen on, 0 for any that is free",
      least: 0,
      most: 65535,
      standard: port,
    }),
    "max-connections": whole({
      value: "N",
      what: "how many connections it takes at a time",
      least: 1,
      most: 1_000_000,
      standard: MAX_CONNECTIONS,
    }),
    "idle-timeout": whole({
      value: "MS",
      what: "after how long without a line a connection is closed, at most twice that",
      least: 1,
      most: MAX_TIMEOUT_MS,
      standard: undefined,
      shown: "never",
    }),
    open: isGiven("allow a host other than loopback: the network is trusted"),
    "until-eof": isGiven("end in order when standard input ends, too, as it does with a parent"),
  };
}

/** Their values. */
export type ListeningValues = Values<ReturnType<typeof listeningFlags>>;

/** A node that runs. */
export interface RunningNode {
  /** Where it listens, `host:port`. */
  readonly address: string;
  /** Resolves if it has ended by itself, to why. */
  readonly failure?: Promise<Error>;
  /** Of a server that has ended, whether no lease is out. */
  readonly clean?: boolean | undefined;
  /** Answers what is in hand, and ends. */
  close(): Promise<void>;
}

/**
 * Runs a node from its command line until a signal ends it.
 *
 * Once it listens it prints one line to standard output. The first SIGINT, SIGTERM or SIGHUP closes
 * it; another one more than half a second later ends the program there and then. With `--until-eof`
 * the end of its input closes it, too.
 */
export function runNode<V extends CommonValues & ListeningValues>(
  program: Program<V>,
  start: (values: V, options: NodeOptions) => Promise<RunningNode>,
): Promise<never> {
  return runProgram(program, async (values) => {
    if (!isLoopback(values.host) && !values.open) {
      throw new UsageError(`--host "${values.host}" is not loopback: it needs --open`);
    }
    const name = `halfway-${program.name}`;
    const idleTimeoutMs = values["idle-timeout"];
    const addresses = program.addresses(values);
    const logAlways = (sentence: string) => {
      const time = new Date().toISOString();
      report(`${time} ${name}: ${sentence}${startHint(sentence, addresses)}`);
    };
    const log = values.quiet ? () => {} : logAlways;
    const end = Promise.race([firstSignal(log), ...values["until-eof"] ? [inputEnd()] : []]);
    const toEnd = end.then((why) => {
      log(`${why}: it ends`);
      return undefined;
    });
    const starting = start(values, {
      host: values.host,
      port: values.port,
      maxConnections: values["max-connections"],
      ...idleTimeoutMs === undefined ? {} : { idleTimeoutMs },
      events: values.trace && reportTrace(values.trace),
      log,
    });
    const node = await Promise.race([starting, toEnd]);
    if (node === undefined) {
      log("has ended before it listened");
      return EXIT.DONE;
    }
    // It serves, whether or not anybody reads where.
    print(`${name} listening on ${node.address}\n`);
    const { failure: failing = toEnd } = node;
    await Promise.race([toEnd, failing]);
    await node.close();
    // It may have failed in what was in hand.
    const failure = await Promise.race([failing, undefined]);
    if (failure !== undefined) {
      // Why it ends with an error, which is no log line that could be left out.
      logAlways(`the server ended: ${failure.message}`);
      return EXIT.UNREACHABLE;
    }
    log(ended(node));
    return EXIT.DONE;
  });
}

/** How a node has ended that was told to. */
function ended({ clean }: RunningNode): string {
  if (clean === undefined) return "has ended";
  return clean
    ? "has ended cleanly: no lease is out"
    : "has ended, but not cleanly: a lease may be out";
}

/** Resolves at the first signal to end, to its name; a second one ends the program at once. */
function firstSignal(log: (sentence: string) => void): Promise<string> {
  return new Promise((resolve) => {
    atEndSignals((signal, number, isSecond) => {
      if (isSecond) {
        log(`${signal}, a second signal: it ends at once`);
        exit(128 + number);
      }
      resolve(signal);
    });
  });
}

/** Resolves when standard input has ended, whatever came on it, to that in words. */
async function inputEnd(): Promise<string> {
  try {
    for await (const _ of Deno.stdin.readable);
  } catch {
    // What cannot be read has ended.
  }
  return "standard input has ended";
}
