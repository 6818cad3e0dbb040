/**
 * The client.
 *
 * @module
 */

import { type EventSink, guardSink } from "../events.ts";
import {
  CLIENT_TIMEOUT_MS,
  HOST,
  MAX_OUTSTANDING_REQUESTS,
  MAX_TIMEOUT_MS,
  PROXY_PORT,
} from "../protocol/limits.ts";
import type { Reply, Request } from "../protocol/message.ts";
import { parseReply } from "../protocol/parse.ts";
import { denoRuntime } from "../runtime/deno_runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { formatAddress } from "../wire/address.ts";
import { connect } from "../wire/connect.ts";
import type { Connection } from "../wire/connection.ts";
import { checkOption, checkTypes, current } from "../util/options.ts";
import { Asked, type Failure, RequestQueue } from "../wire/request_queue.ts";
import { TableCalls } from "../table_calls.ts";

/** Options of a {@linkcode TableClient}. */
export interface TableClientOptions {
  /**
   * How long connecting, and each request, may take, in milliseconds.
   *
   * @default {5000}
   */
  timeoutMs?: number;
  /**
   * Told of everything that happens on the connection, where it happens and in that order: it must
   * return at once, and call nothing of the client. What it throws breaks nothing.
   */
  events?: EventSink | undefined;
  /**
   * What the client needs of the world: its clocks, timers, chance and connections. In a test it may be
   * a `Process` of `@halfway/halfway/simulate`; what cannot be then fails with an `Error` that is no
   * `Deno.errors`, and has the same `name`.
   *
   * @default {Deno's}
   */
  runtime?: Runtime | undefined;
}

/** Thrown where a node cannot be reached, its connection is lost, or it does not answer in time. */
export class UnreachableError extends Error {
  /** The node, `host:port`. */
  readonly address: string;

  /** Makes one; `options.cause` is what went wrong below. */
  constructor(address: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnreachableError";
    this.address = address;
  }
}

/**
 * A client of a proxy, or of a server: a table as a program uses it, over one connection.
 *
 * Calls that are not awaited are pipelined, and take effect in the order called. Every call throws an
 * {@linkcode UnreachableError} where the connection is lost or no answer comes in time; whether a
 * write then happened is not known. It does not connect again.
 *
 * @example Write and read
 * ```ts
 * import { CacheProxy, TableClient, TableServer } from "@halfway/halfway";
 *
 * await using server = await TableServer.listen({ port: 0 });
 * await using proxy = await CacheProxy.listen({ port: 0, server: server.address });
 * await using client = await TableClient.connect(proxy.address);
 * await client.put([[7, 4], [8, 5]]);
 * await client.get([1, 8]); // [0, 5]
 * ```
 */
export class TableClient extends TableCalls implements AsyncDisposable {
  /** The node it talks to, `host:port`. */
  readonly address: string;
  readonly #connection: Connection;
  readonly #queue: RequestQueue;
  readonly #timeoutMs: number;
  readonly #reading: Promise<void>;
  /** That it was closed, from the moment that it was. */
  #closed: UnreachableError | undefined;
  /** Why the connection ended, once it has. */
  #end: UnreachableError | undefined;

  private constructor(address: string, connection: Connection, timeoutMs: number) {
    super();
    this.address = address;
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    this.#queue = new RequestQueue(timeoutMs, connection.runtime);
    this.#queue.attach(connection);
    this.#reading = this.#read();
  }

