/**
 * What a deployment's status says (kubernetes, pkg/controller/deployment: `progress.go`, `sync.go`): pure.
 */

import { timestamp } from "../kubelet/pod-status.ts";
import { withCondition, withoutCondition } from "./conditions.ts";
import { leewayOf, type Sets, sumOfSizes, wantedReplicas } from "./deployment-size.ts";
import { nonZero } from "./same.ts";
import type { Deployment, DeploymentStatus, ReplicaSet, TimedCondition } from "./types.ts";

type Conditions = readonly TimedCondition[];

/** No rollout of so many seconds can be late; kubectl writes it for "never". */
const never = 2 ** 31 - 1;

/** After how many seconds without progress a rollout has failed; `undefined` for never. */
export function progressDeadline({ spec }: Deployment): number | undefined {
  return spec.progressDeadlineSeconds === never ? undefined : spec.progressDeadlineSeconds;
}

/** A condition of which everything but the time is given. */
export function timedCondition(
  type: string,
  told: { readonly status: TimedCondition["status"]; readonly reason: string; readonly message: string },
  nowMs: number,
): TimedCondition {
  return { type, ...told, lastUpdateTime: timestamp(nowMs), lastTransitionTime: timestamp(nowMs) };
}

/** How the rollout goes, if the status says. */
export function progressing(status: DeploymentStatus | undefined): TimedCondition | undefined {
  return status?.conditions?.find(({ type }) => type === "Progressing");
}

/** Counts and availability; the other conditions stay. */
export function countedStatus(deployment: Deployment, sets: Sets, nowMs: number): DeploymentStatus {
  const { fresh, old } = sets;
  const all = fresh === undefined ? old : [...old, fresh];
  const sum = (count: (set: ReplicaSet) => number | undefined): number =>
    all.reduce((total, set) => total + (count(set) ?? 0), 0);
  const available = sum((set) => set.status?.availableReplicas);
  const isEnough = available >= wantedReplicas(deployment) - leewayOf(deployment).unavailable;
  const condition = timedCondition(
    "Available",
    isEnough
      ? { status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
      : {
          status: "False",
          reason: "MinimumReplicasUnavailable",
          message: "Deployment does not have minimum availability.",
        },
    nowMs,
  );
  const { collisionCount, conditions } = deployment.status ?? {};
  const counts: Omit<DeploymentStatus, "collisionCount" | "conditions"> = nonZero({
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum((set) => set.status?.replicas),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum((set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sumOfSizes(all) - available),
  });
  return {
    ...counts,
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: withCondition(conditions, condition),
  };
}

/** Counts, and what they say about the rollout. */
export function rolloutStatus(deployment: Deployment, sets: Sets, nowMs: number): DeploymentStatus {
  const status = countedStatus(deployment, sets, nowMs);
  const conditions = withReplicaFailure(rolloutConditions(deployment, { status, sets, nowMs }), sets);
  return { ...status, conditions };
}

interface Rollout {
  readonly status: DeploymentStatus;
  readonly sets: Sets;
  readonly nowMs: number;
}

function rolloutConditions(deployment: Deployment, { status, sets, nowMs }: Rollout): Conditions {
  const { conditions = [] } = status;
  if (progressDeadline(deployment) === undefined) return withoutCondition(conditions, "Progressing");
  const current = progressing(status);
  const isDone = status.replicas === status.updatedReplicas && current?.reason === "NewReplicaSetAvailable";
  if (isDone) return conditions;
  const { name } = deployment.metadata;
  const subject = sets.fresh === undefined ? `Deployment "${name}"` : `ReplicaSet "${sets.fresh.metadata.name}"`;
  if (isComplete(deployment, status)) {
    const message = `${subject} has successfully progressed.`;
    const told = { status: "True", reason: "NewReplicaSetAvailable", message } as const;
    return withCondition(conditions, timedCondition("Progressing", told, nowMs));
  }
  if (hasProgressed(deployment.status, status)) {
    const told = { status: "True", reason: "ReplicaSetUpdated", message: `${subject} is progressing.` } as const;
    const condition = timedCondition("Progressing", told, nowMs);
    // Taken out first, since only the time of the update may be new.
    const since = current?.status === "True" ? current.lastTransitionTime : undefined;
    const timed = since === undefined ? {} : { lastTransitionTime: since };
    return [...withoutCondition(conditions, "Progressing"), { ...condition, ...timed }];
  }
  if (isLate(deployment, status, nowMs)) {
    const message = `${subject} has timed out progressing.`;
    const told = { status: "False", reason: "ProgressDeadlineExceeded", message } as const;
    return withCondition(conditions, timedCondition("Progressing", told, nowMs));
  }
  return conditions;
}

/** A set that cannot make its pods speaks for the deployment, the present one first. */
function withReplicaFailure(conditions: Conditions, { fresh, old }: Sets): Conditions {
  const failures = [fresh, ...old].flatMap((set) =>
    (set?.status?.conditions ?? []).filter(({ type }) => type === "ReplicaFailure"),
  );
  const [failure] = failures;
  if (failure === undefined) return withoutCondition(conditions, "ReplicaFailure");
  const { lastTransitionTime } = failure;
  const timed = lastTransitionTime === undefined ? {} : { lastUpdateTime: lastTransitionTime };
  return withCondition(conditions, { ...failure, ...timed });
}

/** Whether all pods are of the present template and available, and none is left of another. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = wantedReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(before: DeploymentStatus = {}, now: DeploymentStatus): boolean {
  const oldOf = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus): number => replicas - updatedReplicas;
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    oldOf(now) < oldOf(before) ||
    (now.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function isLate(deployment: Deployment, status: DeploymentStatus, nowMs: number): boolean {
  const current = progressing(status);
  if (current === undefined || current.reason === "NewReplicaSetAvailable") return false;
  return current.reason === "ProgressDeadlineExceeded" || (lateInMs(deployment, current, nowMs) ?? 1) <= 0;
}

function lateInMs(deployment: Deployment, current: TimedCondition, nowMs: number): number | undefined {
  const seconds = progressDeadline(deployment);
  return seconds === undefined ? undefined : Date.parse(current.lastUpdateTime ?? "") + seconds * 1000 - nowMs;
}

/** How long until a rollout under way is late, a second more so that it surely is; `undefined` when none can be. */
export function lookAgainInMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const current = progressing(status);
  if (current === undefined || isComplete(deployment, status)) return undefined;
  if (["ProgressDeadlineExceeded", "NewReplicaSetAvailable"].includes(current.reason ?? "")) return undefined;
  const waitMs = lateInMs(deployment, current, nowMs);
  return waitMs === undefined ? undefined : Math.max(0, waitMs) + 1000;
}

/** The conditions with a pause, or the end of one, told. */
export function pauseTold(deployment: Deployment, nowMs: number): Conditions {
  const { conditions = [] } = deployment.status ?? {};
  const current = progressing(deployment.status);
  if (progressDeadline(deployment) === undefined || current?.reason === "ProgressDeadlineExceeded") return conditions;
  const isTold = current?.reason === "DeploymentPaused";
  const isPaused = deployment.spec.paused === true;
  if (isPaused === isTold) return conditions;
  const told = isPaused
    ? ({ status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused" } as const)
    : ({ status: "Unknown", reason: "DeploymentResumed", message: "Deployment is resumed" } as const);
  return withCondition(conditions, timedCondition("Progressing", told, nowMs));
}
