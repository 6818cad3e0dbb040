/** The server's order of operations, alone: no table, no socket, no clock. */
import { assertEquals } from "@std/assert";
import type { ErrorReply, Reply, Request } from "../lib/protocol/message.ts";
import { ConnectionOrder, Operation, type Requester, touched } from "../lib/server/operation.ts";
import { type Conductor, type Outcome, Schedule } from "../lib/server/schedule.ts";

/** A schedule whose effects and replies are written down. */
class Noted implements Conductor {
  readonly log: string[] = [];
  readonly schedule = new Schedule(10, this);
  /** The indices of which somebody else is a holder, and how to answer for them. */
  readonly held = new Map<number, () => void>();
  outcome: Outcome | Promise<Outcome> = "made";

  mustAsk({ ind }: Operation): boolean {
    return ind === undefined ? this.held.size > 0 : ind.some((index) => this.held.has(index));
  }

  ask({ ind }: Operation, done: () => void): void {
    this.log.push(`ask ${ind}`);
    for (const index of ind ?? this.held.keys()) this.held.set(index, done);
  }

  commit(): Outcome | Promise<Outcome> {
    this.log.push("commit");
    return this.outcome;
  }

  /** A connection of that name. */
  connection(name: string): (request: Request) => void {
    const requester: Requester = {
      session: undefined,
      order: new ConnectionOrder(),
      closed: false,
      perform: (request) => {
        this.log.push(`${name} does ${text(request)}`);
        return request as Reply;
      },
      send: (reply) => this.log.push(`${name} gets ${text(reply as Request)}`),
    };
    return (request) => {
      const writes = request.op === "PUT" || request.op === "CLR";
      this.schedule.take(new Operation(requester, request, touched(request), writes));
    };
  }
}

function text(request: Request | ErrorReply): string {
  return "ind" in request ? `${request.op} ${request.ind}` : request.op;
}

const put = (...ind: number[]): Request => ({ op: "PUT", ind, data: ind });
const get = (...ind: number[]): Request => ({ op: "GET", ind });

/** All that is begun has gone as far as it can. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("schedule: what is ready together is performed, committed once, and answered in that order", async () => {
  const noted = new Noted();
  const a = noted.connection("a"), b = noted.connection("b");
  a(put(1));
  b(put(2));
  a(get(2));
  await settled();
  assertEquals(noted.log, [
    ...["a does PUT 1", "b does PUT 2", "a does GET 2", "commit"],
    ...["a gets PUT 1", "b gets PUT 2", "a gets GET 2"],
  ]);
});

Deno.test("schedule: who waits for a holder holds up what shares an index or a connection, and nobody else", async () => {
  const noted = new Noted();
  const [a, b, c] = ["a", "b", "c"].map((name) => noted.connection(name));
  noted.held.set(1, () => {});
  a!(put(1));
  a!(get(5));
  b!(get(1));
  c!(put(2));
  await settled();
  assertEquals(noted.log, ["ask 1", "c does PUT 2", "commit", "c gets PUT 2"]);
  noted.held.get(1)!();
  await settled();
  assertEquals(noted.log.slice(4), [
    ...["a does PUT 1", "b does GET 1", "a does GET 5", "commit"],
    ...["a gets PUT 1", "b gets GET 1", "a gets GET 5"],
  ]);
});

Deno.test("schedule: a barrier waits for all before it, and all that come later for the barrier", async () => {
  const noted = new Noted();
  const [a, b, c] = ["a", "b", "c"].map((name) => noted.connection(name));
  noted.held.set(1, () => {});
  a!(put(1));
  b!({ op: "CLR" });
  c!(get(2));
  await settled();
  assertEquals(noted.log, ["ask 1"]);
  assertEquals(noted.schedule.isClear(new ConnectionOrder(), [3]), false);
  const { done } = { done: noted.held.get(1)! };
  noted.held.clear();
  done();
  await settled();
  assertEquals(noted.log.slice(1, 5), ["a does PUT 1", "b does CLR", "c does GET 2", "commit"]);
  assertEquals(noted.schedule.isClear(new ConnectionOrder(), [3]), true);
});

Deno.test("schedule: while a commit is under way nothing takes effect, nobody is asked, nothing is read", async () => {
  const noted = new Noted();
  const a = noted.connection("a"), b = noted.connection("b");
  const commit = Promise.withResolvers<Outcome>();
  noted.outcome = commit.promise;
  a(put(1));
  await settled();
  // A connection whose replies are to come is not closed.
  assertEquals(noted.schedule.length, 1);
  noted.held.set(2, () => {});
  b(put(2));
  a(get(1));
  let drained = false;
  noted.schedule.drained().then(() => drained = true);
  await settled();
  assertEquals(noted.log, ["a does PUT 1", "commit"]);
  assertEquals(noted.schedule.isClear(new ConnectionOrder(), [3]), false);
  noted.outcome = "made";
  commit.resolve("made");
  await settled();
  assertEquals(noted.log.slice(2, 4), ["a gets PUT 1", "ask 2"]);
  assertEquals(noted.log.slice(4), ["a does GET 1", "commit", "a gets GET 1"]);
  assertEquals(drained, false);
  noted.held.get(2)!();
  await settled();
  assertEquals(noted.log.slice(7), ["b does PUT 2", "commit", "b gets PUT 2"]);
  assertEquals(drained, true);
});

Deno.test("schedule: a refused commit is a 500 for its writes, and its reads are done again", async () => {
  const noted = new Noted();
  const a = noted.connection("a");
  noted.outcome = Promise.resolve("refused");
  a(put(1));
  a(get(1));
  await settled();
  assertEquals(noted.log, [
    ...["a does PUT 1", "a does GET 1", "commit"],
    ...["a does GET 1", "a gets ERR", "a gets GET 1"],
  ]);
});

Deno.test("schedule: where nobody knows whether a commit was made, nobody is answered any more", async () => {
  const noted = new Noted();
  const a = noted.connection("a");
  noted.outcome = Promise.resolve("lost");
  a(put(1));
  await settled();
  a(get(2));
  await settled();
  assertEquals(noted.log, ["a does PUT 1", "commit"]);
});
