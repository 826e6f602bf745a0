import assert from "node:assert/strict";
import { test } from "node:test";
import type { DisruptionBudget } from "../../src/embedded/scheduler/budgets.ts";
import type { Node, Pod } from "../../src/kube/index.ts";
import { apps, clusterOf, decided, gpu, nodeOf, podOf } from "./scheduler-support.ts";

function budget(name: string, disruptionsAllowed: number): DisruptionBudget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name, namespace: "ml" },
    spec: { selector: apps(name) },
    status: { disruptionsAllowed },
  };
}

const urgent = podOf("p", 1, { priority: 10 });
const apartFromWeb = {
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: apps("web"), topologyKey: "kubernetes.io/hostname" },
      ],
    },
  },
};
const full = `0/1 nodes are available: 1 Insufficient ${gpu}. preemption:`;

const rows: {
  name: string;
  nodes?: Node[];
  others: Pod[];
  pod?: Pod;
  budgets?: DisruptionBudget[];
  want: string;
}[] = [
  {
    name: "only as many go as must",
    nodes: [nodeOf("a", 3)],
    others: [podOf("x", 1, { on: "a" }), podOf("y", 2, { on: "a", priority: 1 })],
    want: "p evicts x from a",
  },
  {
    name: "equals are not evicted",
    nodes: [nodeOf("a", 1)],
    others: [podOf("x", 1, { on: "a", priority: 10 })],
    want: `p waits: ${full} 0/1 nodes are available: 1 No preemption victims found for incoming pod.`,
  },
  {
    name: "evicting all the lesser would not do",
    nodes: [nodeOf("a", 2)],
    others: [podOf("x", 1, { on: "a" }), podOf("y", 1, { on: "a", priority: 10 })],
    pod: podOf("p", 2, { priority: 10 }),
    want: `p waits: ${full} 0/1 nodes are available: 1 Insufficient ${gpu}.`,
  },
  {
    name: "a pod that never preempts",
    nodes: [nodeOf("a", 1)],
    others: [podOf("x", 1, { on: "a" })],
    pod: podOf("p", 1, { priority: 10, spec: { preemptionPolicy: "Never" } }),
    want: `p waits: ${full} not eligible due to preemptionPolicy=Never.`,
  },
  {
    name: "the least important are evicted, wherever they are",
    others: [podOf("x", 1, { on: "a", priority: 5 }), podOf("y", 1, { on: "b", priority: 3 })],
    want: "p evicts y from b",
  },
  {
    name: "the fewest are evicted",
    nodes: [nodeOf("a", 2), nodeOf("b", 2)],
    others: [podOf("x", 1, { on: "a" }), podOf("y", 1, { on: "a" }), podOf("z", 2, { on: "b" })],
    pod: podOf("p", 2, { priority: 10 }),
    want: "p evicts z from b",
  },
  {
    name: "of equals the youngest goes",
    others: [
      podOf("x", 1, { on: "a", startTime: "2026-01-01T00:00:00Z" }),
      podOf("y", 1, { on: "b", startTime: "2026-01-02T00:00:00Z" }),
    ],
    want: "p evicts y from b",
  },
  {
    name: "a budget is kept where another node does",
    others: [podOf("x", 1, { on: "a", labels: { app: "kept" } }), podOf("y", 1, { on: "b", priority: 5 })],
    budgets: [budget("kept", 0)],
    want: "p evicts y from b",
  },
  {
    name: "a budget with something to give keeps nobody",
    others: [podOf("x", 1, { on: "a", labels: { app: "kept" } }), podOf("y", 1, { on: "b", priority: 5 })],
    budgets: [budget("kept", 1)],
    want: "p evicts x from a",
  },
  {
    name: "a pod without labels is kept by no budget",
    others: [podOf("x", 1, { on: "a" }), podOf("y", 1, { on: "b", priority: 5 })],
    budgets: [
      {
        ...budget("kept", 0),
        spec: { selector: { matchExpressions: [{ key: "app", operator: "DoesNotExist" }] } },
      },
    ],
    want: "p evicts x from a",
  },
  {
    name: "on one node those go first that no budget keeps",
    nodes: [nodeOf("a", 2)],
    others: [podOf("x", 1, { on: "a", labels: { app: "kept" } }), podOf("y", 1, { on: "a", priority: 5 })],
    budgets: [budget("kept", 0)],
    want: "p evicts y from a",
  },
  {
    name: "a budget is broken when nothing else helps",
    nodes: [nodeOf("a", 1)],
    others: [podOf("x", 1, { on: "a", labels: { app: "kept" } })],
    budgets: [budget("kept", 0)],
    want: "p evicts x from a",
  },
  {
    name: "whom the pod wants apart makes way",
    nodes: [nodeOf("a")],
    others: [podOf("x", 1, { on: "a", labels: { app: "web" } }), podOf("y", 1, { on: "a" })],
    pod: podOf("p", 1, { priority: 10, spec: apartFromWeb }),
    want: "p evicts x from a",
  },
];
for (const { name, nodes = [nodeOf("a", 1), nodeOf("b", 1)], others, pod = urgent, budgets = [], want } of rows) {
  test(`preemption: ${name}`, () => {
    const state = clusterOf(nodes, [...others, pod]);
    assert.deepEqual(decided(state, budgets), [want]);
  });
}

