import assert from "node:assert/strict";
import { test } from "node:test";
import { finding } from "../../src/base/index.ts";
import { buildReport, type Report } from "../../src/insight/index.ts";
import { gpu } from "../sharing/fixtures.ts";
import { nodeOf, podOf, type SnapshotParts, snapshot } from "./support/cluster.ts";

function reportOf(parts: SnapshotParts): Report {
  const one = snapshot("n", parts);
  return buildReport({ nodes: [nodeOf(one)], pods: [], snapshots: [one], findings: [] });
}

test("the JSON has the fields that programs rely on", () => {
  const cut = snapshot("node-a100", { gpus: [gpu(0, "3g.40gb@4")], held: ["ml/train-0 mig-3g.40gb MIG-0-4-0"] });
  const report = buildReport({
    nodes: [nodeOf(cut, { zone: "a" })],
    pods: [podOf("ml/train-0", { node: "node-a100", wants: { "mig-3g.40gb": 1 } })],
    snapshots: [cut],
    findings: [],
  });
  assert.deepEqual(JSON.parse(JSON.stringify(report)), {
    apiVersion: "tranche.dev/v1alpha1",
    kind: "Report",
    simulated: true,
    nodes: [
      {
        name: "node-a100",
        labels: { zone: "a" },
        allocatable: { cpu: "64", "nvidia.com/mig-3g.40gb": "1" },
        gpus: [
          {
            index: 0,
            uuid: "GPU-0",
            model: "NVIDIA A100-SXM4-80GB",
            memoryMiB: 81920,
            mig: { capable: true, enabled: true, pending: false },
            instances: [
              {
                uuid: "MIG-0-4-0",
                profile: "3g.40gb",
                placement: { start: 4, size: 4 },
                memoryMiB: 40192,
                isolation: "hardware",
                pod: "ml/train-0",
              },
            ],
            shares: [],
          },
        ],
      },
    ],
    pods: [
      {
        namespace: "ml",
        name: "train-0",
        phase: "Running",
        reason: "",
        message: "",
        node: "node-a100",
        containers: [{ name: "main", devices: [{ resource: "nvidia.com/mig-3g.40gb", id: "MIG-0-4-0" }] }],
      },
    ],
    findings: [],
  });
});

/** `profile@start isolation pod` and `id isolation pod` of the first GPU, with the memory limit of shares that have one. */
function slicesOf(report: Report): readonly string[] {
  const [first] = report.nodes[0]?.gpus ?? [];
  assert.ok(first !== undefined);
  return [
    ...first.instances.map((one) => `${one.profile}@${one.placement.start} ${one.isolation} ${one.pod}`),
    ...first.shares.map(({ id, isolation, memoryLimitMiB: limit, pod }) =>
      [id, isolation, ...(limit === null ? [] : [`${limit} MiB`]), String(pod)].join(" "),
    ),
  ];
}

const slices = [
  {
    name: "a whole GPU is one share, named by its UUID",
    parts: { gpus: [gpu(0)], held: ["ml/a gpu GPU-0"] },
    want: ["GPU-0 exclusive ml/a"],
  },
  {
    name: "time slices are shares without isolation, each with its own holder",
    parts: { gpus: [gpu(0)], share: ["gpu x3"], held: ["ml/a gpu GPU-0::0", "ml/b gpu GPU-0::2"] },
    want: ["GPU-0::0 none ml/a", "GPU-0::1 none null", "GPU-0::2 none ml/b"],
  },
  {
    name: "shares by MPS have their part of the memory",
    parts: { gpus: [gpu(0)], share: ["gpu x2"], sharing: { strategy: "mps" as const }, held: ["ml/a gpu GPU-0::0"] },
    want: ["GPU-0::0 limited 40960 MiB ml/a", "GPU-0::1 limited 40960 MiB null"],
  },
  {
    name: "a free instance has no pod",
    parts: { gpus: [gpu(0, "1g.10gb@0 3g.40gb@4")], held: ["ml/a mig-1g.10gb MIG-0-0-0"] },
    want: ["1g.10gb@0 hardware ml/a", "3g.40gb@4 hardware null"],
  },
  {
    name: "a shared instance is held through its shares only",
    parts: { gpus: [gpu(0, "3g.40gb@4")], share: ["mig-3g.40gb x2"], held: ["ml/a mig-3g.40gb MIG-0-4-0::1"] },
    want: ["3g.40gb@4 hardware null", "MIG-0-4-0::0 none null", "MIG-0-4-0::1 none ml/a"],
  },
  {
    name: "compute instances that share a GPU instance are less isolated than instances of their own",
    parts: { gpus: [gpu(0, "3g.40gb@4(1c.3g.40gb,2c.3g.40gb) 1g.10gb@0")] },
    want: ["1c.3g.40gb@4 limited null", "2c.3g.40gb@4 limited null", "1g.10gb@0 hardware null"],
  },
  {
    name: "a GPU instance without a compute instance stands there, but is no device",
    parts: { gpus: [gpu(0, "3g.40gb@4()")] },
    want: ["3g.40gb@4 hardware null"],
  },
  {
    name: "a GPU in MIG mode is not listed as a whole",
    parts: { gpus: [gpu(0, "")] },
    want: [],
  },
];
for (const { name, parts, want } of slices) {
  test(name, () => assert.deepEqual(slicesOf(reportOf(parts)), want));
}

