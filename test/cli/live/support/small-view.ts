/** What the live view has of a cluster with a bit of everything: cut and empty GPUs, shares, a pod that waits. */
import { finding } from "../../../../src/base/index.ts";
import { assemble, type LiveInput, type View } from "../../../../src/cli/up/live/assemble.ts";
import { frame } from "../../../../src/cli/up/live/frame.ts";
import type { LiveState, Size } from "../../../../src/cli/up/live/state.ts";
import type { NodeSnapshot } from "../../../../src/insight/index.ts";
import type { Node, Pod } from "../../../../src/kube/index.ts";
import { nodeOf, podOf, snapshot, unscheduled } from "../../../insight/support/cluster.ts";
import { gpu } from "../../../sharing/fixtures.ts";

const NOW_MS = Date.parse("2026-01-02T03:04:05Z");

const a100: NodeSnapshot = {
  ...snapshot("node-a100", {
    gpus: [gpu(0, "1g.10gb@0 2g.20gb@2 3g.40gb@4"), gpu(1, "")],
    share: ["mig-2g.20gb x2"],
    held: ["ml/a mig-1g.10gb MIG-0-0-0", "ml/b mig-2g.20gb MIG-0-2-0::1"],
    findings: [
      finding("slice-in-use", { kind: "gpu", name: "node-a100 GPU 0" }, "1g.10gb@0 is held by pod ml/a", {
        remedy: "delete the pod",
      }),
    ],
  }),
  processes: new Map([
    ["GPU-0", [{ pid: 7, command: "python", memoryMiB: 8192, gpuInstanceId: 1, computeInstanceId: 0 }]],
  ]),
  migConfig: { name: "mixed", state: "pending" },
};

const t4: NodeSnapshot = {
  ...snapshot("node-t4", {
    gpus: [gpu(0, undefined, "t4-16gb"), gpu(1, undefined, "t4-16gb")],
    share: ["gpu[0] x4 as gpu.shared"],
    held: ["ml/c gpu.shared GPU-0::0", "ml/d gpu.shared GPU-0::1"],
  }),
  processes: new Map([
    [
      "GPU-0",
      [{ pid: 8, command: "python", memoryMiB: 15000, gpuInstanceId: undefined, computeInstanceId: undefined }],
    ],
  ]),
};

/** The node as its kubelet keeps it, ready. */
export function readyNode(told: NodeSnapshot, capacity: Readonly<Record<string, string>> = {}): Node {
  const node = nodeOf(told);
  const status = { ...node.status, capacity: { ...node.status?.allocatable, ...capacity } };
  return { ...node, status: { ...status, conditions: [{ type: "Ready", status: "True" }] } };
}

/** A pod that came `seconds` ago. */
export function agedPod(pod: Pod, seconds: number): Pod {
  const creationTimestamp = new Date(NOW_MS - seconds * 1000).toISOString();
  return { ...pod, metadata: { ...pod.metadata, creationTimestamp } };
}

const waits = unscheduled("0/2 nodes are available: 2 Insufficient nvidia.com/mig-1g.10gb.");

/** Everything the view is put together from; `parts` replace some of it. */
export function smallInput(parts: Partial<LiveInput> = {}): LiveInput {
  return {
    nodes: [readyNode(a100), { ...readyNode(t4, { "nvidia.com/gpu": "2" }), spec: { unschedulable: true } }],
    pods: [
      agedPod(podOf("ml/a", { node: "node-a100" }), 7200),
      agedPod(podOf("ml/b", { node: "node-a100" }), 200),
      agedPod(podOf("ml/c", { node: "node-t4" }), 65),
      agedPod(podOf("ml/d", { node: "node-t4" }), 64),
      agedPod(podOf("ml/e", { wants: { "mig-1g.10gb": 1 }, status: waits }), 5),
    ],
    snapshots: new Map([a100, t4].map((one) => [one.node, one])),
    findings: [],
    log: [
      { atMs: NOW_MS - 65_000, text: "pod ml/c Running on node-t4" },
      { atMs: NOW_MS - 4_000, text: "pod ml/e FailedScheduling: 0/2 nodes are available" },
    ],
    gpus: 4,
    simulated: true,
    server: "https://127.0.0.1:40123",
    kubeconfigPath: "/tmp/tranche-AbCdEf/kubeconfig",
    hasKeys: true,
    view: { nodeOffset: 0, podOffset: 0, focus: "nodes", rows: 40 },
    nowMs: NOW_MS,
    ...parts,
  };
}

/** The state of the view at a size. */
export function stateAt(size: Size, view: Partial<View> = {}, parts: Partial<LiveInput> = {}): LiveState {
  const input = smallInput(parts);
  return assemble({ ...input, view: { ...input.view, rows: size.rows, ...view } });
}

/** The picture without its colours, and without blanks at line ends. */
export function pictureOf(state: LiveState, size: Size): string {
  const lines = frame(state, size).map((line) => line.map(({ text }) => text).join(""));
  return lines.map((line) => line.trimEnd()).join("\n");
}
