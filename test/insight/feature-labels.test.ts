/** Feature labels against NVIDIA's own figures (k8s-device-plugin internal/lm, tests/expected-output*.txt). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MigStrategy } from "../../src/config/index.ts";
import type { Gpu, NodeFacts } from "../../src/gpu/index.ts";
import { type FeatureLabels, featureFileText, featureLabels } from "../../src/insight/index.ts";
import { type ConfigParts, config, gpu, gpus } from "../sharing/fixtures.ts";

interface Parts extends ConfigParts {
  readonly gpus: readonly Gpu[];
  readonly strategy?: MigStrategy;
  readonly driverVersion?: string;
  readonly machineType?: string;
  readonly timestamp?: number;
  readonly facts?: Partial<NodeFacts>;
}

function labelsOf(parts: Parts): FeatureLabels {
  const { strategy = "none", driverVersion = "550.107.02", machineType, timestamp, facts = {} } = parts;
  const pciClasses = new Map(parts.gpus.map(({ uuid }) => [uuid, "030200"]));
  return featureLabels({
    nodeName: "n",
    gpus: parts.gpus,
    driverVersion,
    facts: { cudaVersion: "12.4", pciClasses, fabrics: new Map(), vgpuHost: "none", ...facts },
    config: config(parts),
    migStrategy: strategy,
    machineType,
    timestamp,
  });
}

/** Labels in short: names without `nvidia.com/`. */
function shortLabels(parts: Parts): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...labelsOf(parts).labels].map(([key, value]) => [key.slice("nvidia.com/".length), value]),
  );
}

const sevenSlices = [0, 1, 2, 3, 4, 5, 6].map((start) => `1g.10gb@${start}`).join(" ");
const oneCut = [gpu(0, sevenSlices)];
const a100 = "NVIDIA-A100-SXM4-80GB";

