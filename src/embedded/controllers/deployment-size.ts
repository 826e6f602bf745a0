/**
 * How many pods each replica set of a deployment shall have (kubernetes, pkg/controller/deployment: `rolling.go`,
 * `sync.go`, util/`deployment_util.go`): pure arithmetic.
 */
import { amountOf } from "./share.ts";
import type { Deployment, ReplicaSet } from "./types.ts";

/** Annotations on each replica set that tell for which size of the deployment it was made. */
export const desiredReplicas = "deployment.kubernetes.io/desired-replicas";
export const maxReplicas = "deployment.kubernetes.io/max-replicas";

/** How many pods a deployment wants. */
export function wantedReplicas({ spec }: Deployment): number {
  return spec.replicas ?? 1;
}

/** How many pods a set wants. */
export function sizeOf(set: ReplicaSet | undefined): number {
  return set === undefined ? 0 : (set.spec.replicas ?? 1);
}

/** The sum of what the sets want. */
export function sumOfSizes(sets: readonly ReplicaSet[]): number {
  return sets.reduce((sum, set) => sum + sizeOf(set), 0);
}

function availableOf(set: ReplicaSet | undefined): number {
  return set?.status?.availableReplicas ?? 0;
}

/** How far a rolling update may go beyond what is wanted, and how far below. */
export interface Leeway {
  readonly surge: number;
  readonly unavailable: number;
}

/** Percentages of surge are rounded up, of unavailability down; if both come out as 0, one pod may be unavailable. */
export function leewayOf(deployment: Deployment): Leeway {
  const { strategy } = deployment.spec;
  const wanted = wantedReplicas(deployment);
  if (strategy?.type === "Recreate") return { surge: 0, unavailable: 0 };
  const { maxSurge = "25%", maxUnavailable = "25%" } = strategy?.rollingUpdate ?? {};
  const surge = amountOf(maxSurge, wanted, "up");
  const unavailable = Math.min(amountOf(maxUnavailable, wanted, "down"), wanted);
  return { surge, unavailable: surge === 0 && unavailable === 0 && wanted > 0 ? 1 : unavailable };
}

/** The sets of a deployment: the one of the present template, if it is there, and the others. */
export interface Sets {
  readonly fresh: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/** A set and its new size. */
export interface Resize {
  readonly set: ReplicaSet;
  readonly size: number;
}

/** The size of the set of the present template, as far as the surge lets it grow. */
export function freshSize(deployment: Deployment, { fresh, old }: Sets): number {
  const wanted = wantedReplicas(deployment);
  const size = sizeOf(fresh);
  if (deployment.spec.strategy?.type === "Recreate" || size > wanted) return wanted;
  const room = wanted + leewayOf(deployment).surge - sumOfSizes(old) - size;
  return room <= 0 ? size : size + Math.min(room, wanted - size);
}

/**
 * How the other sets shrink in a rolling update: first by what is not healthy there, then by healthy pods, as far as
 * enough remain available.
 */
export function shrinkOld(deployment: Deployment, { fresh, old }: Sets): readonly Resize[] {
  const least = wantedReplicas(deployment) - leewayOf(deployment).unavailable;
  const freshUnavailable = sizeOf(fresh) - availableOf(fresh);
  const removable = sumOfSizes(old) + sizeOf(fresh) - least - freshUnavailable;
  if (removable <= 0 || sumOfSizes(old) === 0) return [];
  const sizes = new Map(byAge(old).map((set) => [set, sizeOf(set)]));
  take(sizes, removable, (set, size) => Math.max(0, size - availableOf(set)));
  const available = [...old, ...(fresh === undefined ? [] : [fresh])].reduce((sum, set) => sum + availableOf(set), 0);
  take(sizes, available - least, (_, size) => size);
  return [...sizes].flatMap(([set, size]) => (size === sizeOf(set) ? [] : [{ set, size }]));
}

/** Takes up to `count` pods away, set by set, from each no more than `spare` says. */
function take(sizes: Map<ReplicaSet, number>, count: number, spare: (set: ReplicaSet, size: number) => number): void {
  let left = count;
  for (const [set, size] of sizes) {
    const taken = Math.max(0, Math.min(left, spare(set, size)));
    left -= taken;
    sizes.set(set, size - taken);
  }
}

/**
 * How the sets follow when the deployment's own size changes, or while it is paused: the only active one takes it all, a
 * complete one lets the others go, and in the middle of an update all grow or shrink in proportion.
 */
export function scaleSets(deployment: Deployment, sets: Sets): readonly Resize[] {
  const wanted = wantedReplicas(deployment);
  const { fresh, old } = sets;
  const all = [...old, ...(fresh === undefined ? [] : [fresh])];
  const active = all.filter((set) => sizeOf(set) > 0);
  const only = active.length === 0 ? (fresh ?? byAge(old).at(-1)) : active.length === 1 ? active[0] : undefined;
  if (only !== undefined) {
    const isNoted = sizeOf(only) === wanted && numberIn(only, desiredReplicas) === wanted;
    return isNoted ? [] : [{ set: only, size: wanted }];
  }
  if (isSaturated(deployment, fresh)) {
    return old.filter((set) => sizeOf(set) > 0).map((set) => ({ set, size: 0 }));
  }
  return deployment.spec.strategy?.type === "Recreate" ? [] : inProportion(deployment, active);
}

/** Whether the set is all that the deployment wants, made for its size and available. */
function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  if (set === undefined) return false;
  const wanted = wantedReplicas(deployment);
  return sizeOf(set) === wanted && numberIn(set, desiredReplicas) === wanted && availableOf(set) === wanted;
}

