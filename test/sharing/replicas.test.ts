import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Offer } from "../../src/sharing/index.ts";
import { gpu, gpus, type NodeParts, nodeOffers, onlyOffer } from "./fixtures.ts";

/** `gpu: 0x4 1` for GPU 0 as four replicas and GPU 1 unshared. */
function portionsText(offers: readonly Offer[]): string {
  return offers
    .map(({ resource, devices }) => {
      const portions = [...Map.groupBy(devices, ({ index }) => index)].map(([index, list]) =>
        list.some(({ id }) => id.includes("::")) ? `${index}x${list.length}` : index,
      );
      return `${resource.replace("nvidia.com/", "")}: ${portions.join(" ")}`;
    })
    .join(", ");
}

const mps = { strategy: "mps", failRequestsGreaterThanOne: true } as const;
const mixed = { migStrategy: "mixed" } as const;

const rows: readonly (NodeParts & { name: string; want: string; codes?: readonly string[] })[] = [
  { name: "rename moves the shares", gpus: gpus(2), share: ["gpu x2 as fast"], want: "fast: 0x2 1x2" },
  {
    name: "rename goes before renameByDefault",
    gpus: gpus(1),
    share: ["gpu x2 as fast"],
    sharing: { renameByDefault: true },
    want: "fast: 0x2",
  },
  { name: "a list shares these and leaves the others", gpus: gpus(3), share: ["gpu[1] x2"], want: "gpu: 0 1x2 2" },
  {
    name: "devices not named keep the plain name when the shares are renamed",
    gpus: gpus(3),
    share: ["gpu[0,GPU-2] x2"],
    sharing: { renameByDefault: true },
    want: "gpu: 1, gpu.shared: 0x2 2x2",
  },
  {
    name: "several entries give unequal shares",
    gpus: gpus(3),
    share: ["gpu[0] x4", "gpu[1] x2"],
    want: "gpu: 0x4 1x2 2",
  },
  { name: "a count takes the first devices", gpus: gpus(3), share: ["gpu[2 of] x3"], want: "gpu: 0x3 1x3 2" },
  {
    name: "a count takes what no other entry takes",
    gpus: gpus(4),
    share: ["gpu[1 of] x4", "gpu[1 of] x3", "gpu[0] x2"],
    want: "gpu: 0x2 1x4 2x3 3",
  },
  {
    name: "a count beyond the devices shares what there is",
    gpus: gpus(2),
    share: ["gpu[3 of] x2"],
    want: "gpu: 0x2 1x2",
    codes: ["shared-device-absent"],
  },
  {
    name: "a listed device that is not there leaves the others shared",
    gpus: gpus(2),
    share: ["gpu[1,7,GPU-x] x2"],
    want: "gpu: 0 1x2",
    codes: ["shared-device-absent"],
  },
  { name: "an empty list shares nothing", gpus: gpus(2), share: ["gpu[] x2"], want: "gpu: 0 1" },
  {
    name: "a resource the node does not have is said",
    gpus: gpus(1),
    share: ["gpu x2", "mig-1g.5gb x2"],
    want: "gpu: 0x2",
    codes: ["shared-resource-absent"],
  },
  {
    name: "the same device twice under one name: the larger number counts",
    gpus: gpus(2),
    share: ["gpu x2", "gpu[0] x5"],
    want: "gpu: 0x5 1x2",
    codes: ["device-shared-twice"],
  },
  {
    name: "the same device under two names is offered under both",
    gpus: gpus(1),
    share: ["gpu x2 as slow", "gpu x5 as fast"],
    want: "fast: 0x5, slow: 0x2",
    codes: ["device-shared-twice"],
  },
  {
    name: "MIG devices are named by index and UUID, old form included",
    gpus: [gpu(0, "1g.10gb@0 1g.10gb@1 1g.10gb@2 1g.10gb@3")],
    settings: mixed,
    share: ["mig-1g.10gb[0:1,MIG-0-2-0,MIG-GPU-0/4/0] x2"],
    want: "mig-1g.10gb: 0:0 0:1x2 0:2x2 0:3x2",
  },
  {
    name: "a GPU index names no MIG device",
    gpus: [gpu(0, "1g.10gb@0")],
    settings: mixed,
    share: ["mig-1g.10gb[0] x2"],
    want: "mig-1g.10gb: 0:0",
    codes: ["shared-device-absent"],
  },
  {
    name: "shares of the MIG devices under single",
    gpus: [gpu(0, "3g.40gb@0 3g.40gb@4")],
    settings: { migStrategy: "single" },
    share: ["gpu x2"],
    want: "gpu: 0:0x2 0:1x2",
  },
  {
    name: "MPS shares the MIG devices under single",
    gpus: [gpu(0, "3g.40gb@0 3g.40gb@4")],
    settings: { migStrategy: "single" },
    share: ["gpu x2"],
    sharing: { ...mps, renameByDefault: true },
    want: "gpu.shared: 0:0x2 0:1x2",
  },
  {
    name: "MPS under mixed shares what its entries name",
    gpus: [gpu(0, "3g.40gb@0 1g.10gb@4"), gpu(1)],
    settings: mixed,
    share: ["gpu x2", "mig-3g.40gb x3"],
    sharing: mps,
    want: "gpu: 1x2, mig-1g.10gb: 0:1, mig-3g.40gb: 0:0x3",
  },
  {
    name: "MPS without a root directory shares nothing",
    gpus: gpus(1),
    settings: { mpsRoot: "" },
    share: ["gpu x2"],
    sharing: mps,
    want: "gpu: 0",
    codes: ["mps-not-possible"],
  },
  { name: "48 MPS clients are the most", gpus: gpus(1), share: ["gpu x48"], sharing: mps, want: "gpu: 0x48" },
  {
    name: "48 MPS clients are the most under all names of a GPU together",
    gpus: gpus(1),
    share: ["gpu x30 as small", "gpu x30 as other"],
    sharing: mps,
    want: "other: 0x18, small: 0x30",
    codes: ["device-shared-twice", "mps-client-limit"],
  },
  {
    name: "49 MPS clients are cut to 48",
    gpus: gpus(1),
    share: ["gpu x49"],
    sharing: mps,
    want: "gpu: 0x48",
    codes: ["mps-client-limit"],
  },
  {
    name: "a MIG device takes its part of 48 MPS clients, by its compute slices",
    gpus: [gpu(0, "3g.40gb@0 1g.10gb@4")],
    settings: mixed,
    share: ["mig-3g.40gb x21", "mig-1g.10gb x7"],
    sharing: mps,
    want: "mig-1g.10gb: 0:1x6, mig-3g.40gb: 0:0x20",
    codes: ["mps-client-limit", "mps-client-limit"],
  },
  {
    name: "MPS on Volta takes as many as later GPUs",
    gpus: [{ ...gpu(0), computeCapability: "7.0" }],
    share: ["gpu x20"],
    sharing: mps,
    want: "gpu: 0x20",
  },
  {
    name: "MPS before Volta has no limits, so the GPU stays unshared",
    gpus: [{ ...gpu(0), computeCapability: "6.1" }, gpu(1)],
    share: ["gpu x2"],
    sharing: mps,
    want: "gpu: 0 1x2",
    codes: ["mps-not-possible"],
  },
];
describe("sharing", () => {
  for (const { name, want, codes = [], ...node } of rows) {
    test(name, () => {
      const { offers, findings } = nodeOffers(node);
      assert.deepEqual([portionsText(offers), findings.map(({ code }) => code)], [want, codes]);
    });
  }
});

