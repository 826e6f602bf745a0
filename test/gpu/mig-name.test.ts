import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  canonicalMigProfileName,
  catalogue,
  instanceMemoryMiB,
  migDeviceName,
  migGigabytes,
  migProductName,
  parseMigProfileName,
  resourceNameOf,
} from "../../src/gpu/index.ts";

describe("gigabytes of a name", () => {
  // Figures of real cards: card MiB, then instance MiB and the number in the name.
  const rows: readonly (readonly [number, readonly (readonly [number, number])[]])[] = [
    [
      40960,
      [
        [4864, 5],
        [9856, 10],
        [20096, 20],
        [40192, 40],
      ],
    ],
    [
      81920,
      [
        [9728, 10],
        [19968, 20],
        [40448, 40],
        [80896, 80],
      ],
    ],
    [
      24576,
      [
        [5952, 6],
        [11968, 12],
        [24125, 24],
      ],
    ],
    [
      95830,
      [
        [11008, 12],
        [22144, 24],
        [45056, 47],
        [94720, 94],
      ],
    ],
    [
      143771,
      [
        [16384, 18],
        [33280, 35],
        [71168, 71],
        [143616, 141],
      ],
    ],
    [
      183359,
      [
        [22528, 23],
        [45056, 45],
        [91136, 90],
        [182784, 180],
      ],
    ],
  ];
  for (const [cardMiB, instances] of rows) {
    for (const [instanceMiB, want] of instances) {
      test(`${instanceMiB} of ${cardMiB} MiB are ${want}`, () =>
        assert.equal(migGigabytes(instanceMiB, cardMiB), want));
    }
  }

  test("reproduce the name of every profile of every model, from each of its known figures", () => {
    let checked = 0;
    for (const { id, memoryMiB: cardMiB, mig } of catalogue()) {
      for (const profile of mig?.profiles ?? []) {
        const { name, computeSlices, attributes, observedMemoryMiB = [] } = profile;
        for (const instanceMiB of [instanceMemoryMiB(profile), profile.memoryMiBShare, ...observedMemoryMiB]) {
          const gigabytes = migGigabytes(instanceMiB, cardMiB);
          const made = migDeviceName({ computeSlices, gpuSlices: computeSlices, gigabytes, attributes });
          assert.equal(made, name, `${id}: ${instanceMiB} MiB`);
          checked += 1;
        }
      }
    }
    assert.ok(checked > 400);
  });
});

describe("reading a name", () => {
  const rows = [
    { name: "1g.10gb", want: { computeSlices: 1, gpuSlices: 1, gigabytes: 10, attributes: [] } },
    { name: "1c.3g.40gb", want: { computeSlices: 1, gpuSlices: 3, gigabytes: 40, attributes: [] } },
    { name: "1g.24gb+me.all", want: { computeSlices: 1, gpuSlices: 1, gigabytes: 24, attributes: ["me.all"] } },
    { name: "2g.48gb-me", want: { computeSlices: 2, gpuSlices: 2, gigabytes: 48, attributes: ["-me"] } },
    { name: "1c.2g.12gb+gfx,me", want: { computeSlices: 1, gpuSlices: 2, gigabytes: 12, attributes: ["gfx", "me"] } },
    { name: "1g.0gb", want: { computeSlices: 1, gpuSlices: 1, gigabytes: 0, attributes: [] } },
    ...[
      "",
      "1g",
      "1g.10",
      "1.10gb",
      "g.10gb",
      "1g.10gb+",
      "1g.10gb+me,me",
      "1g.10gb+2me",
      "1g.10gb+.me",
      "1g.10gb+me.",
    ].map((name) => ({ name, want: undefined })),
    ...[" 1g.10gb", "1g.10gb+me-gfx", "1G.10GB", "1g.10gb+me, gfx", "all", "1c.1c.1g.5gb"].map((name) => ({
      name,
      want: undefined,
    })),
  ];
  for (const { name, want } of rows) {
    test(`${JSON.stringify(name)} is ${want === undefined ? "no name" : "read"}`, () =>
      assert.deepEqual(parseMigProfileName(name), want));
  }

  test("gives back what was written", () => {
    const parts = fc.record({
      computeSlices: fc.integer({ min: 1, max: 8 }),
      gpuSlices: fc.integer({ min: 1, max: 8 }),
      gigabytes: fc.nat({ max: 300 }),
      attributes: fc.constantFrom([], ["me"], ["me.all"], ["gfx"], ["-me"], ["gfx", "me"], ["-gfx", "-me"]),
    });
    fc.assert(fc.property(parts, (one) => assert.deepEqual(parseMigProfileName(migDeviceName(one)), { ...one })));
  });

  test("reads the name of every profile and compute profile of the catalogue", () => {
    for (const profile of catalogue().flatMap(({ mig }) => mig?.profiles ?? [])) {
      const parts = parseMigProfileName(profile.name);
      assert.deepEqual(parts?.attributes, profile.attributes);
      assert.equal(parts?.gpuSlices, profile.computeSlices);
      for (const { name, computeSlices } of profile.computeInstanceProfiles) {
        assert.equal(parseMigProfileName(name)?.computeSlices, computeSlices);
        assert.equal(canonicalMigProfileName(name), name);
      }
    }
  });
});

describe("canonical name", () => {
  const rows = [
    { name: "1c.1g.5gb", want: "1g.5gb" },
    { name: "01g.05gb", want: "1g.5gb" },
    { name: "1g.10gb+me,gfx", want: "1g.10gb+gfx,me" },
    { name: "3c.3g.20gb", want: "3g.20gb" },
    { name: "1c.3g.20gb", want: "1c.3g.20gb" },
    { name: "5gb", want: undefined },
  ];
  for (const { name, want } of rows)
    test(`of ${name} is ${want}`, () => assert.equal(canonicalMigProfileName(name), want));
});

describe("resource name", () => {
  const rows = [
    { name: "1g.10gb", want: "nvidia.com/mig-1g.10gb" },
    { name: "1g.10gb+me", want: "nvidia.com/mig-1g.10gb.me" },
    { name: "1g.24gb+me.all", want: "nvidia.com/mig-1g.24gb.me.all" },
    { name: "1g.24gb+gfx", want: "nvidia.com/mig-1g.24gb.gfx" },
    { name: "1g.24gb-me", want: "nvidia.com/mig-1g.24gb-me" },
  ];
  for (const { name, want } of rows) test(`of ${name} is ${want}`, () => assert.equal(resourceNameOf(name), want));
});

test("a MIG device's product name is the GPU's with the profile behind it", () => {
  assert.equal(migProductName("NVIDIA B300 SXM6 AC", "1g.34gb"), "NVIDIA B300 SXM6 AC MIG 1g.34gb");
});
