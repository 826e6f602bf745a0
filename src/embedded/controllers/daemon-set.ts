/**
 * What a daemon set does next (kubernetes, pkg/controller/daemon: `daemon_controller.go`, `update.go`): pure.
 */
import type { Node, Pod } from "../../kube/index.ts";
import { type Fit, fitOf, nodeOf, revisionLabel } from "./daemon-pod.ts";
import { hasEnded, isAvailable, isReady } from "./pod-state.ts";
import { nonZero } from "./same.ts";
import { amountOf } from "./share.ts";
import type { DaemonSet, DaemonSetStatus } from "./types.ts";

export interface DaemonSetFacts {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  /** Its pods. */
  readonly pods: readonly Pod[];
  /** Hash of the present template. */
  readonly hash: string;
  readonly nowMs: number;
}

export interface DaemonSetPlan {
  /** Names of the nodes that get a pod. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  /** Pods that ended though they should run; each goes as soon as the pause of its node is over. */
  readonly ended: readonly Pod[];
  readonly status: DaemonSetStatus;
}

interface Place {
  readonly node: Node;
  readonly fit: Fit;
  /** The set's pods there, the oldest first. */
  readonly pods: readonly Pod[];
}

/** Compares what is wanted with what there is. */
export function planDaemonSet(facts: DaemonSetFacts): DaemonSetPlan {
  const { set, nodes, pods } = facts;
  const byNode = Map.groupBy(pods.toSorted(olderFirst), nodeOf);
  const places = nodes.map((node): Place => {
    return { node, fit: fitOf(set, node), pods: byNode.get(node.metadata.name) ?? [] };
  });
  const status = statusOf(facts, places);
  if (set.metadata.deletionTimestamp !== undefined) return { create: [], remove: [], ended: [], status };
  const names = new Set(nodes.map((node) => node.metadata.name));
  // Pods on a node that has gone are the garbage collector's; those that wait for it will never be bound.
  const lost = pods.filter((pod) => (pod.spec.nodeName ?? "") === "" && !names.has(nodeOf(pod) ?? ""));
  const misplaced = places.filter(({ fit }) => !fit.mayStay).flatMap((one) => one.pods);
  const staying = places.filter(({ fit }) => fit.mayStay);
  const doubled = staying.flatMap((one) => one.pods.filter((pod) => !hasEnded(pod) && !isLeaving(pod)).slice(1));
  const replaced = outdated(facts, staying);
  return {
    create: places.filter((one) => one.fit.belongs && one.pods.length === 0).map(({ node }) => node.metadata.name),
    remove: [...new Set([...lost, ...misplaced, ...doubled, ...replaced])].filter((pod) => !isLeaving(pod)),
    ended: staying.flatMap((one) => one.pods.filter((pod) => hasEnded(pod) && !isLeaving(pod))),
    status,
  };
}

function olderFirst(a: Pod, b: Pod): number {
  const [at, bt] = [a.metadata.creationTimestamp ?? "", b.metadata.creationTimestamp ?? ""];
  return at === bt ? (a.metadata.name < b.metadata.name ? -1 : 1) : at < bt ? -1 : 1;
}

function isLeaving({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** Pods of an older template that may go now: the unavailable ones, and others as far as the limit allows. */
function outdated({ set, hash, nowMs }: DaemonSetFacts, places: readonly Place[]): readonly Pod[] {
  const { minReadySeconds = 0, updateStrategy } = set.spec;
  if (updateStrategy?.type === "OnDelete") return [];
  const wanted = places.filter(({ fit }) => fit.belongs);
  const share = updateStrategy?.rollingUpdate?.maxUnavailable ?? 1;
  const limit = Math.max(1, amountOf(share, wanted.length, "up"));
  const isUp = (pod: Pod): boolean => !isLeaving(pod) && isAvailable(pod, minReadySeconds, nowMs);
  const down = wanted.filter(({ pods }) => !pods.some(isUp)).length;
  const old = wanted
    .flatMap(({ pods }) => pods.slice(0, 1))
    .filter((pod) => pod.metadata.labels?.[revisionLabel] !== hash);
  const unavailable = old.filter((pod) => !isUp(pod) && !hasEnded(pod));
  return [...unavailable, ...old.filter(isUp).slice(0, Math.max(0, limit - down))];
}

function statusOf({ set, hash, nowMs }: DaemonSetFacts, places: readonly Place[]): DaemonSetStatus {
  const { minReadySeconds = 0 } = set.spec;
  const wanted = places.filter(({ fit }) => fit.belongs);
  const oldest = wanted.flatMap(({ pods }) => pods.slice(0, 1));
  const available = oldest.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length;
  const counts: Pick<
    DaemonSetStatus,
    "observedGeneration" | "updatedNumberScheduled" | "numberAvailable" | "numberUnavailable"
  > = nonZero({
    observedGeneration: set.metadata.generation ?? 0,
    updatedNumberScheduled: oldest.filter((pod) => pod.metadata.labels?.[revisionLabel] === hash).length,
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
  });
  return {
    desiredNumberScheduled: wanted.length,
    currentNumberScheduled: oldest.length,
    numberMisscheduled: places.filter(({ fit, pods }) => !fit.belongs && pods.length > 0).length,
    numberReady: oldest.filter(isReady).length,
    ...counts,
  };
}
