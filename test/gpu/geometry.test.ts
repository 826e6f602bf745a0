/** Rules of MIG geometry: what is valid, what fits, and why not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  catalogue,
  fits,
  freePlacements,
  type Layout,
  layoutFault,
  type MigGeometry,
  type MigProfile,
  modelById,
  type PlacedProfile,
  placedName,
  placementsFor,
  remainingCapacity,
} from "../../src/gpu/index.ts";

const a100 = geometryOf("a100-sxm4-40gb");
const a30 = geometryOf("a30-24gb");
const rtxPro6000 = geometryOf("rtx-pro-6000-blackwell-server");

const faultRows = [
  { name: "3g and 4g share an A100", on: a100, layout: "4g.20gb@0 3g.20gb@4", rule: undefined },
  { name: "7g leaves no room for 1g", on: a100, layout: "7g.40gb@0 1g.5gb@6", rule: "overlap" },
  { name: "2g cannot start at slice 6", on: a100, layout: "2g.10gb@6", rule: "start" },
  { name: "1g never reaches the eighth slice", on: a100, layout: "1g.5gb@7", rule: "start" },
  { name: "the double-memory 1g reaches the eighth slice", on: a100, layout: "1g.10gb@6", rule: undefined },
  { name: "3g covers four slices", on: a100, layout: "3g.20gb@0 1g.5gb@3", rule: "overlap" },
  { name: "one +me on an A100", on: a100, layout: "1g.5gb+me@0 1g.5gb+me@1", rule: "max-instances" },
  { name: "an A30 has media engines for one +me", on: a30, layout: "1g.6gb+me@0 2g.12gb+me@2", rule: "exclusion" },
  { name: "+me.all beside -me", on: rtxPro6000, layout: "1g.24gb+me.all@0 1g.24gb-me@3", rule: undefined },
  { name: "+me.all not beside plain", on: rtxPro6000, layout: "1g.24gb+me.all@0 1g.24gb@3", rule: "exclusion" },
  { name: "a profile of another model", on: a30, layout: "1g.5gb@0", rule: "profile" },
];
for (const { name, on, layout, rule } of faultRows) {
  test(name, () => assert.equal(layoutFault(on, layoutFrom(layout))?.rule, rule));
}

test("a fault says which instances overlap", () => {
  const message = layoutFault(a100, layoutFrom("3g.20gb@0 1g.5gb@3"))?.message;
  assert.equal(message, "1g.5gb@3 and 3g.20gb@0 overlap");
});

const capacityRows = [
  { layout: "", profile: "1g.5gb", want: 7 },
  { layout: "", profile: "1g.10gb", want: 4 },
  { layout: "3g.20gb@0", profile: "1g.5gb", want: 3 },
  { layout: "3g.20gb@4", profile: "1g.5gb", want: 4 },
  { layout: "3g.20gb@4 2g.10gb@0 1g.5gb@2", profile: "2g.10gb", want: 0 },
  { layout: "1g.5gb@0 1g.5gb@2 1g.5gb@4", profile: "1g.10gb", want: 1 },
  { layout: "1g.5gb+me@0", profile: "1g.5gb+me", want: 0 },
  { layout: "7g.40gb@0", profile: "1g.5gb", want: 0 },
];
for (const { layout, profile, want } of capacityRows) {
  test(`${want} more ${profile} fit beside "${layout}" on an A100-40GB`, () => {
    assert.equal(remainingCapacity(a100, layoutFrom(layout), profileOf(a100, profile)), want);
  });
}

test("free placements are those where an instance can be created now", () => {
  const starts = freePlacements(a100, layoutFrom("1g.5gb@0"), profileOf(a100, "2g.10gb"));
  assert.deepEqual(starts, [
    { start: 2, size: 2 },
    { start: 4, size: 2 },
  ]);
});

const placementRows = [
  { name: "3g goes where the 1g leave it room", layout: "1g.5gb@0", wanted: "3g.20gb", want: "3g.20gb@4" },
  { name: "1g go right of a 4g", layout: "4g.20gb@0", wanted: "1g.5gb 1g.5gb", want: "1g.5gb@4 1g.5gb@5" },
  { name: "3g leaves the larger half free", layout: "", wanted: "3g.20gb", want: "3g.20gb@4" },
  {
    name: "3+2+1+1 is found whatever order it is asked in",
    layout: "",
    wanted: "1g.5gb 1g.5gb 2g.10gb 3g.20gb",
    want: "1g.5gb@0 1g.5gb@1 2g.10gb@2 3g.20gb@4",
  },
  { name: "no room", layout: "1g.5gb@0 1g.5gb@4", wanted: "3g.20gb", want: undefined },
  { name: "more than there can be", layout: "", wanted: "3g.20gb 3g.20gb 3g.20gb", want: undefined },
];
for (const { name, layout, wanted, want } of placementRows) {
  test(`placements: ${name}`, () => {
    const profiles = words(wanted).map((one) => profileOf(a100, one));
    assert.equal(placementsFor(a100, layoutFrom(layout), profiles)?.map(placedName).join(" "), want);
  });
}

test("on every model the exclusions in words forbid what the engine totals forbid, and nothing else", () => {
  const compared = new Set<string>();
  for (const { mig } of catalogue()) {
    if (mig === undefined || Object.values(mig.engineTotals).some((total) => total === undefined)) continue;
    if (compared.has(mig.name)) continue;
    compared.add(mig.name);
    const byEngines = slowLayouts({ ...mig, exclusions: [] });
    const byWords = slowLayouts({ ...mig, engineTotals: noEngines });
    assert.deepEqual(byWords, byEngines);
  }
  assert.deepEqual([...compared].sort(), ["mem12-compute4", "mem4-compute4", "mem8-compute7"]);
});

const geometries = [a100, a30, rtxPro6000];

test("validity agrees with a slice-by-slice twin on random sets of placements", () => {
  const cases = fc.constantFrom(...geometries).chain((geometry) => {
    const slots = geometry.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile, start })));
    return fc.record({
      geometry: fc.constant(geometry),
      layout: fc.uniqueArray(fc.constantFrom(...slots), { maxLength: 7 }),
    });
  });
  fc.assert(
    fc.property(cases, ({ geometry, layout }) => {
      assert.equal(layoutFault(geometry, layout) === undefined, slowlyValid(geometry, layout));
    }),
    { numRuns: 3000 },
  );
});

test("remaining capacity is the largest number that can be added in any order", () => {
  const cases = fc.constantFrom(...geometries).chain((geometry) =>
    fc.record({
      geometry: fc.constant(geometry),
      order: fc.shuffledSubarray(
        geometry.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile, start }))),
      ),
      size: fc.nat(5),
      profile: fc.constantFrom(...geometry.profiles),
    }),
  );
  fc.assert(
    fc.property(cases, ({ geometry, order, size, profile }) => {
      const layout: PlacedProfile[] = [];
      for (const one of order) if (layout.length < size && fits(geometry, layout, one)) layout.push(one);
      assert.equal(remainingCapacity(geometry, layout, profile), slowCapacity(geometry, layout, profile));
    }),
    { numRuns: 300 },
  );
});

const noEngines = { copy: undefined, decoder: undefined, encoder: undefined, jpeg: undefined, ofa: undefined };

/** Every valid layout, found by adding one placement after the other. */
function slowLayouts(geometry: MigGeometry): readonly string[] {
  const slots = geometry.profiles.flatMap((profile) => profile.starts.map((start) => ({ profile, start })));
  const found: Layout[] = [];
  let level: readonly Layout[] = [[]];
  while (level.length > 0) {
    level = level.flatMap((layout) => {
      const last = layout.at(-1);
      const later = last === undefined ? slots : slots.slice(slots.indexOf(last) + 1);
      return later.filter((slot) => fits(geometry, layout, slot)).map((slot) => [...layout, slot]);
    });
    found.push(...level);
  }
  return found.map((layout) => layout.map(placedName).join(" "));
}

