/**
 * What each node has and what pods on it hold, as the scheduler counts it.
 */
import { amountsOf, type Node, type Pod, podRequests, type ResourceAmounts } from "../../kube/index.ts";

/** One node with the pods that are bound to it or soon will be. */
export interface NodeState {
  readonly node: Node;
  readonly allocatable: ResourceAmounts;
  /** What the pods on it ask for; `pods` counts them. */
  readonly used: Map<string, number>;
  readonly pods: Pod[];
}

/** Amounts are compared with this slack: sums of thousandths of a CPU are not exact. */
const slack = 1e-6;

/** The nodes in name order; `bound` are the pods with a node, those that have ended left out. */
export function nodeStates(nodes: readonly Node[], bound: readonly (readonly [Pod, string])[]): NodeState[] {
  const states = new Map<string, NodeState>();
  for (const node of [...nodes].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const allocatable = amountsOf(node.status?.allocatable);
    states.set(node.metadata.name, { node, allocatable, used: new Map(), pods: [] });
  }
  for (const [pod, nodeName] of bound) {
    const state = states.get(nodeName);
    if (state !== undefined) place(state, pod);
  }
  return [...states.values()];
}

/** Counts the pod as one of the node's. */
export function place(state: NodeState, pod: Pod): void {
  state.pods.push(pod);
  for (const [resource, amount] of wantedOf(pod)) {
    state.used.set(resource, (state.used.get(resource) ?? 0) + amount);
  }
}

/** A pod's requests, and the one place that each pod takes. */
export function wantedOf(pod: Pod): ResourceAmounts {
  return new Map([["pods", 1], ...podRequests(pod)]);
}

/** What is still free of a resource; below zero when more is held than there is. */
export function freeOf(state: NodeState, resource: string): number {
  return (state.allocatable.get(resource) ?? 0) - (state.used.get(resource) ?? 0);
}

/** Whether `amount` is more than `limit`, sums of fractions considered. */
export function exceeds(amount: number, limit: number): boolean {
  return amount > limit + slack;
}

/** Whether a resource is a device or another counted thing that no node has by itself. */
export function isExtended(resource: string): boolean {
  return resource.includes("/") && !resource.startsWith("kubernetes.io/");
}
