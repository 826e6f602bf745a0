/**
 * The replica sets of a deployment as its history: which belongs to the present template, and which number it has
 * (kubernetes, pkg/controller/deployment/util/deployment_util.go).
 */
import type { KubeObject } from "../../kube/index.ts";
import { byAge, numberIn, type Sets, sizeNotes, sizeOf } from "./deployment-size.ts";
import { controllerReference } from "./owners.ts";
import { hashOf, meaningOf } from "./same.ts";
import type { Deployment, PodTemplate, ReplicaSet } from "./types.ts";

/** Label that tells the pods of one template from those of another. */
const hashLabel = "pod-template-hash";
/** Annotation with the number of a revision, from 1; on the deployment, that of the present one. */
export const revisionNote = "deployment.kubernetes.io/revision";
/** Annotation with earlier numbers of a set that came back. */
const revisionHistory = "deployment.kubernetes.io/revision-history";

/** Annotations of a deployment that mean itself and not its template. */
const ownNotes = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionNote,
  revisionHistory,
  "deployment.kubernetes.io/desired-replicas",
  "deployment.kubernetes.io/max-replicas",
  "deprecated.deployment.rollback.to",
]);

/** The oldest set with the deployment's template is its present one. */
export function sortSets(deployment: Deployment, sets: readonly ReplicaSet[]): Sets {
  const wanted = templateMeaning(deployment.spec.template);
  const fresh = byAge(sets).find((set) => templateMeaning(set.spec.template) === wanted);
  return { fresh, old: sets.filter((set) => set !== fresh) };
}

function templateMeaning({ metadata, spec }: PodTemplate): string {
  const labels = Object.entries(metadata?.labels ?? {}).filter(([key]) => key !== hashLabel);
  return meaningOf({ metadata: { ...metadata, labels: Object.fromEntries(labels) }, spec });
}

/** The hash of the present template; `collisionCount` makes it another one. */
function templateHash({ spec, status }: Deployment): string {
  return hashOf(`${templateMeaning(spec.template)}${status?.collisionCount ?? ""}`);
}

/** The next number: one more than the highest of the other sets. */
export function nextRevision({ old }: Sets): number {
  return Math.max(0, ...old.map(revisionOf)) + 1;
}

/** A set's number in the history; 0 without one. */
export function revisionOf(set: ReplicaSet): number {
  return numberIn(set, revisionNote) ?? 0;
}

/** The replica set of the present template, of `size` pods. */
export function newReplicaSet(deployment: Deployment, revision: number, size: number): ReplicaSet {
  const { name, namespace } = deployment.metadata;
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = templateHash(deployment);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: { ...carriedNotes(deployment), [revisionNote]: String(revision), ...sizeNotes(deployment) },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas: size,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

/** The set as the deployment wants it noted, apart from its size; the same object when nothing differs. */
export function renewedSet(deployment: Deployment, set: ReplicaSet, revision: number): ReplicaSet {
  const before = set.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...before, ...carriedNotes(deployment) };
  const number = revisionOf(set);
  if (number < revision) {
    annotations[revisionNote] = String(revision);
    if (number > 0) annotations[revisionHistory] = [before[revisionHistory], number].filter(Boolean).join(",");
  }
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const isNoted = meaningOf(annotations) === meaningOf(before);
  if (isNoted && (set.spec.minReadySeconds ?? 0) === minReadySeconds) return set;
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, minReadySeconds } };
}

/** The set with another size, noted with the size of its deployment. */
export function resizedSet(deployment: Deployment, set: ReplicaSet, size: number): ReplicaSet {
  const annotations = { ...set.metadata.annotations, ...sizeNotes(deployment) };
  return { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, replicas: size } };
}

function carriedNotes({ metadata }: KubeObject): Record<string, string> {
  const carried = Object.entries(metadata.annotations ?? {}).filter(([key]) => !ownNotes.has(key));
  return Object.fromEntries(carried);
}

/** The sets that fall out of the history: empty, settled, the lowest numbers first. */
export function expiredSets(deployment: Deployment, old: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const kept = deployment.spec.revisionHistoryLimit ?? 10;
  const alive = old.filter((set) => set.metadata.deletionTimestamp === undefined);
  const surplus = alive.toSorted((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, alive.length - kept));
  return surplus.filter(
    (set) =>
      sizeOf(set) === 0 &&
      (set.status?.replicas ?? 0) === 0 &&
      (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
  );
}
