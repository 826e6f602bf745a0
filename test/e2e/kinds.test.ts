/** Which kinds of manifests a cluster takes. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { phases, runUp } from "../support/run-up.ts";

const manifests = `
apiVersion: v1
kind: Pod
metadata: { name: urgent }
spec:
  priorityClassName: training
  containers: [{ name: main, image: cuda, resources: { limits: { nvidia.com/gpu: 1 } } }]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: training }
value: 1000
---
apiVersion: example.com/v1
kind: Thing
metadata: { name: other }
`;

test("a class stands before the pod that names it, and a kind nobody serves is named and left out", async () => {
  const directory = await mkdtemp(join(tmpdir(), "kinds-"));
  try {
    const file = join(directory, "manifests.yaml");
    await writeFile(file, manifests);
    const { code, report, run } = await runUp(["-f", file, "--node", "a=T4"]);
    assert.equal(code, 0, run.progress);
    assert.deepEqual(phases(report), { urgent: "Running" });
    assert.deepEqual(
      report.findings.map((one) => [one.code, one.place?.line]),
      [["kind-not-served", 14]],
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

const workloads = `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: ordered }
spec:
  selector: { matchLabels: { app: ordered } }
  template:
    metadata: { labels: { app: ordered } }
    spec: { containers: [{ name: main, image: app }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: app }] }
`;

test("a kind that no controller runs is named, and one that is run has pods", async () => {
  const directory = await mkdtemp(join(tmpdir(), "kinds-"));
  try {
    const file = join(directory, "manifests.yaml");
    await writeFile(file, workloads);
    const { report } = await runUp(["-f", file, "--node", "a=T4"]);
    assert.deepEqual(
      report.findings.map((one) => [one.code, one.place?.line]),
      [["kind-not-run", 2]],
    );
    assert.deepEqual(
      report.pods.map((one) => [one.name.split("-")[0], one.phase]),
      [["web", "Running"]],
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
