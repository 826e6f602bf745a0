import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ClusterState } from "../../src/embedded/scheduler/cluster-state.ts";
import { type Decision, decide } from "../../src/embedded/scheduler/pass.ts";
import { type Node, type Pod, type PodSpec, podRequests, type ResourceList } from "../../src/kube/index.ts";

function nodeOf(name: string, allocatable: ResourceList, extra: Partial<Node> = {}): Node {
  const all = { cpu: "8", memory: "16Gi", pods: "110", ...allocatable };
  const status = { allocatable: all, conditions: [{ type: "Ready", status: "True" as const }] };
  return { apiVersion: "v1", kind: "Node", metadata: { name }, status, ...extra };
}

function podOf(name: string, requests: ResourceList, spec: Partial<PodSpec> = {}): Pod {
  const containers = [{ name: "c", resources: { requests } }];
  const metadata = { name, uid: name, namespace: "ml" };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers, ...spec } };
}

function decideOn(nodes: readonly Node[], pods: readonly Pod[]): Decision[] {
  const state = new ClusterState();
  for (const node of nodes) state.setNode(node);
  for (const pod of pods) state.setPod(pod);
  return decide(state);
}

function decided(nodes: readonly Node[], pods: readonly Pod[]): string[] {
  return decideOn(nodes, pods).map(textOf);
}

function textOf(one: Decision): string {
  const { name } = one.pod.metadata;
  if (one.kind === "bind") return `${name} to ${one.node}`;
  return one.kind === "gated" ? `${name} is gated` : `${name} waits: ${one.message}`;
}

const gpu = "nvidia.com/gpu";
const slice = "nvidia.com/mig-1g.10gb";
const noVictims = "No preemption victims found for incoming pod";
const noHelp = "Preemption is not helpful for scheduling";
const tainted = { spec: { taints: [{ key: "k", value: "v", effect: "NoSchedule" as const }] } };

function onNodes(...nodeSelectorTerms: object[]): Partial<PodSpec> {
  const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms };
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution } } };
}

const sentences: { name: string; nodes: Node[]; pod: Pod; others?: Pod[]; want: string }[] = [
  { name: "no nodes", nodes: [], pod: podOf("p", {}), want: "no nodes available to schedule pods" },
  {
    name: "taints and shortage, sorted by text",
    nodes: [nodeOf("a", { [gpu]: "1" }, tainted), nodeOf("b", { [gpu]: "1" }), nodeOf("c", { [gpu]: "1" })],
    others: [podOf("x", { [gpu]: "1" }, { nodeName: "b" }), podOf("y", { [gpu]: "1" }, { nodeName: "c" })],
    pod: podOf("p", { [gpu]: "1" }),
    want:
      "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu. " +
      `preemption: 0/3 nodes are available: 1 ${noHelp}, 2 ${noVictims}.`,
  },
  {
    name: "a resource nobody has is beyond help",
    nodes: [nodeOf("a", {})],
    pod: podOf("p", { [slice]: "1" }),
    want: `0/1 nodes are available: 1 Insufficient ${slice}. preemption: 0/1 nodes are available: 1 ${noHelp}.`,
  },
  {
    name: "everything a node is short of is told",
    nodes: [nodeOf("a", { cpu: "1", pods: "1" })],
    others: [podOf("x", { cpu: "1" }, { nodeName: "a" })],
    pod: podOf("p", { cpu: "500m" }),
    want:
      "0/1 nodes are available: 1 Insufficient cpu, 1 Too many pods. " +
      `preemption: 0/1 nodes are available: 1 ${noVictims}.`,
  },
  {
    name: "a pod that never preempts",
    nodes: [nodeOf("a", {})],
    pod: podOf("p", { [gpu]: "1" }, { preemptionPolicy: "Never" }),
    want:
      "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. " +
      "preemption: not eligible due to preemptionPolicy=Never.",
  },
  {
    name: "a pod that names its node, as those of a daemon set do, is told of the others by plugin",
    nodes: [nodeOf("a", {}), nodeOf("b", {}), nodeOf("c", {}, tainted)],
    pod: podOf(
      "p",
      { [gpu]: "1" },
      onNodes({ matchFields: [{ key: "metadata.name", operator: "In", values: ["a"] }] }),
    ),
    want:
      "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. " +
      `preemption: 0/3 nodes are available: 3 ${noHelp}.`,
  },
  {
    name: "a term that names no node leaves all of them to be looked at",
    nodes: [nodeOf("b", {})],
    pod: podOf(
      "p",
      {},
      onNodes(
        { matchFields: [{ key: "metadata.name", operator: "In", values: ["a"] }] },
        { matchExpressions: [{ key: "zone", operator: "Exists" }] },
      ),
    ),
    want:
      "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. " +
      `preemption: 0/1 nodes are available: 1 ${noHelp}.`,
  },
  {
    name: "a node without a kubelet is not ready",
    nodes: [nodeOf("a", {}, { status: { allocatable: { cpu: "8", pods: "10" } } })],
    pod: podOf("p", {}),
    want:
      "0/1 nodes are available: 1 node(s) had untolerated taint(s). " +
      `preemption: 0/1 nodes are available: 1 ${noHelp}.`,
  },
];
for (const { name, nodes, pod, others = [], want } of sentences) {
  test(`says why a pod waits: ${name}`, () => {
    assert.deepEqual(decided(nodes, [...others, pod]), [`p waits: ${want}`]);
  });
}

