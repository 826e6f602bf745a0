/** What follows from a node's state and its silence, by the rules of kube-controller-manager. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stayMs } from "../../src/embedded/node-lifecycle/eviction.ts";
import { silentConditions, wantedTaints } from "../../src/embedded/node-lifecycle/node-state.ts";
import { NodeWatch } from "../../src/embedded/node-lifecycle/node-watch.ts";
import type { Condition, Lease, Node, Pod, Taint, Toleration } from "../../src/kube/index.ts";

const now = "2026-01-01T00:01:00Z";
const before = "2026-01-01T00:00:00Z";
type Status = Condition["status"];

function nodeWith(ready: Status | undefined, spec: NonNullable<Node["spec"]> = {}): Node {
  const condition = (type: string, status: Status): Condition => ({
    type,
    status,
    lastHeartbeatTime: before,
    lastTransitionTime: before,
  });
  const pressure = ready === "Unknown" ? "Unknown" : "False";
  const own = ["MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => condition(type, pressure));
  const conditions = ready === undefined ? {} : { conditions: [...own, condition("Ready", ready)] };
  return { apiVersion: "v1", kind: "Node", metadata: { name: "node-a", uid: "u" }, spec, status: conditions };
}

test("a silent node is unknown in all that its kubelet vouches for, and no younger", () => {
  const network: Condition = { type: "NetworkUnavailable", status: "False" };
  const node = nodeWith("True");
  const conditions = silentConditions(
    { ...node, status: { conditions: [...(node.status?.conditions ?? []), network] } },
    now,
  );
  assert.deepEqual(
    conditions?.map((one) => `${one.type} ${one.status}`),
    [
      "NetworkUnavailable False",
      "Ready Unknown",
      "MemoryPressure Unknown",
      "DiskPressure Unknown",
      "PIDPressure Unknown",
    ],
  );
  const ready = conditions?.find((one) => one.type === "Ready");
  assert.deepEqual(
    [ready?.reason, ready?.message, ready?.lastHeartbeatTime, ready?.lastTransitionTime],
    ["NodeStatusUnknown", "Kubelet stopped posting node status.", before, now],
  );
  assert.equal(silentConditions(nodeWith("Unknown"), now), undefined);
  assert.equal(silentConditions(nodeWith(undefined), now)?.[0]?.reason, "NodeStatusNeverUpdated");
});

const foreign: Taint = { key: "gpu", value: "yes", effect: "NoSchedule" };
const unreachable = "node.kubernetes.io/unreachable";
const pair = (key: string): readonly Taint[] => [
  { key, effect: "NoSchedule", timeAdded: before },
  { key, effect: "NoExecute", timeAdded: before },
];

const taintRows = [
  { name: "a ready node has none", node: nodeWith("True"), want: undefined },
  { name: "a node that has just been made has none", node: nodeWith(undefined), want: undefined },
  {
    name: "an unknown one is unreachable, and what others put there stays",
    node: nodeWith("Unknown", { taints: [foreign] }),
    want: ["gpu:NoSchedule", `${unreachable}:NoSchedule`, `${unreachable}:NoExecute`],
  },
  {
    name: "one that is there already keeps its time",
    node: nodeWith("Unknown", { taints: [...pair(unreachable)] }),
    want: undefined,
  },
  {
    name: "a node that says it is not ready has the other pair",
    node: nodeWith("False", { taints: [...pair(unreachable)] }),
    want: ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"],
  },
  {
    name: "a node that is back loses them",
    node: nodeWith("True", { taints: [...pair(unreachable), foreign] }),
    want: ["gpu:NoSchedule"],
  },
  {
    name: "a cordoned node is tainted so",
    node: nodeWith("True", { unschedulable: true }),
    want: ["node.kubernetes.io/unschedulable:NoSchedule"],
  },
];
for (const { name, node, want } of taintRows) {
  test(name, () => {
    const taints = wantedTaints(node, now);
    assert.deepEqual(
      taints?.map((one) => `${one.key}:${one.effect}`),
      want,
    );
  });
}

const forFiveMinutes: Toleration = {
  key: unreachable,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 300,
};
const stayRows = [
  { name: "without a toleration a pod goes at once", tolerations: [], want: 0 },
  { name: "with one for a time it may stay that long", tolerations: [forFiveMinutes], want: 300_000 },
  {
    name: "of several the shortest counts",
    tolerations: [forFiveMinutes, { ...forFiveMinutes, tolerationSeconds: 30 }],
    want: 30_000,
  },
  { name: "for ever", tolerations: [{ operator: "Exists" }], want: undefined },
  { name: "a toleration of another taint is none", tolerations: [{ ...forFiveMinutes, key: "other" }], want: 0 },
  { name: "less than nothing is nothing", tolerations: [{ ...forFiveMinutes, tolerationSeconds: -1 }], want: 0 },
] satisfies readonly { name: string; tolerations: Toleration[]; want: number | undefined }[];
for (const { name, tolerations, want } of stayRows) {
  test(`on a node tainted NoExecute: ${name}`, () => {
    const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [], tolerations } };
    const taints: Taint[] = [{ key: unreachable, effect: "NoExecute" }, foreign];
    assert.equal(stayMs(pod, nodeWith("Unknown", { taints })), want);
  });
}

/** Looks every five seconds up to `untilS`, with the lease last renewed at `renewedS`. */
function silentAt(options: { untilS: number; renewedS?: number; blind?: readonly [number, number]; node?: Node }) {
  const { untilS, renewedS, blind = [0, 0], node = nodeWith("True") } = options;
  const watch = new NodeWatch();
  for (let second = 0; second <= untilS; second += 5) {
    if (second > blind[0] && second < blind[1]) continue;
    const renewTime = new Date(Math.min(second, renewedS ?? 0) * 1000).toISOString();
    const metadata = { name: "node-a" };
    const lease: Lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec: { renewTime } };
    const silent = watch.look([node], renewedS === undefined ? [] : [lease], second * 1000);
    if (silent.has("node-a")) return second;
  }
  return undefined;
}

const silenceRows = [
  { name: "a node that renews is not silent", got: silentAt({ untilS: 300, renewedS: 300 }), want: undefined },
  { name: "one that stops is, 50 s later", got: silentAt({ untilS: 300, renewedS: 100 }), want: 155 },
  {
    name: "time in which nobody looked does not count",
    got: silentAt({ untilS: 300, renewedS: 100, blind: [120, 200] }),
    want: 255,
  },
  {
    name: "a node that never spoke has 60 s",
    got: silentAt({ untilS: 300, node: nodeWith(undefined) }),
    want: 65,
  },
];
for (const { name, got, want } of silenceRows) test(name, () => assert.equal(got, want));
