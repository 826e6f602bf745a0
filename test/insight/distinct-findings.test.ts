import assert from "node:assert/strict";
import { test } from "node:test";
import { type Finding, finding, type Place, placeText } from "../../src/base/index.ts";
import { buildReport, type NodeSnapshot } from "../../src/insight/index.ts";
import { snapshot } from "./support/cluster.ts";

const inFile: Place = { file: "my.yaml", line: 12, column: 3 };
const inConfigMap: Place = { file: "configmap/gpu-operator/plugin/config.yaml", line: 4, column: 1 };

function ignoredKey(place: Place, kind: "config" | "file" = "config"): Finding {
  return finding("ignored-key", { kind, name: place.file }, "key replica means nothing here", { place });
}

/** `place or subject: message` of what a report tells. */
function told(findings: readonly Finding[], snapshots: readonly NodeSnapshot[]): readonly string[] {
  const report = buildReport({ nodes: [], pods: [], snapshots, findings });
  return report.findings.map((one) => (one.place === undefined ? one.subject.name : placeText(one.place)));
}

const rows = [
  {
    name: "a mistake that the agents find again is told once, with the place in the user's file",
    first: [ignoredKey(inFile)],
    agents: [[ignoredKey(inConfigMap)], [ignoredKey(inConfigMap)]],
    want: ["my.yaml:12:3"],
  },
  {
    name: "a mistake in a file is the same one when the agents tell it of a config",
    first: [ignoredKey(inFile, "file")],
    agents: [[ignoredKey(inConfigMap)]],
    want: ["my.yaml:12:3"],
  },
  {
    name: "a mistake that only agents see is told once for all of them",
    first: [],
    agents: [[ignoredKey(inConfigMap)], [ignoredKey(inConfigMap)]],
    want: ["configmap/gpu-operator/plugin/config.yaml:4:1"],
  },
  {
    name: "the same mistake at two places of a file is told twice",
    first: [ignoredKey(inFile), ignoredKey({ ...inFile, line: 20 }), ignoredKey(inFile)],
    agents: [[ignoredKey(inConfigMap)]],
    want: ["my.yaml:12:3", "my.yaml:20:3"],
  },
  {
    name: "what two GPUs have in common is told of both",
    first: [],
    agents: [
      [finding("mig-gpu-empty", { kind: "gpu", name: "a GPU 0" }, "it has no MIG device")],
      [finding("mig-gpu-empty", { kind: "gpu", name: "b GPU 0" }, "it has no MIG device")],
    ],
    want: ["a GPU 0", "b GPU 0"],
  },
  {
    name: "a node's finding does not go because a file has one with the same words",
    first: [finding("shared-resource-absent", { kind: "file", name: "my.yaml" }, "nothing is shared")],
    agents: [[finding("shared-resource-absent", { kind: "node", name: "a" }, "nothing is shared")]],
    want: ["my.yaml", "a"],
  },
  {
    name: "another message about the same place is another finding",
    first: [ignoredKey(inFile)],
    agents: [[finding("ignored-key", { kind: "config", name: "x" }, "key foo means nothing here")]],
    want: ["my.yaml:12:3", "x"],
  },
];
for (const { name, first, agents, want } of rows) {
  test(name, () => {
    const snapshots = agents.map((findings, at) => snapshot(`node-${at}`, { findings }));
    assert.deepEqual(told(first, snapshots), want);
  });
}
