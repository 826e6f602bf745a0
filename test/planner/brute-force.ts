/**
 * The planner's slow twin: every config on every node, every pod on every node, nothing clever.
 */
import type { Amounts, ChooseInput, PlannerConfig, PlannerNode, PlannerPod } from "../../src/planner/index.ts";

export interface BruteScore {
  readonly placed: number;
  readonly changed: number;
  readonly surplus: number;
  readonly order: readonly number[];
}

type Input = ChooseInput<PlannerNode, PlannerConfig, PlannerPod>;

/** The best score of all plans, by the rule that `chooseConfigs` documents. */
export function bruteForce(input: Input): BruteScore {
  let best: BruteScore | undefined;
  for (const order of allOrders(input)) {
    const score = scoreOf(input, order);
    if (score !== undefined && (best === undefined || compare(score, best) < 0)) best = score;
  }
  if (best === undefined) throw new Error("staying as it is must always be possible");
  return best;
}

/** The score of one plan: the config's position for each node, -1 for staying; nothing when a node cannot take it. */
export function scoreOf(input: Input, order: readonly number[]): BruteScore | undefined {
  const free: Amounts[] = [];
  const created: Record<string, number> = {};
  for (const [index, node] of input.nodes.entries()) {
    const number = order[index] ?? -1;
    const offers = offersUnder(input, node, number);
    if (offers === undefined) return undefined;
    free.push(difference({ ...node.allocatable, ...offers }, node.used));
    if (number === -1) continue;
    for (const [name, count] of Object.entries(offers)) created[name] = (created[name] ?? 0) + count;
  }
  const surplus = Object.entries(created).map(([name, count]) => {
    const demand = input.pods.reduce((sum, pod) => sum + (pod.requests[name] ?? 0), 0);
    return Math.max(0, count - demand);
  });
  return {
    placed: mostPods(input, free, 0),
    changed: order.filter((number) => number !== -1).length,
    surplus: surplus.reduce((sum, count) => sum + count, 0),
    order,
  };
}

function offersUnder(input: Input, node: PlannerNode, number: number): Amounts | undefined {
  const now = input.offersAfter(node, undefined) ?? {};
  if (number === -1) return now;
  const offers = input.offersAfter(node, input.configs[number]);
  if (offers === undefined || node.config !== undefined) return undefined;
  const kept = Object.keys(now).every((name) => (node.used[name] ?? 0) <= (offers[name] ?? 0));
  return kept ? offers : undefined;
}

function mostPods(input: Input, free: readonly Amounts[], from: number): number {
  const pod = input.pods[from];
  if (pod === undefined) return 0;
  let most = mostPods(input, free, from + 1);
  for (const [index, node] of input.nodes.entries()) {
    if (!input.mayRun(pod, node)) continue;
    const has = free[index] ?? {};
    if (Object.entries(pod.requests).some(([name, count]) => count > 0 && count > (has[name] ?? 0))) continue;
    const after = free.with(index, difference(has, pod.requests));
    most = Math.max(most, 1 + mostPods(input, after, from + 1));
  }
  return most;
}

function difference(a: Amounts, b: Amounts): Record<string, number> {
  const result: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) result[name] = (result[name] ?? 0) - count;
  return result;
}

function* allOrders(input: Input, chosen: readonly number[] = []): Generator<readonly number[]> {
  if (chosen.length === input.nodes.length) {
    yield chosen;
    return;
  }
  for (let number = -1; number < input.configs.length; number += 1) yield* allOrders(input, [...chosen, number]);
}

function compare(a: BruteScore, b: BruteScore): number {
  const differing = a.order.findIndex((number, index) => number !== b.order[index]);
  const byOrder = differing === -1 ? 0 : (a.order[differing] ?? 0) - (b.order[differing] ?? 0);
  return b.placed - a.placed || a.changed - b.changed || a.surplus - b.surplus || byOrder;
}
