import assert from "node:assert/strict";
import { test } from "node:test";
import { type Finding, findingLine } from "../../src/base/index.ts";
import { type NodeSnapshot, podFindings } from "../../src/insight/index.ts";
import type { Pod, PodStatus } from "../../src/kube/index.ts";
import { gpu } from "../sharing/fixtures.ts";
import { ended, nodeOf, podOf, type SnapshotParts, snapshot, unscheduled } from "./support/cluster.ts";

/** The only finding about `pod` on a cluster of one node. */
function onlyFinding(pod: Pod, parts: SnapshotParts): Finding {
  const one = snapshot("n", parts);
  const [found, ...more] = podFindings([pod], [nodeOf(one)], [one]);
  assert.ok(found !== undefined && more.length === 0, [found, ...more].map((each) => each?.code).join());
  return found;
}

const fullT4 = {
  gpus: [gpu(0, undefined, "t4-16gb")],
  share: ["gpu x2"],
  held: ["ml/b gpu GPU-0::1", "ml/a gpu GPU-0::0"],
};
const insufficientGpu =
  "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";

const waiting = [
  {
    name: "a pod that waits for a slice is told who has them",
    wants: { gpu: 1 },
    scheduler: insufficientGpu,
    node: fullT4,
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; held by ml/a, ml/b; wait until one of the holders ends, or offer more of it",
  },
  {
    name: "a pod that asks for more than any node has is told how much there is",
    wants: { gpu: 3 },
    scheduler: insufficientGpu,
    node: fullT4,
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; held by ml/a, ml/b; no node has 3 nvidia.com/gpu: ask for at most 2, or offer more of it",
  },
  {
    name: "a pod that waits for something else is not told of holders",
    wants: { gpu: 1 },
    scheduler: "0/1 nodes are available: 1 node(s) had untolerated taint(s).",
    node: fullT4,
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 node(s) had untolerated taint(s); change the pod, or a node, so that what the scheduler names is met",
  },
  {
    name: "what schedulers of clusters with dynamic resources add is left out as well",
    wants: { gpu: 1 },
    scheduler:
      "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
    node: { gpus: [gpu(0)] },
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; change the pod, or a node, so that what the scheduler names is met",
  },
  {
    name: "holders of nvidia.com/gpu.shared are not in the way of nvidia.com/gpu",
    wants: { gpu: 1 },
    scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
    node: {
      gpus: [gpu(0), gpu(1)],
      share: ["gpu[1] x2 as gpu.shared"],
      held: ["ml/a gpu.shared GPU-1::0", "ml/b gpu GPU-0"],
    },
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; held by ml/b; wait until one of the holders ends, or offer more of it",
  },
  {
    name: "a pod that asks for a profile nobody has is told how nodes get one",
    wants: { "mig-1g.10gb": 1 },
    scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/mig-1g.10gb.",
    node: fullT4,
    want: "ml/p: warning resource-not-offered: no node offers nvidia.com/mig-1g.10gb; label a node with a mig-parted config that has this profile: kubectl label node NODE nvidia.com/mig.config=CONFIG",
  },
  {
    name: "a pod that asks for shares under a name of their own is told what is offered instead",
    wants: { "gpu.shared": 1, gpu: 1 },
    scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.shared.",
    node: fullT4,
    want: "ml/p: warning resource-not-offered: no node offers nvidia.com/gpu.shared; ask for nvidia.com/gpu, or have it shared under this name: renameByDefault: true under sharing in the device plugin's config",
  },
  {
    name: "a pod that asks for shares of slices that are not shared is not told to cut any",
    wants: { "mig-1g.10gb.shared": 1 },
    scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/mig-1g.10gb.shared.",
    node: { gpus: [gpu(0, "1g.10gb@0")] },
    want: "ml/p: warning resource-not-offered: no node offers nvidia.com/mig-1g.10gb.shared; ask for nvidia.com/mig-1g.10gb, or have it shared under this name: renameByDefault: true under sharing in the device plugin's config",
  },
  {
    name: "a pod that asks for a name nobody has is told to look at the name",
    wants: { gpus: 1 },
    scheduler: "0/1 nodes are available: 1 Insufficient nvidia.com/gpus.",
    node: fullT4,
    want: "ml/p: warning resource-not-offered: no node offers nvidia.com/gpus; check the name of the resource, and that a node's GPUs are free of MIG or shared under this name",
  },
  {
    name: "a pod without GPU that does not fit is told what the scheduler says",
    wants: {},
    scheduler: "0/1 nodes are available: 1 Insufficient cpu.",
    node: fullT4,
    want: "ml/p: warning pod-unschedulable: no node fits: 0/1 nodes are available: 1 Insufficient cpu; change the pod, or a node, so that what the scheduler names is met",
  },
];
for (const { name, wants, scheduler, node, want } of waiting) {
  test(name, () => {
    const pod = podOf("ml/p", { wants, status: unscheduled(scheduler) });
    assert.equal(findingLine(onlyFinding(pod, node)), want);
  });
}

