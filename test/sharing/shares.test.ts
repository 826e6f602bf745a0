import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { GpuLink } from "../../src/gpu/index.ts";
import {
  capacity,
  isolationOf,
  linkScore,
  type Offer,
  parseMigMinors,
  shareFindings,
} from "../../src/sharing/index.ts";
import { matches } from "../../src/sharing/pattern.ts";
import { gpu, gpus, nodeOffers, onlyOffer } from "./fixtures.ts";

function firstIsolation(offer: Offer | undefined): string | undefined {
  const device = offer?.devices[0];
  return offer === undefined || device === undefined ? undefined : isolationOf(offer, device);
}

const mixed = { migStrategy: "mixed" } as const;
const slice = [gpu(0, "3g.40gb@0")];
const half = [gpu(0, "2g.20gb@0(1c.2g.20gb,1c.2g.20gb)")];
const isolations = [
  { name: "a whole GPU is exclusive", offer: onlyOffer({ gpus: gpus(1) }), want: "exclusive" },
  { name: "a MIG device is apart in hardware", offer: onlyOffer({ gpus: slice, settings: mixed }), want: "hardware" },
  {
    name: "a compute instance shares its GPU instance's memory",
    offer: onlyOffer({ gpus: half, settings: { migStrategy: "single" } }),
    want: "limited",
  },
  { name: "a time slice is not apart", offer: onlyOffer({ gpus: gpus(1), share: ["gpu x2"] }), want: "none" },
  {
    name: "a time slice of a MIG device is not apart from the next",
    offer: onlyOffer({ gpus: slice, settings: mixed, share: ["mig-3g.40gb x2"] }),
    want: "none",
  },
  {
    name: "an MPS client is limited",
    offer: onlyOffer({ gpus: gpus(1), share: ["gpu x2"], sharing: { strategy: "mps" } }),
    want: "limited",
  },
  {
    name: "an unshared GPU beside shares of another is exclusive",
    offer: onlyOffer({ gpus: gpus(2), share: ["gpu[1] x2"] }),
    want: "exclusive",
  },
];
for (const { name, offer, want } of isolations) test(name, () => assert.equal(firstIsolation(offer), want));

test("capacity counts the devices of each resource", () => {
  const { offers } = nodeOffers({ gpus: [gpu(0), gpu(1, "1g.10gb@0 3g.40gb@4")], settings: mixed, share: ["gpu x4"] });
  assert.deepEqual(
    capacity(offers),
    new Map([
      ["nvidia.com/gpu", 4],
      ["nvidia.com/mig-1g.10gb", 1],
      ["nvidia.com/mig-3g.40gb", 1],
    ]),
  );
});

test("several shares of one device are said once for each device, with what they are worth", () => {
  const { devices } = onlyOffer({ gpus: gpus(3), share: ["gpu x3"] });
  const held = devices.filter(({ id }) => ["GPU-0::0", "GPU-1::0", "GPU-1::2", "GPU-2::0", "GPU-2::1"].includes(id));
  assert.deepEqual(
    shareFindings("ml/a", held, "time-slicing").map(({ code, severity, subject, message }) => ({
      code,
      severity,
      subject,
      message,
    })),
    [1, 2].map((index) => ({
      code: "shares-of-one-gpu",
      severity: "info",
      subject: { kind: "pod", name: "ml/a" },
      message: `pod ml/a holds 2 shares of GPU ${index}; they are one device to it and give no more compute than one share`,
    })),
  );
  assert.deepEqual(shareFindings("ml/a", devices.slice(0, 1), "time-slicing"), []);
  assert.deepEqual(shareFindings("ml/a", held, "mps"), [], "MPS shares add up");
});

// go-gpuallocator internal/links/device.go.
const links: readonly (GpuLink & { want: number })[] = [
  { ancestor: "system", nvlinks: 0, want: 10 },
  { ancestor: "node", nvlinks: 0, want: 20 },
  { ancestor: "hostbridge", nvlinks: 0, want: 30 },
  { ancestor: "multiple", nvlinks: 0, want: 40 },
  { ancestor: "single", nvlinks: 0, want: 50 },
  { ancestor: "internal", nvlinks: 0, want: 60 },
  { ancestor: "system", nvlinks: 4, want: 410 },
  { ancestor: "node", nvlinks: 18, want: 1820 },
  { ancestor: "node", nvlinks: 19, want: 1820 },
];
for (const { want, ...link } of links) {
  test(`${link.nvlinks} NVLinks under ${link.ancestor} are ${want} points`, () => assert.equal(linkScore(link), want));
}

for (const { pattern, text, want } of [
  { pattern: "a*a", text: "a", want: false },
  { pattern: "ab*ba", text: "aba", want: false },
  { pattern: "*a*a*", text: "a", want: false },
  { pattern: "*a*a", text: "aa", want: true },
  { pattern: "1g.10gb", text: "1g.10gb+me", want: false },
  { pattern: "", text: "a", want: false },
  { pattern: "*", text: "", want: true },
]) {
  test(`"${pattern}" ${want ? "covers" : "does not cover"} "${text}"`, () =>
    assert.equal(matches(pattern, text), want));
}

test("a pattern matches as the regular expression it stands for", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "*", "+", "."), maxLength: 6 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", "+", "."), maxLength: 8 });
  fc.assert(
    fc.property(letters, text, (pattern, name) => {
      const source = pattern.replaceAll(/[+.]/g, "\\$&").replaceAll("*", ".*");
      assert.equal(matches(pattern, name), new RegExp(`^${source}$`).test(name));
    }),
    { numRuns: 2000 },
  );
});

test("capability minors are read and other lines passed over", () => {
  const text = "config 1\nmonitor 2\ngpu0/gi1/access 12\ngpu0/gi1/ci0/access 13\nnonsense\nmore than two 3\nx y\n";
  assert.deepEqual(
    parseMigMinors(text),
    new Map([
      ["config", 1],
      ["monitor", 2],
      ["gpu0/gi1/access", 12],
      ["gpu0/gi1/ci0/access", 13],
    ]),
  );
});
