/**
 * What a deployment does next (kubernetes, pkg/controller/deployment): from what there is to a list of steps, pure.
 *
 * One look brings one kind of change; the next, when the caches show it, the one that follows. So it is with
 * kube-controller-manager too, and a look that breaks off leaves nothing that the next would not find.
 */
import type { Pod } from "../../kube/index.ts";
import { withCondition } from "./conditions.ts";
import {
  expiredSets,
  newReplicaSet,
  nextRevision,
  renewedSet,
  resizedSet,
  revisionNote,
  revisionOf,
  sortSets,
} from "./deployment-revision.ts";
import { freshSize, isScaled, type Resize, type Sets, scaleSets, shrinkOld, sizeOf } from "./deployment-size.ts";
import {
  countedStatus,
  isComplete,
  pauseTold,
  progressDeadline,
  progressing,
  rolloutStatus,
  timedCondition,
} from "./deployment-status.ts";
import { controllerOf } from "./owners.ts";
import { hasEnded } from "./pod-state.ts";
import { meaningOf } from "./same.ts";
import type { Deployment, DeploymentStatus, ReplicaSet } from "./types.ts";

/** One change. */
export type DeploymentStep =
  | { readonly kind: "create"; readonly set: ReplicaSet }
  /** `was` is the size before; `undefined` where the size stays. */
  | { readonly kind: "update"; readonly set: ReplicaSet; readonly was: number | undefined }
  | { readonly kind: "delete"; readonly set: ReplicaSet }
  /** Notes the number of the present revision on the deployment. */
  | { readonly kind: "note"; readonly revision: string };

export interface DeploymentPlan {
  readonly steps: readonly DeploymentStep[];
  readonly status: DeploymentStatus;
}