const four = nodeOf("t4", { [gpu]: "4" });
const cut = nodeOf("cut", { [slice]: "7" });
const mixed = nodeOf("a-mixed", { [slice]: "3", "nvidia.com/mig-3g.40gb": "1" });
const half = podOf("half", { [slice]: "4" }, { nodeName: "cut" });
const choices: { name: string; nodes: Node[]; pods: Pod[]; want: string[] }[] = [
  {
    name: "the emptier node gets a plain pod",
    nodes: [nodeOf("a", { cpu: "2" }), nodeOf("b", { cpu: "6" })],
    pods: [podOf("p", { cpu: "1" })],
    want: ["p to b"],
  },
  {
    name: "pods that ask for nothing are shared out, too",
    nodes: [nodeOf("a", {}), nodeOf("b", {})],
    pods: ["p1", "p2", "p3", "p4"].map((name) => podOf(name, {})),
    want: ["p1 to a", "p2 to b", "p3 to a", "p4 to b"],
  },
  {
    name: "what a pod does not ask for counts as little",
    nodes: [nodeOf("a", {}), nodeOf("b", {})],
    pods: [podOf("x", { cpu: "1", memory: "1Gi" }, { nodeName: "a" }), podOf("p1", {}), podOf("p2", {})],
    want: ["p1 to b", "p2 to b"],
  },
  { name: "equals go by name", nodes: [nodeOf("b", {}), nodeOf("a", {})], pods: [podOf("p", {})], want: ["p to a"] },
  {
    name: "a plain pod keeps off GPU nodes",
    nodes: [four, nodeOf("z-plain", { cpu: "2" })],
    pods: [podOf("p", { cpu: "1" })],
    want: ["p to z-plain"],
  },
  {
    name: "a slice comes from the node that offers little else",
    nodes: [mixed, cut],
    pods: [podOf("p", { [slice]: "1" })],
    want: ["p to cut"],
  },
  {
    name: "slices fill one node before the next",
    nodes: [nodeOf("a", { [slice]: "7" }), cut],
    pods: [half, podOf("p", { [slice]: "1" })],
    want: ["p to cut"],
  },
  {
    name: "a preferred node wins over a fitting one",
    nodes: [nodeOf("a", {}), nodeOf("b", {}, { metadata: { name: "b", labels: { zone: "z" } } })],
    pods: [
      podOf(
        "p",
        {},
        {
          affinity: {
            nodeAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                { weight: 1, preference: { matchExpressions: [{ key: "zone", operator: "Exists" }] } },
              ],
            },
          },
        },
      ),
    ],
    want: ["p to b"],
  },
  {
    name: "a node that asks to be avoided comes last",
    nodes: [
      nodeOf("a", { cpu: "64" }, { spec: { taints: [{ key: "k", effect: "PreferNoSchedule" }] } }),
      nodeOf("b", {}),
    ],
    pods: [podOf("p", {})],
    want: ["p to b"],
  },
];
for (const { name, nodes, pods, want } of choices) {
  test(name, () => assert.deepEqual(decided(nodes, pods), want));
}

test("higher priority goes first, then the older, then as they came", () => {
  const aged = (pod: Pod, creationTimestamp: string): Pod => ({
    ...pod,
    metadata: { ...pod.metadata, creationTimestamp },
  });
  const pods = [
    aged(podOf("late", {}), "2026-01-01T00:00:02Z"),
    aged(podOf("early-2", {}), "2026-01-01T00:00:01Z"),
    aged(podOf("early-1", {}), "2026-01-01T00:00:01Z"),
    aged(podOf("urgent", {}, { priority: 5 }), "2026-01-01T00:00:09Z"),
  ];
  const order = decided([nodeOf("a", {})], pods).map((text) => text.split(" ")[0]);
  assert.deepEqual(order, ["urgent", "early-2", "early-1", "late"]);
});

