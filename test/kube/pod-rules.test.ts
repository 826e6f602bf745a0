import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Container,
  type Node,
  type Pod,
  type PodSpec,
  placementObstacle,
  podRequests,
  preferenceWeight,
  type Taint,
  type Toleration,
  tolerates,
} from "../../src/kube/index.ts";

function container(requests: Record<string, string>, extra: Partial<Container> = {}): Container {
  return { name: "c", resources: { requests }, ...extra };
}

const sidecar = { restartPolicy: "Always" };
const requests: { name: string; spec: PodSpec; want: Record<string, number> }[] = [
  {
    name: "containers add up",
    spec: { containers: [container({ cpu: "500m", memory: "1Gi" }), container({ cpu: "1" })] },
    want: { cpu: 1.5, memory: 2 ** 30 },
  },
  {
    name: "a limit counts where there is no request",
    spec: {
      containers: [{ name: "c", resources: { limits: { "nvidia.com/gpu": "2", cpu: "4" }, requests: { cpu: "1" } } }],
    },
    want: { "nvidia.com/gpu": 2, cpu: 1 },
  },
  {
    name: "the largest init container counts when it is more",
    spec: {
      initContainers: [container({ cpu: "3" }), container({ cpu: "2", "nvidia.com/gpu": "1" })],
      containers: [container({ cpu: "1" })],
    },
    want: { cpu: 3, "nvidia.com/gpu": 1 },
  },
  {
    name: "a sidecar adds to the containers and to the init containers after it",
    spec: {
      initContainers: [container({ cpu: "2" }), container({ cpu: "1" }, sidecar), container({ cpu: "4" })],
      containers: [container({ cpu: "3" })],
    },
    want: { cpu: 5 },
  },
  {
    name: "overhead comes on top",
    spec: { containers: [container({ cpu: "1" })], overhead: { cpu: "250m", memory: "64Mi" } },
    want: { cpu: 1.25, memory: 64 * 2 ** 20 },
  },
];
for (const { name, spec, want } of requests) {
  test(`requests: ${name}`, () => assert.deepEqual(Object.fromEntries(podRequests(podOf(spec))), want));
}

function podOf(spec: Partial<PodSpec>): Pod {
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [], ...spec } };
}

const taint: Taint = { key: "nvidia.com/gpu", value: "present", effect: "NoSchedule" };
const tolerations: { name: string; toleration: Toleration; want: boolean }[] = [
  { name: "equal key and value", toleration: { key: "nvidia.com/gpu", value: "present" }, want: true },
  { name: "another value", toleration: { key: "nvidia.com/gpu", value: "absent" }, want: false },
  { name: "no value", toleration: { key: "nvidia.com/gpu" }, want: false },
  { name: "the key exists", toleration: { key: "nvidia.com/gpu", operator: "Exists" }, want: true },
  { name: "everything exists", toleration: { operator: "Exists" }, want: true },
  { name: "no key but Equal", toleration: { operator: "Equal" }, want: false },
  { name: "the same effect", toleration: { operator: "Exists", effect: "NoSchedule" }, want: true },
  // Empty texts are values left out (core v1 `Toleration`).
  { name: "an empty effect", toleration: { key: "nvidia.com/gpu", operator: "Exists", effect: "" }, want: true },
  { name: "an empty operator", toleration: { key: "nvidia.com/gpu", operator: "", value: "present" }, want: true },
  { name: "another effect", toleration: { operator: "Exists", effect: "NoExecute" }, want: false },
];
for (const { name, toleration, want } of tolerations) {
  test(`toleration of ${name} ${want ? "covers" : "does not cover"} the taint`, () => {
    assert.equal(tolerates([toleration], taint), want);
  });
}

const node: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "a", labels: { zone: "z1", "nvidia.com/gpu.count": "8" } },
};

function required(...terms: unknown[]): Partial<PodSpec> {
  const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms: terms };
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution } } };
}

const inZone1 = { matchExpressions: [{ key: "zone", operator: "In", values: ["z1", "z2"] }] };
const notInZone1 = { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["z1"] }] };
const noMatch = "node(s) didn't match Pod's node affinity/selector";
const placements: { name: string; spec?: Partial<PodSpec>; on?: Node["spec"]; want: string | undefined }[] = [
  { name: "a plain pod", want: undefined },
  { name: "its node by name", spec: { nodeName: "a" }, want: undefined },
  { name: "another node by name", spec: { nodeName: "b" }, want: "node(s) didn't match the requested node name" },
  { name: "a selector that matches", spec: { nodeSelector: { zone: "z1" } }, want: undefined },
  { name: "a selector that does not", spec: { nodeSelector: { zone: "z2" } }, want: noMatch },
  { name: "a cordoned node", on: { unschedulable: true }, want: "node(s) were unschedulable" },
  {
    name: "a cordoned node and a toleration of it",
    on: { unschedulable: true },
    spec: { tolerations: [{ key: "node.kubernetes.io/unschedulable", operator: "Exists" }] },
    want: undefined,
  },
  { name: "a taint", on: { taints: [taint] }, want: "node(s) had untolerated taint(s)" },
  { name: "a taint that only asks", on: { taints: [{ ...taint, effect: "PreferNoSchedule" }] }, want: undefined },
  {
    name: "a taint without value",
    on: { taints: [{ key: "k", effect: "NoExecute" }] },
    want: "node(s) had untolerated taint(s)",
  },
  {
    name: "the taint speaks before the selector",
    on: { taints: [taint] },
    spec: { nodeSelector: { zone: "z2" } },
    want: "node(s) had untolerated taint(s)",
  },
  { name: "an affinity term that matches", spec: required(inZone1), want: undefined },
  { name: "one of two affinity terms", spec: required(notInZone1, inZone1), want: undefined },
  {
    name: "one of two expressions",
    spec: required({ matchExpressions: [...inZone1.matchExpressions, ...notInZone1.matchExpressions] }),
    want: noMatch,
  },
  {
    name: "a greater number",
    spec: required({ matchExpressions: [{ key: "nvidia.com/gpu.count", operator: "Gt", values: ["4"] }] }),
    want: undefined,
  },
  {
    name: "a field",
    spec: required({ matchFields: [{ key: "metadata.name", operator: "In", values: ["b"] }] }),
    want: noMatch,
  },
  { name: "an empty term", spec: required({}), want: noMatch },
  { name: "no terms", spec: required(), want: noMatch },
  {
    name: "an operator nobody knows",
    spec: required({ matchExpressions: [{ key: "zone", operator: "Near", values: ["z1"] }] }),
    want: noMatch,
  },
];
for (const { name, spec = {}, on = {}, want } of placements) {
  test(`placement with ${name}: ${want ?? "allowed"}`, () => {
    assert.equal(placementObstacle(podOf(spec), { ...node, spec: on }), want);
  });
}

test("preferences add the weights of the terms that hold", () => {
  const terms = [
    { weight: 10, preference: inZone1 },
    { weight: 5, preference: notInZone1 },
    { weight: 1, preference: inZone1 },
  ];
  const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: terms } };
  assert.equal(preferenceWeight(podOf({ affinity }), node), 11);
});
