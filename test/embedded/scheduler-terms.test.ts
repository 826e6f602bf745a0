import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, Pod } from "../../src/kube/index.ts";
import { apps, clusterOf, decided, nodeOf, podOf } from "./scheduler-support.ts";

const hostname = "kubernetes.io/hostname";
const required = "requiredDuringSchedulingIgnoredDuringExecution";
const preferred = "preferredDuringSchedulingIgnoredDuringExecution";

function near(topologyKey: string, ...names: string[]) {
  return { affinity: { podAffinity: { [required]: [{ labelSelector: apps(...names), topologyKey }] } } };
}

function apart(topologyKey: string, ...names: string[]) {
  return { affinity: { podAntiAffinity: { [required]: [{ labelSelector: apps(...names), topologyKey }] } } };
}

function likes(kind: "podAffinity" | "podAntiAffinity", name: string, weight = 1) {
  const podAffinityTerm = { labelSelector: apps(name), topologyKey: hostname };
  return { affinity: { [kind]: { [preferred]: [{ weight, podAffinityTerm }] } } };
}

function spread(constraint: object) {
  const one = { maxSkew: 1, topologyKey: hostname, whenUnsatisfiable: "DoNotSchedule", labelSelector: apps("web") };
  return { topologySpreadConstraints: [{ ...one, ...constraint }] };
}

const web = { app: "web" };
const noHelp = "Preemption is not helpful for scheduling";
const noVictims = "No preemption victims found for incoming pod";
const two = [nodeOf("a"), nodeOf("b")];
const zoned = [
  nodeOf("a", 8, { zone: "east" }),
  nodeOf("b", 8, { zone: "east" }),
  nodeOf("c", 8, { zone: "west" }),
  nodeOf("d"),
];

/** What a pod is told that no node of so many takes, all for one reason. */
function refused(count: number, reason: string, preemption: string): string {
  return (
    `p waits: 0/${count} nodes are available: ${count} ${reason}. ` +
    `preemption: 0/${count} nodes are available: ${count} ${preemption}.`
  );
}

