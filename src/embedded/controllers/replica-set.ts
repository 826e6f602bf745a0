/**
 * What a replica set does next (kubernetes, pkg/controller/replicaset): pure.
 */
import type { Condition, Pod } from "../../kube/index.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { withCondition, withoutCondition } from "./conditions.ts";
import { isAvailable, isReady } from "./pod-state.ts";
import { podsToDelete } from "./rank.ts";
import { nonZero } from "./same.ts";
import type { ReplicaSet, ReplicaSetStatus } from "./types.ts";

/** As many pods as one look makes or removes at most. */
const burst = 500;

/** How many pods to create, or which to delete. */
export interface ReplicaSetPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
  /** How long to wait before creating, because pods failed right after they were made. */
  readonly waitMs: number;
}

export interface ReplicaSetFacts {
  readonly set: ReplicaSet;
  /** Its pods that count. */
  readonly active: readonly Pod[];
  /** Its pods that failed. */
  readonly failed: readonly Pod[];
  /** The pods that count of all sets of the same deployment. */
  readonly neighbours: readonly Pod[];
  readonly nowMs: number;
}

/** Compares what is wanted with what there is. */
export function planReplicaSet({ set, active, failed, neighbours, nowMs }: ReplicaSetFacts): ReplicaSetPlan {
  const surplus = active.length - (set.spec.replicas ?? 1);
  if (surplus > 0) {
    const remove = podsToDelete(active, Math.min(surplus, burst), { neighbours, nowMs });
    return { create: 0, remove, waitMs: 0 };
  }
  const waitMs = surplus < 0 ? creationPauseMs(failed, nowMs) : 0;
  return { create: waitMs > 0 ? 0 : Math.min(-surplus, burst), remove: [], waitMs };
}

const pauseMs = { first: 1000, longest: 300_000, memory: 600_000 };

/**
 * How long to wait before a failed pod is replaced: a second after the first failure within ten minutes, twice as long
 * after each further one.
 *
 * kube-controller-manager does not wait. A node that refuses a pod at once, as for lack of a device, would then be asked
 * hundreds of times a minute, and each time leave a failed pod behind.
 */
export function creationPauseMs(failed: readonly Pod[], nowMs: number): number {
  const times = failed.map(failedAtMs).filter((ms) => nowMs - ms < pauseMs.memory);
  if (times.length === 0) return 0;
  const wholeMs = Math.min(pauseMs.longest, pauseMs.first * 2 ** (times.length - 1));
  return Math.max(0, Math.max(...times) + wholeMs - nowMs);
}

function failedAtMs({ metadata, status }: Pod): number {
  const ends = (status?.containerStatuses ?? []).map((one) => Date.parse(one.state.terminated?.finishedAt ?? ""));
  const known = ends.filter((ms) => !Number.isNaN(ms));
  return known.length > 0 ? Math.max(...known) : Date.parse(status?.startTime ?? metadata.creationTimestamp ?? "");
}

/** A creation or deletion that the server refused. */
export interface Failure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

/** The status that follows from the pods that count. */
export function replicaSetStatus(
  set: ReplicaSet,
  active: readonly Pod[],
  { nowMs, failure }: { readonly nowMs: number; readonly failure: Failure | undefined },
): ReplicaSetStatus {
  const wanted = Object.entries(set.spec.template.metadata?.labels ?? {});
  const { minReadySeconds = 0 } = set.spec;
  const conditions = failureConditions(set.status?.conditions, failure, nowMs);
  const counts: Omit<ReplicaSetStatus, "replicas" | "conditions"> = nonZero({
    fullyLabeledReplicas: active.filter(({ metadata }) =>
      wanted.every(([key, value]) => metadata.labels?.[key] === value),
    ).length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: active.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length,
    observedGeneration: set.metadata.generation ?? 0,
  });
  return { replicas: active.length, ...counts, ...(conditions.length === 0 ? {} : { conditions }) };
}

function failureConditions(
  conditions: readonly Condition[] | undefined,
  failure: Failure | undefined,
  nowMs: number,
): readonly Condition[] {
  if (failure === undefined) return withoutCondition(conditions, "ReplicaFailure");
  const told: Condition = { type: "ReplicaFailure", status: "True", ...failure, lastTransitionTime: timestamp(nowMs) };
  return withCondition(conditions, told);
}
