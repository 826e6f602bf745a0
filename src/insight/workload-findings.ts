/**
 * Why a workload is not what its author wants, where its pods do not tell it themselves: pods that could not be made, a
 * rollout that is late, a job that failed.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import type { Condition, KubeObject } from "../kube/index.ts";

/** A Deployment, ReplicaSet, DaemonSet or Job, as far as its conditions go. */
export interface Workload extends KubeObject {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly startTime?: string;
    readonly conditions?: readonly Condition[];
  };
}

/** At most one finding for each workload. What belongs to another is told of that one. */
export function workloadFindings(workloads: readonly Workload[]): readonly Finding[] {
  const tops = workloads.filter(({ metadata }) => !metadata.ownerReferences?.some((one) => one.controller === true));
  return tops.flatMap((one) => podsNotMade(one) ?? rolloutLate(one) ?? jobFailed(one) ?? []);
}

function subjectOf({ metadata }: Workload): Subject {
  return { kind: "config", name: `${metadata.namespace ?? ""}/${metadata.name}` };
}

function conditionOf({ status }: Workload, type: string): Condition | undefined {
  return status?.conditions?.find((one) => one.type === type);
}

function podsNotMade(workload: Workload): Finding | undefined {
  const failure = conditionOf(workload, "ReplicaFailure");
  if (failure?.status !== "True") return undefined;
  const { kind } = workload;
  const { name, namespace = "default" } = workload.metadata;
  const { reason = "", message = "" } = failure;
  return finding("pods-not-made", subjectOf(workload), `pods of ${kind} ${name} were refused: ${message}`, {
    remedy: `correct what is refused; the controller tries again. kubectl describe -n ${namespace} ${kind.toLowerCase()} ${name} tells when`,
    evidence: { reason },
  });
}

function rolloutLate(workload: Workload): Finding | undefined {
  const progress = conditionOf(workload, "Progressing");
  if (progress?.reason !== "ProgressDeadlineExceeded") return undefined;
  const { name } = workload.metadata;
  return finding("rollout-late", subjectOf(workload), `the rollout of Deployment ${name} makes no progress`, {
    remedy: "where old pods hold the GPUs that new ones wait for: set maxSurge to 0 and maxUnavailable to 1",
    evidence: { reason: progress.reason, message: progress.message ?? "" },
  });
}

function jobFailed(workload: Workload): Finding | undefined {
  if (workload.kind !== "Job") return undefined;
  const failed = conditionOf(workload, "Failed");
  if (failed?.status !== "True") return undefined;
  const { name, namespace = "default" } = workload.metadata;
  const { reason = "", message = "" } = failed;
  return finding("job-failed", subjectOf(workload), `Job ${name} failed: ${message}`, {
    remedy: `look at its pods: kubectl logs -n ${namespace} -l batch.kubernetes.io/job-name=${name}`,
    evidence: { reason },
  });
}
