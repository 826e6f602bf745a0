/**
 * Whether a pod can go on a node now, and if not, why, in kube-scheduler's words (its plugins' `ErrReason…`).
 */
import { type Node, type Pod, placementObstacle, taintText, tolerates } from "../../kube/index.ts";
import { exceeds, freeOf, type NodeState, wantedOf } from "./node-state.ts";

/** Why one node is out of the question. */
export interface NodeObstacle {
  readonly reasons: readonly string[];
  /** Whether the node would do if pods went away from it; kube-scheduler's code `Unschedulable`. */
  readonly resolvable: boolean;
}

const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" } as const;

/** `undefined` when the pod fits. */
export function nodeObstacle(pod: Pod, state: NodeState): NodeObstacle | undefined {
  const reason = readinessObstacle(pod, state.node) ?? placementObstacle(pod, state.node);
  if (reason !== undefined) return { reasons: [reason], resolvable: false };
  const short = [...wantedOf(pod)].filter(([resource, amount]) => {
    return amount > 0 && exceeds(amount, freeOf(state, resource));
  });
  if (short.length === 0) return undefined;
  return {
    reasons: short.map(([resource]) => (resource === "pods" ? "Too many pods" : `Insufficient ${resource}`)),
    // What is more than the whole node cannot be helped (plugin NodeResourcesFit, `Unresolvable`).
    resolvable: short.every(([resource, amount]) => !exceeds(amount, state.allocatable.get(resource) ?? 0)),
  };
}

/**
 * On a real cluster the node lifecycle controller taints nodes that are not ready. There is none here, so the condition
 * itself counts: without a kubelet that says it is ready, a pod bound to the node would hang.
 */
function readinessObstacle(pod: Pod, node: Node): string | undefined {
  const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status === "True" || tolerates(pod.spec.tolerations, notReady)) return undefined;
  return taintText(notReady);
}