/** The rules once more, counted slice by slice and engine by engine. */
function slowlyValid(geometry: MigGeometry, layout: Layout): boolean {
  const slices = layout.flatMap(({ profile, start }) =>
    Array.from({ length: profile.memorySlices }, (_, index) => start + index),
  );
  const names = layout.map(({ profile }) => profile.name);
  const engines = (["copy", "decoder", "encoder", "jpeg", "ofa"] as const).every((kind) => {
    const total = geometry.engineTotals[kind];
    const used = layout.map(({ profile }) => profile.engines[kind] ?? 0).reduce((a, b) => a + b, 0);
    return total === undefined || used <= total;
  });
  const alone = geometry.exclusions.every((rule) => {
    const named = names.filter((name) => rule.profiles.includes(name)).length;
    if (rule.rule === "at-most-one-in-total") return named <= 1;
    return (
      named === 0 ||
      (named === 1 && names.every((name) => rule.profiles.includes(name) || rule.alongside.includes(name)))
    );
  });
  return (
    new Set(slices).size === slices.length &&
    layout.every(({ profile }) => names.filter((name) => name === profile.name).length <= profile.maxInstances) &&
    engines &&
    alone
  );
}

/** Tries every start first, then every later one beside it. */
function slowCapacity(geometry: MigGeometry, layout: Layout, profile: MigProfile): number {
  const counts = profile.starts
    .filter((start) => fits(geometry, layout, { profile, start }))
    .map((start) => 1 + slowCapacity(geometry, [...layout, { profile, start }], profile));
  return Math.max(0, ...counts);
}

function geometryOf(id: string): MigGeometry {
  const geometry = modelById(id)?.mig;
  assert.ok(geometry, `the catalogue has no MIG layout for ${id}`);
  return geometry;
}

function profileOf(geometry: MigGeometry, name: string): MigProfile {
  const profile = geometry.profiles.find((one) => one.name === name);
  assert.ok(profile, `${geometry.name} has no ${name}`);
  return profile;
}

/** `3g.20gb@4 1g.5gb@0`; profiles of any of the three models. */
function layoutFrom(text: string): Layout {
  return words(text).map((word) => {
    const [name = "", start = ""] = word.split("@");
    const profile = geometries.flatMap(({ profiles }) => profiles).find((one) => one.name === name);
    assert.ok(profile, `no model has ${name}`);
    return { profile, start: Number(start) };
  });
}

function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}
