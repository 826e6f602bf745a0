import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Gpu } from "../../src/gpu/index.ts";
import { capacityText, gpu, gpus, idsOf, type NodeParts, nodeOffers, onlyOffer } from "./fixtures.ts";

const sevenSmall = "1g.10gb@0 1g.10gb@1 1g.10gb@2 1g.10gb@3 1g.10gb@4 1g.10gb@5 1g.10gb@6";
const mixed = { migStrategy: "mixed" } as const;
const single = { migStrategy: "single" } as const;

interface Row extends NodeParts {
  readonly name: string;
  /** Resources and counts. */
  readonly want: string;
  /** Codes of the findings. */
  readonly codes?: readonly string[];
}

function checkRows(rows: readonly Row[]): void {
  for (const { name, want, codes = [], ...node } of rows) {
    test(name, () => {
      const { offers, findings } = nodeOffers(node);
      assert.deepEqual([capacityText(offers), findings.map(({ code }) => code)], [want, codes]);
    });
  }
}

// NVIDIA k8s-device-plugin README and internal/rm: what a node advertises.
describe("a node advertises as NVIDIA's plugin does", () => {
  checkRows([
    { name: "eight GPUs", gpus: gpus(8), want: "nvidia.com/gpu: 8" },
    { name: "eight GPUs by ten", gpus: gpus(8), share: ["gpu x10"], want: "nvidia.com/gpu: 80" },
    {
      name: "eight GPUs by ten, renamed by default",
      gpus: gpus(8),
      share: ["gpu x10"],
      sharing: { renameByDefault: true },
      want: "nvidia.com/gpu.shared: 80",
    },
    {
      name: "mixed: MIG devices by two beside a whole GPU",
      gpus: [gpu(0, sevenSmall), gpu(1)],
      settings: mixed,
      share: ["mig-1g.10gb x2"],
      want: "nvidia.com/gpu: 1, nvidia.com/mig-1g.10gb: 14",
    },
    {
      name: "two GPUs by four with MPS",
      gpus: gpus(2),
      share: ["gpu x4"],
      sharing: { strategy: "mps", failRequestsGreaterThanOne: true },
      want: "nvidia.com/gpu: 8",
    },
    { name: "no GPU, no offer", gpus: [], want: "" },
    { name: "single without MIG is like none", gpus: gpus(2), settings: single, want: "nvidia.com/gpu: 2" },
    { name: "mixed without MIG is like none", gpus: gpus(2), settings: mixed, want: "nvidia.com/gpu: 2" },
    {
      name: "single with alike MIG devices on all GPUs",
      gpus: [gpu(0, sevenSmall), gpu(1, "1g.10gb@3")],
      settings: single,
      want: "nvidia.com/gpu: 8",
    },
    {
      name: "single with narrow but alike compute instances",
      gpus: [gpu(0, "2g.20gb@0(1c.2g.20gb,1c.2g.20gb)")],
      settings: single,
      want: "nvidia.com/gpu: 2",
    },
    {
      name: "mixed names each profile, plus signs become dots",
      gpus: [gpu(0, "1g.10gb+me@0 1g.20gb@2 3g.40gb@4")],
      settings: mixed,
      want: "nvidia.com/mig-1g.10gb.me: 1, nvidia.com/mig-1g.20gb: 1, nvidia.com/mig-3g.40gb: 1",
    },
    {
      name: "GPUs without MIG at all under mixed",
      gpus: gpus(2, "t4-16gb"),
      settings: mixed,
      want: "nvidia.com/gpu: 2",
    },
  ]);
});