const a100 = gpu(0);
const modes = [
  { name: "a GPU that cannot do MIG", one: gpu(0, undefined, "t4-16gb"), want: [false, false, false] },
  { name: "a GPU with MIG off", one: a100, want: [true, false, false] },
  { name: "a GPU with MIG on", one: gpu(0, ""), want: [true, true, false] },
  {
    name: "a GPU that waits for the reset that turns MIG on",
    one: { ...a100, mig: { current: false, pending: true } },
    want: [true, false, true],
  },
];
for (const { name, one, want } of modes) {
  test(`${name} says so in its MIG mode`, () => {
    const mig = reportOf({ gpus: [one] }).nodes[0]?.gpus[0]?.mig;
    assert.deepEqual([mig?.capable, mig?.enabled, mig?.pending], want);
  });
}

test("nodes, pods, devices and keys come out sorted, whatever the order they came in", () => {
  const [one, two] = [
    snapshot("a", { gpus: [gpu(0)], share: ["gpu x2"], held: ["x/p gpu GPU-0::1,GPU-0::0"] }),
    snapshot("b", { gpus: [] }),
  ];
  const pods = [podOf("x/p", { node: "a" }), podOf("a/z", { node: "b" }), podOf("x/b", { node: "b" })];
  const forwards = buildReport({
    nodes: [nodeOf(one, { b: "2", a: "1" }), nodeOf(two)],
    pods,
    snapshots: [one, two],
    findings: [],
  });
  const backwards = buildReport({
    nodes: [nodeOf(two), nodeOf(one, { a: "1", b: "2" })],
    pods: pods.toReversed(),
    snapshots: [two, one],
    findings: [],
  });
  assert.equal(JSON.stringify(forwards), JSON.stringify(backwards));
  assert.deepEqual(
    forwards.pods.map((pod) => `${pod.namespace}/${pod.name}`),
    ["a/z", "x/b", "x/p"],
  );
  assert.deepEqual(
    forwards.pods[2]?.containers[0]?.devices.map((device) => device.id),
    ["GPU-0::0", "GPU-0::1"],
  );
});

test("a pod of the same name in another namespace is another pod", () => {
  const one = snapshot("n", { gpus: [gpu(0)], held: ["ml/p gpu GPU-0"] });
  const pods = [podOf("ml/p", { node: "n" }), podOf("test/p", { node: "n" })];
  const report = buildReport({ nodes: [nodeOf(one)], pods, snapshots: [one], findings: [] });
  assert.deepEqual(
    report.pods.map((pod) => pod.containers[0]?.devices.length),
    [1, 0],
  );
});

test("a sidecar is listed with what it holds; a plain init container is not", () => {
  const pod = podOf("ml/p", {
    node: "n",
    initContainers: [{ name: "warm-up" }, { name: "server", restartPolicy: "Always" }],
  });
  const report = buildReport({ nodes: [], pods: [pod], snapshots: [], findings: [] });
  assert.deepEqual(
    report.pods[0]?.containers.map((container) => container.name),
    ["server", "main"],
  );
});

test("a node whose agent is not heard of has no GPUs, and nothing is simulated", () => {
  const node = nodeOf(snapshot("lonely", {}));
  const report = buildReport({ nodes: [node], pods: [], snapshots: [], findings: [] });
  assert.deepEqual([report.simulated, report.nodes[0]?.gpus], [false, []]);
});

test("a report of measured GPUs is not marked as simulated", () => {
  assert.equal(reportOf({ gpus: [gpu(0)], simulated: false }).simulated, false);
});

test("errors come first, then warnings, then what is good to know", () => {
  const subject = { kind: "cluster", name: "cluster" } as const;
  const findings = [
    finding("default-fleet", subject, "a"),
    finding("kind-not-run", subject, "b"),
    finding("not-settled", subject, "c"),
    finding("kind-not-served", subject, "d"),
  ];
  const report = buildReport({ nodes: [], pods: [], snapshots: [], findings });
  assert.deepEqual(
    report.findings.map((one) => one.message),
    ["c", "b", "d", "a"],
  );
});