test("an offer says how it is shared and whether one request may take several", () => {
  const kind = (node: NodeParts): unknown => {
    const { sharing, failRequestsGreaterThanOne } = onlyOffer(node);
    return [sharing, failRequestsGreaterThanOne];
  };
  const limited = { failRequestsGreaterThanOne: true };
  assert.deepEqual(kind({ gpus: gpus(1) }), ["none", false]);
  assert.deepEqual(kind({ gpus: gpus(1), share: ["gpu x2"] }), ["time-slicing", false]);
  assert.deepEqual(kind({ gpus: gpus(1), share: ["gpu x2"], sharing: limited }), ["time-slicing", true]);
  assert.deepEqual(kind({ gpus: gpus(1), share: ["gpu x2"], sharing: mps }), ["mps", true]);
  assert.deepEqual(kind({ gpus: gpus(1), share: ["gpu[] x2"], sharing: limited }), ["none", false]);
});

test("ids beyond the documented length are offered and said", () => {
  const long = { ...gpu(0), uuid: `GPU-${"0".repeat(58)}` };
  const { offers, findings } = nodeOffers({ gpus: [long], share: ["gpu x2"] });
  assert.deepEqual([portionsText(offers), findings.map(({ code }) => code)], ["gpu: 0x2", ["device-id-too-long"]]);
});

const entry = fc
  .record({
    list: fc.option(fc.oneof(fc.constantFrom("1 of", "2 of", "9 of"), fc.constantFrom("0", "1,2", "0,3", ""))),
    replicas: fc.integer({ min: 2, max: 9 }),
    rename: fc.option(fc.constantFrom("a", "b")),
  })
  .map(({ list, replicas, rename }) => {
    return `gpu${list === null ? "" : `[${list}]`} x${replicas}${rename === null ? "" : ` as ${rename}`}`;
  });

test("every GPU is offered, ids are unique and belong to their device, no name has more than the largest number", () => {
  const node = fc.record({ count: fc.integer({ min: 0, max: 5 }), share: fc.array(entry, { maxLength: 4 }) });
  fc.assert(
    fc.property(node, ({ count, share }) => {
      const { offers } = nodeOffers({ gpus: gpus(count), share });
      const most = Math.max(1, ...share.map((text) => Number(/x(\d+)/.exec(text)?.[1])));
      const seen = new Set<number>();
      for (const { devices } of offers) {
        assert.equal(new Set(devices.map(({ id }) => id)).size, devices.length);
        for (const [uuid, list] of Map.groupBy(devices, (device) => device.uuid)) {
          const isWhole = list.length === 1 && list[0]?.id === uuid;
          if (!isWhole)
            assert.deepEqual(
              list.map(({ id }) => id),
              list.map((_, n) => `${uuid}::${n}`),
            );
          assert.ok(list.length <= most);
        }
        for (const { gpuIndex } of devices) seen.add(gpuIndex);
        assert.deepEqual(
          devices.map(({ gpuIndex }) => gpuIndex),
          devices.map(({ gpuIndex }) => gpuIndex).toSorted(),
        );
      }
      assert.equal(seen.size, count);
    }),
  );
});