export interface DeploymentFacts {
  readonly deployment: Deployment;
  /** Its replica sets. */
  readonly sets: readonly ReplicaSet[];
  /** The pods of these sets. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** Compares what is wanted with what there is. */
export function planDeployment(facts: DeploymentFacts): DeploymentPlan {
  const { nowMs } = facts;
  const conditions = pauseTold(facts.deployment, nowMs);
  const deployment = { ...facts.deployment, status: { ...facts.deployment.status, conditions } };
  const sets = sortSets(deployment, facts.sets);
  if (deployment.metadata.deletionTimestamp !== undefined) return after(deployment, sets, { nowMs, steps: [] });
  const renewing = renewal(deployment, sets, nowMs);
  if (renewing.changesSet) return after(renewing.deployment, renewing.sets, { nowMs, steps: renewing.steps });
  const known = { ...facts, deployment: renewing.deployment };
  const plan = follow(known, sets);
  return { ...plan, steps: [...renewing.steps, ...plan.steps] };
}

function follow(facts: DeploymentFacts, sets: Sets): DeploymentPlan {
  const { deployment, nowMs } = facts;
  if (deployment.spec.paused === true || isScaled(deployment, sets)) {
    const resizes = scaleSets(deployment, sets);
    const expired = deployment.spec.paused === true ? expiredSets(deployment, sets.old) : [];
    const done = resized(deployment, sets, resizes);
    return after(deployment, done.sets, { nowMs, steps: [...done.steps, ...expired.map(deletion)] });
  }
  return deployment.spec.strategy?.type === "Recreate" ? recreate(facts, sets) : roll(facts, sets);
}

interface Renewal {
  readonly deployment: Deployment;
  readonly sets: Sets;
  readonly steps: readonly DeploymentStep[];
  /** Whether a set is to be written, so that all else waits. */
  readonly changesSet: boolean;
}

/** Brings the number of the revision and what else is noted on the present set up to date. */
function renewal(deployment: Deployment, sets: Sets, nowMs: number): Renewal {
  const { fresh } = sets;
  if (fresh === undefined) return { deployment, sets, steps: [], changesSet: false };
  const renewed = renewedSet(deployment, fresh, nextRevision(sets));
  const revision = String(revisionOf(renewed));
  const isNoted = deployment.metadata.annotations?.[revisionNote] === revision;
  const steps: DeploymentStep[] = isNoted ? [] : [{ kind: "note", revision }];
  if (renewed !== fresh) steps.unshift({ kind: "update", set: renewed, was: undefined });
  let told = deployment;
  if (progressDeadline(deployment) !== undefined && progressing(deployment.status) === undefined) {
    told = toldOf(deployment, ["FoundNewReplicaSet", `Found new replica set "${fresh.metadata.name}"`], nowMs);
  }
  return { deployment: told, sets: { ...sets, fresh: renewed }, steps, changesSet: renewed !== fresh };
}

function roll(facts: DeploymentFacts, sets: Sets): DeploymentPlan {
  const { deployment, nowMs } = facts;
  if (sets.fresh === undefined) return introduce(deployment, sets, nowMs);
  const size = freshSize(deployment, sets);
  const resizes = size === sizeOf(sets.fresh) ? shrinkOld(deployment, sets) : [{ set: sets.fresh, size }];
  return concluded(deployment, sets, { resizes, nowMs });
}

function recreate({ deployment, pods, nowMs }: DeploymentFacts, sets: Sets): DeploymentPlan {
  const active = sets.old.filter((set) => sizeOf(set) > 0);
  if (active.length > 0) {
    return concluded(deployment, sets, { resizes: active.map((set) => ({ set, size: 0 })), nowMs });
  }
  const olds = new Set(sets.old.map((set) => set.metadata.uid));
  const oldRuns = pods.some((pod) => olds.has(controllerOf(pod)?.uid) && !hasEnded(pod));
  if (oldRuns) return concluded(deployment, sets, { resizes: [], nowMs });
  if (sets.fresh === undefined) return introduce(deployment, sets, nowMs);
  const size = freshSize(deployment, sets);
  const resizes = size === sizeOf(sets.fresh) ? [] : [{ set: sets.fresh, size }];
  return concluded(deployment, sets, { resizes, nowMs });
}

/** The replica set of a new template comes. */
function introduce(deployment: Deployment, sets: Sets, nowMs: number): DeploymentPlan {
  const set = newReplicaSet(deployment, nextRevision(sets), freshSize(deployment, sets));
  const told = toldOf(deployment, ["NewReplicaSetCreated", `Created new replica set "${set.metadata.name}"`], nowMs);
  const steps = [{ kind: "create", set } as const];
  return after(
    progressDeadline(deployment) === undefined ? deployment : told,
    { ...sets, fresh: set },
    { nowMs, steps },
  );
}

interface Conclusion {
  readonly resizes: readonly Resize[];
  readonly nowMs: number;
}

/** Sets change their size; when nothing is left to do, those that fall out of the history go. */
function concluded(deployment: Deployment, sets: Sets, { resizes, nowMs }: Conclusion): DeploymentPlan {
  const done = resized(deployment, sets, resizes);
  const isOver = resizes.length === 0 && isComplete(deployment, deployment.status ?? {});
  const expired = isOver ? expiredSets(deployment, sets.old) : [];
  return after(deployment, done.sets, { nowMs, steps: [...done.steps, ...expired.map(deletion)] });
}

function resized(
  deployment: Deployment,
  sets: Sets,
  resizes: readonly Resize[],
): { steps: DeploymentStep[]; sets: Sets } {
  const changed = new Map(resizes.map(({ set, size }) => [set, resizedSet(deployment, set, size)]));
  const now = (set: ReplicaSet): ReplicaSet => changed.get(set) ?? set;
  const real = resizes.filter(({ set }) => meaningOf(now(set)) !== meaningOf(set));
  const steps = real.map(({ set }): DeploymentStep => ({ kind: "update", set: now(set), was: sizeOf(set) }));
  return { steps, sets: { fresh: sets.fresh && now(sets.fresh), old: sets.old.map(now) } };
}

interface Afterwards {
  readonly steps: readonly DeploymentStep[];
  readonly nowMs: number;
}

/** The steps and the status that goes with them. */
function after(deployment: Deployment, sets: Sets, { steps, nowMs }: Afterwards): DeploymentPlan {
  const isQuiet = deployment.spec.paused === true || deployment.metadata.deletionTimestamp !== undefined;
  const status = isQuiet ? countedStatus(deployment, sets, nowMs) : rolloutStatus(deployment, sets, nowMs);
  return { steps, status };
}

function deletion(set: ReplicaSet): DeploymentStep {
  return { kind: "delete", set };
}

function toldOf(deployment: Deployment, [reason, message]: readonly [string, string], nowMs: number): Deployment {
  const condition = timedCondition("Progressing", { status: "True", reason, message }, nowMs);
  const conditions = withCondition(deployment.status?.conditions, condition);
  return { ...deployment, status: { ...deployment.status, conditions } };
}