test("what is freed is kept for the pod it was freed for, and nobody is evicted twice", () => {
  const state = clusterOf([nodeOf("a", 1)], [podOf("x", 1, { on: "a" }), urgent]);
  assert.deepEqual(decided(state), ["p evicts x from a"]);
  const going = `p waits: ${full} not eligible due to a terminating pod on the nominated node.`;
  assert.deepEqual(decided(state), [going]);
  state.setPod(podOf("x", 1, { on: "a", metadata: { labels: { touched: "yes" } } }));
  assert.deepEqual(decided(state), [going]);
  assert.equal(state.awaitsLeaving, true);
  state.setPod(podOf("x", 1, { on: "a", metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }));
  assert.equal(state.awaitsLeaving, false);
  assert.deepEqual(decided(state), [going]);
  state.removePod("x");
  // The lesser comes first by name of its age, but not by priority, and the place is not for it anyway.
  state.setPod(podOf("lesser", 1, { priority: 1 }));
  state.setNode(nodeOf("a", 1));
  const [first, second] = decided(state);
  assert.equal(first, "p to a");
  assert.match(second ?? "", /^lesser waits/);
});

test("a second pod does not count on the place that the first made for itself", () => {
  const others = [podOf("x", 1, { on: "a" }), podOf("y", 1, { on: "b", priority: 1 })];
  const pods = [podOf("p1", 1, { priority: 10 }), podOf("p2", 1, { priority: 10 })];
  const state = clusterOf([nodeOf("a", 1), nodeOf("b", 1)], [...others, ...pods]);
  assert.deepEqual(decided(state), ["p1 evicts x from a", "p2 evicts y from b"]);
});

test("a more important pod takes the place kept for a lesser, which looks anew", () => {
  const state = clusterOf([nodeOf("a", 1)], [podOf("x", 1, { on: "a" }), urgent]);
  assert.deepEqual(decided(state), ["p evicts x from a"]);
  state.setPod(podOf("boss", 1, { priority: 20 }));
  const [boss] = decided(state);
  assert.match(boss ?? "", /^boss waits/);
  assert.equal(state.nominatedNode("boss"), "a");
  assert.equal(state.nominatedNode("p"), undefined);
  state.removePod("x");
  assert.equal(decided(state)[0], "boss to a");
});

test("a place kept before a restart of the scheduler is kept after it", () => {
  const nominated: Pod = { ...urgent, status: { nominatedNodeName: "b" } };
  const state = clusterOf([nodeOf("a", 0), nodeOf("b", 1)], [nominated, podOf("q", 1, { priority: 10 })]);
  assert.equal(decided(state)[0], "p to b");
});
