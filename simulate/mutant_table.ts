/**
 * Mutants: small changes of the code that take one rule, or one guard, away.
 *
 * @module
 */

/** A change of a file: each text stands there once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A mutant. */
export interface Mutant {
  /** What it does wrong. */
  readonly name: string;
  /** The rule that it takes away: a number of the protocol's rules, or a word. */
  readonly rule: string;
  readonly edits: readonly Edit[];
  /** The scenario that makes it show, where a normal run seldom does. */
  readonly scenario?: string;
}

function mutant(
  rule: string,
  name: string,
  file: string,
  from: string,
  to: string,
  scenario?: string,
): Mutant {
  return { rule, name, edits: [{ file, from, to }], ...scenario === undefined ? {} : { scenario } };
}

const LEASES = "lib/server/leases.ts";
const HOLDINGS = "lib/server/disconnected_holdings.ts";
const LINE = "lib/server/line.ts";
const NODE = "lib/server/table_node.ts";
const PEER = "lib/server/table_peer.ts";
const ENTRIES = "lib/proxy/entries.ts";
const FORWARDED = "lib/proxy/forwarded.ts";
const LANE = "lib/proxy/lane.ts";
const LEASE = "lib/proxy/lease.ts";
const UNDER_WAY = "lib/proxy/writes_under_way.ts";
const CACHE = "lib/proxy/coherent_cache.ts";
const UPSTREAM = "lib/proxy/upstream.ts";
const QUEUE = "lib/net/request_queue.ts";
const LIMITS = "lib/protocol/limits.ts";

/**
 * All of them.
 *
 * Not among them is a proxy that does not look at the lease again for what a part-hit has held up
 * (`Lane.moved`): nobody can see that. When these requests came, the lease ran, so that what is answered
 * was so between request and reply, and an INV stands before whatever shows a later table.
 */
