import assert from "node:assert/strict";
import { test } from "node:test";
import { sortManifests } from "../../src/cli/up/declared.ts";
import { parseNodeManifest, parseNodeOption, type SimulatedNode } from "../../src/cli/up/nodes.ts";
import { declaredOf, linesOf, manifestsOf } from "./support/manifests.ts";

/** `name 2xMODEL-ID key=value …`. */
function nodeText({ name, gpus, labels }: SimulatedNode): string {
  const counts = Map.groupBy(gpus, (model) => model.id);
  const models = [...counts].map(([id, some]) => `${some.length}x${id}`);
  return [name, ...models, ...Object.entries(labels).map(([key, value]) => `${key}=${value}`)].join(" ");
}

const good = [
  { text: "a=T4", want: "a 1xt4-16gb" },
  { text: "node-1.pool=A100-80GB:4", want: "node-1.pool 4xa100-sxm4-80gb" },
  { text: "a=nvidia h100 80gb hbm3:16", want: "a 16xh100-sxm5-80gb" },
  {
    text: "a=T4,nvidia.com/mig.config=all-1g.10gb,pool=small,empty=",
    want: "a 1xt4-16gb nvidia.com/mig.config=all-1g.10gb pool=small empty=",
  },
  { text: "a=T4:2,expression=x=y", want: undefined },
];
for (const { text, want } of good) {
  test(`--node ${text} ${want === undefined ? "is refused for its label's value" : "is read"}`, () => {
    const read = parseNodeOption(text);
    assert.equal(read.ok ? nodeText(read.value) : undefined, want);
  });
}

const shape = "write it as --node NAME=MODEL[:COUNT][,LABEL=VALUE…]";
const oneToSixteen = "a node has 1 to 16 GPUs";
const labelRule = "use letters, digits, -, _ and ., 63 characters at most; a key may have a DNS name and / before it";
const nameRule = "use lower-case letters, digits, - and ., 63 characters at most";
const bad = [
  { text: "T4", want: `error bad-node: has no NAME=MODEL; ${shape}` },
  { text: "=T4", want: `error bad-node: has no NAME=MODEL; ${shape}` },
  { text: "", want: `error bad-node: has no NAME=MODEL; ${shape}` },
  { text: "a=T4:0", want: `error bad-node: T4:0 asks for "0" GPUs; ${oneToSixteen}` },
  { text: "a=T4:17", want: `error bad-node: T4:17 asks for "17" GPUs; ${oneToSixteen}` },
  { text: "a=T4:", want: `error bad-node: T4: asks for "" GPUs; ${oneToSixteen}` },
  { text: "a=T4:1e1", want: `error bad-node: T4:1e1 asks for "1e1" GPUs; ${oneToSixteen}` },
  { text: "a=T4:-1", want: `error bad-node: T4:-1 asks for "-1" GPUs; ${oneToSixteen}` },
  { text: "a=T4:1:2", want: `error bad-node: T4:1:2 asks for "1:2" GPUs; ${oneToSixteen}` },
  { text: "a=T4,pool", want: "error bad-node: label pool has no value; write labels as LABEL=VALUE" },
  { text: "a=T4,=x", want: "error bad-node: label =x has no value; write labels as LABEL=VALUE" },
  { text: "a=T4,p=1,q=1,p=2", want: "error bad-node: label p is there twice; give it once" },
  { text: "a=T4,a/b/c=1", want: `error bad-node: "a/b/c" is no label key; ${labelRule}` },
  { text: "a=T4,/c=1", want: `error bad-node: "/c" is no label key; ${labelRule}` },
  { text: "a=T4,Example.com/c=1", want: `error bad-node: "Example.com/c" is no label key; ${labelRule}` },
  { text: "a=T4,p=two words", want: `error bad-node: "two words" is no value for label p; ${labelRule}` },
  { text: "a=T4,p=-x", want: `error bad-node: "-x" is no value for label p; ${labelRule}` },
  { text: "Node=T4", want: `error bad-node: Node is no node name; ${nameRule}` },
  { text: "a..b=T4", want: `error bad-node: a..b is no node name; ${nameRule}` },
  { text: "a-.b=T4", want: `error bad-node: a-.b is no node name; ${nameRule}` },
  { text: `${"a".repeat(64)}=T4`, want: `error bad-node: ${"a".repeat(64)} is no node name; ${nameRule}` },
];
for (const { text, want } of bad) {
  test(`--node ${text === "" ? '""' : text} is refused`, () => {
    const read = parseNodeOption(text);
    assert.equal(read.ok, false);
    assert.deepEqual(linesOf(read.findings), [`--node ${text}: ${want}`]);
  });
}

