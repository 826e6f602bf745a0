import assert from "node:assert/strict";
import { test } from "node:test";
import { findingLine } from "../../src/base/index.ts";
import { type Workload, workloadFindings } from "../../src/insight/workload-findings.ts";
import type { Condition } from "../../src/kube/index.ts";

function workload(kind: string, conditions: readonly Condition[], isOwned = false): Workload {
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "top", uid: "1", controller: true };
  const metadata = { name: "web", namespace: "ml", ...(isOwned ? { ownerReferences: [owner] } : {}) };
  return { apiVersion: "apps/v1", kind, metadata, status: { conditions } };
}

const failure: Condition = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "no quota" };
const late: Condition = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "late" };
const failed: Condition = { type: "Failed", status: "True", reason: "BackoffLimitExceeded", message: "too often" };

const rows = [
  {
    name: "refused pods are told with the server's words",
    given: [workload("Deployment", [late, failure])],
    want: [
      /^ml\/web: warning pods-not-made: pods of Deployment web were refused: no quota; correct what is refused.* kubectl describe -n ml deployment web tells when$/,
    ],
  },
  {
    name: "what a deployment's set could not do is told of the deployment alone",
    given: [workload("Deployment", [failure]), workload("ReplicaSet", [failure], true)],
    want: [/pods of Deployment web/],
  },
  {
    name: "a late rollout is told with the way out",
    given: [workload("Deployment", [late])],
    want: [/rollout-late: the rollout of Deployment web makes no progress; .*maxSurge to 0/],
  },
  {
    name: "a failed job is told with its reason",
    given: [workload("Job", [{ ...failed, type: "FailureTarget" }, failed])],
    want: [
      /job-failed: Job web failed: too often; look at its pods: kubectl logs -n ml -l batch\.kubernetes\.io\/job-name=web$/,
    ],
  },
  {
    name: "what goes well is not told",
    given: [
      workload("Deployment", [{ type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" }]),
      workload("Job", [{ type: "Complete", status: "True" }]),
      workload("DaemonSet", []),
    ],
    want: [],
  },
];
for (const { name, given, want } of rows) {
  test(name, () => {
    const lines = workloadFindings(given).map(findingLine);
    assert.equal(lines.length, want.length, lines.join("\n"));
    for (const [index, pattern] of want.entries()) assert.match(lines[index] ?? "", pattern);
  });
}
