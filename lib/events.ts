/**
 * What can happen at a node: one union of events, told to one sink.
 *
 * Whatever watches a node (a trace, figures, a page) is a reader of these, and of nothing else.
 *
 * @module
 */

/** What a node is. */
export type Role = "client" | "proxy" | "server";

/** A connection, seen from the node that tells of it. */
export interface ConnectionEnds {
  /** The node that tells. */
  readonly node: Role;
  /** This side's `host:port`. */
  readonly address: string;
  /** What the other side is; a proxy counts as a client until it has asked for a lease. */
  readonly peer: Role;
  /** The other side's `host:port`. */
  readonly peerAddress: string;
}

/** What is said of indices: these, or `"all"`. */
export type Indices = readonly number[] | "all";

/**
 * Something that has happened at a node; `node` is the one that tells, `type` says what it is.
 *
 * All integers are within ±(2^53 − 1). A `holder` is the proxy's end of its connection to the server,
 * `host:port`, by which both nodes call it; `"disconnected"` stands for holders whose connection has
 * ended and whose lease has not. A `why` that is a string is a sentence for people, which may change.
 */
export type NodeEvent =
  /**
   * A message passes: it was read, or handed to the connection. `line` is the text as it was sent,
   * without the newline: what a peer sent may hold control characters. A `renewal` is a SUB, or the
   * answer to it, while a lease runs.
   */
  | ConnectionEnds & {
    readonly type: "message";
    readonly direction: "in" | "out";
    readonly line: string;
    readonly renewal: boolean;
  }
  /** Bytes came that are no line, and for a moment, or for ever, nothing that ends it. */
  | ConnectionEnds & { readonly type: "unterminated"; readonly bytes: number }
  /** A connection is there: `"in"`, it was accepted; `"out"`, this node has made it. */
  | ConnectionEnds & { readonly type: "connected"; readonly direction: "in" | "out" }
  /** A connection is closed. */
  | ConnectionEnds & { readonly type: "disconnected"; readonly why: string }
  /** A proxy could not connect to its server, and will try again. */
  | {
    readonly type: "unreachable";
    readonly node: "proxy";
    readonly peerAddress: string;
    readonly why: string;
  }
  /** A read found all in the cache. */
  | { readonly type: "hit"; readonly node: "proxy"; readonly ind: readonly number[] }
  /** A read found nothing in the cache: `ind` is asked of the server. */
  | { readonly type: "miss"; readonly node: "proxy"; readonly ind: readonly number[] }
  /** A read found `hits` in the cache: `misses` is asked of the server. */
  | {
    readonly type: "part-hit";
    readonly node: "proxy";
    readonly hits: readonly number[];
    readonly misses: readonly number[];
  }
  /**
   * A read is asked of the server without a look into the cache: `"in-flight"`, an earlier request of
   * that client is at the server; `"no-lease"`; or `"dropped"`, an entry that it had found was dropped
   * while the others came.
   */
  | {
    readonly type: "bypass";
    readonly node: "proxy";
    readonly ind: readonly number[];
    readonly why: "in-flight" | "no-lease" | "dropped";
  }
  /** Entries enter the cache, since they were read or written; `evicted` are those pushed out. */
  | {
    readonly type: "enter";
    readonly node: "proxy";
    readonly ind: readonly number[];
    readonly data: readonly number[];
    readonly evicted: readonly number[];
    readonly why: "read" | "write";
  }
  /** Entries that were held, `count` of them, are dropped from the cache. */
  | {
    readonly type: "drop";
    readonly node: "proxy";
    readonly ind: Indices;
    readonly count: number;
    readonly why: "invalidation" | "write" | "clear" | "disconnected" | "resized";
  }
  /** A lease begins: the first of a connection, or one after a lapse. */
  | {
    readonly type: "lease-granted";
    readonly node: "proxy" | "server";
    readonly holder: string;
    readonly termMs: number;
  }
  /** A running lease was renewed. */
  | {
    readonly type: "lease-renewed";
    readonly node: "proxy" | "server";
    readonly holder: string;
    readonly termMs: number;
  }
  /** The proxy finds its lease over, and answers nothing from the cache until it is granted again. */
  | { readonly type: "lease-lapsed"; readonly node: "proxy"; readonly holder: string }
  /** The proxy has given its lease back. */
  | {
    readonly type: "lease-returned";
    readonly node: "proxy" | "server";
    readonly holder: string;
  }
  /**
   * A write, a clear, or the end of the server waits for these holders, `atMostMs` at most: until the
   * longest of their leases is over.
   */
  | {
    readonly type: "wait";
    readonly node: "server";
    readonly what: "write" | "clear" | "end";
    readonly ind: Indices;
    readonly holders: readonly string[];
    readonly atMostMs: number;
  }
  /** It has waited for a tenth of the term, and still does, for these holders. */
  | {
    readonly type: "long-wait";
    readonly node: "server";
    readonly what: "write" | "clear" | "end";
    readonly ind: Indices;
    readonly holders: readonly string[];
    readonly waitedMs: number;
  }
  /** A holder is asked, by INV, to drop what it holds of these. */
  | {
    readonly type: "holder-asked";
    readonly node: "server";
    readonly holder: string;
    readonly ind: Indices;
  }
  /** A holder has answered an INV; `late`, when it was no longer waited for, and `ind` not kept. */
  | {
    readonly type: "holder-answered";
    readonly node: "server";
    readonly holder: string;
    readonly ind: Indices;
    readonly late: boolean;
  }
  /** A holder is no longer waited for: its lease has lapsed, or it has given that back. */
  | {
    readonly type: "holder-released";
    readonly node: "server";
    readonly holder: string;
    readonly ind: Indices;
    readonly why: "lapsed" | "returned";
  }
  /** The table has changed, and the change is stored: `cleared` to zeros first, then written. */
  | {
    readonly type: "commit";
    readonly node: "server";
    readonly cleared: boolean;
    readonly ind: readonly number[];
    readonly data: readonly number[];
  }
  /** Writes could not be stored, and nothing was changed. */
  | { readonly type: "commit-refused"; readonly node: "server"; readonly why: string }
  /** Whether writes are stored cannot be known: the server ends. */
  | { readonly type: "commit-unknown"; readonly node: "server"; readonly why: string };

/** Takes events as they happen, one after the other. */
export type EventSink = (event: NodeEvent) => void;

/**
 * A sink whose failure breaks nothing: what it throws, or what a promise of it is rejected with, is
 * logged the first time, and it is told the next event all the same.
 */
export function guardSink(
  sink: EventSink | undefined,
  log: (sentence: string) => void = () => {},
): EventSink | undefined {
  if (sink === undefined) return undefined;
  let logged = false;
  function failed(error: unknown): void {
    if (logged) return;
    logged = true;
    log(`the option "events" threw: ${error instanceof Error ? error.message : error}`);
  }
  return (event) => {
    try {
      // An async function is a sink to the compiler, too.
      const result: unknown = sink(event);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}

/** A log that does not throw, whatever the one of the option does: it is told in the middle of a step. */
export function guardLog(
  log: ((sentence: string) => void) | undefined,
): (sentence: string) => void {
  return (sentence) => {
    try {
      log?.(sentence);
    } catch {
      // Nobody is left who could be told.
    }
  };
}
