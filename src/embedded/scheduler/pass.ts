/**
 * One look at the cluster: which waiting pod goes where, and why the others wait (pure).
 */
import type { Node, Pod } from "../../kube/index.ts";
import { nodeObstacle } from "./filter.ts";
import { fitErrorText, type Refusal } from "./fit-error.ts";
import { type NodeState, nodeStates, place } from "./node-state.ts";
import { chooseNode } from "./score.ts";

export interface ClusterView {
  readonly nodes: readonly Node[];
  /** All pods; those of equal priority and age are served in this order. */
  readonly pods: readonly Pod[];
  /** Nodes of pods whose binding is under way, by pod UID. */
  readonly assumed: ReadonlyMap<string, string>;
}

export type Decision =
  | { readonly kind: "bind"; readonly pod: Pod; readonly node: string }
  | { readonly kind: "wait"; readonly pod: Pod; readonly message: string };

/** The scheduler that pods get which name none. */
export const defaultSchedulerName = "default-scheduler";

/** Decides on every waiting pod, in order of priority, then age. A pod placed here takes from those after it. */
export function decide(view: ClusterView): Decision[] {
  const bound = view.pods.flatMap((pod): [Pod, string][] => {
    const node = nodeOf(pod, view.assumed);
    return node === undefined || hasEnded(pod) ? [] : [[pod, node]];
  });
  const states = nodeStates(view.nodes, bound);
  const waiting = view.pods.filter((pod) => isWaiting(pod) && nodeOf(pod, view.assumed) === undefined);
  return waiting.sort(bySchedulingOrder).map((pod) => decideOne(pod, states));
}

/** Whether the pod is this scheduler's to place. */
export function isWaiting(pod: Pod): boolean {
  const { schedulerName = defaultSchedulerName, nodeName = "" } = pod.spec;
  if (nodeName !== "" || hasEnded(pod) || pod.metadata.deletionTimestamp !== undefined) return false;
  return schedulerName === defaultSchedulerName;
}

/** Whether the pod holds nothing any more. */
export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function nodeOf(pod: Pod, assumed: ReadonlyMap<string, string>): string | undefined {
  const { nodeName } = pod.spec;
  return nodeName === undefined || nodeName === "" ? assumed.get(pod.metadata.uid ?? "") : nodeName;
}

function bySchedulingOrder(a: Pod, b: Pod): number {
  const created = (pod: Pod): string => pod.metadata.creationTimestamp ?? "";
  const byAge = created(a) === created(b) ? 0 : created(a) < created(b) ? -1 : 1;
  return (b.spec.priority ?? 0) - (a.spec.priority ?? 0) || byAge;
}

function decideOne(pod: Pod, states: readonly NodeState[]): Decision {
  const refusals: Refusal[] = [];
  const candidates: NodeState[] = [];
  for (const state of states) {
    const obstacle = nodeObstacle(pod, state);
    if (obstacle === undefined) candidates.push(state);
    else refusals.push({ state, obstacle });
  }
  const chosen = chooseNode(pod, candidates);
  if (chosen === undefined) return { kind: "wait", pod, message: fitErrorText(pod, refusals) };
  place(chosen, pod);
  return { kind: "bind", pod, node: chosen.node.metadata.name };
}
