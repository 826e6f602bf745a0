import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Offer, type PreferredAllocationRequest, preferredAllocation } from "../../src/sharing/index.ts";
import { gpu, gpus, idsOf, onlyOffer } from "./fixtures.ts";

const flat = (): number => 10;
const shares = onlyOffer({ gpus: gpus(2), share: ["gpu x4"] });
const slices = onlyOffer({
  gpus: [gpu(0, "1g.10gb@0 1g.10gb@1 1g.10gb@2"), gpu(1, "1g.10gb@0 1g.10gb@1 1g.10gb@2")],
  settings: { migStrategy: "single" },
});
const whole = onlyOffer({ gpus: gpus(4) });

type Question = Partial<Omit<PreferredAllocationRequest, "offer">> & {
  readonly offer: Offer;
  readonly size: number;
  /** Ids that other containers hold. */
  readonly held?: readonly string[];
};

function ask({ held = [], ...question }: Question): readonly string[] {
  return preferredAllocation({
    available: idsOf(question.offer.devices).filter((id) => !held.includes(id)),
    mustInclude: [],
    policy: "distributed",
    pairScore: flat,
    ...question,
  });
}

const mps = onlyOffer({ gpus: gpus(2), share: ["gpu x4"], sharing: { strategy: "mps" } });
const packed = { policy: "packed" } as const;

// NVIDIA k8s-device-plugin internal/rm/allocate.go; where it picks by chance, the first in device order.
const rows: readonly (Question & { name: string; want: string })[] = [
  {
    name: "MPS: both of one GPU, the one with more free",
    offer: mps,
    size: 2,
    held: ["GPU-0::0"],
    want: "GPU-1::0 GPU-1::1",
  },
  {
    name: "MPS packed: both of the GPU with fewest free, among those with enough",
    offer: mps,
    size: 2,
    held: ["GPU-0::0", "GPU-1::1", "GPU-1::2", "GPU-1::3"],
    ...packed,
    want: "GPU-0::1 GPU-0::2",
  },
  {
    name: "MPS: with what must be included",
    offer: mps,
    size: 2,
    mustInclude: ["GPU-1::3"],
    want: "GPU-1::3 GPU-1::0",
  },
  {
    name: "MPS: one share on the GPU with fewer handed out",
    offer: mps,
    size: 1,
    held: ["GPU-0::2"],
    want: "GPU-1::0",
  },
  { name: "distributed: two and two", offer: shares, size: 4, want: "GPU-0::0 GPU-1::0 GPU-0::1 GPU-1::1" },
  { name: "packed: four of one", offer: shares, size: 4, ...packed, want: "GPU-0::0 GPU-0::1 GPU-0::2 GPU-0::3" },
  {
    name: "packed: four of one and one of the other",
    offer: shares,
    size: 5,
    ...packed,
    want: "GPU-0::0 GPU-0::1 GPU-0::2 GPU-0::3 GPU-1::0",
  },
  { name: "distributed: the GPU with fewer handed out", offer: shares, size: 1, held: ["GPU-0::2"], want: "GPU-1::0" },
  {
    name: "packed: the GPU with more handed out",
    offer: shares,
    size: 1,
    held: ["GPU-1::2"],
    ...packed,
    want: "GPU-1::0",
  },
  {
    name: "distributed: two shares come from two GPUs",
    offer: shares,
    size: 2,
    held: ["GPU-1::0"],
    want: "GPU-0::0 GPU-1::1",
  },
  {
    name: "a required share counts as handed out",
    offer: shares,
    size: 2,
    mustInclude: ["GPU-0::3"],
    want: "GPU-0::3 GPU-1::0",
  },
  {
    name: "a required share counts against its GPU when as many are handed out of the other",
    offer: shares,
    size: 2,
    mustInclude: ["GPU-0::3"],
    held: ["GPU-1::1"],
    want: "GPU-0::3 GPU-1::0",
  },
  {
    name: "ids the resource does not have are passed over",
    offer: shares,
    size: 1,
    available: ["GPU-9::0", "GPU-1::3"],
    want: "GPU-1::3",
  },
  { name: "nothing needed beyond the required", offer: shares, size: 1, mustInclude: ["GPU-1::3"], want: "GPU-1::3" },
  { name: "a MIG device: the first", offer: slices, size: 1, want: "MIG-0-0-0" },
  { name: "a MIG device of the GPU most in use", offer: slices, size: 1, held: ["MIG-1-1-0"], want: "MIG-1-0-0" },
  {
    name: "MIG devices fill one GPU before the next",
    offer: slices,
    size: 3,
    held: ["MIG-1-1-0"],
    want: "MIG-1-0-0 MIG-1-2-0 MIG-0-0-0",
  },
  {
    name: "whole GPUs: the linked pair",
    offer: whole,
    size: 2,
    pairScore: (a, b) => (a + b === "GPU-1GPU-3" || a + b === "GPU-3GPU-1" ? 410 : 10),
    want: "GPU-1 GPU-3",
  },
  {
    name: "whole GPUs: required ones that are not free give none",
    offer: whole,
    size: 2,
    mustInclude: ["GPU-1"],
    held: ["GPU-1"],
    want: "",
  },
  { name: "whole GPUs: too few give none", offer: whole, size: 2, available: ["GPU-1"], want: "" },
];
describe("prefers", () => {
  for (const { name, want, ...question } of rows) test(name, () => assert.equal(ask(question).join(" "), want));
});

