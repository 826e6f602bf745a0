/**
 * What a node has and what pods on it hold, as the scheduler counts it.
 */
import { amountsOf, type Node, type ResourceAmounts } from "../../kube/index.ts";
import type { Load, PodFacts } from "./pod-facts.ts";

/** One node with the pods that are bound to it or soon will be. */
export interface NodeState {
  readonly name: string;
  readonly node: Node;
  readonly allocatable: ResourceAmounts;
  /** The devices and other counted things among what is allocatable. */
  readonly extended: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** What the pods on it ask for; `pods` counts them. Kept up with every pod that comes and goes. */
  readonly used: Map<string, number>;
  /** The pods' loads, summed. */
  load: Load;
  /** By UID. */
  readonly pods: Map<string, PodFacts>;
  /** Pods for which others were evicted here, and that will come once those have gone; by UID. */
  readonly nominated: Map<string, PodFacts>;
  /** Differs after every change of sums or of pods nominated: what was found at an equal version still holds. */
  version: number;
}

/** Amounts are compared with this slack: sums of thousandths of a CPU are not exact. */
const slack = 1e-6;

const noLoad: Load = { milliCpus: 0, memoryBytes: 0 };

/** A node without pods. */
export function nodeState(node: Node, version: number): NodeState {
  const { name, labels = {} } = node.metadata;
  const allocatable = amountsOf(node.status?.allocatable);
  const extended = [...allocatable.keys()].filter(isExtended);
  const pods = { used: new Map(), load: noLoad, pods: new Map(), nominated: new Map() };
  return { name, node, allocatable, extended, labels, ...pods, version };
}

/** Counts the pod as one of the node's. */
export function place(state: NodeState, facts: PodFacts): void {
  state.pods.set(facts.uid, facts);
  addUsed(state, facts, 1);
}

/** Takes back what `place` counted. */
export function displace(state: NodeState, facts: PodFacts): void {
  state.pods.delete(facts.uid);
  addUsed(state, facts, -1);
  // An empty node begins anew, so that what sums of fractions are off by does not pile up.
  if (state.pods.size > 0) return;
  state.used.clear();
  state.load = noLoad;
}

/** Changes the sums only. */
export function addUsed(state: NodeState, { wanted, load }: PodFacts, by: 1 | -1): void {
  const { used } = state;
  for (const [resource, amount] of wanted) used.set(resource, (used.get(resource) ?? 0) + by * amount);
  const { milliCpus, memoryBytes } = state.load;
  state.load = { milliCpus: milliCpus + by * load.milliCpus, memoryBytes: memoryBytes + by * load.memoryBytes };
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
function isExtended(resource: string): boolean {
  return resource.includes("/") && !resource.startsWith("kubernetes.io/");
}