describe("labels of resources", () => {
  const rows: readonly (Parts & {
    readonly name: string;
    readonly want: Readonly<Record<string, string>>;
    readonly absent?: readonly string[];
  })[] = [
    {
      name: "two GPUs, shared by four",
      gpus: gpus(2),
      share: ["gpu x4"],
      want: {
        "gpu.product": `${a100}-SHARED`,
        "gpu.count": "2",
        "gpu.replicas": "4",
        "gpu.sharing-strategy": "time-slicing",
        "gpu.memory": "81920",
        "gpu.family": "ampere",
        "gpu.compute.major": "8",
        "gpu.compute.minor": "0",
        "mps.capable": "false",
        "mig.capable": "true",
      },
      absent: ["mig.strategy"],
    },
    {
      name: "renamed, the resource itself says that it is shared",
      gpus: gpus(2),
      share: ["gpu x4"],
      sharing: { renameByDefault: true },
      want: { "gpu.product": a100, "gpu.replicas": "4", "gpu.sharing-strategy": "time-slicing" },
    },
    {
      name: "unshared",
      gpus: gpus(8),
      want: { "gpu.product": a100, "gpu.count": "8", "gpu.replicas": "1", "gpu.sharing-strategy": "none" },
    },
    {
      name: "MPS",
      gpus: gpus(2),
      share: ["gpu x4"],
      sharing: { strategy: "mps" },
      want: { "mps.capable": "true", "gpu.sharing-strategy": "mps", "gpu.product": `${a100}-SHARED` },
    },
    {
      name: "MPS beside a GPU that is cut",
      gpus: [gpu(0), gpu(1, sevenSlices)],
      strategy: "mixed",
      share: ["gpu x4", "mig-1g.10gb x2"],
      sharing: { strategy: "mps" },
      want: {
        "mps.capable": "false",
        "gpu.replicas": "4",
        "mig-1g.10gb.replicas": "2",
        "mig-1g.10gb.sharing-strategy": "mps",
      },
    },
    {
      name: "single: all are slices of one profile",
      gpus: oneCut,
      strategy: "single",
      want: {
        "gpu.product": `${a100}-MIG-1g.10gb`,
        "gpu.count": "7",
        "gpu.replicas": "1",
        "gpu.sharing-strategy": "none",
        "gpu.memory": "9728",
        "gpu.multiprocessors": "14",
        "gpu.slices.gi": "1",
        "gpu.slices.ci": "1",
        "gpu.engines.copy": "1",
        "gpu.engines.decoder": "0",
        "gpu.engines.encoder": "0",
        "gpu.engines.jpeg": "0",
        "gpu.engines.ofa": "0",
        "gpu.family": "ampere",
        "mig.strategy": "single",
      },
      absent: ["mig-1g.10gb.count"],
    },
    {
      name: "single and shared",
      gpus: oneCut,
      strategy: "single",
      share: ["gpu x2"],
      want: { "gpu.product": `${a100}-MIG-1g.10gb-SHARED`, "gpu.count": "7", "gpu.replicas": "2" },
    },
    {
      name: "single without a cut GPU is as none, but for its name",
      gpus: gpus(2),
      strategy: "single",
      want: { "gpu.product": a100, "gpu.count": "2", "gpu.replicas": "1", "mig.strategy": "single" },
    },
    {
      name: "mixed: the card and its slices apart",
      gpus: oneCut,
      strategy: "mixed",
      want: {
        "gpu.product": a100,
        "gpu.count": "1",
        "gpu.replicas": "0",
        "gpu.sharing-strategy": "none",
        "gpu.memory": "81920",
        "mig-1g.10gb.product": `${a100}-MIG-1g.10gb`,
        "mig-1g.10gb.count": "7",
        "mig-1g.10gb.replicas": "1",
        "mig-1g.10gb.sharing-strategy": "none",
        "mig-1g.10gb.memory": "9728",
        "mig.strategy": "mixed",
      },
    },
    {
      name: "mixed: a whole GPU is shared, the slices by an entry of their own",
      gpus: [gpu(0), gpu(1, "1g.10gb+me@0 2g.20gb@2")],
      strategy: "mixed",
      share: ["gpu x4", "mig-1g.10gb.me x2"],
      want: {
        "gpu.count": "2",
        "gpu.replicas": "4",
        "mig-1g.10gb.me.product": `${a100}-MIG-1g.10gb.me-SHARED`,
        "mig-1g.10gb.me.replicas": "2",
        "mig-2g.20gb.product": `${a100}-MIG-2g.20gb`,
        "mig-2g.20gb.replicas": "1",
      },
    },
    {
      name: "mixed: part of a GPU instance has labels of its own",
      gpus: [gpu(0, "2g.20gb@0(1c.2g.20gb,1c.2g.20gb)")],
      strategy: "mixed",
      want: {
        "mig-1c.2g.20gb.count": "2",
        "mig-1c.2g.20gb.slices.gi": "2",
        "mig-1c.2g.20gb.slices.ci": "1",
        "mig-1c.2g.20gb.multiprocessors": "14",
      },
      absent: ["mig-2g.20gb.count"],
    },
    {
      name: "mixed: a GPU in MIG mode without instances adds nothing",
      gpus: [gpu(0, "")],
      strategy: "mixed",
      want: { "gpu.count": "1", "gpu.replicas": "0", "mig.strategy": "mixed" },
    },
    {
      name: "none: slices are not told of",
      gpus: oneCut,
      want: { "gpu.product": a100, "gpu.count": "1", "gpu.replicas": "0" },
      absent: ["mig-1g.10gb.count", "mig.strategy", "gpu.slices.gi"],
    },
    {
      name: "a GPU that cannot be cut",
      gpus: gpus(1, "t4-16gb"),
      want: { "mig.capable": "false", "gpu.product": "Tesla-T4", "gpu.family": "turing" },
    },
    {
      name: "a resource with a name of its own is shared by that name",
      gpus: gpus(1),
      gpuNames: ["*A100* = a100"],
      share: ["a100 x3"],
      want: { "gpu.replicas": "3", "gpu.product": `${a100}-SHARED` },
    },
    {
      name: "the GPU of a display is not counted",
      gpus: [...gpus(2), { ...gpu(2, undefined, "t4-16gb"), name: "NVIDIA DGX Display" }],
      want: { "gpu.product": a100, "gpu.count": "2" },
    },
  ];
  for (const { name, want, absent = [], ...parts } of rows) {
    test(name, () => {
      const labels = shortLabels(parts);
      assert.partialDeepStrictEqual(labels, want);
      for (const one of absent) assert.equal(labels[one], undefined, one);
    });
  }

  const invalid: readonly (Parts & { readonly name: string })[] = [
    { name: "a GPU in MIG mode without slices", gpus: [gpu(0, sevenSlices), gpu(1, "")] },
    { name: "cut GPUs beside whole ones", gpus: [gpu(0, sevenSlices), gpu(1)] },
    { name: "more than one profile", gpus: [gpu(0, "1g.10gb@0 2g.20gb@2")] },
  ];
  for (const { name, ...parts } of invalid) {
    test(`single is invalid: ${name}`, () => {
      assert.partialDeepStrictEqual(shortLabels({ ...parts, strategy: "single" }), {
        "gpu.product": `${a100}-MIG-INVALID`,
        "gpu.count": "0",
        "gpu.replicas": "0",
        "gpu.sharing-strategy": "",
        "gpu.memory": "0",
        "gpu.family": "ampere",
        "mig.strategy": "single",
      });
    });
  }
});