test("too few free shares are an error", () => {
  const one = onlyOffer({ gpus: gpus(1), share: ["gpu x2"] });
  assert.throws(() => ask({ offer: one, size: 5 }), {
    code: "not-enough-devices",
    message: "not enough available devices to satisfy allocation",
  });
});

test("an id the resource does not have is an error where NVIDIA's is one, and for what must be included", () => {
  const unknown = { code: "unknown-device", message: "invalid request: unknown device: GPU-9" };
  assert.throws(() => ask({ offer: whole, size: 1, available: ["GPU-0", "GPU-9"] }), unknown);
  assert.throws(() => ask({ offer: whole, size: 1, mustInclude: ["GPU-9"] }), unknown);
  assert.throws(() => ask({ offer: shares, size: 1, mustInclude: ["GPU-9"] }), unknown);
});

const offersToTry = [
  whole,
  shares,
  slices,
  onlyOffer({ gpus: gpus(3), share: ["gpu[1] x3"] }),
  onlyOffer({ gpus: [gpu(0, "3g.40gb@0 3g.40gb@4")], settings: { migStrategy: "single" }, share: ["gpu x3"] }),
];
const question = fc.constantFrom(...offersToTry).chain((offer) =>
  fc.shuffledSubarray([...idsOf(offer.devices)]).chain((available) =>
    fc.record({
      offer: fc.constant(offer),
      available: fc.constant(available),
      mustInclude: fc.subarray(available, { maxLength: Math.min(2, available.length) }),
      extra: fc.nat(available.length),
      policy: fc.constantFrom("packed" as const, "distributed" as const),
    }),
  ),
);

test("the answer is as many free ids as asked for, each once, the required among them, in whatever order they are listed", () => {
  fc.assert(
    fc.property(question, ({ extra, ...one }) => {
      const size = Math.min(one.mustInclude.length + extra, one.available.length);
      const answer = ask({ ...one, size });
      assert.equal(answer.length, size);
      assert.equal(new Set(answer).size, size);
      assert.ok(answer.every((id) => one.available.includes(id)));
      assert.ok(one.mustInclude.every((id) => answer.includes(id)));
      assert.deepEqual(ask({ ...one, size, available: one.available.toSorted() }), answer);
    }),
  );
});

test("distributed shares of free GPUs differ by one at most, packed ones touch as few GPUs as can be", () => {
  const node = fc.record({
    count: fc.integer({ min: 1, max: 5 }),
    replicas: fc.integer({ min: 2, max: 6 }),
    size: fc.nat(12),
  });
  fc.assert(
    fc.property(node, ({ count, replicas, size }) => {
      const offer = onlyOffer({ gpus: gpus(count), share: [`gpu x${replicas}`] });
      const asked = Math.min(size, count * replicas);
      const touched = (policy: "packed" | "distributed"): readonly number[] => {
        const ids = ask({ offer, size: asked, policy });
        return [...Map.groupBy(ids, (id) => id.split("::")[0]).values()].map((list) => list.length);
      };
      const spread = touched("distributed");
      assert.equal(spread.length, Math.min(count, asked));
      assert.ok(asked === 0 || Math.max(...spread) - Math.min(...spread) <= 1);
      assert.equal(touched("packed").length, Math.ceil(asked / replicas));
    }),
  );
});
