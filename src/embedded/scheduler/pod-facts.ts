/**
 * What scheduling has to know of a pod, read once.
 */
import { type Container, hasEnded, type Pod, podRequests } from "../../kube/index.ts";
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
  /** What its CPU and memory count as where nodes are compared. */
  readonly load: Load;
  readonly terms: PodTerms;
  /** Whether it has terms about other pods' nearness. */
  readonly hasAffinity: boolean;
}

/** In whole numbers, of which sums are exact. */
export interface Load {
  readonly milliCpus: number;
  readonly memoryBytes: number;
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
    load: loadOf(pod),
    terms,
    hasAffinity: hasAffinityTerms(terms),
  };
}

/** What a container counts as that does not say (kube-scheduler, util/pod_resources.go, `DefaultMilliCPURequest`, …). */
const unsaid = { cpu: "100m", memory: `${200 * 2 ** 20}` };

/** Pods that ask for nothing weigh something all the same, or they would all go to one node. */
function loadOf(pod: Pod): Load {
  const { containers, initContainers = [] } = pod.spec;
  const said = (container: Container): Container => {
    const { limits = {}, requests = {} } = container.resources ?? {};
    return { ...container, resources: { requests: { ...unsaid, ...limits, ...requests } } };
  };
  const spec = { ...pod.spec, containers: containers.map(said), initContainers: initContainers.map(said) };
  const amounts = podRequests({ ...pod, spec });
  return { milliCpus: Math.round((amounts.get("cpu") ?? 0) * 1000), memoryBytes: amounts.get("memory") ?? 0 };
}

/** Adds what tells pods that are alike. */
export function waitingPod(facts: PodFacts): WaitingPod {
  const { nodeSelector, affinity, tolerations, topologySpreadConstraints, preemptionPolicy } = facts.pod.spec;
  const nodeKey = JSON.stringify([facts.wanted, facts.load, nodeSelector, affinity, tolerations]);
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
