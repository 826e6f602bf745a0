/** Every example of `examples/` runs as it is and ends as its head comment says. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Report } from "../../src/insight/index.ts";
import { phases, profiles, runUp } from "../support/run-up.ts";

const examples = fileURLToPath(new URL("../../examples/", import.meta.url));

interface Expected {
  readonly phases: Readonly<Record<string, string>>;
  readonly profiles?: Readonly<Record<string, readonly string[]>>;
  /** Codes of the findings, sorted, each once. */
  readonly findings?: readonly string[];
  /** `nvidia.com/` resources with devices, by node. */
  readonly allocatable?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const many = (prefix: string, count: number, phase: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}-${at + 1}`, phase]));

const expectations: Readonly<Record<string, Expected>> = {
  "quick-start.yaml": {
    phases: Object.fromEntries([..."abcdefgh"].map((letter) => [`pod-${letter}`, "Running"])),
    profiles: { "node-a100": ["1g.10gb@0", "1g.10gb@1", "1g.10gb@2", "3g.40gb@4"], "node-t4": [] },
    allocatable: {
      "node-a100": { "nvidia.com/mig-1g.10gb": "3", "nvidia.com/mig-3g.40gb": "1" },
      "node-t4": { "nvidia.com/gpu": "4" },
    },
    findings: [],
  },
  "all-1g.10gb.yaml": {
    phases: many("small", 7, "Running"),
    profiles: { "node-h100": [0, 1, 2, 3, 4, 5, 6].map((start) => `1g.10gb@${start}`) },
    findings: [],
  },
  "all-3g.40gb.yaml": {
    phases: { "half-1": "Running", "half-2": "Running", "half-3": "Pending" },
    profiles: { "node-a100": ["3g.40gb@0", "3g.40gb@4"] },
    allocatable: { "node-a100": { "nvidia.com/gpu": "2" } },
    findings: ["pod-unschedulable"],
  },
  "all-balanced.yaml": {
    phases: { notebook: "Running", batch: "Running", training: "Running", edge: "Running" },
    allocatable: {
      "node-a100": { "nvidia.com/mig-1g.10gb": "4", "nvidia.com/mig-2g.20gb": "2", "nvidia.com/mig-3g.40gb": "2" },
      "node-a30": { "nvidia.com/mig-1g.6gb": "2", "nvidia.com/mig-2g.12gb": "1" },
    },
    // The config names more models than a node has.
    findings: ["mig-entries-elsewhere"],
  },
  "mixed-nodes.yaml": {
    phases: {
      "whole-1": "Running",
      "whole-2": "Running",
      "slice-1": "Running",
      "slice-2": "Running",
      "share-1": "Running",
      "share-2": "Running",
    },
    allocatable: {
      "node-a100": { "nvidia.com/gpu": "1", "nvidia.com/mig-2g.20gb": "3" },
      "node-t4": { "nvidia.com/gpu.shared": "2" },
      "node-l4": { "nvidia.com/gpu": "1" },
    },
    findings: [],
  },
  "pick-a-model.yaml": {
    phases: { inference: "Running", training: "Running", waiting: "Pending" },
    findings: ["pod-unschedulable"],
  },
  "renamed-shares.yaml": {
    phases: { whole: "Running", half: "Running", ...many("eighth", 3, "Running") },
    allocatable: {
      "node-l4": { "nvidia.com/gpu": "1", "nvidia.com/gpu-half": "2", "nvidia.com/gpu-eighth": "8" },
    },
    findings: ["beyond-device-plugin"],
  },
  "one-share-only.yaml": {
    phases: { greedy: "Failed", modest: "Running" },
    findings: ["pod-refused"],
  },
  "mig-time-sliced.yaml": {
    phases: many("shared", 4, "Running"),
    allocatable: { "node-a100": { "nvidia.com/mig-3g.40gb": "4" } },
    findings: [],
  },
  "out-of-memory.yaml": {
    phases: { "hungry-1": "Running", "hungry-2": "Failed", "hungry-3": "Failed", "hungry-4": "Failed" },
    findings: ["out-of-memory"],
  },
  "mps.yaml": {
    phases: { quarter: "Running", half: "Running", "too-much": "Failed" },
    allocatable: { "node-l4": { "nvidia.com/gpu-quarter": "4", "nvidia.com/gpu-half": "2" } },
    findings: ["beyond-device-plugin", "out-of-memory"],
  },
  "no-labels.yaml": {
    phases: { small: "Running", large: "Running" },
    allocatable: { "node-t4": { "nvidia.com/gpu": "4" } },
    findings: ["config-map-adopted", "default-fleet", "mig-config-chosen", "shared-resource-absent"],
  },
  "deployment.yaml": {
    phases: {
      ...many("inference", 3, "Running"),
      ...many("training", 2, "Running"),
      ...many("monitoring", 2, "Running"),
    },
    profiles: { "node-a100": ["3g.40gb@0", "3g.40gb@4"], "node-t4": [] },
    allocatable: { "node-a100": { "nvidia.com/mig-3g.40gb": "2" }, "node-t4": { "nvidia.com/gpu": "4" } },
    findings: ["mig-config-chosen"],
  },
};

test("every example has an expectation", async () => {
  assert.deepEqual((await readdir(examples)).sort(), Object.keys(expectations).sort());
});

for (const [file, expected] of Object.entries(expectations)) {
  test(`${file} ends as it says`, async () => {
    const { code, report, run } = await runUp(["-f", `${examples}${file}`]);
    assert.equal(code, 0, run.progress);
    assert.deepEqual(sortedPhases(report), sortedRecord(expected.phases));
    for (const [node, wanted] of Object.entries(expected.profiles ?? {}))
      assert.deepEqual(profiles(report)[node], wanted);
    for (const [node, wanted] of Object.entries(expected.allocatable ?? {}))
      assert.deepEqual(offered(report, node), wanted);
    if (expected.findings !== undefined) {
      assert.deepEqual([...new Set(report.findings.map((one) => one.code))].sort(), expected.findings);
    }
  });
}

/** What the API makes of `generateName`, behind the hash of a template where there is one. */
const generated = /^(.+?)(?:-[b-df-hj-np-tv-xz24-9]{6,10})?-[b-df-hj-np-tv-xz24-9]{5}$/;

/**
 * Of equal pods it is open which one comes first, so they are compared by how many end how; pods of a workload count as
 * `WORKLOAD-1` and so on.
 */
function sortedPhases(report: Report): Record<string, string> {
  const found = Object.entries(phases(report)).map(([name, phase], at): [string, string] => {
    const [, workload] = generated.exec(name) ?? [];
    return [workload === undefined ? name : `${workload}-${at}`, phase];
  });
  const groups = Map.groupBy(found, ([name]) => name.replace(/-\d+$/, ""));
  return Object.fromEntries(
    [...groups].flatMap(([workload, group]) => {
      const isNumbered = group.every(([name]) => name !== workload);
      const names = isNumbered ? group.map((_, at) => `${workload}-${at + 1}`) : group.map(([name]) => name).sort();
      const order = ["Running", "Succeeded", "Pending", "Failed"];
      const ends = group.map(([, phase]) => phase).sort((a, b) => order.indexOf(a) - order.indexOf(b));
      return names.map((name, at) => [name, ends[at] ?? ""]);
    }),
  );
}

function sortedRecord(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record));
}

function offered(report: Report, node: string): Record<string, string> {
  const all = report.nodes.find((one) => one.name === node)?.allocatable ?? {};
  return Object.fromEntries(
    Object.entries(all).filter(([name, count]) => name.startsWith("nvidia.com/") && count !== "0"),
  );
}
