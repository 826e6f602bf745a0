/**
 * What scheduling has to know of a pod, read once.
 */
import { hasEnded, type Pod, podRequests } from "../../kube/index.ts";
import { hasAffinityTerms, type PodTerms, parsePodTerms } from "./pod-terms.ts";

/** A pod with its requests and terms. */
export interface PodFacts {
  readonly pod: Pod;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  /** What it takes from a node, each above zero; the first is the one place of `pods`. */
  readonly wanted: readonly (readonly [resource: string, amount: number])[];
  readonly terms: PodTerms;
  /** Whether it has terms about other pods' nearness. */
  readonly hasAffinity: boolean;
}

/** A pod that has no node yet. */
export interface WaitingPod {
  readonly facts: PodFacts;
  /** Equal for pods that every node, taken by itself, treats alike. */
  readonly nodeKey: string;
  /** Equal for pods that are alike in all that scheduling looks at. */
  readonly fullKey: string;
}

/** The scheduler that pods get which name none. */
export const defaultSchedulerName = "default-scheduler";

/** Reads a pod. */
export function podFacts(pod: Pod): PodFacts {
  const terms = parsePodTerms(pod);
  const requests = [...podRequests(pod)].filter(([resource, amount]) => amount > 0 && resource !== "pods");
  return {
    pod,
    uid: uidOf(pod),
    namespace: pod.metadata.namespace ?? "default",
    labels: pod.metadata.labels ?? {},
    priority: pod.spec.priority ?? 0,
    wanted: [["pods", 1], ...requests],
    terms,
    hasAffinity: hasAffinityTerms(terms),
  };
}

/** Adds what tells pods that are alike. */
export function waitingPod(facts: PodFacts): WaitingPod {
  const { nodeSelector, affinity, tolerations, topologySpreadConstraints, preemptionPolicy } = facts.pod.spec;
  const nodeKey = JSON.stringify([facts.wanted, nodeSelector, affinity, tolerations]);
  const { namespace, labels, priority } = facts;
  const others = JSON.stringify([namespace, labels, priority, preemptionPolicy, topologySpreadConstraints]);
  return { facts, nodeKey, fullKey: `${nodeKey} ${others}` };
}

/** What names a pod for good; a pod that comes back under its name is another one. */
export function uidOf(pod: Pod): string {
  return pod.metadata.uid ?? `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
}

/** Whether the pod is this scheduler's to place. */
export function isWaiting(pod: Pod): boolean {
  const { schedulerName = defaultSchedulerName, nodeName = "" } = pod.spec;
  if (nodeName !== "" || hasEnded(pod) || pod.metadata.deletionTimestamp !== undefined) return false;
  return schedulerName === defaultSchedulerName;
}

/** Whether gates keep the pod from being looked at (KEP-3521). */
export function isGated(pod: Pod): boolean {
  return (pod.spec.schedulingGates ?? []).length > 0;
}