export const MUTANTS: readonly Mutant[] = [
  mutant(
    "1",
    "a read takes effect though a write of its index waits",
    LINE,
    "ind.every((index) => !this.#tails[index])",
    "true",
  ),
  {
    rule: "1",
    name: "an operation does not wait for the one before it on its connection",
    edits: [
      {
        file: LINE,
        from: "if (!operation.behind) this.#isReady(operation);",
        to: "this.#isReady(operation);",
      },
      { file: LINE, from: "    if (next.asked) this.#isReady(next);\n", to: "" },
    ],
  },
  mutant(
    "1",
    "INV passes the replies of the same step",
    LINE,
    "} else if (this.#inTurn) {",
    "} else if (false) {",
  ),
  mutant(
    "1",
    "an operation does not wait for those before it that share an index",
    LINE,
    "      followers.push(operation);\n      operation.blockers++;\n",
    "",
  ),
  mutant(
    "1",
    "what comes later does not wait for a CLR",
    LINE,
    "const last = whole === undefined || (tail && tail.arrival > whole.arrival) ? tail : whole;",
    "const last = tail;",
  ),
  mutant(
    "2",
    "a GET makes nobody a holder",
    PEER,
    `      case "GET":
        if (this.session !== undefined) leases.hold(this.session, request.ind);`,
    `      case "GET":`,
  ),
  mutant(
    "2",
    "its own PUT makes nobody a holder",
    PEER,
    `      case "PUT":
        if (this.session !== undefined) leases.hold(this.session, request.ind);`,
    `      case "PUT":`,
  ),
  mutant(
    "2",
    "of several indices only the first is held",
    PEER,
    `      case "GET":
        if (this.session !== undefined) leases.hold(this.session, request.ind);`,
    `      case "GET":
        if (this.session !== undefined) leases.hold(this.session, request.ind.slice(0, 1));`,
  ),
  {
    rule: "3",
    name: "holders are looked up on arrival",
    edits: [
      {
        file: LINE,
        from: "    operation.arrival = this.#arrivals++;",
        to: `    operation.arrival = this.#arrivals++;
    (operation as unknown as { must: boolean }).must = this.#conductor.mustAsk(operation);`,
      },
      {
        file: LINE,
        from: "if (!operation.writes || !this.#conductor.mustAsk(operation)) {",
        to: "if (!operation.writes || !(operation as unknown as { must: boolean }).must) {",
      },
    ],
  },
  mutant(
    "3",
    "nobody is asked",
    NODE,
    "return this.leases.held(write.ind, (write as TableOperation).peer.session);",
    "return false;",
  ),
  mutant(
    "3",
    "holders are asked and not waited for",
    LEASES,
    '      session.ask({ op: "INV", ind }, asking);\n',
    '      session.ask({ op: "INV", ind }, asking);\n      this.#settle(asking);\n',
  ),
  mutant(
    "3",
    "sessions whose lease is over are not asked",
    LEASES,
    "session !== own && session.held.meets(ind)\n    );\n",
    "session !== own && session.held.meets(ind) && session.leaseEnd > this.#options.runtime.now()\n" +
      "    );\n",
    "pauses",
  ),
  mutant(
    "3",
    "holders are waited for until half of their lease",
    LEASES,
    "const ms = asking.until - this.#options.runtime.now();",
    "const ms = asking.until - this.#options.runtime.now() - this.termMs / 2;",
  ),
  mutant(
    "3",
    "a write of all asks nobody",
    LEASES,
    "      if (session !== own && session.held.meets(ind)) return true;",
    "      if (ind !== undefined && session !== own && session.held.meets(ind)) return true;",
  ),
  mutant(
    "4",
    "an answer to INV is taken for the first that is waited for",
    LEASES,
    `    const asking = session.unanswered.shift();
    if (asking === undefined) return false;`,
    `    let asking = session.unanswered.shift();
    while (asking?.done === undefined && session.unanswered.length > 0) {
      asking = session.unanswered.shift();
    }
    if (asking === undefined) return false;`,
    "network",
  ),
  mutant(
    "5",
    "a session that has disconnected holds nothing",
    LEASES,
    "    this.#disconnected.add(session.held, session.leaseEnd);\n",
    "",
    "partings",
  ),
  mutant(
    "5",
    "disconnected sessions hold for half of their lease",
    LEASES,
    "this.#disconnected.add(session.held, session.leaseEnd);",
    "this.#disconnected.add(session.held, session.leaseEnd - this.termMs / 2);",
    "partings",
  ),
  mutant(
    "5",
    "a write no longer waits for a session that disconnects",
    LEASES,
    "    session.end();\n    this.#sessions.delete(session);",
    "    for (const asking of session.unanswered) this.#settle(asking);\n" +
      "    session.end();\n    this.#sessions.delete(session);",
    "partings",
  ),
  mutant(
    "5",
    "a CLR does not wait for what disconnected sessions hold",
    HOLDINGS,
    "if (ind === undefined) return this.#lastEnd;",
    "if (ind === undefined) return -Infinity;",
    "partings",
  ),
  mutant(
    "5",
    "disconnected sessions share one end",
    HOLDINGS,
    "    let end = -Infinity;",
    "    let end = ind.some((index) => this.#ends![index]! > -Infinity) ? this.#lastEnd : -Infinity;",
  ),
  mutant(
    "5",
    "the end of a disconnected holding is that of the last session to go",
    HOLDINGS,
    "held.each((index) => ends[index] = Math.max(ends[index]!, leaseEnd));",
    "held.each((index) => ends[index] = leaseEnd);",
    "partings",
  ),
  {
    rule: "5",
    name: "a late answer ends a newer holding",
    edits: [
      {
        file: LEASES,
        from: "    if (asking.done === undefined) return;\n    this",
        to:
          "    if (asking.done === undefined) return void asking.session?.held.delete(asking.ind);\n    this",
      },
      { file: LEASES, from: "    asking.ind = [];\n", to: "" },
    ],
    scenario: "pauses",
  },
  mutant(
    "6",
    "entries are put in in a continuation",
    FORWARDED,
    "      this.#entries.enter(reply.ind, reply.data);\n      return reply;",
    "      const { ind, data } = reply;\n      Promise.resolve().then(() => this.#entries.enter(ind, data));\n      return reply;",
  ),
  mutant(
    "6",
    "an invalidation drops nothing",
    UPSTREAM,
    "      this.#entries.drop(reply.ind);\n",
    "",
  ),
  mutant(
    "6",
    "an invalidation is answered before the entries are dropped",
    UPSTREAM,
    "      this.#entries.drop(reply.ind);\n",
    "      const { ind } = reply;\n      this.#options.runtime.setTimer(() => this.#entries.drop(ind), 1);\n",
  ),
  mutant(
    "6",
    "the lease is not looked at when a part-hit is joined",
    FORWARDED,
    "    if (!this.#upstream.mayServe()) return undefined;\n",
    "",
    "embedded ends",
  ),
  {
    rule: "6",
    name: "a part-hit is joined with what was held when it was asked",
    edits: [
      {
        file: FORWARDED,
        from: `{ op: "GET", ind: missing };`,
        to: `{ op: "GET", ind: missing };
    const held = asked.ind.filter((index) => missing?.includes(index) === false);
    (this as unknown as { early: unknown }).early = entries.read(held);`,
      },
      {
        file: FORWARDED,
        from: "const data = this.#entries.readAgain(held);",
        to: "const data = held && (this as unknown as { early: number[] }).early;",
      },
    ],
  },
  mutant(
    "6",
    "an invalidation of all drops nothing",
    ENTRIES,
    "    if (written === undefined) this.#cache.clear();\n    else written",
    "    written?",
  ),
  mutant(
    "7",
    "a lease that was found over runs again when the wall clock is set back",
    LEASE,
    "this.#over ||= passed",
    "this.#over = passed",
    "leases",
  ),
  mutant(
    "7",
    "the lease is looked at once for a connection",
    LANE,
    "this.#mayServe = this.#upstream.mayServe();",
    "this.#mayServe ||= this.#upstream.mayServe();",
    "partings",
  ),
  mutant(
    "7",
    "the lease runs from the answer",
    UPSTREAM,
    "this.#lease = new Lease(this.#asked, termMs);",
    "this.#lease = new Lease(moment(this.#options.runtime), termMs);",
    "leases",
  ),
  mutant(
    "7",
    "no margin for clocks that drift",
    LIMITS,
    "export const LEASE_DRIFT = 0.02;",
    "export const LEASE_DRIFT = 0;",
    "partings",
  ),
  mutant(
    "7",
    "a lease 2.5 % too long",
    LIMITS,
    "export const LEASE_DRIFT = 0.02;",
    "export const LEASE_DRIFT = -0.005;",
    "partings",
  ),
  mutant(
    "7",
    "the wall clock is not looked at",
    LEASE,
    "Math.max(now.monotonic - this.#asked.monotonic, now.wall - this.#asked.wall)",
    "now.monotonic - this.#asked.monotonic",
    "leases",
  ),
  mutant(
    "7",
    "the monotonic clock is not looked at",
    LEASE,
    "Math.max(now.monotonic - this.#asked.monotonic, now.wall - this.#asked.wall)",
    "now.wall - this.#asked.wall",
    "leases",
  ),
  {
    rule: "7",
    // The reply to what comes first may be none but SUB's, and before that nothing enters.
    name: "what waits is sent before SUB, and the answer enters",
    edits: [
      { file: UPSTREAM, from: "    this.queue.attach(connection);\n", to: "" },
      {
        file: UPSTREAM,
        from: "    this.#connection = connection;\n",
        to: "    this.#connection = connection;\n    this.queue.attach(connection);\n",
      },
      {
        file: UPSTREAM,
        from: `} else if (this.#standing === "new") {`,
        to: `} else if (this.#standing === "new" && reply.op === "ERR") {`,
      },
      { file: ENTRIES, from: "    if (!this.#open) return;\n", to: "" },
    ],
  },
  mutant(
    "8",
    "answers from the cache whatever the lease",
    UPSTREAM,
    "if (this.#lease.left(moment(this.runtime)) > 0) return true;",
    "if (this.#lease !== undefined) return true;",
  ),
  mutant(
    "8",
    "a cache in a program answers whatever the lease",
    CACHE,
    ` && this.#upstream.mayServe()) {
      // As`,
    `) {
      // As`,
    "leases",
  ),
  mutant(
    "8",
    "what is held stays when the connection ends",
    ENTRIES,
    "    this.#tableSize = undefined;\n    this.#cache.clear();",
    "    this.#tableSize = undefined;",
  ),
  mutant(
    "9",
    "entries are not dropped before a write is sent",
    ENTRIES,
    "    this.drop(written);\n    this.#underWay",
    "    this.#underWay",
  ),
  mutant(
    "9",
    "a value enters while a write of it is under way",
    ENTRIES,
    "      if (this.#underWay.has(index)) continue;\n",
    "",
  ),
  mutant(
    "9",
    "a value enters while a CLR is under way",
    UNDER_WAY,
    "this.#ofAll > 0 || ",
    "",
  ),
  mutant(
    "9",
    "the first of two writes under way enters",
    ENTRIES,
    "      if (this.#underWay.has(index)) return;\n",
    "",
  ),
  {
    rule: "9",
    name: "the proxy's own 504 counts as an answer",
    edits: [
      {
        file: FORWARDED,
        from: `    if (why !== "silent") {
      this.given();`,
        to: `    this.given();
    if (why !== "silent") {`,
      },
      // The answer, when it comes, is not counted again.
      { file: UNDER_WAY, from: "if (count === 0)", to: "if (count <= 0)" },
    ],
  },
  mutant(
    "9",
    "a write that was refused enters",
    FORWARDED,
    `    if (reply.op === "PUT") this.#entries.enterWritten(reply.ind, reply.data);`,
    `    if (this.request.op === "PUT") {
      this.#entries.enterWritten(this.request.ind, this.request.data);
    }`,
    "disk",
  ),
  mutant(
    "9",
    "a write whose connection has ended stays under way",
    FORWARDED,
    "  protected override given(): void {\n    this.#entries.endWrite(this.#written);",
    "  protected override given(): void {",
    "network",
  ),
  mutant(
    "10",
    "hits go on after the lease was given back",
    UPSTREAM,
    "    this.#lease = undefined;\n    // What",
    "    // What",
    "ends",
  ),
  mutant(
    "order",
    "a request behind an outstanding one is answered from the cache",
    LANE,
    `    if (idle && this.#mayServe) {
      const data = this.#entries.read(request.ind);
      if (data !== undefined) return this.#answer(readReply(request, data));`,
    `    if (this.#mayServe) {
      const data = this.#entries.read(request.ind);
      if (data !== undefined) return this.#fill(readReply(request, data), idle);`,
  ),
  mutant(
    "order",
    "what follows a part-hit is forwarded at once",
    LANE,
    "    if (this.#partHit !== undefined) {\n      this.#indices",
    "    if (false) {\n      this.#indices",
  ),
  mutant(
    "order",
    "a write is sent again on a new connection",
    QUEUE,
    '    for (const asked of this.#sent.drain()) {\n      asked.settled = true;\n      asked.failed("lost");\n    }',
    "    for (const asked of this.#sent.drain()) this.#waiting.push(asked);",
  ),
  mutant(
    "order",
    "a write that was sent and has no answer is said not to have happened",
    FORWARDED,
    `    return why === "unsent"
      ? super.failure(why)`,
    `    return why === "unsent" || why === "silent"
      ? super.failure(why)`,
  ),
  mutant(
    "restart",
    "no wait after an end that was not clean",
    NODE,
    "    this.leases.inherit(leasedMs);\n",
    "",
    "successors",
  ),
  mutant(
    "restart",
    "an end is clean whatever is held",
    NODE,
    "const clean = !this.#lost && this.line.length === 0 && this.leases.unheld;",
    "const clean = !this.#lost && this.line.length === 0;",
    "long leases",
  ),
  mutant(
    "restart",
    "a shorter term is recorded before the wait",
    NODE,
    "this.#store.setTerm(Math.max(leaseMs, leasedMs));",
    "this.#store.setTerm(leaseMs);",
    "successors",
  ),
  mutant(
    "durability",
    "a write is answered before its commit",
    LINE,
    "    const outcome = this.#conductor.commit();",
    "    for (const operation of performed) operation.answer();\n    const outcome = this.#conductor.commit();",
    "disk",
  ),
  mutant(
    "durability",
    "a refused commit stays in memory",
    NODE,
    "      this.table.revert();\n      const why",
    "      this.table.settle();\n      const why",
    "disk",
  ),
  mutant(
    "durability",
    "a commit whose outcome is not known counts as refused",
    NODE,
    "if (error instanceof CommitError) {",
    "if (error instanceof Error) {",
    "disk",
  ),
  mutant(
    "durability",
    "after a refused commit reads keep what they saw",
    PEER,
    "    else this.perform();\n",
    "",
    "disk",
  ),
];
