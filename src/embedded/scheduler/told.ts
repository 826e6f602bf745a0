/**
 * What a waiting pod's status says of it (kube-scheduler, `updatePod`; KEP-3521 for gates).
 */
import type { Condition, Pod } from "../../kube/index.ts";
import type { Decision } from "./pass.ts";

/** What there is to tell of a pod that gets no node now. */
export interface Telling {
  readonly reason: "Unschedulable" | "SchedulingGated";
  readonly message: string;
  readonly nominatedNode: string | undefined;
}

/** The words for a decision. */
export function tellingOf(decision: Exclude<Decision, { kind: "bind" }>): Telling {
  if (decision.kind === "wait") {
    const { message, nominatedNode } = decision;
    return { reason: "Unschedulable", message, nominatedNode };
  }
  const message = "Scheduling is blocked due to non-empty scheduling gates";
  return { reason: "SchedulingGated", message, nominatedNode: undefined };
}

/** The merge patch that makes the status say so; `undefined` when it does already. `now` is a time as the API writes it. */
export function tellingPatch(pod: Pod, { reason, message, nominatedNode }: Telling, now: string): unknown {
  const conditions = pod.status?.conditions ?? [];
  const known = conditions.find(({ type }) => type === "PodScheduled");
  const isSaid = known?.status === "False" && known.reason === reason && known.message === message;
  if (isSaid && (pod.status?.nominatedNodeName ?? undefined) === nominatedNode) return undefined;
  const lastTransitionTime = known?.status === "False" ? (known.lastTransitionTime ?? now) : now;
  const condition: Condition = { type: "PodScheduled", status: "False", reason, message, lastTransitionTime };
  const others = conditions.filter(({ type }) => type !== "PodScheduled");
  return {
    // With its version, so that a list of conditions written meanwhile is not overwritten.
    metadata: { resourceVersion: pod.metadata.resourceVersion },
    status: { conditions: [...others, condition], nominatedNodeName: nominatedNode ?? null },
  };
}