describe("what NVIDIA's plugin ends itself over, or offers in vain, costs only what is broken", () => {
  checkRows([
    {
      name: "none leaves out a GPU in MIG mode, which no pod could use whole",
      gpus: [gpu(0, sevenSmall), gpu(1)],
      want: "nvidia.com/gpu: 1",
      codes: ["mig-gpu-not-offered"],
    },
    {
      name: "single beside a GPU without MIG offers the whole GPU",
      gpus: [gpu(0, sevenSmall), gpu(1)],
      settings: single,
      want: "nvidia.com/gpu: 1",
      codes: ["single-strategy-conflict"],
    },
    {
      name: "single with unlike profiles offers none of them",
      gpus: [gpu(0, "3g.40gb@0 1g.10gb@4")],
      settings: single,
      want: "",
      codes: ["single-strategy-conflict"],
    },
    {
      name: "single with a profile of one name and unlike attributes offers none of them",
      gpus: [gpu(0, "1g.10gb@0"), gpu(1, "1g.10gb@0", "h100-sxm5-80gb")],
      settings: single,
      want: "",
      codes: ["single-strategy-conflict"],
    },
    {
      name: "single with one empty GPU offers the devices of the other",
      gpus: [gpu(0, ""), gpu(1, sevenSmall)],
      settings: single,
      want: "nvidia.com/gpu: 7",
      codes: ["mig-gpu-empty"],
    },
    {
      name: "single with all faults at once offers the whole GPU and names each",
      gpus: [gpu(0, ""), gpu(1, "3g.40gb@0 1g.10gb@4"), gpu(2)],
      settings: single,
      want: "nvidia.com/gpu: 1",
      codes: ["mig-gpu-empty", "single-strategy-conflict", "single-strategy-conflict"],
    },
    {
      name: "mixed with an empty GPU offers the rest",
      gpus: [gpu(0, ""), gpu(1, "3g.40gb@0"), gpu(2)],
      settings: mixed,
      want: "nvidia.com/gpu: 1, nvidia.com/mig-3g.40gb: 1",
      codes: ["mig-gpu-empty"],
    },
    {
      name: "mixed leaves out compute instances narrower than their GPU instance",
      gpus: [gpu(0, "3g.40gb@0(1c.3g.40gb,2c.3g.40gb) 3g.40gb@4")],
      settings: mixed,
      want: "nvidia.com/mig-3g.40gb: 1",
      codes: ["compute-instance-not-offered"],
    },
    {
      name: "a GPU instance without compute instance offers nothing",
      gpus: [gpu(0, "3g.40gb@0()")],
      settings: mixed,
      want: "",
      codes: ["mig-gpu-empty"],
    },
  ]);
});

describe("custom names", () => {
  checkRows([
    {
      name: "the first pattern that matches the product name counts",
      gpus: [gpu(0), gpu(1, undefined, "t4-16gb")],
      gpuNames: ["*A100* = a100", "*80GB = big", "*T4 = t4"],
      want: "nvidia.com/a100: 1, nvidia.com/t4: 1",
    },
    {
      name: "a GPU that no pattern matches keeps its default name",
      gpus: [gpu(0), gpu(1, undefined, "t4-16gb")],
      gpuNames: ["A100 = a100", "*T4 = t4"],
      want: "nvidia.com/gpu: 1, nvidia.com/t4: 1",
      codes: ["resource-pattern-unmatched"],
    },
    {
      name: "MIG patterns are anchored, so a plain profile is not its variant",
      gpus: [gpu(0, "1g.10gb@0 1g.10gb+me@1")],
      settings: mixed,
      migNames: ["1g.10gb = small", "*+me = media"],
      want: "nvidia.com/media: 1, nvidia.com/small: 1",
    },
    {
      name: "MIG patterns name devices under single as well",
      gpus: [gpu(0, "1g.10gb@0 1g.10gb@1")],
      settings: single,
      migNames: ["1g.* = small"],
      want: "nvidia.com/small: 2",
    },
    {
      name: "a narrow compute instance that a pattern names is offered under mixed",
      gpus: [gpu(0, "2g.20gb@0(1c.2g.20gb,1c.2g.20gb)")],
      settings: mixed,
      migNames: ["1c.* = half"],
      want: "nvidia.com/half: 2",
    },
    {
      name: "sharing goes by the custom name",
      gpus: gpus(2),
      gpuNames: ["* = card"],
      share: ["card x3"],
      want: "nvidia.com/card: 6",
    },
    {
      name: "a name too long for NVIDIA but not for Kubernetes is offered",
      gpus: gpus(1),
      gpuNames: [`* = ${"a".repeat(60)}`],
      want: `nvidia.com/${"a".repeat(60)}: 1`,
      codes: ["resource-name-too-long"],
    },
    {
      name: "a name too long for Kubernetes is not offered",
      gpus: gpus(1),
      gpuNames: [`* = ${"a".repeat(64)}`],
      want: "",
      codes: ["resource-name-too-long"],
    },
  ]);
});

