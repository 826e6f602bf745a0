/**
 * Whether a pod can go on a node as far as the node alone tells, and if not, why, in kube-scheduler's words (its plugins'
 * `ErrReason…`).
 */
import { type Node, namesOtherNodes, type Pod, placementObstacle, tolerates, untolerated } from "../../kube/index.ts";
import { exceeds, freeOf, type NodeState } from "./node-state.ts";
import type { PodFacts } from "./pod-facts.ts";

/** Why one node is out of the question. */
export interface NodeObstacle {
  readonly reasons: readonly string[];
  /** Whether the node would do if pods went away from it; kube-scheduler's code `Unschedulable`. */
  readonly resolvable: boolean;
}

/** What `RunPreFilterPlugins` leaves out is told by plugin. */
const notNamed = "node(s) didn't satisfy plugin(s) [NodeAffinity]";
const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" } as const;

/** What of the node itself keeps the pod away, whatever is free there; `undefined` when nothing does. */
export function fixedObstacle(pod: Pod, node: Node): NodeObstacle | undefined {
  const reason = namesOtherNodes(pod, node) ? notNamed : (readinessObstacle(pod, node) ?? placementObstacle(pod, node));
  return reason === undefined ? undefined : { reasons: [reason], resolvable: false };
}

/** What the node is short of; `undefined` when the pod fits. */
export function shortage({ wanted }: PodFacts, state: NodeState): NodeObstacle | undefined {
  if (wanted.every(([resource, amount]) => !exceeds(amount, freeOf(state, resource)))) return undefined;
  const short = wanted.filter(([resource, amount]) => exceeds(amount, freeOf(state, resource)));
  return {
    reasons: short.map(([resource]) => (resource === "pods" ? "Too many pods" : `Insufficient ${resource}`)),
    // What is more than the whole node cannot be helped (plugin NodeResourcesFit, `Unresolvable`).
    resolvable: short.every(([resource, amount]) => !exceeds(amount, state.allocatable.get(resource) ?? 0)),
  };
}

/**
 * The node lifecycle controller taints nodes that are not ready once it has seen the condition. Until then the
 * condition itself counts: without a kubelet that says it is ready, a pod bound to the node would hang.
 */
function readinessObstacle(pod: Pod, node: Node): string | undefined {
  const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status === "True" || tolerates(pod.spec.tolerations, notReady)) return undefined;
  return untolerated;
}