test("a binding under way counts as done, until it fails", () => {
  const state = new ClusterState();
  state.setNode(four);
  state.setPod(podOf("first", { [gpu]: "4" }));
  assert.deepEqual(decide(state).map(textOf), ["first to t4"]);
  state.setPod(podOf("second", { [gpu]: "1" }));
  const [only, ...rest] = decide(state).map(textOf);
  assert.match(only ?? "", /^second waits: .*Insufficient nvidia.com\/gpu/);
  assert.deepEqual(rest, []);
  state.release("first");
  state.removePod("second");
  assert.deepEqual(decide(state).map(textOf), ["first to t4"]);
});

test("pods and nodes may become known in any order", () => {
  const state = new ClusterState();
  state.setPod(podOf("bound", { [gpu]: "3" }, { nodeName: "t4" }));
  state.setPod(podOf("p", { [gpu]: "2" }));
  state.setNode(four);
  assert.match(decide(state).map(textOf)[0] ?? "", /^p waits: .*Insufficient nvidia.com\/gpu/);
  state.setNode(nodeOf("t4", { [gpu]: "5" }));
  assert.deepEqual(decide(state).map(textOf), ["p to t4"]);
});

test("who has ended holds nothing, who is being deleted still does", () => {
  const done: Pod = { ...podOf("done", { [gpu]: "4" }, { nodeName: "t4" }), status: { phase: "Succeeded" } };
  assert.deepEqual(decided([four], [done, podOf("p", { [gpu]: "4" })]), ["p to t4"]);
  const leaving = podOf("leaving", { [gpu]: "4" }, { nodeName: "t4" });
  leaving.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  assert.match(decided([four], [leaving, podOf("p", { [gpu]: "4" })])[0] ?? "", /^p waits/);
});

test("pods of another scheduler, deleted or ended ones are left alone", () => {
  const deleted = podOf("deleted", {});
  deleted.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
  const ended: Pod = { ...podOf("ended", {}), status: { phase: "Failed" } };
  assert.deepEqual(decided([four], [podOf("other", {}, { schedulerName: "mine" }), deleted, ended]), []);
});

test("sums of fractions of a CPU fill a node exactly", () => {
  const pods = Array.from({ length: 11 }, (_, index) => podOf(`p${index}`, { cpu: "100m" }));
  const texts = decided([nodeOf("a", { cpu: "1" })], pods);
  assert.equal(texts.filter((text) => text.endsWith("to a")).length, 10);
});

const amount = fc.integer({ min: 0, max: 4 }).map(String);
const list = fc.record(
  { cpu: amount, [gpu]: amount, [slice]: amount },
  { requiredKeys: ["cpu"], noNullPrototype: true },
);
const randomNodes = fc.array(list, { maxLength: 4 });
const boundTo = fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.nat({ max: 3 }));
const randomPods = fc.array(fc.record({ requests: list, node: boundTo, init: fc.option(list) }), {
  maxLength: 12,
});

test("never binds more than a node has, and nobody waits who would fit", () => {
  fc.assert(
    fc.property(randomNodes, randomPods, (lists, wishes) => {
      const nodes = lists.map((allocatable, index) => nodeOf(`n${index}`, allocatable as ResourceList));
      const pods = wishes.map(({ requests, node, init }, index) => {
        const initContainers =
          init === null ? {} : { initContainers: [{ name: "i", resources: { requests: init as ResourceList } }] };
        const bound = node === null ? {} : { nodeName: `n${node}` };
        return podOf(`p${index}`, requests as ResourceList, { ...initContainers, ...bound });
      });
      const decisions = decideOn(nodes, pods);
      for (const [index, allocatable] of lists.entries()) {
        const name = `n${index}`;
        const arrived = decisions.flatMap((one) => (one.kind === "bind" && one.node === name ? [one.pod] : []));
        const all = [...pods.filter((pod) => pod.spec.nodeName === name), ...arrived];
        for (const resource of ["cpu", gpu, slice]) {
          const used = all.reduce((sum, pod) => sum + (podRequests(pod).get(resource) ?? 0), 0);
          const has = Number((allocatable as ResourceList)[resource] ?? 0);
          const asked = arrived.some((pod) => (podRequests(pod).get(resource) ?? 0) > 0);
          assert.ok(!asked || used <= has, `${name} gives ${used} of ${has} ${resource}`);
          for (const one of decisions) {
            if (one.kind !== "wait") continue;
            const short = ["cpu", gpu, slice].some((each) => {
              const held = all.reduce((sum, pod) => sum + (podRequests(pod).get(each) ?? 0), 0);
              const wanted = podRequests(one.pod).get(each) ?? 0;
              return wanted > 0 && held + wanted > Number((allocatable as ResourceList)[each] ?? 0);
            });
            assert.ok(short, `${one.pod.metadata.name} waits but fits ${name}`);
          }
        }
      }
      assert.equal(decisions.length, pods.filter((pod) => pod.spec.nodeName === undefined).length);
    }),
    { numRuns: 300 },
  );
});