describe("labels of the node", () => {
  const rows: readonly (Partial<Parts> & {
    readonly name: string;
    readonly want: Readonly<Record<string, string>>;
    readonly absent?: readonly string[];
  })[] = [
    {
      name: "versions under their old and their new names",
      want: {
        "cuda.driver-version.full": "550.107.02",
        "cuda.driver-version.major": "550",
        "cuda.driver-version.minor": "107",
        "cuda.driver-version.revision": "02",
        "cuda.runtime-version.full": "12.4",
        "cuda.runtime-version.major": "12",
        "cuda.runtime-version.minor": "4",
        "cuda.driver.major": "550",
        "cuda.driver.minor": "107",
        "cuda.driver.rev": "02",
        "cuda.runtime.major": "12",
        "cuda.runtime.minor": "4",
      },
    },
    {
      name: "a driver version of two parts has an empty revision",
      driverVersion: "384.81",
      want: { "cuda.driver-version.revision": "", "cuda.driver.rev": "", "cuda.driver.minor": "81" },
    },
    {
      name: "another driver version is not told",
      driverVersion: "1.2.3.4",
      want: { "cuda.runtime.major": "12" },
      absent: ["cuda.driver.major"],
    },
    { name: "the machine", machineType: "PowerEdge XE9680\n", want: { "gpu.machine": "PowerEdge-XE9680" } },
    { name: "signs go from the machine's name", machineType: "X9SRA/X9SRA-3", want: { "gpu.machine": "X9SRAX9SRA-3" } },
    { name: "spaces are joined", machineType: "a  / b", want: { "gpu.machine": "a-b" } },
    { name: "no machine type file", want: { "gpu.machine": "unknown" } },
    {
      name: "the signs of a product name",
      gpus: [{ ...gpu(0), name: "NVIDIA TITAN X (Pascal)" }],
      want: { "gpu.product": "NVIDIA-TITAN-X-Pascal" },
    },
    { name: "compute cards", want: { "gpu.mode": "compute" } },
    {
      name: "graphics cards",
      facts: { pciClasses: new Map(gpus(2).map(({ uuid }) => [uuid, "030000"])) },
      want: { "gpu.mode": "graphics" },
    },
    {
      name: "both kinds",
      facts: {
        pciClasses: new Map([
          ["GPU-0", "030000"],
          ["GPU-1", "030200"],
        ]),
      },
      want: { "gpu.mode": "unknown" },
    },
    {
      name: "a GPU that is off the bus and has no class now",
      facts: { pciClasses: new Map([["GPU-0", "030200"]]) },
      want: { "gpu.mode": "compute" },
    },
    { name: "no PCI class", facts: { pciClasses: new Map() }, want: { "gpu.mode": "unknown" } },
    {
      name: "one clique, also where a GPU is in none",
      facts: { fabrics: new Map([["GPU-1", { clusterUuid: "7b968a6d-c8aa-45e1-9e07-e1e51be99c31", cliqueId: 1 }]]) },
      want: { "gpu.clique": "7b968a6d-c8aa-45e1-9e07-e1e51be99c31.1" },
    },
    {
      name: "two cliques",
      facts: {
        fabrics: new Map([
          ["GPU-0", { clusterUuid: "7b968a6d-c8aa-45e1-9e07-e1e51be99c31", cliqueId: 0 }],
          ["GPU-1", { clusterUuid: "7b968a6d-c8aa-45e1-9e07-e1e51be99c31", cliqueId: 1 }],
        ]),
      },
      want: {},
      absent: ["gpu.clique"],
    },
    { name: "no vGPU", want: { "vgpu.present": "false" }, absent: ["vgpu.host-driver-version"] },
    {
      name: "vGPU",
      facts: { vgpuHost: { driverVersion: "460.16", driverBranch: "r460_00" } },
      want: {
        "vgpu.present": "true",
        "vgpu.host-driver-version": "460.16",
        "vgpu.host-driver-branch": "r460_00",
      },
    },
    { name: "nobody knows of vGPU", facts: { vgpuHost: undefined }, want: {}, absent: ["vgpu.present"] },
    { name: "a time", timestamp: 1_724_632_719, want: { "gfd.timestamp": "1724632719" } },
    { name: "no time", want: {}, absent: ["gfd.timestamp"] },
  ];
  for (const { name, want, absent = [], gpus: own = gpus(2), ...parts } of rows) {
    test(name, () => {
      const labels = shortLabels({ ...parts, gpus: own });
      assert.partialDeepStrictEqual(labels, want);
      for (const one of absent) assert.equal(labels[one], undefined, one);
    });
  }

  test("a node without GPUs has time and vGPU only", () => {
    assert.deepEqual(shortLabels({ gpus: [], timestamp: 7 }), { "gfd.timestamp": "7", "vgpu.present": "false" });
  });

  const families = { "1.3": "tesla", "2.0": "fermi", "3.7": "kepler", "5.2": "maxwell", "6.1": "pascal" };
  const later = { "7.0": "volta", "7.5": "turing", "8.6": "ampere", "8.9": "ada-lovelace", "9.0": "hopper" };
  const last = { "10.0": "blackwell", "12.0": "blackwell", "13.0": "rubin", "4.0": "undefined" };
  for (const [computeCapability, family] of Object.entries({ ...families, ...later, ...last })) {
    test(`compute capability ${computeCapability} is ${family}`, () => {
      const { "gpu.family": told, "gpu.compute.major": major } = shortLabels({
        gpus: [{ ...gpu(0), computeCapability }],
      });
      assert.deepEqual([told, major], [family, computeCapability.split(".")[0]]);
    });
  }

  test("a compute capability and memory that nobody tells are left out", () => {
    const labels = shortLabels({ gpus: [{ ...gpu(0), computeCapability: "0.0", memoryMiB: 0 }] });
    for (const key of ["gpu.family", "gpu.compute.major", "gpu.memory"]) assert.equal(labels[key], undefined);
  });
});

