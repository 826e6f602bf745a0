/** Compute instances inside a GPU instance: what can be reached, by which calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type MigProfile, modelById } from "../../src/gpu/index.ts";
import { computeSlots, contentCounts, movesTo, reachableContents } from "../../src/partition/compute.ts";

const profiles = modelById("a100-sxm4-80gb")?.mig?.profiles ?? assert.fail("no A100");

/** GPU instance, how many mixes it can hold beside the empty one (NVIDIA MIG User Guide, compute instance profiles). */
const mixRows = [
  { name: "1g.10gb", mixes: ["1"] },
  { name: "2g.20gb", mixes: ["1", "1+1", "2"] },
  { name: "3g.40gb", mixes: ["1", "1+1", "1+1+1", "1+2", "2", "3"] },
  { name: "4g.40gb", mixes: ["1", "1+1", "1+1+1", "1+1+1+1", "1+1+2", "1+2", "2", "2+2", "4"] },
];
for (const { name, mixes } of mixRows) {
  test(`an empty ${name} can get ${mixes.join(", ")} compute slices`, () => {
    const profile = profileOf(name);
    const reached = reachableContents(profile, 0, 0).map(({ counts }) => widthsOf(profile, counts));
    assert.deepEqual(reached.filter((mix) => mix !== "").sort(), mixes);
  });
}

test("every mix of a 7g that fits in some arrangement is reached in some order", () => {
  const profile = profileOf("7g.80gb");
  const slots = computeSlots(profile);
  const arranged = new Set<string>();
  for (let mask = 0; mask < 1 << slots.length; mask++) {
    const chosen = slots.filter((_, index) => (mask & (1 << index)) !== 0);
    const width = chosen.reduce(
      (sum, { kind }) => sum + (profile.computeInstanceProfiles[kind]?.computeSlices ?? 0),
      0,
    );
    const taken = chosen.reduce((so, { slices }) => so | slices, 0);
    const disjoint = chosen.reduce((sum, { slices }) => sum + bits(slices), 0) === bits(taken);
    if (disjoint && width <= 7) arranged.add(widthsOf(profile, contentCounts(profile, mask)));
  }
  const reached = reachableContents(profile, 0, 0).map(({ counts }) => widthsOf(profile, counts));
  assert.deepEqual(reached.sort(), [...arranged].sort());
  assert.ok(arranged.has("2+2+3"));
});

test("what is pinned stays, and no call is wasted", () => {
  const profile = profileOf("4g.40gb");
  const standing = maskOf(profile, "1@0 1@1 1@3");
  const pinned = maskOf(profile, "1@3");
  const contents = reachableContents(profile, standing, pinned);
  const wide = contents.find(({ counts }) => widthsOf(profile, counts) === "1+2");
  assert.deepEqual(
    wide?.destroyed.map(({ start }) => start),
    [0, 1],
  );
  assert.deepEqual(
    wide?.created.map((kind) => profile.computeInstanceProfiles[kind]?.name),
    ["2c.4g.40gb"],
  );
  assert.equal(
    contents.some(({ counts }) => widthsOf(profile, counts) === "2+2"),
    false,
  );
  assert.deepEqual(contents.find(({ counts }) => widthsOf(profile, counts) === "1+1+1")?.destroyed, []);
});

test("any arrangement that stood can be had again from any other, start by start", () => {
  const arrangement = fc.constantFrom("2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb").chain((name) => {
    const profile = profileOf(name);
    const calls = fc.array(fc.record({ create: fc.boolean(), pick: fc.nat(13) }), { maxLength: 14 });
    return fc.tuple(calls, calls).map(([first, second]) => ({
      profile,
      from: played(profile, 0, first),
      to: played(profile, 0, second),
    }));
  });
  fc.assert(
    fc.property(arrangement, ({ profile, from, to }) => {
      const moves = movesTo(profile, from, to);
      assert.ok(moves);
      let mask = from;
      for (const move of moves) {
        mask =
          move.kind === "create"
            ? created(profile, mask, move.computeProfile)
            : mask & ~bitOf(profile, move.slot.kind, move.slot.start);
        assert.equal(mask & from & to, from & to, "what both have is not touched");
      }
      assert.equal(mask, to);
    }),
    { numRuns: 300 },
  );
});

/** The driver's own way, slice by slice: the first start of the profile where nothing stands. */
function created(profile: MigProfile, mask: number, kind: number): number {
  const slots = computeSlots(profile);
  const standing = slots.filter((_, index) => (mask & (1 << index)) !== 0);
  const wanted = profile.computeInstanceProfiles[kind];
  const width = standing.reduce((sum, one) => sum + (profile.computeInstanceProfiles[one.kind]?.computeSlices ?? 0), 0);
  if (wanted === undefined || width + wanted.computeSlices > profile.computeSlices) return mask;
  if (standing.filter((one) => one.kind === kind).length >= wanted.maxInstances) return mask;
  const start = wanted.starts.find((one) =>
    standing.every((other) => bits(other.slices & (((1 << wanted.size) - 1) << one)) === 0),
  );
  return start === undefined ? mask : mask | bitOf(profile, kind, start);
}

/** What stands after some creations and destructions. */
function played(profile: MigProfile, mask: number, calls: readonly { create: boolean; pick: number }[]): number {
  let so = mask;
  for (const { create, pick } of calls) {
    if (create) so = created(profile, so, pick % profile.computeInstanceProfiles.length);
    else so &= ~(1 << (pick % computeSlots(profile).length));
  }
  return so;
}

function bitOf(profile: MigProfile, kind: number, start: number): number {
  return 1 << computeSlots(profile).findIndex((slot) => slot.kind === kind && slot.start === start);
}

function maskOf(profile: MigProfile, text: string): number {
  return text.split(" ").reduce((mask, word) => {
    const [width, start] = word.split("@").map(Number);
    const kind = profile.computeInstanceProfiles.findIndex(({ computeSlices }) => computeSlices === width);
    return mask | bitOf(profile, kind, start ?? -1);
  }, 0);
}

function widthsOf(profile: MigProfile, counts: readonly number[]): string {
  return counts
    .flatMap((count, kind) => Array.from({ length: count }, () => profile.computeInstanceProfiles[kind]?.computeSlices))
    .join("+");
}

function bits(mask: number): number {
  return mask.toString(2).replaceAll("0", "").length;
}

function profileOf(name: string): MigProfile {
  return profiles.find((one) => one.name === name) ?? assert.fail(`no ${name}`);
}
