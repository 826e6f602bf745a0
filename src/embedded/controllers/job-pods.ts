/**
 * What a job sees in its pods (kubernetes, pkg/controller/job: `job_controller.go`, `backoff_utils.go`,
 * `pod_failure_policy.go`).
 */
import type { Pod } from "../../kube/index.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { parseIndexes } from "./index-set.ts";
import { isActive } from "./pod-state.ts";
import type { Job, PodFailureRule } from "./types.ts";

/** While a pod has it, its end is not in the job's books, and the pod stays to be counted. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";
/** Annotation and label with the index of a pod. */
export const indexKey = "batch.kubernetes.io/job-completion-index";

/** The pods of a job by what they mean for it. */
export interface JobPods {
  readonly active: readonly Pod[];
  /** On their way out, and not over yet. */
  readonly terminating: readonly Pod[];
  /** Ended, with the finalizer still on them. */
  readonly succeeded: readonly Pod[];
  readonly failed: readonly Pod[];
  /** Failed, with the finalizer still on them, and not to be counted. */
  readonly ignored: readonly Pod[];
}

/** Whether the pod's end may still be missing in the books. */
export function isTracked({ metadata }: Pod): boolean {
  return (metadata.finalizers ?? []).includes(trackingFinalizer);
}

/** Whether only pods that have ended are replaced, not those on their way out. */
export function replacesOnlyFailed({ spec }: Job): boolean {
  return (spec.podReplacementPolicy ?? (spec.podFailurePolicy === undefined ? "" : "Failed")) === "Failed";
}

/** Sorts the pods. One that is on its way out has failed, unless its end is to be waited for. */
export function sortPods(job: Job, pods: readonly Pod[]): JobPods {
  const tracked = pods.filter(isTracked);
  const hasFailed = ({ metadata, status }: Pod): boolean =>
    status?.phase === "Failed" ||
    (metadata.deletionTimestamp !== undefined && status?.phase !== "Succeeded" && !replacesOnlyFailed(job));
  const failures = Map.groupBy(tracked.filter(hasFailed), (pod) => ruleFor(job, pod)?.rule.action === "Ignore");
  return {
    active: pods.filter(isActive),
    terminating: pods.filter(({ metadata, status }) => {
      const { phase } = status ?? {};
      return metadata.deletionTimestamp !== undefined && phase !== "Failed" && phase !== "Succeeded";
    }),
    succeeded: tracked.filter(({ status }) => status?.phase === "Succeeded"),
    failed: failures.get(false) ?? [],
    ignored: failures.get(true) ?? [],
  };
}

/** A pod's index, if it has one. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[indexKey];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The indexes that need no pod any more. */
export function completedIndexes(job: Job, succeeded: readonly Pod[]): ReadonlySet<number> {
  const { completions = 0 } = job.spec;
  const indexes = new Set(parseIndexes(job.status?.completedIndexes, completions));
  for (const pod of succeeded) {
    const index = indexOf(pod) ?? completions;
    if (index < completions) indexes.add(index);
  }
  return indexes;
}

/** The rule of the job's failure policy that fits a failed pod, and what it says about it. */
export function ruleFor(job: Job, pod: Pod): { readonly rule: PodFailureRule; readonly message: string } | undefined {
  const { rules = [] } = job.spec.podFailurePolicy ?? {};
  const { namespace, name } = pod.metadata;
  for (const [at, rule] of rules.entries()) {
    const why = exitMatch(rule, pod) ?? conditionMatch(rule, pod);
    if (why === undefined) continue;
    const [subject, seen] = why;
    return { rule, message: `${subject} pod ${namespace}/${name} ${seen} matching ${rule.action} rule at index ${at}` };
  }
  return undefined;
}

function exitMatch({ onExitCodes }: PodFailureRule, { status }: Pod): readonly [string, string] | undefined {
  if (onExitCodes === undefined) return undefined;
  const { containerName, operator, values } = onExitCodes;
  const ended = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].filter(
    ({ name, state }) => (state.terminated?.exitCode ?? 0) !== 0 && (containerName ?? name) === name,
  );
  const found = ended.find(({ state }) => values.includes(state.terminated?.exitCode ?? 0) === (operator === "In"));
  return found && [`Container ${found.name} for`, `failed with exit code ${found.state.terminated?.exitCode}`];
}

function conditionMatch({ onPodConditions }: PodFailureRule, { status }: Pod): readonly [string, string] | undefined {
  const found = (status?.conditions ?? []).find((one) =>
    (onPodConditions ?? []).some((wanted) => wanted.type === one.type && (wanted.status ?? "True") === one.status),
  );
  return found && ["", `has condition ${found.type}`];
}

const backOff = { firstMs: 10_000, longestMs: 600_000 };

/**
 * How long to wait before a failed pod is replaced: ten seconds, doubled with each failure since the last success, ten
 * minutes at most. kube-controller-manager remembers the failures; here they are read from the pods, which stay.
 */
export function backOffMs(pods: readonly Pod[], nowMs: number): number {
  const ends = (phase: string): readonly number[] =>
    pods.filter((pod) => pod.status?.phase === phase).map((pod) => endedAtMs(pod));
  const lastSuccess = Math.max(...ends("Succeeded"));
  const failures = ends("Failed").filter((ms) => ms > lastSuccess);
  if (failures.length === 0) return 0;
  const wholeMs = Math.min(backOff.longestMs, backOff.firstMs * 2 ** (failures.length - 1));
  return Math.max(0, Math.max(...failures) + wholeMs - nowMs);
}

function endedAtMs({ metadata, status }: Pod): number {
  const texts = (status?.containerStatuses ?? []).map((one) => one.state.terminated?.finishedAt ?? "");
  const known = texts.map((text) => Date.parse(text)).filter((ms) => !Number.isNaN(ms));
  return known.length > 0
    ? Math.max(...known)
    : Date.parse(status?.startTime ?? metadata.creationTimestamp ?? timestamp(0));
}

/** How often containers of pods that are not over were started again. */
export function restarts(pods: readonly Pod[]): number {
  const statuses = pods.flatMap(({ status }) => [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
  ]);
  return statuses.reduce((sum, one) => sum + one.restartCount, 0);
}
