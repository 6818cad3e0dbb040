/**
 * Mutants of the proxy: rules 6 to 10, and the order of one client.
 *
 * @module
 */

import { type Mutant, mutant } from "./mutant.ts";

const SUBSCRIPTION = "lib/proxy/subscription.ts";
const ENTRIES = "lib/proxy/entries.ts";
const LANE = "lib/proxy/lane.ts";
const LEASE = "lib/coherence/lease.ts";
const UNDER_WAY = "lib/proxy/writes_under_way.ts";
const CACHE = "lib/proxy/coherent_cache.ts";
const UPSTREAM = "lib/proxy/upstream.ts";
const QUEUE = "lib/wire/request_queue.ts";
const LIMITS = "lib/protocol/limits.ts";

/**
 * All of them.
 *
 * Not among them is a proxy that does not look at the lease again for what a part-hit has held up
 * (`Lane.#moved`): nobody can see that. When these requests came, the lease ran, so that what is answered
 * was so between request and reply, and an INV stands before whatever shows a later table.
 */
export const PROXY_MUTANTS: readonly Mutant[] = [
  mutant(
    "6",
    "entries are put in in a continuation",
    LANE,
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
    LANE,
    "    if (!this.#upstream.mayServe()) return undefined;\n",
    "",
    "embedded ends",
  ),
  {
    rule: "6",
    name: "a part-hit is joined with what was held when it was asked",
    edits: [
      {
        file: LANE,
        from: "    if (partial) this.#partHit = read;",
        to: `    const held = request.ind.filter((index) => !missing.includes(index));
    if (partial) {
      this.#partHit = read;
      (this as unknown as { early: unknown }).early = this.#entries.read(held);
    }`,
      },
      {
        file: LANE,
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
    SUBSCRIPTION,
    "const lease = new Lease(this.#asked, termMs);",
    "const lease = new Lease(now, termMs);",
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
        from: "    this.#there = { connection, subscription };\n",
        to: "    this.#there = { connection, subscription };\n    this.queue.attach(connection);\n",
      },
      {
        file: SUBSCRIPTION,
        from: `else if (this.#awaitsFirst) this`,
        to: `else if (this.#awaitsFirst && reply.op === "ERR") this`,
      },
      { file: ENTRIES, from: "    if (!this.#open) return;\n", to: "" },
    ],
  },
  mutant(
    "8",
    "answers from the cache whatever the lease",
    SUBSCRIPTION,
    "if (state.lease.left(moment(this.#options.runtime)) > 0) return true;",
    "if (state.lease !== undefined) return true;",
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
        file: LANE,
        from: `    if (why !== "silent") {
      // It never will.
      if`,
        to: `    if (isWrite(forwarded.asking)) this.#entries.endWrite(written(forwarded.asking));
    if (why !== "silent") {
      if (false as boolean) if`,
      },
      // The answer, when it comes, is not counted again.
      { file: UNDER_WAY, from: "if (count === 0)", to: "if (count <= 0)" },
    ],
  },
  mutant(
    "9",
    "a write that was refused enters",
    LANE,
    `    if (reply.op === "PUT") this.#entries.enterWritten(reply.ind, reply.data);`,
    `    if (asking.op === "PUT") this.#entries.enterWritten(asking.ind, asking.data);`,
    "disk",
  ),
  mutant(
    "9",
    "a write whose connection has ended stays under way",
    LANE,
    "      if (isWrite(forwarded.asking)) this.#entries.endWrite(written(forwarded.asking));\n",
    "",
    "network",
  ),
  mutant(
    "10",
    "hits go on after the lease was given back",
    SUBSCRIPTION,
    '    this.#state = { name: "returning"',
    '    if (name !== "leased") this.#state = { name: "returning"',
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
    LANE,
    'forwarded.reply ??= why !== "unsent" && isWrite',
    'forwarded.reply ??= why === "lost" && isWrite',
  ),
];
