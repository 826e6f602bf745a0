/** Enumeration of layouts, against the figures published for each kind of GPU. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  bitCount,
  catalogue,
  containsCounts,
  distinctCounts,
  fits,
  geometryOfProfiles,
  geometryWith,
  type Layout,
  layoutOf,
  layoutSpace,
  type MigGeometry,
  type MigProfile,
  maximalLayouts,
  mostInstances,
  placedName,
  validLayouts,
} from "../../src/gpu/index.ts";

/** NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2: one compute slice with twice the memory. */
const doubleMemory = 9;
const plain = (profile: MigProfile): boolean =>
  profile.attributes.length === 0 && profile.nvmlProfileId !== doubleMemory;
const withDoubleMemory = (profile: MigProfile): boolean => profile.attributes.length === 0;
const everything = (): boolean => true;

/** Valid layouts, maximal placements, distinct mixes, mixes of maximal placements, those not contained in another. */
const rows = [
  { geometry: "mem8-compute7", profiles: "plain", keep: plain, want: [297, 19, 37, 14, 12] },
  {
    geometry: "mem8-compute7",
    profiles: "plain and double-memory",
    keep: withDoubleMemory,
    want: [722, 78, 77, 38, 28],
  },
  { geometry: "mem8-compute7", profiles: "all", keep: everything, want: [2318, 239, 127, 64, 44] },
  { geometry: "mem4-compute4", profiles: "plain", keep: plain, want: [25, 5, 9, 4, 4] },
  { geometry: "mem4-compute4", profiles: "all", keep: everything, want: [75, 17, 19, 8, 8] },
  { geometry: "mem12-compute4", profiles: "plain", keep: plain, want: [25, 5, 9, 4, 4] },
  { geometry: "mem12-compute4", profiles: "all", keep: everything, want: [716, 302, 114, 64, 64] },
];
for (const { geometry, profiles, keep, want } of rows) {
  test(`every ${geometry} GPU has ${want.join(", ")} layouts with ${profiles} profiles`, () => {
    const models = catalogue().filter(({ mig }) => mig?.name === geometry);
    assert.ok(models.length > 0);
    const shapes = new Map(models.map(({ id, mig }) => [mig === undefined ? "" : shapeOf(mig), { id, mig }]));
    for (const { id, mig } of shapes.values()) {
      assert.ok(mig);
      assert.deepEqual(figures(geometryWith(mig, keep)), want, id);
    }
  });
}

test("for each profile of the catalogue as many instances can be had as maxInstances says", () => {
  let profiles = 0;
  for (const { id, mig, aliasOf } of catalogue()) {
    if (mig === undefined || aliasOf !== undefined) continue;
    for (const profile of mig.profiles) {
      assert.equal(mostInstances(mig, profile), profile.maxInstances, `${id} ${profile.name}`);
      profiles += 1;
    }
  }
  assert.equal(profiles, 178);
});

test("A100-40GB, A100-80GB and H100-80GB have the same layouts but for the names", () => {
  const starts = ["a100-sxm4-40gb", "a100-sxm4-80gb", "h100-sxm5-80gb"].map((id) => {
    const mig = catalogue().find((model) => model.id === id)?.mig;
    assert.ok(mig, id);
    return validLayouts(mig)
      .map((layout) => layout.map(({ profile, start }) => `${profile.nvmlProfileId}@${start}`).join(" "))
      .sort();
  });
  assert.deepEqual(starts[1], starts[0]);
  assert.deepEqual(starts[2], starts[0]);
});

for (const id of ["a100-sxm4-40gb", "a30-24gb", "rtx-pro-6000-blackwell-server"]) {
  test(`the layouts of ${id} are those a search one placement at a time finds`, () => {
    const mig = catalogue().find((model) => model.id === id)?.mig;
    assert.ok(mig);
    assert.deepEqual(validLayouts(mig).map(nameOf).sort(), slowLayouts(mig).sort());
    const maximal = new Set(maximalLayouts(mig).map(nameOf));
    for (const layout of validLayouts(mig)) {
      const grows = mig.profiles.some((profile) =>
        profile.starts.some((start) => fits(mig, layout, { profile, start })),
      );
      assert.equal(maximal.has(nameOf(layout)), !grows, nameOf(layout));
    }
  });
}

