/**
 * Mutants of the server: rules 1 to 5, its restart, and what it stores.
 *
 * @module
 */

import { type Mutant, mutant } from "./mutant.ts";

const OPERATION = "lib/server/operation.ts";
const GRANTS = "lib/coherence/grants.ts";
const HOLDINGS = "lib/coherence/disconnected_holdings.ts";
const SCHEDULE = "lib/server/schedule.ts";
const CORE = "lib/server/table_core.ts";
const PEER = "lib/server/table_peer.ts";

/** All of them. */
export const SERVER_MUTANTS: readonly Mutant[] = [
  mutant(
    "1",
    "a read takes effect though a write of its index waits",
    SCHEDULE,
    "ind.every((index) => !this.#tails[index])",
    "true",
  ),
  {
    rule: "1",
    name: "an operation does not wait for the one before it on its connection",
    edits: [
      {
        file: SCHEDULE,
        from: "if (!operation.behind) this.#isReady(operation);",
        to: "this.#isReady(operation);",
      },
      { file: SCHEDULE, from: "    if (next.asked) this.#isReady(next);\n", to: "" },
    ],
  },
  mutant(
    "1",
    "INV passes the replies of the same step",
    SCHEDULE,
    "} else if (this.#inTurn) {",
    "} else if (false) {",
  ),
  mutant(
    "1",
    "an operation does not wait for those before it that share an index",
    SCHEDULE,
    "      followers.push(operation);\n      operation.blockers++;\n",
    "",
  ),
  mutant(
    "1",
    "what comes later does not wait for a CLR",
    SCHEDULE,
    "? tail\n        : barrier;",
    "? tail\n        : tail;",
  ),
  mutant(
    "2",
    "a GET makes nobody a holder",
    PEER,
    `      case "GET":
        if (this.session !== undefined) grants.hold(this.session, request.ind);`,
    `      case "GET":`,
  ),
  mutant(
    "2",
    "its own PUT makes nobody a holder",
    PEER,
    `      case "PUT":
        if (this.session !== undefined) grants.hold(this.session, request.ind);`,
    `      case "PUT":`,
  ),
  mutant(
    "2",
    "of several indices only the first is held",
    PEER,
    `      case "GET":
        if (this.session !== undefined) grants.hold(this.session, request.ind);`,
    `      case "GET":
        if (this.session !== undefined) grants.hold(this.session, request.ind.slice(0, 1));`,
  ),
  {
    rule: "3",
    name: "holders are looked up on arrival",
    edits: [
      {
        file: SCHEDULE,
        from: "    operation.arrival = this.#arrivals++;",
        to: `    operation.arrival = this.#arrivals++;
    (operation as unknown as { must: boolean }).must = this.#conductor.mustAsk(operation);`,
      },
      {
        file: SCHEDULE,
        from: "if (!operation.writes || !this.#conductor.mustAsk(operation)) {",
        to: "if (!operation.writes || !(operation as unknown as { must: boolean }).must) {",
      },
    ],
  },
  mutant(
    "3",
    "nobody is asked",
    CORE,
    "return this.grants.held(write.ind, write.requester.session);",
    "return false;",
  ),
  mutant(
    "3",
    "holders are asked and not waited for",
    GRANTS,
    '      session.ask({ op: "INV", ind }, asking);\n',
    '      session.ask({ op: "INV", ind }, asking);\n      this.#settle(asking);\n',
  ),
  mutant(
    "3",
    "sessions whose lease is over are not asked",
    GRANTS,
    "session !== own && session.held.meets(ind)\n    );\n",
    "session !== own && session.held.meets(ind) && session.leaseEnd > this.#options.runtime.now()\n" +
      "    );\n",
    "pauses",
  ),
  mutant(
    "3",
    "holders are waited for until half of their lease",
    GRANTS,
    "const ms = asking.until - this.#options.runtime.now();",
    "const ms = asking.until - this.#options.runtime.now() - this.termMs / 2;",
  ),
  mutant(
    "3",
    "a write of all asks nobody",
    GRANTS,
    "      if (session !== own && session.held.meets(ind)) return true;",
    "      if (ind !== undefined && session !== own && session.held.meets(ind)) return true;",
  ),
  mutant(
    "4",
    "an answer to INV is taken for the first that is waited for",
    GRANTS,
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
    GRANTS,
    "    this.#disconnected.add(session.held, session.leaseEnd);\n",
    "",
    "partings",
  ),
  mutant(
    "5",
    "disconnected sessions hold for half of their lease",
    GRANTS,
    "this.#disconnected.add(session.held, session.leaseEnd);",
    "this.#disconnected.add(session.held, session.leaseEnd - this.termMs / 2);",
    "partings",
  ),
  mutant(
    "5",
    "a write no longer waits for a session that disconnects",
    GRANTS,
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
        file: GRANTS,
        from: "    if (asking.done === undefined) return;\n    this",
        to:
          "    if (asking.done === undefined) return void asking.session?.held.delete(asking.ind);\n    this",
      },
      { file: GRANTS, from: "    asking.ind = [];\n", to: "" },
    ],
    scenario: "pauses",
  },
  mutant(
    "restart",
    "no wait after an end that was not clean",
    CORE,
    "    this.grants.inherit(leasedMs);\n",
    "",
    "successors",
  ),
  mutant(
    "restart",
    "an end is clean whatever is held",
    CORE,
    "const clean = !this.#lost && this.schedule.length === 0 && this.grants.unheld;",
    "const clean = !this.#lost && this.schedule.length === 0;",
    "long leases",
  ),
  mutant(
    "restart",
    "a shorter term is recorded before the wait",
    CORE,
    "this.#store.setTerm(Math.max(leaseMs, leasedMs));",
    "this.#store.setTerm(leaseMs);",
    "successors",
  ),
  mutant(
    "durability",
    "a write is answered before its commit",
    SCHEDULE,
    "    const outcome = this.#conductor.commit();",
    "    for (const operation of performed) operation.answer();\n    const outcome = this.#conductor.commit();",
    "disk",
  ),
  mutant(
    "durability",
    "a refused commit stays in memory",
    CORE,
    "    this.table.revert();\n    const why",
    "    this.table.settle();\n    const why",
    "disk",
  ),
  mutant(
    "durability",
    "a commit whose outcome is not known counts as refused",
    CORE,
    "if (error instanceof CommitError) {",
    "if (error instanceof Error) {",
    "disk",
  ),
  mutant(
    "durability",
    "a read sees what is performed and not committed",
    SCHEDULE,
    "    if (this.#inTurn) return false;\n",
    "",
    "disk",
  ),
  mutant(
    "durability",
    "after a refused commit reads keep what they saw",
    OPERATION,
    "    else this.perform();\n",
    "",
    "disk",
  ),
];