  /**
   * Connects.
   *
   * @param address The proxy, `host:port`.
   * @throws {TypeError} If the address is none, or an option is not of its type.
   * @throws {RangeError} If an option is outside its range.
   * @throws {UnreachableError} If nobody listens there, or does not answer in time.
   * @throws {Deno.errors.NotCapable} If the sandbox forbids it.
   */
  static async connect(
    address: string = formatAddress({ host: HOST, port: PROXY_PORT }),
    options: TableClientOptions = {},
  ): Promise<TableClient> {
    checkTypes(options, { timeoutMs: "number", events: "function", runtime: "object" });
    const { timeoutMs = CLIENT_TIMEOUT_MS, runtime = denoRuntime } = options;
    checkOption("timeoutMs", timeoutMs, 1, MAX_TIMEOUT_MS);
    try {
      const connection = await connect(address, {
        role: "client",
        peerRole: "proxy",
        timeoutMs,
        events: guardSink(options.events),
        runtime,
      });
      return new TableClient(address, connection, timeoutMs);
    } catch (error) {
      if (error instanceof TypeError || runtime.kindOf(error) === "forbidden") throw error;
      const why = (error as Error).message;
      throw new UnreachableError(address, `cannot reach ${address}: ${why}`, { cause: error });
    }
  }

  /**
   * Sends a line as it is.
   *
   * @param line A line without a newline; it need not be a request.
   * @returns The reply, an ERR like any other.
   * @throws {TypeError} If it is no string, or holds a newline.
   * @throws {UnreachableError} If no reply comes.
   */
  // deno-lint-ignore require-await -- what is wrong with the line is a rejection, too
  async send(line: string): Promise<Reply> {
    if (typeof line !== "string") {
      throw new TypeError(`Cannot send a line that is no string: ${current(line)}`);
    }
    if (line.includes("\n")) throw new TypeError("Cannot send a line that holds a newline");
    return this.#asked(line);
  }

  /** Resolves when one more may be sent without its waiting here; `undefined` where it may now. */
  room(): Promise<void> | undefined {
    return this.#connection.room() ?? this.#queue.room(MAX_OUTSTANDING_REQUESTS);
  }

  /** Resolves when the connection has ended, to why it did. */
  get ended(): Promise<UnreachableError> {
    return this.#reading.then(() => this.#end!);
  }

  /** Takes no more calls, and closes the connection when all that was asked is answered. */
  async close(): Promise<void> {
    this.#closed ??= new UnreachableError(this.address, "the client is closed");
    await this.#queue.idle();
    this.#end ??= this.#closed;
    await this.#connection.end();
    await this.#reading;
  }

  /** {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Has a request answered by the node. */
  protected override ask(request: Request): Promise<Reply> {
    return this.#asked(request);
  }

  #asked(request: Request | string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const end = this.#end ?? this.#closed;
      if (end !== undefined) throw end;
      this.#queue.ask(
        new Call(request, resolve, (why) => {
          reject(why === "silent" ? this.#silence() : this.#end);
        }),
        this.#connection.runtime.now(),
      );
    });
  }

  #silence(): UnreachableError {
    const { address } = this;
    const sentence = `no answer from ${address} in ${this.#timeoutMs} ms`;
    return new UnreachableError(address, this.#connection.andRest(sentence));
  }

  async #read(): Promise<void> {
    const { address } = this;
    let why = "it closed the connection", cause: unknown;
    try {
      for (let lines; (lines = await this.#connection.read()) !== undefined;) {
        this.#connection.eachLine(
          lines,
          (start, end) => this.#take(parseReply(lines!, start, end)),
        );
      }
    } catch (error) {
      cause = error;
      why = (error as Error).message;
    }
    const sentence = this.#connection.andRest(`lost ${address}: ${why}`);
    this.#end ??= new UnreachableError(address, sentence, { cause });
    this.#queue.close();
    this.#connection.close(why);
  }

  #take(reply: Reply): void {
    // What a server asks of a proxy answers nothing.
    if (reply.op === "INV") return;
    // An error that answers nothing says why the connection is about to end.
    if (reply.op === "ERR" && this.#queue.outstanding === 0) throw new Error(reply.message);
    this.#queue.answer(reply);
  }
}

class Call extends Asked {
  override readonly request: Request | string;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (why: Failure) => void;

  constructor(
    request: Request | string,
    resolve: (reply: Reply) => void,
    reject: (why: Failure) => void,
  ) {
    super();
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override answered(reply: Reply): void {
    this.#resolve(reply);
  }

  override failed(why: Failure): void {
    this.#reject(why);
  }
}
