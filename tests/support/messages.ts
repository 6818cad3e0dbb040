/**
 * Random messages for property tests.
 *
 * @module
 */

import { MAX_ADD_INDICES } from "../../lib/protocol/limits.ts";
import {
  type AddReply,
  ERROR_CODES,
  type Reply,
  type Request,
} from "../../lib/protocol/message.ts";
import { fc } from "./fast_check.ts";

/** Integers that a message can hold, small ones and the extremes among them. */
export const integers: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: -9, max: 9 }),
  fc.maxSafeInteger(),
);

/** Lists of 1 to `most` integers. */
export function lists(most: number = 20): fc.Arbitrary<number[]> {
  return fc.array(integers, { minLength: 1, maxLength: most });
}

/** Indices with one integer each. */
const pairs = fc.array(fc.tuple(integers, integers), { minLength: 1, maxLength: 20 })
  .map((entries) => ({ ind: entries.map(([i]) => i), data: entries.map(([, d]) => d) }));

/** What PROTOCOL.md keeps out of MSG, in its words; to be used with `test`, it has no state. */
export const NOT_IN_MSG = /[;\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{DI}]/u;

/** Sentences that a MSG carries unchanged. */
export const sentences: fc.Arbitrary<string> = fc.string({ unit: "binary" })
  .map((text) =>
    [...text].filter((one) => !NOT_IN_MSG.test(one)).join("").replaceAll(/^ +| +$/g, "")
  )
  .filter((text) => text !== "None");

/** Requests that a parser takes. */
export const requests: fc.Arbitrary<Request> = fc.oneof(
  lists().map((ind) => ({ op: "GET", ind }) as const),
  lists(MAX_ADD_INDICES).map((ind) => ({ op: "ADD", ind }) as const),
  pairs.map(({ ind, data }) => ({ op: "PUT", ind, data }) as const),
  fc.constant({ op: "CLR" } as const),
  fc.constant({ op: "INF" } as const),
  fc.boolean().map((end) => ({ op: "SUB", end }) as const),
  fc.option(lists(), { nil: undefined }).map((ind) => ({ op: "INV", ind }) as const),
);

/** Replies of ADD, up to the largest sums. */
export const addReplies: fc.Arbitrary<AddReply> = lists(MAX_ADD_INDICES).map((ind) => ({
  op: "ADD",
  ind,
  sum: ind.reduce((sum, integer) => sum + BigInt(integer), 0n),
}));

/** Replies of every other kind. */
export const replies: fc.Arbitrary<Reply> = fc.oneof(
  pairs.map(({ ind, data }) => ({ op: "GET", ind, data }) as const),
  pairs.map(({ ind, data }) => ({ op: "PUT", ind, data }) as const),
  fc.constant({ op: "CLR" } as const),
  fc.tuple(
    fc.oneof(pairs, fc.constant({ ind: [], data: [] })),
    fc.option(sentences.filter((text) => text !== ""), { nil: undefined }),
  ).map(([{ ind, data }, msg]) => ({ op: "INF", ind, data, msg }) as const),
  fc.option(
    fc.record({
      termMs: fc.integer({ min: 1, max: 100_000 }),
      size: fc.integer({ min: 1, max: 1_000_000 }),
    }, { noNullPrototype: true }),
    { nil: undefined },
  ).map((grant) => ({ op: "SUB", grant }) as const),
  fc.option(lists(), { nil: undefined }).map((ind) => ({ op: "INV", ind }) as const),
  fc.tuple(fc.constantFrom(...ERROR_CODES), sentences)
    .map(([code, message]) => ({ op: "ERR", code, message }) as const),
);