test("a model that is not known is answered with those that come closest", () => {
  const read = parseNodeOption("a=RTX-4080");
  assert.deepEqual(
    read.findings.map((one) => [one.code, one.message, one.remedy.startsWith("write one of rtx-")]),
    [["unknown-gpu-model", 'no GPU model is called "RTX-4080"', true]],
  );
});

test("a model whose layout nobody has published is not made up", () => {
  assert.deepEqual(
    parseNodeOption("a=RTX PRO 5000").findings.map((one) => one.code),
    ["gpu-model-incomplete"],
  );
});

const nodeManifest = `\
apiVersion: v1
kind: Node
metadata:
  name: node-a
  labels:
    nvidia.com/mig.config: all-balanced
  annotations:
    tranche.dev/simulated-gpus: A100-80GB:2, T4
spec:
  taints:
  - key: nvidia.com/gpu
    value: present
    effect: NoSchedule
`;

test("a Node manifest brings GPUs of several models, labels, annotations and taints", () => {
  const [node] = declaredOf(nodeManifest).nodes;
  assert.ok(node !== undefined);
  assert.equal(nodeText(node), "node-a 2xa100-sxm4-80gb 1xt4-16gb nvidia.com/mig.config=all-balanced");
  assert.deepEqual(node.taints, [{ key: "nvidia.com/gpu", value: "present", effect: "NoSchedule" }]);
  assert.deepEqual(node.place, { file: "my.yaml", line: 1, column: 1 });
  assert.deepEqual(Object.keys(node.annotations), ["tranche.dev/simulated-gpus"]);
});

test("a Node manifest without the annotation has no GPUs", () => {
  const [node] = declaredOf("apiVersion: v1\nkind: Node\nmetadata: {name: cpu-only}\n").nodes;
  assert.deepEqual([node?.name, node?.gpus, node?.labels], ["cpu-only", [], {}]);
});

const badManifests = [
  {
    name: "an unknown model is placed at the annotation",
    from: "A100-80GB:2, T4",
    to: "A100-80GB:2, Z9000",
    want: /^my\.yaml:8:33: error unknown-gpu-model: no GPU model is called "Z9000"/,
  },
  {
    name: "more GPUs than a node can have are too many together",
    from: "A100-80GB:2, T4",
    to: "A100-80GB:10, T4:7",
    want: /^my\.yaml:8:33: error bad-node: has 17 GPUs; a node has 1 to 16 GPUs$/,
  },
  {
    name: "a label value Kubernetes refuses is placed at the value",
    from: "all-balanced",
    to: "all balanced",
    want: /^my\.yaml:6:28: error bad-node: "all balanced" is no value for label nvidia\.com\/mig\.config;/,
  },
  {
    name: "a taint with an unknown effect is placed at the taint",
    from: "effect: NoSchedule",
    to: "effect: Never",
    want: /^my\.yaml:11:5: error bad-node: taint 1 of node-a cannot be read; give it a key and an effect, one of NoSchedule,/,
  },
  {
    name: "a name Kubernetes refuses is placed at the name",
    from: "name: node-a",
    to: "name: node_a",
    want: /^my\.yaml:4:9: error bad-node: node_a is no node name;/,
  },
];
for (const { name, from, to, want } of badManifests) {
  test(name, () => {
    const [manifest] = manifestsOf(nodeManifest.replace(from, to));
    assert.ok(manifest !== undefined);
    const [line, ...more] = linesOf(parseNodeManifest(manifest).findings);
    assert.match(line ?? "", want);
    assert.deepEqual(more, []);
  });
}

test("nodes of options and manifests add up", () => {
  const { nodes, findings } = declaredOf(nodeManifest, ["b=T4", "c=T4"]);
  assert.deepEqual(
    nodes.map((node) => node.name),
    ["node-a", "b", "c"],
  );
  assert.deepEqual(findings, []);
});

test("two nodes of one name are refused", () => {
  const sorted = sortManifests(manifestsOf(nodeManifest), ["node-a=T4"]);
  assert.equal(sorted.ok, false);
  assert.deepEqual(linesOf(sorted.findings), [
    "node-a: error bad-node: node node-a is declared twice; give each node a name of its own",
  ]);
});

test("every node that cannot be read is told, not only the first", () => {
  const sorted = sortManifests([], ["a=Z9000", "b=T4:0", "c=T4"]);
  assert.deepEqual(
    sorted.findings.map((one) => one.code),
    ["unknown-gpu-model", "bad-node"],
  );
});

test("without nodes there is a small fleet, and that is said", () => {
  const { nodes, findings } = declaredOf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
  assert.deepEqual(nodes.map(nodeText), [
    "node-a100 1xa100-sxm4-80gb",
    "node-h100 1xh100-sxm5-80gb",
    "node-t4 1xt4-16gb",
  ]);
  assert.deepEqual(
    findings.map((one) => one.code),
    ["default-fleet"],
  );
});
