/**
 * The kubelet's own check that a pod fits its node, after the scheduler's: what refuses a pod that was bound past it.
 */
import { type Node, type Pod, parseQuantity } from "../../kube/index.ts";
import { podRequests } from "./pod-requests.ts";

/** Why a pod is refused. */
export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

export interface FitFacts {
  readonly node: Node;
  readonly pod: Pod;
  /** The pods that were admitted and have not ended. */
  readonly others: readonly Pod[];
  /** Devices in use by resource: what pods hold counts as allocatable even if the plugin is away. */
  readonly devicesInUse: ReadonlyMap<string, number>;
}

/**
 * `undefined` when the pod fits. The first resource that falls short names the reason, `OutOf<resource>`. A resource the
 * node does not know at all is passed over, as the kubelet does for resources that only cluster-wide services count
 * (Kubernetes pkg/kubelet/lifecycle/predicate.go).
 */
export function nodeRejection(facts: FitFacts): Rejection | undefined {
  const { node, pod, others, devicesInUse } = facts;
  const allocatable = node.status?.allocatable ?? {};
  const requests = new Map([["pods", 1], ...podRequests(pod)]);
  for (const [resource, requested] of requests) {
    const published = allocatable[resource];
    if (requested === 0 || published === undefined) continue;
    const capacity = Math.max(parseQuantity(published) ?? 0, devicesInUse.get(resource) ?? 0);
    const used = others.reduce(
      (sum, one) => sum + (resource === "pods" ? 1 : (podRequests(one).get(resource) ?? 0)),
      0,
    );
    if (used + requested > capacity) {
      const [wanted, taken, all] = [requested, used, capacity].map((amount) => counted(resource, amount));
      const message = `Node didn't have enough resource: ${resource}, requested: ${wanted}, used: ${taken}, capacity: ${all}`;
      return { reason: `OutOf${resource}`, message };
    }
  }
  const labels = node.metadata.labels ?? {};
  if (Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return undefined;
  return {
    reason: "NodeAffinity",
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  };
}

/** CPU is counted in thousandths, everything else in whole units. */
function counted(resource: string, amount: number): number {
  return resource === "cpu" ? Math.round(amount * 1000) : Math.ceil(amount);
}