describe("devices", () => {
  test("a display GPU of a DGX station is passed over, and its index with it", () => {
    const display: Gpu = { ...gpu(0), name: "NVIDIA DGX Display" };
    const { devices } = onlyOffer({ gpus: [display, { ...gpu(1), name: "DGX Display" }, gpu(2)] });
    assert.deepEqual(
      devices.map(({ index }) => index),
      ["2"],
    );
  });

  test("a GPU counts by its present MIG mode, whatever is pending", () => {
    const turningOn: Gpu = { ...gpu(0), mig: { current: false, pending: true } };
    const turningOff: Gpu = { ...gpu(1, "3g.40gb@4"), mig: { current: true, pending: false } };
    const { offers } = nodeOffers({ gpus: [turningOn, turningOff], settings: mixed });
    assert.equal(capacityText(offers), "nvidia.com/gpu: 1, nvidia.com/mig-3g.40gb: 1");
  });

  test("stand in the order of GPU index, placement and replica, however the driver lists them", () => {
    const upset: Gpu = { ...gpu(0, "1g.10gb@3 1g.10gb@0") };
    const offer = onlyOffer({ gpus: [gpu(1, "1g.10gb@2"), upset], settings: mixed, share: ["mig-1g.10gb x2"] });
    assert.deepEqual(idsOf(offer.devices), [
      "MIG-0-0-0::0",
      "MIG-0-0-0::1",
      "MIG-0-3-0::0",
      "MIG-0-3-0::1",
      "MIG-1-2-0::0",
      "MIG-1-2-0::1",
    ]);
  });

  test("a MIG device has the memory of its instance, the NUMA node of its GPU and its capability nodes", () => {
    const migMinors = new Map([
      ["gpu1/gi1/access", 30],
      ["gpu1/gi1/ci0/access", 31],
    ]);
    const node = { gpus: [gpu(1, "3g.40gb@4")], settings: { ...mixed, passDeviceSpecs: true }, migMinors };
    const { offers, findings } = nodeOffers(node);
    assert.deepEqual(findings, []);
    assert.deepEqual(offers[0]?.devices, [
      {
        id: "MIG-1-4-0",
        uuid: "MIG-1-4-0",
        gpuUuid: "GPU-1",
        gpuIndex: 1,
        index: "1:0",
        migProfile: "3g.40gb",
        memoryMiB: node.gpus[0]?.instances[0]?.memoryMiB,
        numaNode: 1,
        paths: ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap31"],
      },
    ]);
  });

  const told = [
    { set: { passDeviceSpecs: true }, want: [/; containers get these devices without them$/] },
    { set: { deviceListStrategy: ["cdi-cri"] }, want: [/; no CDI spec can describe these devices/] },
    { set: {}, want: [] },
  ] as const;
  for (const { set, want } of told) {
    test(`unknown capability nodes are ${want.length} findings with ${JSON.stringify(set)}`, () => {
      const { findings } = nodeOffers({ gpus: [gpu(0, "3g.40gb@4")], settings: { ...mixed, ...set } });
      assert.deepEqual(
        findings.map(({ code }) => code),
        want.map(() => "mig-capability-unknown"),
      );
      for (const [at, pattern] of want.entries()) assert.match(findings[at]?.message ?? "", pattern);
    });
  }
});

test("devices alike in all but their multiprocessors are unlike under single, as NVML's attributes are", () => {
  const one = gpu(0, "1g.10gb@0");
  const instances = one.instances.map((instance) => {
    const computeInstanceProfiles = instance.profile.computeInstanceProfiles.map((each) => ({
      ...each,
      multiprocessors: 1,
    }));
    return { ...instance, profile: { ...instance.profile, computeInstanceProfiles } };
  });
  const { offers, findings } = nodeOffers({ gpus: [{ ...one, instances }, gpu(1, "1g.10gb@0")], settings: single });
  assert.deepEqual([offers, findings.map(({ code }) => code)], [[], ["single-strategy-conflict"]]);
});

test("a conflict under single says what it chose and what to do", () => {
  const { findings } = nodeOffers({ gpus: [gpu(0, sevenSmall), gpu(1)], settings: single });
  assert.deepEqual(
    findings.map(({ message, remedy, subject }) => ({ message, remedy, subject })),
    [
      {
        subject: { kind: "node", name: "n" },
        message:
          "MIG is on for GPU 0 and off for GPU 1 of n; MIG strategy single has one name for both, so only the whole GPUs are offered",
        remedy: "set the MIG strategy to mixed, or choose a MIG config that cuts every GPU or none",
      },
    ],
  );
});