function inProportion(deployment: Deployment, active: readonly ReplicaSet[]): readonly Resize[] {
  const wanted = wantedReplicas(deployment);
  const allowed = wanted > 0 ? wanted + leewayOf(deployment).surge : 0;
  const toAdd = allowed - sumOfSizes(active);
  // The largest first; of equal ones the newer gains and the older loses.
  const age = toAdd > 0 ? -1 : 1;
  const ordered = active.toSorted((a, b) => sizeOf(b) - sizeOf(a) || age * (createdMs(a) - createdMs(b)));
  let added = 0;
  const sizes = new Map<ReplicaSet, number>();
  for (const set of ordered) {
    const share = toAdd === 0 || toAdd === added ? 0 : shareOf(deployment, set);
    const limited = toAdd > 0 ? Math.min(share, toAdd - added) : Math.max(share, toAdd - added);
    added += limited;
    sizes.set(set, sizeOf(set) + limited);
  }
  const [largest] = ordered;
  if (largest !== undefined) sizes.set(largest, Math.max(0, (sizes.get(largest) ?? 0) + toAdd - added));
  return [...sizes].map(([set, size]) => ({ set, size }));
}

/** By how much a set changes to keep its part of the whole. */
function shareOf(deployment: Deployment, set: ReplicaSet): number {
  const wanted = wantedReplicas(deployment);
  if (wanted === 0) return -sizeOf(set);
  const before = numberIn(set, maxReplicas) || deployment.status?.replicas || 0;
  if (before === 0) return 0;
  return Math.round((sizeOf(set) * (wanted + leewayOf(deployment).surge)) / before) - sizeOf(set);
}

/** Whether the deployment's size has changed since its sets were made for it. */
export function isScaled(deployment: Deployment, { fresh, old }: Sets): boolean {
  return [fresh, ...old].some((set) => {
    const made = set === undefined || sizeOf(set) === 0 ? undefined : numberIn(set, desiredReplicas);
    return made !== undefined && made !== wantedReplicas(deployment);
  });
}

/** The annotations that note for which size a set is made. */
export function sizeNotes(deployment: Deployment): Record<string, string> {
  const wanted = wantedReplicas(deployment);
  return { [desiredReplicas]: String(wanted), [maxReplicas]: String(wanted + leewayOf(deployment).surge) };
}

/** The number in an annotation, if it holds one. */
export function numberIn(set: ReplicaSet, annotation: string): number | undefined {
  const text = set.metadata.annotations?.[annotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The oldest first; the server's times have whole seconds, so names decide among equals. */
export function byAge(sets: readonly ReplicaSet[]): readonly ReplicaSet[] {
  return sets.toSorted((a, b) => createdMs(a) - createdMs(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

function createdMs({ metadata }: ReplicaSet): number {
  return Date.parse(metadata.creationTimestamp ?? "");
}
