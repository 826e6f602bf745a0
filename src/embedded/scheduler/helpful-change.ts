/**
 * Which changes could help a waiting pod, so that a pass is worth it.
 */
import { hasEnded, type Node, type Pod } from "../../kube/index.ts";
import { isWaiting } from "./pod-facts.ts";

/** Whether anything of the node that scheduling depends on is different. */
export function nodeChanged(previous: Node, node: Node): boolean {
  return nodeFacts(previous) !== nodeFacts(node);
}

/** Whether the same pod, changed, could help itself or another; an `expected` arrival is where this scheduler sent it. */
export function podChanged(previous: Pod, pod: Pod, arrival: "expected" | "news"): boolean {
  const freed = hasEnded(pod) && !hasEnded(previous);
  const moved = isPlaced(pod) && !isPlaced(previous) && arrival === "news";
  const asks = isWaiting(pod) && !(isWaiting(previous) && sameJson(previous.spec, pod.spec));
  // Other pods' terms look at labels, and spreading does not count who is on the way out.
  const isGoing = pod.metadata.deletionTimestamp !== previous.metadata.deletionTimestamp;
  return freed || moved || asks || isGoing || !sameJson(previous.metadata.labels, pod.metadata.labels);
}

/** Whether the pod has a node. */
export function isPlaced({ spec }: Pod): boolean {
  return (spec.nodeName ?? "") !== "";
}

function nodeFacts({ metadata, spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return JSON.stringify([metadata.labels, spec, status?.allocatable, ready]);
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