const rows: { name: string; nodes: Node[]; others?: Pod[]; pod: Pod; want: string }[] = [
  {
    name: "a pod goes to the node of whom it wants near",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "b" })],
    pod: podOf("p", 0, { spec: near(hostname, "web") }),
    want: "p to b",
  },
  {
    name: "near means any node of the place",
    nodes: zoned,
    others: [podOf("x", 8, { labels: web, on: "a" })],
    pod: podOf("p", 1, { spec: near("zone", "web") }),
    want: "p to b",
  },
  {
    name: "nobody to be near to",
    nodes: two,
    pod: podOf("p", 0, { spec: near(hostname, "web") }),
    want: refused(2, "node(s) didn't match pod affinity rules", noHelp),
  },
  {
    name: "a pod of another namespace is nobody to be near to",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "b", metadata: { namespace: "other" } })],
    pod: podOf("p", 0, { spec: near(hostname, "web") }),
    want: refused(2, "node(s) didn't match pod affinity rules", noHelp),
  },
  {
    name: "the first of a group that wants to be together goes anywhere that is a place",
    nodes: zoned.toReversed(),
    pod: podOf("p", 0, { labels: web, spec: near("zone", "web") }),
    want: "p to a",
  },
  {
    name: "a pod keeps off nodes of whom it wants apart",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "a" })],
    pod: podOf("p", 0, { spec: apart(hostname, "web") }),
    want: "p to b",
  },
  {
    name: "nowhere apart",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "a" }), podOf("y", 0, { labels: web, on: "b" })],
    pod: podOf("p", 0, { spec: apart(hostname, "web") }),
    want: refused(2, "node(s) didn't match pod anti-affinity rules", noVictims),
  },
  {
    name: "a pod keeps off nodes whose pods want it apart",
    nodes: [nodeOf("a")],
    others: [podOf("x", 0, { on: "a", spec: apart(hostname, "web") })],
    pod: podOf("p", 0, { labels: web }),
    want: refused(1, "node(s) didn't satisfy existing pods anti-affinity rules", noVictims),
  },
  {
    name: "a place is left alone as a whole",
    nodes: zoned.slice(0, 3),
    others: [podOf("x", 0, { labels: web, on: "a" })],
    pod: podOf("p", 0, { spec: apart("zone", "web") }),
    want: "p to c",
  },
  {
    name: "a pod that would like company gets it",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "b" })],
    pod: podOf("p", 0, { spec: likes("podAffinity", "web") }),
    want: "p to b",
  },
  {
    name: "a pod that would rather be alone is",
    nodes: two,
    others: [podOf("x", 0, { labels: web, on: "a" })],
    pod: podOf("p", 0, { spec: likes("podAntiAffinity", "web") }),
    want: "p to b",
  },
  {
    name: "what the pods there would rather not have counts too",
    nodes: two,
    others: [podOf("x", 0, { on: "a", spec: likes("podAntiAffinity", "web") })],
    pod: podOf("p", 0, { labels: web }),
    want: "p to b",
  },
  {
    name: "pods are spread evenly",
    nodes: two,
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({}) }),
    want: "p to b",
  },
  {
    name: "no even place is left",
    nodes: [nodeOf("a"), nodeOf("b", 0)],
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({}) }),
    want:
      "p waits: 0/2 nodes are available: 1 Insufficient nvidia.com/gpu, " +
      "1 node(s) didn't match pod topology spread constraints. " +
      `preemption: 0/2 nodes are available: 1 ${noVictims}, 1 ${noHelp}.`,
  },
  {
    name: "a node that is no place takes no pod that must be spread",
    nodes: [nodeOf("d")],
    pod: podOf("p", 0, { labels: web, spec: spread({ topologyKey: "zone" }) }),
    want: refused(1, "node(s) didn't match pod topology spread constraints (missing required label)", noHelp),
  },
  {
    name: "a skew of two is allowed where it is said",
    nodes: [nodeOf("a"), nodeOf("b", 0)],
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({ maxSkew: 2 }) }),
    want: "p to a",
  },
  {
    name: "too few places count as an empty one",
    nodes: [nodeOf("a")],
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({ minDomains: 2 }) }),
    want: refused(1, "node(s) didn't match pod topology spread constraints", noVictims),
  },
  {
    name: "a spread that is only preferred goes elsewhere if it can",
    nodes: two,
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({ whenUnsatisfiable: "ScheduleAnyway" }) }),
    want: "p to b",
  },
  {
    name: "a spread that is only preferred keeps nobody from running",
    nodes: [nodeOf("a"), nodeOf("b", 0)],
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: spread({ whenUnsatisfiable: "ScheduleAnyway" }) }),
    want: "p to a",
  },
  {
    name: "pods on the way out do not count as spread",
    nodes: two,
    others: [
      podOf("x", 1, { labels: web, on: "a", metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }),
      podOf("y", 1, { labels: web, on: "b" }),
    ],
    pod: podOf("p", 1, { labels: web, spec: spread({}) }),
    want: "p to a",
  },
  {
    name: "nodes that the pod cannot take are no places to it",
    nodes: [nodeOf("a", 8, { pool: "x" }), nodeOf("b")],
    others: [podOf("x", 1, { labels: web, on: "a" })],
    pod: podOf("p", 1, { labels: web, spec: { ...spread({}), nodeSelector: { pool: "x" } } }),
    want: "p to a",
  },
  {
    name: "a revision is spread by itself where its key is named",
    nodes: [nodeOf("a"), nodeOf("b", 0)],
    others: [podOf("x", 1, { labels: { app: "web", revision: "1" }, on: "a" })],
    pod: podOf("p", 1, { labels: { app: "web", revision: "2" }, spec: spread({ matchLabelKeys: ["revision"] }) }),
    want: "p to a",
  },
  {
    name: "a gated pod is not looked at",
    nodes: two,
    pod: podOf("p", 1, { spec: { schedulingGates: [{ name: "quota" }] } }),
    want: "p is gated",
  },
];
for (const { name, nodes, others = [], pod, want } of rows) {
  test(name, () => assert.deepEqual(decided(clusterOf(nodes, [...others, pod])), [want]));
}

test("namespaces may be meant by their labels", () => {
  const term = { labelSelector: apps("web"), topologyKey: hostname, namespaceSelector: { matchLabels: { team: "t" } } };
  const affinity = { podAntiAffinity: { [required]: [term] } };
  const others = ["mine", "foreign"].map((namespace, index) =>
    podOf(namespace, 0, { labels: web, on: index === 0 ? "a" : "b", metadata: { namespace } }),
  );
  const state = clusterOf(two, [...others, podOf("p", 0, { spec: { affinity } })]);
  state.setNamespace("mine", { team: "t" });
  state.setNamespace("foreign", { team: "u" });
  assert.deepEqual(decided(state), ["p to b"]);
});

test("pods placed in one pass keep apart and spread as those before them", () => {
  const pods = ["p1", "p2", "p3"].map((name) => podOf(name, 1, { labels: web, spec: apart(hostname, "web") }));
  const texts = decided(clusterOf(two, pods));
  assert.deepEqual(texts.slice(0, 2), ["p1 to a", "p2 to b"]);
  assert.match(texts[2] ?? "", /^p3 waits: .*2 node\(s\) didn't match pod anti-affinity rules/);
  const even = Array.from({ length: 6 }, (_, index) => podOf(`s${index}`, 1, { labels: web, spec: spread({}) }));
  const onA = decided(clusterOf(two, even)).filter((text) => text.endsWith("to a"));
  assert.equal(onA.length, 3);
});
