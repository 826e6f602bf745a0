/**
 * Which of several nodes that fit a pod takes it.
 */
import { type Pod, preferenceWeight, untoleratedTaints } from "../../kube/index.ts";
import { freeOf, isExtended, type NodeState, wantedOf } from "./node-state.ts";

/**
 * The node to bind to, `undefined` without candidates. In this order: what the pod prefers; the node with fewest free
 * devices of other kinds, so that a slice is not taken from a node that could serve pods nobody else can; for pods with
 * devices the node with fewest of theirs left, so that others stay whole; the node with most CPU and memory left in
 * proportion (kube-scheduler's LeastAllocated); the first by name.
 */
export function chooseNode(pod: Pod, candidates: readonly NodeState[]): NodeState | undefined {
  const rated = candidates.map((state) => ({ state, rating: ratingOf(pod, state) }));
  rated.sort((a, b) => compareRatings(a.rating, b.rating) || (nameOf(a.state) < nameOf(b.state) ? -1 : 1));
  return rated[0]?.state;
}

/** Numbers compared in order; the lower is the better. */
type Rating = readonly number[];

function ratingOf(pod: Pod, state: NodeState): Rating {
  const wanted = wantedOf(pod);
  const avoided = untoleratedTaints(pod, state.node).length;
  let others = 0;
  let same = 0;
  for (const resource of state.allocatable.keys()) {
    if (!isExtended(resource)) continue;
    const free = Math.max(0, freeOf(state, resource));
    if ((wanted.get(resource) ?? 0) > 0) same += free;
    else others += free;
  }
  return [avoided, -preferenceWeight(pod, state.node), others, same, -leastAllocated(wanted, state)];
}

/** The mean part of CPU and memory that is free once the pod is there, from 0 to 1. */
function leastAllocated(wanted: ReadonlyMap<string, number>, state: NodeState): number {
  const parts = ["cpu", "memory"].map((resource) => {
    const allocatable = state.allocatable.get(resource) ?? 0;
    if (allocatable <= 0) return 0;
    return Math.max(0, freeOf(state, resource) - (wanted.get(resource) ?? 0)) / allocatable;
  });
  return parts.reduce((sum, part) => sum + part, 0) / parts.length;
}

function compareRatings(a: Rating, b: Rating): number {
  const differing = a.findIndex((number, index) => number !== b[index]);
  return differing === -1 ? 0 : (a[differing] ?? 0) - (b[differing] ?? 0);
}

function nameOf(state: NodeState): string {
  return state.node.metadata.name;
}
