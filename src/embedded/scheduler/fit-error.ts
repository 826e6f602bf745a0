/**
 * The sentence people know from `kubectl describe pod` (kube-scheduler, framework `FitError.Error`).
 */
import type { Pod } from "../../kube/index.ts";
import type { NodeObstacle } from "./filter.ts";
import type { NodeState } from "./node-state.ts";

/** A node that does not take a pod, and why. */
export interface Refusal {
  readonly state: NodeState;
  readonly obstacle: NodeObstacle;
}

/** Why no node takes the pod: `0/3 nodes are available: 1 …, 2 …. preemption: 0/3 nodes are available: …`. */
export function fitErrorText(pod: Pod, refusals: readonly Refusal[]): string {
  if (refusals.length === 0) return "no nodes available to schedule pods";
  const why = histogram(
    refusals.length,
    refusals.flatMap(({ obstacle }) => obstacle.reasons),
  );
  if (pod.spec.preemptionPolicy === "Never") return `${why} preemption: not eligible due to preemptionPolicy=Never.`;
  const preemption = histogram(
    refusals.length,
    refusals.map((refusal) => preemptionReason(pod, refusal)),
  );
  return `${why} preemption: ${preemption}`;
}

/** Reasons with the number of nodes, sorted as texts, as kube-scheduler sorts them. */
function histogram(nodes: number, reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${parts.join(", ")}.`;
}

function preemptionReason(pod: Pod, { state, obstacle }: Refusal): string {
  if (!obstacle.resolvable) return "Preemption is not helpful for scheduling";
  const lower = state.pods.some((other) => (other.spec.priority ?? 0) < (pod.spec.priority ?? 0));
  // kube-scheduler would look for victims here. This scheduler evicts nobody, and says so.
  return lower ? "Preemption is not done by this scheduler" : "No preemption victims found for incoming pod";
}
