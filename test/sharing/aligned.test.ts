import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type AlignedRequest, alignedChoice } from "../../src/sharing/aligned.ts";
import type { ScoreTable } from "../../src/sharing/aligned-division.ts";
import { slowChoice } from "./division-twin.ts";

/** A table from the links that matter, `0-1=410`; every other pair counts `others`. */
function table(count: number, others: number, links: string): ScoreTable {
  const scores = Array.from({ length: count }, (_, a) =>
    Array.from({ length: count }, (_, b) => (a === b ? 0 : others)),
  );
  for (const [, a, b, score] of links.matchAll(/(\d+)-(\d+)=(\d+)/g)) {
    for (const [x, y] of [
      [a, b],
      [b, a],
    ]) {
      const row = scores[Number(x)];
      if (row !== undefined) row[Number(y)] = Number(score);
    }
  }
  return scores;
}

// go-gpuallocator gpuallocator/besteffort_policy.go.
const rows: readonly (AlignedRequest & { name: string; want: readonly number[] })[] = [
  { name: "one GPU: the first", scores: table(3, 10, ""), required: [], size: 1, want: [0] },
  { name: "one GPU: the required one", scores: table(3, 10, ""), required: [2], size: 1, want: [2] },
  { name: "the linked pair", scores: table(4, 10, "1-3=410"), required: [], size: 2, want: [1, 3] },
  {
    name: "the division worth most, not the pair worth most",
    scores: table(4, 10, "0-1=300 0-2=280 1-3=280"),
    required: [],
    size: 2,
    want: [0, 2],
  },
  {
    name: "a required GPU with its best partner",
    scores: table(4, 10, "1-3=410"),
    required: [3],
    size: 2,
    want: [1, 3],
  },
  { name: "among equals the first", scores: table(4, 10, ""), required: [], size: 2, want: [0, 1] },
  {
    name: "never an empty slot, where NVIDIA's own answer has one",
    scores: table(5, 10, "0-1=410 2-3=50 2-4=50 3-4=50"),
    required: [],
    size: 3,
    want: [2, 3, 4],
  },
  { name: "all of them", scores: table(3, 10, ""), required: [1], size: 3, want: [0, 1, 2] },
  { name: "none at all", scores: table(3, 10, ""), required: [], size: 0, want: [] },
  { name: "more than there are", scores: table(3, 10, ""), required: [], size: 4, want: [] },
  { name: "more required than asked for", scores: table(3, 10, ""), required: [0, 1], size: 1, want: [] },
];
for (const { name, want, ...request } of rows) {
  test(name, () => assert.deepEqual(alignedChoice(request), want));
}

/** Topologies with many ties: few different scores. */
function request(maxCount: number, minCount = 1): fc.Arbitrary<AlignedRequest> {
  return fc
    .record({
      count: fc.integer({ min: minCount, max: maxCount }),
      seed: fc.infiniteStream(fc.constantFrom(10, 20, 50, 110)),
    })
    .chain(({ count, seed }) => {
      const scores = Array.from({ length: count }, () => Array.from({ length: count }, () => 0));
      for (let a = 0; a < count; a += 1) {
        for (let b = a + 1; b < count; b += 1) {
          const score = seed.next().value;
          for (const [x, y] of [
            [a, b],
            [b, a],
          ] as const) {
            const row = scores[x];
            if (row !== undefined) row[y] = score;
          }
        }
      }
      return fc.record({
        scores: fc.constant(scores),
        required: fc.uniqueArray(fc.integer({ min: 0, max: count - 1 }), { maxLength: 3 }),
        size: fc.integer({ min: 0, max: count + 1 }),
      });
    });
}

test("answers as the walk through every division does, ties included", () => {
  fc.assert(
    fc.property(request(8), (one) => assert.deepEqual(alignedChoice(one), slowChoice(one))),
    { numRuns: 500 },
  );
});

test("answers as the walk does for ten GPUs too", () => {
  fc.assert(
    fc.property(request(10), (one) => assert.deepEqual(alignedChoice(one), slowChoice(one))),
    { numRuns: 40 },
  );
});

test("answers as the walk does for sixteen GPUs by eight, where that takes 6435 divisions", () => {
  const one = request(16, 16).map(({ scores, required }) => ({ scores, required, size: 8 }));
  fc.assert(
    fc.property(one, (sixteen) => assert.deepEqual(alignedChoice(sixteen), slowChoice(sixteen))),
    { numRuns: 5 },
  );
});

test("answers as the walk does for twelve GPUs that do not divide evenly", () => {
  const one = request(12, 12).chain(({ scores, required }) =>
    fc.record({ scores: fc.constant(scores), required: fc.constant(required), size: fc.constantFrom(5, 7, 8) }),
  );
  fc.assert(
    fc.property(one, (twelve) => assert.deepEqual(alignedChoice(twelve), slowChoice(twelve))),
    { numRuns: 10 },
  );
});

test("a possible request of any number of GPUs gets as many different ones as it asks for, the required among them", () => {
  fc.assert(
    fc.property(request(20), (one) => {
      const answer = alignedChoice(one);
      const isPossible = one.size > 0 && one.size <= one.scores.length && one.required.length <= one.size;
      assert.equal(new Set(answer).size, isPossible ? one.size : 0);
      if (isPossible) assert.ok(one.required.every((at) => answer.includes(at)));
    }),
    { numRuns: 60 },
  );
});

test("beyond sixteen GPUs the set grows along the strongest links", () => {
  const scores = table(20, 10, "4-9=210 9-17=210 4-17=210 0-1=310");
  assert.deepEqual(alignedChoice({ scores, required: [], size: 3 }), [4, 9, 17]);
  assert.deepEqual(alignedChoice({ scores, required: [1], size: 2 }), [0, 1]);
});
