/**
 * Whom to evict so that a more important pod fits (kube-scheduler plugin DefaultPreemption).
 */
import { type DisruptionBudget, violatingPods } from "./budgets.ts";
import type { ClusterState } from "./cluster-state.ts";
import type { Refusal } from "./fit-error.ts";
import type { NodeState } from "./node-state.ts";
import type { Candidate, PassMemory, Search } from "./pass-memory.ts";
import type { PodFacts, WaitingPod } from "./pod-facts.ts";

/** Either somebody is evicted, or why nobody is, node by node or in one sentence for all. */
export type Preemption =
  | { readonly kind: "evict"; readonly candidate: Candidate }
  | { readonly kind: "none"; readonly reasons: readonly string[] }
  | { readonly kind: "ineligible"; readonly why: string };

export interface PreemptionRequest {
  readonly waiting: WaitingPod;
  readonly refusals: readonly Refusal[];
  readonly state: ClusterState;
  readonly memory: PassMemory;
  readonly budgets: readonly DisruptionBudget[];
}

/** Candidates looked for: this share of the nodes, but at least so many (`minCandidateNodesPercentage`, `…Absolute`). */
const candidateShare = 0.1;
const leastCandidates = 100;

/** Added to each priority in sums, so that more victims never sum to less (`pickOneNodeForPreemption`). */
const priorityOffset = 2 ** 31;

/** Decides whether others make way for a pod that no node takes. */
export function findPreemption(request: PreemptionRequest): Preemption {
  const { waiting, refusals, state } = request;
  const why = ineligibility(request);
  if (why !== undefined) return { kind: "ineligible", why };
  const enough = Math.max(leastCandidates, Math.ceil(state.nodes.length * candidateShare));
  const candidates: Candidate[] = [];
  const reasons: string[] = [];
  for (const { state: node, obstacle } of refusals) {
    if (!obstacle.resolvable) {
      reasons.push("Preemption is not helpful for scheduling");
      continue;
    }
    const found = request.memory.searching(waiting, node, () => victimsOn(node, request));
    if (found.kind === "candidate") candidates.push(found.candidate);
    else reasons.push(...found.reasons);
    if (candidates.length >= enough) break;
  }
  const candidate = candidates.reduce<Candidate | undefined>(
    (best, one) => (best === undefined || compareCandidates(one, best) < 0 ? one : best),
    undefined,
  );
  if (candidate === undefined) return { kind: "none", reasons };
  dropNominations(candidate.state, waiting, state);
  return { kind: "evict", candidate };
}

/** Why the pod may evict nobody now (`PodEligibleToPreemptOthers`). */
function ineligibility({ waiting, refusals, state }: PreemptionRequest): string | undefined {
  const { facts } = waiting;
  if (facts.pod.spec.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
  const nominated = state.nominatedNode(facts.uid);
  if (nominated === undefined) return undefined;
  // Where no eviction helps any more, the pod may look elsewhere.
  if (refusals.some((one) => one.state.name === nominated && !one.obstacle.resolvable)) return undefined;
  const pods = [...(state.node(nominated)?.pods.values() ?? [])];
  const stillGoing = pods.some((one) => one.priority < facts.priority && state.isLeaving(one));
  return stillGoing ? "not eligible due to a terminating pod on the nominated node." : undefined;
}

/**
 * The fewest, least important victims on one node: all that are less important go, and as many as possible come back, those
 * first that a budget keeps, then the most important (`SelectVictimsOnNode`).
 */
function victimsOn(node: NodeState, { waiting, memory, budgets }: PreemptionRequest): Search {
  const { priority } = waiting.facts;
  const lower = [...node.pods.values()].filter((one) => one.priority < priority).sort(byImportance);
  if (lower.length === 0) return { kind: "none", reasons: ["No preemption victims found for incoming pod"] };
  return memory.trying(node, () => {
    for (const one of lower) memory.shift(one, node, -1);
    const obstacle = memory.obstacleBesideNominated(waiting, node);
    if (obstacle !== undefined) {
      for (const one of lower) memory.shift(one, node, 1);
      return { kind: "none", reasons: obstacle.reasons };
    }
    const violating = violatingPods(lower, budgets);
    const kept = lower.filter((one) => violating.has(one));
    const others = lower.filter((one) => !violating.has(one));
    const victims = [...kept, ...others].filter((one) => {
      memory.shift(one, node, 1);
      if (memory.obstacleBesideNominated(waiting, node) === undefined) return false;
      memory.shift(one, node, -1);
      return true;
    });
    for (const one of victims) memory.shift(one, node, 1);
    const violations = victims.filter((one) => violating.has(one)).length;
    return { kind: "candidate", candidate: { state: node, victims: victims.sort(byImportance), violations } };
  });
}

/** The more important first: higher priority, then longer running (`MoreImportantPod`). */
function byImportance(a: PodFacts, b: PodFacts): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  return startOf(a) < startOf(b) ? -1 : Number(startOf(a) > startOf(b));
}

/** Below zero when `a` is the better, in the order of `pickOneNodeForPreemption`. */
function compareCandidates(a: Candidate, b: Candidate): number {
  const [worstA, worstB] = [a.victims[0]?.priority ?? 0, b.victims[0]?.priority ?? 0];
  const latest = earliestOfWorst(a) > earliestOfWorst(b) ? -1 : Number(earliestOfWorst(a) < earliestOfWorst(b));
  return (
    a.violations - b.violations ||
    worstA - worstB ||
    prioritySum(a) - prioritySum(b) ||
    a.victims.length - b.victims.length ||
    latest
  );
}

function prioritySum({ victims }: Candidate): number {
  return victims.reduce((sum, { priority }) => sum + priority + priorityOffset, 0);
}

/** When the first of the most important victims started. */
function earliestOfWorst({ victims }: Candidate): string {
  const worst = victims.filter(({ priority }) => priority === victims[0]?.priority);
  return worst.map(startOf).sort()[0] ?? "";
}

/** What has not started yet counts as starting after all that has. */
function startOf({ pod }: PodFacts): string {
  return pod.status?.startTime ?? "~";
}

/** Less important pods that wait for the same node have to look anew: what is freed there is not for them. */
function dropNominations(node: NodeState, { facts }: WaitingPod, state: ClusterState): void {
  for (const one of [...node.nominated.values()]) if (one.priority < facts.priority) state.nominate(one.uid, undefined);
}