test("the devices of an init container count as wanted, too", () => {
  const limits = { "nvidia.com/gpu": "3" };
  const pod = podOf("ml/p", {
    status: unscheduled(insufficientGpu),
    initContainers: [{ name: "warm-up", resources: { limits } }],
  });
  assert.match(onlyFinding(pod, fullT4).remedy, /^no node has 3 nvidia\.com\/gpu/);
});

test("devices that no pod can get now are not said to be misspelt or uncut", () => {
  const one = snapshot("n", {});
  const capacity = { "nvidia.com/gpu": "2", "nvidia.com/mig-1g.10gb": "1" };
  const allocatable = { "nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "0" };
  const nodes = ["a", "b"].map((name) => ({ ...nodeOf({ ...one, node: name }), status: { capacity, allocatable } }));
  const message = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.";
  const pod = podOf("ml/p", { wants: { gpu: 1, "mig-1g.10gb": 1 }, status: unscheduled(message) });
  assert.deepEqual(podFindings([pod], nodes, []).map(findingLine), [
    "ml/p: warning resource-not-offered: no node offers nvidia.com/gpu, nvidia.com/mig-1g.10gb; nodes a, b have devices that are unhealthy or about to be changed: kubectl describe node a tells why, and the pod follows once they are back",
  ]);
});

test("a pod that taints keep away is told which, as far as it does not bear them", () => {
  const one = snapshot("n", fullT4);
  const taints = [
    { key: "team", value: "a", effect: "NoSchedule" as const },
    { key: "borne", effect: "NoExecute" as const },
    { key: "avoid", effect: "PreferNoSchedule" as const },
  ];
  const nodes = ["a", "b"].map((name) => ({ ...nodeOf({ ...one, node: name }), spec: { taints } }));
  const pod = podOf("ml/p", {
    wants: { gpu: 1 },
    status: unscheduled("0/2 nodes are available: 2 node(s) had untolerated taint(s)."),
  });
  const bearing = { ...pod, spec: { ...pod.spec, tolerations: [{ key: "borne", operator: "Exists" as const }] } };
  const [found] = podFindings([bearing], nodes, [one]);
  assert.equal(found?.remedy, "tolerate, or take from the nodes, the taint team=a:NoSchedule");
});

const crowd = { gpus: [gpu(0)], share: ["gpu x9"], held: [5, 1, 4, 2, 3, 0].map((id) => `ml/h${id} gpu GPU-0::${id}`) };

test("of many holders a few are named and the others counted", () => {
  const found = onlyFinding(podOf("ml/p", { wants: { gpu: 1 }, status: unscheduled(insufficientGpu) }), crowd);
  assert.match(found.message, /; held by ml\/h0, ml\/h1, ml\/h2, ml\/h3 and 2 more$/);
  assert.deepEqual(
    [found.evidence["holders"], found.evidence["otherHolders"]],
    [["ml/h0", "ml/h1", "ml/h2", "ml/h3"], 2],
  );
});

test("nodes are looked at no more often for many pods than for one", () => {
  const one = snapshot("n", crowd);
  const readsFor = (count: number): number => {
    let reads = 0;
    const { status = {}, ...node } = nodeOf(one);
    const counting = {
      ...node,
      get status() {
        reads += 1;
        return status;
      },
    };
    const pods = Array.from({ length: count }, (_, index) =>
      podOf(`ml/p${index}`, { wants: { gpu: 12 }, status: unscheduled(insufficientGpu) }),
    );
    assert.equal(podFindings(pods, [counting], [one]).length, count);
    return reads;
  };
  assert.equal(readsFor(20), readsFor(1));
});

const oom = "CUDA out of memory: tried to allocate 12288 MiB on GPU 0, 4096 MiB free; held by ml/a (12288 MiB)";
const ends: readonly { name: string; status: PodStatus; node: SnapshotParts; wants?: "mig-1g.10gb"; want: string }[] = [
  {
    name: "a pod that the kubelet refused is not said to be tried again",
    status: { phase: "Failed", reason: "UnexpectedAdmissionError", message: "Allocate failed due to too many shares" },
    node: fullT4,
    want: "ml/p: warning pod-refused: node n refused it: Allocate failed due to too many shares; correct the request and create the pod again; a refused pod is never retried",
  },
  {
    name: "a pod that came when the devices were gone is refused as well",
    status: { phase: "Failed", reason: "OutOfnvidia.com/gpu", message: "Node didn't have enough resource" },
    node: fullT4,
    want: "ml/p: warning pod-refused: node n refused it: Node didn't have enough resource; correct the request and create the pod again; a refused pod is never retried",
  },
  {
    name: "a pod on a share that ran out of memory is told that shares have one memory",
    status: ended(oom),
    node: fullT4,
    want: `ml/p: warning out-of-memory: container main: ${oom}; shares of a GPU have one memory together: ask for less, start fewer pods per GPU, or use MIG slices`,
  },
  {
    name: "a pod on a slice of its own that ran out of memory is told to ask for another slice",
    status: ended(oom),
    node: { gpus: [gpu(0, "1g.10gb@0")] },
    wants: "mig-1g.10gb",
    want: `ml/p: warning out-of-memory: container main: ${oom}; ask for less memory, or for a slice or GPU with more of it`,
  },
  {
    name: "a container that failed is told with the command that shows its logs",
    status: ended("assertion failed", 3),
    node: fullT4,
    want: "ml/p: warning container-failed: container main: assertion failed; see kubectl logs -n ml p -c main",
  },
];
for (const { name, status, node, wants = "gpu", want } of ends) {
  test(name, () => {
    const pod = podOf("ml/p", { node: "n", wants: { [wants]: 1 }, status });
    assert.equal(findingLine(onlyFinding(pod, node)), want);
  });
}

test("a container that runs again after a bad end is still reported, until it has ended well", () => {
  const base = { name: "main", ready: true, restartCount: 1, image: "", imageID: "" };
  const lastState = { terminated: { exitCode: 1, message: oom } };
  const again = podOf("ml/p", {
    node: "n",
    wants: { gpu: 1 },
    status: { phase: "Running", containerStatuses: [{ ...base, state: { running: {} }, lastState }] },
  });
  assert.equal(onlyFinding(again, fullT4).code, "out-of-memory");
  const done = { ...base, state: { terminated: { exitCode: 0 } }, lastState };
  const over = podOf("ml/p", { node: "n", status: { phase: "Succeeded", containerStatuses: [done] } });
  assert.deepEqual(podFindings([over], [], []), []);
});

test("a container that ended because it was asked to go, with its pod, has not failed", () => {
  const pod = podOf("ml/p", { node: "n", status: { ...ended("", 143), phase: "Running" } });
  const going = { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  assert.deepEqual(podFindings([going], [], []), []);
});

test("the logs of the run that failed are shown, not those of the one that goes on", () => {
  const base = { name: "main", ready: true, restartCount: 1, image: "", imageID: "" };
  const lastState = { terminated: { exitCode: 3, message: "assertion failed" } };
  const containerStatuses = [{ ...base, state: { running: {} }, lastState }];
  const again = podOf("ml/p", { node: "n", status: { phase: "Running", containerStatuses } });
  assert.equal(onlyFinding(again, fullT4).remedy, "see kubectl logs -n ml p -c main --previous");
});

for (const reason of ["NodeAffinity", "TopologyAffinityError"]) {
  test(`a pod that the kubelet refused for ${reason} is told so`, () => {
    const status: PodStatus = { phase: "Failed", reason, message: "does not fit" };
    const found = onlyFinding(podOf("ml/p", { node: "n", wants: { gpu: 1 }, status }), fullT4);
    assert.deepEqual([found.code, found.message], ["pod-refused", "node n refused it: does not fit"]);
  });
}

test("a pod that was evicted was not refused", () => {
  const status: PodStatus = { phase: "Failed", reason: "Evicted", message: "The node was low on resource" };
  assert.deepEqual(podFindings([podOf("ml/p", { node: "n", status })], [], []), []);
});

test("a refused pod of a controller is not to be made again by hand", () => {
  const status: PodStatus = { phase: "Failed", reason: "UnexpectedAdmissionError", message: "Allocate failed" };
  const pod = podOf("ml/p", { node: "n", wants: { gpu: 1 }, status });
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-1", uid: "1", controller: true };
  const found = onlyFinding({ ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } }, fullT4);
  assert.equal(found.remedy, "ReplicaSet web-1 makes another pod; correct the request if that is refused as well");
});

test("a container that holds two shares of one GPU is told that they are worth one", () => {
  const found = onlyFinding(podOf("ml/p", { node: "n" }), { ...fullT4, held: ["ml/p gpu GPU-0::0,GPU-0::1"] });
  assert.equal(found.code, "shares-of-one-gpu");
  assert.deepEqual(found.evidence["ids"], ["GPU-0::0", "GPU-0::1"]);
});

const quiet: readonly { name: string; pod: Pod; one: NodeSnapshot }[] = [
  {
    name: "shares of two GPUs are two devices and nothing to tell",
    pod: podOf("ml/p", { node: "n" }),
    one: snapshot("n", { gpus: [gpu(0), gpu(1)], share: ["gpu x2"], held: ["ml/p gpu GPU-0::0,GPU-1::0"] }),
  },
  {
    name: "a pod that waits for its first look by the scheduler is nothing to tell",
    pod: podOf("ml/p", { wants: { gpu: 1 }, status: { phase: "Pending" } }),
    one: snapshot("n", fullT4),
  },
  {
    name: "a pod that was unschedulable once and runs now is nothing to tell",
    pod: podOf("ml/p", {
      node: "n",
      wants: { gpu: 1 },
      status: { phase: "Running", conditions: [{ type: "PodScheduled", status: "True" }] },
    }),
    one: snapshot("n", fullT4),
  },
  {
    name: "a pod that ended well is nothing to tell",
    pod: podOf("ml/p", { node: "n", status: { ...ended("", 0), phase: "Succeeded" } }),
    one: snapshot("n", fullT4),
  },
];
for (const { name, pod, one } of quiet) {
  test(name, () => assert.deepEqual(podFindings([pod], [nodeOf(one)], [one]), []));
}
