/**
 * Which of a set's pods go first when there are too many (kubernetes, pkg/controller/controller_utils.go,
 * `ActivePodsWithRanks`).
 */
import type { Pod } from "../../kube/index.ts";
import { isReady, readySinceMs } from "./pod-state.ts";

/** Annotation that says how dear a pod is; the cheapest go first. */
const deletionCost = "controller.kubernetes.io/pod-deletion-cost";

/**
 * The `count` of `pods` to delete. `neighbours` are all pods that serve the same purpose, those of a deployment's other
 * sets too: where many of them share a node, one of them goes first.
 */
export function podsToDelete(
  pods: readonly Pod[],
  count: number,
  { neighbours, nowMs }: { readonly neighbours: readonly Pod[]; readonly nowMs: number },
): readonly Pod[] {
  if (count >= pods.length) return pods;
  const onNode = new Map<string, number>();
  for (const { spec } of neighbours) onNode.set(spec.nodeName ?? "", (onNode.get(spec.nodeName ?? "") ?? 0) + 1);
  const rank = (pod: Pod): number => onNode.get(pod.spec.nodeName ?? "") ?? 0;
  return pods.toSorted((a, b) => compare(a, b, { rank, nowMs })).slice(0, count);
}

interface Ranking {
  rank(pod: Pod): number;
  readonly nowMs: number;
}

const phases = ["Pending", "Unknown", "Running"];

/** Below zero when `a` goes before `b`. */
function compare(a: Pod, b: Pod, { rank, nowMs }: Ranking): number {
  return (
    Number(isAssigned(a)) - Number(isAssigned(b)) ||
    phases.indexOf(a.status?.phase ?? "Pending") - phases.indexOf(b.status?.phase ?? "Pending") ||
    Number(isReady(a)) - Number(isReady(b)) ||
    costOf(a) - costOf(b) ||
    rank(b) - rank(a) ||
    compareAges(a, b, { age: (pod) => nowMs - (readySinceMs(pod) ?? nowMs) }) ||
    restartsOf(b) - restartsOf(a) ||
    compareAges(a, b, { age: (pod) => nowMs - Date.parse(pod.metadata.creationTimestamp ?? "") })
  );
}

/**
 * The younger goes first; ages of one order of magnitude are alike, and the UID decides: always deleting the newest
 * would empty the zone that was filled last (KEP-2185).
 */
function compareAges(a: Pod, b: Pod, { age }: { age(pod: Pod): number }): number {
  const [ofA, ofB] = [age(a), age(b)];
  if (ofA === ofB || Number.isNaN(ofA) || Number.isNaN(ofB)) return 0;
  const magnitude = (ms: number): number => (ms <= 0 ? -1 : Math.floor(Math.log2(ms * 1_000_000)));
  return magnitude(ofA) - magnitude(ofB) || ((a.metadata.uid ?? "") < (b.metadata.uid ?? "") ? -1 : 1);
}

function isAssigned({ spec }: Pod): boolean {
  return (spec.nodeName ?? "") !== "";
}

function costOf({ metadata }: Pod): number {
  const cost = Number(metadata.annotations?.[deletionCost] ?? 0);
  return Number.isInteger(cost) ? cost : 0;
}

function restartsOf({ status }: Pod): number {
  return Math.max(0, ...(status?.containerStatuses ?? []).map((one) => one.restartCount));
}
