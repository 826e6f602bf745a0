/**
 * The sentence people know from `kubectl describe pod` (kube-scheduler, framework `FitError.Error`).
 */
import type { NodeObstacle } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import type { Preemption } from "./preemption.ts";

/** A node that does not take a pod, and why. */
export interface Refusal {
  readonly state: NodeState;
  readonly obstacle: NodeObstacle;
}

/** Why no node takes the pod: `0/3 nodes are available: 1 …, 2 …. preemption: 0/3 nodes are available: …`. */
export function fitErrorText(refusals: readonly Refusal[], preemption: Preemption): string {
  if (refusals.length === 0) return "no nodes available to schedule pods";
  const why = histogram(
    refusals.length,
    refusals.flatMap(({ obstacle }) => obstacle.reasons),
  );
  switch (preemption.kind) {
    case "evict":
      return why;
    case "ineligible":
      return `${why} preemption: ${preemption.why}`;
    case "none":
      return `${why} preemption: ${histogram(refusals.length, preemption.reasons)}`;
  }
}

/** Reasons with the number of nodes, sorted as texts, as kube-scheduler sorts them. */
function histogram(nodes: number, reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${parts.join(", ")}.`;
}
