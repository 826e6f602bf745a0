/**
 * Which of several nodes that fit a pod takes it.
 *
 * In this order: the one with fewest taints that ask to be avoided; what the pod prefers of nodes and of other pods; the
 * place with fewest like pods, where the pod asks to be spread; the node with fewest free devices of other kinds, so that
 * a slice is not taken from a node that could serve pods nobody else can; for pods with devices the node with fewest of
 * theirs left, so that others stay whole; the node with most CPU and memory left in proportion, where containers that do
 * not say what they need count as a little (kube-scheduler's LeastAllocated); the first by name.
 */
import { type Node, type Pod, preferenceWeight, untoleratedTaints } from "../../kube/index.ts";
import { freeOf, type NodeState } from "./node-state.ts";
import type { PodFacts } from "./pod-facts.ts";

/** What the node itself has for or against it. */
export interface FixedRating {
  /** Taints with the effect `PreferNoSchedule` that the pod does not tolerate. */
  readonly avoided: number;
  /** Weights of preferred node affinity, summed. */
  readonly preference: number;
}

/** What the pods on the node leave. */
export interface RoomRating {
  readonly otherDevices: number;
  readonly sameDevices: number;
  /** The mean part of CPU and memory that is free once the pod is there, from 0 to 1. */
  readonly leastAllocated: number;
}

/** All that counts for a node that fits. */
export interface Rating {
  readonly fixed: FixedRating;
  /** Weights of preferences about other pods, summed. */
  readonly near: number;
  readonly spreadCost: number;
  readonly room: RoomRating;
}

/** Rates the node itself. */
export function fixedRating(pod: Pod, node: Node): FixedRating {
  // Only nodes that fit are compared, and on those no other effect is left untolerated.
  return { avoided: untoleratedTaints(pod, node).length, preference: preferenceWeight(pod, node) };
}

/** Rates what is free. */
export function roomRating({ wanted, load }: PodFacts, state: NodeState): RoomRating {
  let otherDevices = 0;
  let sameDevices = 0;
  for (const resource of state.extended) {
    const free = Math.max(0, freeOf(state, resource));
    if (wanted.some(([name]) => name === resource)) sameDevices += free;
    else otherDevices += free;
  }
  const cpu = freePart((state.allocatable.get("cpu") ?? 0) * 1000, state.load.milliCpus + load.milliCpus);
  const memory = freePart(state.allocatable.get("memory") ?? 0, state.load.memoryBytes + load.memoryBytes);
  const leastAllocated = (cpu + memory) / 2;
  return { otherDevices, sameDevices, leastAllocated };
}

/** Below zero when `a` is the better. */
export function compareRatings(a: Rating, b: Rating): number {
  return (
    a.fixed.avoided - b.fixed.avoided ||
    b.fixed.preference + b.near - (a.fixed.preference + a.near) ||
    // Not a difference: of two nodes that are no place the difference would be no number.
    (a.spreadCost < b.spreadCost ? -1 : Number(a.spreadCost > b.spreadCost)) ||
    a.room.otherDevices - b.room.otherDevices ||
    a.room.sameDevices - b.room.sameDevices ||
    b.room.leastAllocated - a.room.leastAllocated
  );
}

function freePart(allocatable: number, load: number): number {
  return allocatable <= 0 ? 0 : Math.max(0, allocatable - load) / allocatable;
}
