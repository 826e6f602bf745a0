/**
 * What a node has and what pods on it hold, as the scheduler counts it.
 */
import { amountsOf, type Node, type ResourceAmounts } from "../../kube/index.ts";
import type { PodFacts } from "./pod-facts.ts";

/** One node with the pods that are bound to it or soon will be. */
export interface NodeState {
  readonly name: string;
  readonly node: Node;
  readonly allocatable: ResourceAmounts;
  readonly labels: Readonly<Record<string, string>>;
  /** What the pods on it ask for; `pods` counts them. Kept up with every pod that comes and goes. */
  readonly used: Map<string, number>;
  /** By UID. */
  readonly pods: Map<string, PodFacts>;
  /** Pods for which others were evicted here, and that will come once those have gone; by UID. */
  readonly nominated: Map<string, PodFacts>;
  /** Differs after every change of pods: equal versions mean equal sums. */
  version: number;
}

/** Amounts are compared with this slack: sums of thousandths of a CPU are not exact. */
const slack = 1e-6;

/** A node without pods. */
export function nodeState(node: Node, version: number): NodeState {
  const { name, labels = {} } = node.metadata;
  const allocatable = amountsOf(node.status?.allocatable);
  return { name, node, allocatable, labels, used: new Map(), pods: new Map(), nominated: new Map(), version };
}

/** Counts the pod as one of the node's. */
export function place(state: NodeState, facts: PodFacts): void {
  state.pods.set(facts.uid, facts);
  for (const [resource, amount] of facts.wanted) state.used.set(resource, (state.used.get(resource) ?? 0) + amount);
}

/** Takes back what `place` counted. */
export function displace(state: NodeState, facts: PodFacts): void {
  state.pods.delete(facts.uid);
  // An empty node begins anew, so that what sums of fractions are off by does not pile up.
  if (state.pods.size === 0) {
    state.used.clear();
    return;
  }
  for (const [resource, amount] of facts.wanted) state.used.set(resource, (state.used.get(resource) ?? 0) - amount);
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