describe("what feature discovery leaves to chance or to Kubernetes' refusal", () => {
  test("of several models, that with most GPUs is told of, and the finding names all", () => {
    const { labels, findings } = labelsOf({ gpus: [gpu(0, undefined, "t4-16gb"), gpu(1), gpu(2)] });
    assert.equal(labels.get("nvidia.com/gpu.product"), a100);
    assert.equal(labels.get("nvidia.com/gpu.count"), "2");
    assert.equal(findings[0]?.code, "feature-labels-several-models");
    assert.deepEqual(findings[0]?.evidence["models"], [`2 ${gpu(1).name}`, "1 Tesla T4"]);
  });

  test("a model of which whole GPUs are left comes before one that is cut", () => {
    const { labels } = labelsOf({ gpus: [gpu(0, ""), gpu(1, ""), gpu(2, undefined, "t4-16gb")], strategy: "mixed" });
    assert.equal(labels.get("nvidia.com/gpu.product"), "Tesla-T4");
  });

  test("a product name that is too long gives way in the model, not in slice and share", () => {
    const maxQ = { ...gpu(0, "1g.10gb@0"), name: "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition" };
    const { labels, findings } = labelsOf({ gpus: [maxQ], strategy: "single", share: ["gpu x2"] });
    const product = labels.get("nvidia.com/gpu.product") ?? "";
    assert.equal(product, "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstat-MIG-1g.10gb-SHARED");
    assert.ok(product.length <= 63);
    assert.equal(findings[0]?.code, "feature-label-altered");
  });

  test("a machine whose name ends with a sign has a label all the same", () => {
    const { labels, findings } = labelsOf({ gpus: gpus(1), machineType: "To Be Filled By O.E.M." });
    assert.equal(labels.get("nvidia.com/gpu.machine"), "To-Be-Filled-By-O.E.M");
    assert.equal(findings[0]?.code, "feature-label-altered");
  });
});

test("the file for Node Feature Discovery has one label a line", () => {
  const { labels } = labelsOf({ gpus: [], timestamp: 7 });
  assert.equal(featureFileText(labels), "nvidia.com/gfd.timestamp=7\nnvidia.com/vgpu.present=false\n");
});
