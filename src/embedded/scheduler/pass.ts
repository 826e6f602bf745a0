/**
 * One look at the cluster: which waiting pod goes where, who makes way, and why the others wait.
 *
 * Does nothing but count: what it decides is noted in the state, as if done, and carried out by whoever called.
 */
import type { Pod } from "../../kube/index.ts";
import type { DisruptionBudget } from "./budgets.ts";
import type { ClusterState } from "./cluster-state.ts";
import { fitErrorText, type Refusal } from "./fit-error.ts";
import type { NodeState } from "./node-state.ts";
import { PassMemory } from "./pass-memory.ts";
import { isGated, type WaitingPod } from "./pod-facts.ts";
import { findPreemption } from "./preemption.ts";
import { compareRatings, type Rating } from "./score.ts";

/** What becomes of one waiting pod. */
export type Decision =
  | { readonly kind: "bind"; readonly pod: Pod; readonly node: string }
  | { readonly kind: "gated"; readonly pod: Pod }
  | {
      readonly kind: "wait";
      readonly pod: Pod;
      readonly message: string;
      /** Where a place is kept for it, once those evicted have gone. */
      readonly nominatedNode: string | undefined;
      /** Who is to be evicted for it now. */
      readonly victims: readonly Pod[];
    };

/**
 * Decides on every waiting pod whose UID is not `isHeld`, in order of priority, then age, then as they came. A pod placed
 * here takes from those after it; the state then counts it as assumed, and victims as leaving.
 */
export function decide(
  state: ClusterState,
  budgets: readonly DisruptionBudget[] = [],
  isHeld: (uid: string) => boolean = () => false,
): Decision[] {
  const memory = new PassMemory(state);
  const waiting = [...state.waiting].filter(({ facts }) => !isHeld(facts.uid)).sort(bySchedulingOrder);
  return waiting.map((one) => {
    if (isGated(one.facts.pod)) return { kind: "gated", pod: one.facts.pod };
    return decideOne(one, { state, memory, budgets });
  });
}

interface PassContext {
  readonly state: ClusterState;
  readonly memory: PassMemory;
  readonly budgets: readonly DisruptionBudget[];
}

function bySchedulingOrder({ facts: a }: WaitingPod, { facts: b }: WaitingPod): number {
  const [createdA, createdB] = [a.pod.metadata.creationTimestamp ?? "", b.pod.metadata.creationTimestamp ?? ""];
  return b.priority - a.priority || (createdA < createdB ? -1 : Number(createdA > createdB));
}

function decideOne(waiting: WaitingPod, context: PassContext): Decision {
  const { state, memory } = context;
  const { facts } = waiting;
  const nominated = state.nominatedNode(facts.uid);
  const known = nominated === undefined ? memory.refusal(waiting) : undefined;
  if (known !== undefined) return wait(waiting.facts.pod, known, undefined);
  memory.prepare(waiting);
  const kept = nominated === undefined ? undefined : state.node(nominated);
  if (kept !== undefined && memory.obstacleBesideNominated(waiting, kept) === undefined) {
    return bind(waiting, kept, memory);
  }
  const { best, refusals } = look(waiting, context);
  return best === undefined ? refuse(waiting, refusals, context) : bind(waiting, best, memory);
}

/** All nodes: the best of those that take the pod, or why none does. */
function look(waiting: WaitingPod, { state, memory }: PassContext) {
  let best: { readonly state: NodeState; readonly rating: Rating } | undefined;
  const refusals: Refusal[] = [];
  for (const node of state.nodes) {
    const obstacle = memory.obstacleBesideNominated(waiting, node);
    if (obstacle !== undefined) {
      refusals.push({ state: node, obstacle });
      continue;
    }
    const rating = memory.rating(waiting, node);
    // Among equals the first by name stays.
    if (best === undefined || compareRatings(rating, best.rating) < 0) best = { state: node, rating };
  }
  return { best: best?.state, refusals };
}

function bind({ facts }: WaitingPod, node: NodeState, memory: PassMemory): Decision {
  memory.assume(facts, node);
  return { kind: "bind", pod: facts.pod, node: node.name };
}

function refuse(waiting: WaitingPod, refusals: readonly Refusal[], context: PassContext): Decision {
  const { state, memory } = context;
  const { uid, pod } = waiting.facts;
  const preemption = findPreemption({ waiting, refusals, ...context });
  const message = fitErrorText(refusals, preemption);
  switch (preemption.kind) {
    case "evict": {
      const { victims, state: node } = preemption.candidate;
      state.nominate(uid, node.name);
      const staying = victims.filter((one) => !state.isLeaving(one));
      for (const one of staying) state.markLeaving(one.uid, "leaves");
      return { kind: "wait", pod, message, nominatedNode: node.name, victims: staying.map((one) => one.pod) };
    }
    case "none":
      state.nominate(uid, undefined);
      memory.rememberRefusal(waiting, message);
      return wait(pod, message, undefined);
    case "ineligible": {
      const nominatedNode = state.nominatedNode(uid);
      if (nominatedNode === undefined) memory.rememberRefusal(waiting, message);
      return wait(pod, message, nominatedNode);
    }
  }
}

function wait(pod: Pod, message: string, nominatedNode: string | undefined): Decision {
  return { kind: "wait", pod, message, nominatedNode, victims: [] };
}