test("a space is computed once per geometry and lists the roomier layouts first, then those with lower starts", () => {
  const mig = catalogue().find((model) => model.id === "a100-sxm4-40gb")?.mig;
  assert.ok(mig);
  const space = layoutSpace(mig);
  assert.equal(layoutSpace(mig), space);
  const slow = [...space.masks].map((mask) => ({
    mask,
    futures: space.masks.reduce((count, other) => count + Number((other & mask) === mask), 0),
    starts: layoutOf(space, mask).map(({ start }) => start),
  }));
  slow.sort((a, b) => b.futures - a.futures || compareWords(a.starts, b.starts) || a.mask - b.mask);
  assert.deepEqual(
    [...space.masks],
    slow.map(({ mask }) => mask),
  );
  const pair = mig.profiles.map(({ name }) => (name === "1g.5gb" ? 2 : 0));
  const pairs = slow.filter(
    ({ mask }) =>
      layoutOf(space, mask)
        .map(({ profile }) => profile.name)
        .join() === "1g.5gb,1g.5gb",
  );
  assert.deepEqual(
    space.holding(pair),
    pairs.map(({ mask }) => mask),
  );
  assert.deepEqual(space.holding(mig.profiles.map(() => 8)), []);
  assert.equal(bitCount(-1), 32);
});

function compareWords(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((start, index) => start !== b[index]);
  if (at < 0) return a.length - b.length;
  return at >= b.length ? 1 : (a[at] ?? 0) - (b[at] ?? 0);
}

function figures(geometry: MigGeometry): number[] {
  const valid = validLayouts(geometry);
  const maximal = maximalLayouts(geometry);
  const mixes = distinctCounts(maximal);
  const outermost = mixes.filter((mix) => mixes.every((other) => other === mix || !containsCounts(other, mix)));
  return [valid.length, maximal.length, distinctCounts(valid).length, mixes.length, outermost.length];
}

/** Same rules, same figures: names and memory sizes do not matter to geometry. */
function shapeOf({ profiles, engineTotals, exclusions }: MigGeometry): string {
  return JSON.stringify([
    profiles.map(({ nvmlProfileId, starts, memorySlices, engines }) => [nvmlProfileId, starts, memorySlices, engines]),
    engineTotals,
    exclusions.length,
  ]);
}

function slowLayouts(geometry: MigGeometry): string[] {
  const found = new Set<string>();
  let level: readonly Layout[] = [[]];
  while (level.length > 0) {
    const next = new Map<string, Layout>();
    for (const layout of level) {
      for (const placed of geometry.profiles.flatMap((profile) =>
        profile.starts.map((start) => ({ profile, start })),
      )) {
        const grown = [...layout, placed];
        if (!next.has(nameOf(grown)) && fits(geometry, layout, placed)) next.set(nameOf(grown), grown);
      }
    }
    for (const name of next.keys()) found.add(name);
    level = [...next.values()];
  }
  return [...found];
}

function nameOf(layout: Layout): string {
  return layout.map(placedName).sort().join(" ");
}

describe("a geometry from the driver's profiles alone", () => {
  for (const { id, mig, aliasOf } of catalogue()) {
    if (mig === undefined || aliasOf !== undefined) continue;
    test(`allows the same layouts as the catalogue on ${id}`, () => {
      const told = geometryOfProfiles(mig.profiles) ?? assert.fail("no geometry");
      assert.deepEqual(layoutSpace(told).masks, layoutSpace(mig).masks);
    });
  }

  test("is none where no profile has a place", () => {
    assert.equal(geometryOfProfiles([]), undefined);
  });
});
