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
