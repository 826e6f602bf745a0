/**
 * How many pods a disruption budget lets go (kubernetes, pkg/controller/disruption/disruption.go): pure.
 */
import type { Condition, Pod } from "../../kube/index.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { withCondition } from "./conditions.ts";
import { isReady } from "./pod-state.ts";
import { amountOf } from "./share.ts";
import type { Budget, BudgetStatus } from "./types.ts";

/** An evicted pod that is still there after this long counts again: its eviction did not happen. */
const evictionExpiryMs = 120_000;

/** What the pods' controllers want, all together. */
export type ExpectedScale =
  | { readonly ok: true; readonly pods: number }
  /** Why nobody can say. */
  | { readonly ok: false; readonly problem: string };

interface ObservedCondition extends Condition {
  readonly observedGeneration?: number;
}

export interface BudgetFacts {
  readonly budget: Budget;
  /** The pods that the budget is about. */
  readonly pods: readonly Pod[];
  /** Asked only where the budget needs it: for percentages and for `maxUnavailable`. */
  scale(): ExpectedScale;
  readonly nowMs: number;
}

export interface BudgetPlan {
  readonly status: BudgetStatus;
  /** Why the status is a guess on the safe side: nobody may go. */
  readonly problem?: string;
  /** Pods that were evicted and stayed. */
  readonly stayed: readonly Pod[];
  /** When an eviction expires, if one is under way. */
  readonly lookAgainInMs?: number;
}

/** The status that follows from pods, controllers and time. */
export function planBudget({ budget, pods, scale, nowMs }: BudgetFacts): BudgetPlan {
  const wanted = wantedHealthy(budget, pods, scale);
  if (!wanted.ok) return { status: failSafe(budget, wanted.problem, nowMs), problem: wanted.problem, stayed: [] };
  const { expectedPods, desiredHealthy } = wanted;
  const evictions = evictionsUnderWay(budget, pods, nowMs);
  const isLeaving = ({ metadata }: Pod): boolean =>
    metadata.deletionTimestamp !== undefined || Object.hasOwn(evictions.current, metadata.name);
  const currentHealthy = pods.filter((pod) => !isLeaving(pod) && isReady(pod)).length;
  const disruptionsAllowed = expectedPods <= 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const told: Condition = {
    type: "DisruptionAllowed",
    status: disruptionsAllowed > 0 ? "True" : "False",
    reason: disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods",
    message: "",
    lastTransitionTime: timestamp(nowMs),
  };
  const conditions = withCondition(budget.status?.conditions, told).map((one) => observed(one, budget));
  const counts = { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed };
  return {
    status: {
      observedGeneration: budget.metadata.generation ?? 0,
      ...counts,
      ...(Object.keys(evictions.current).length === 0 ? {} : { disruptedPods: evictions.current }),
      conditions,
    },
    stayed: evictions.stayed,
    ...(evictions.lookAgainInMs === undefined ? {} : { lookAgainInMs: evictions.lookAgainInMs }),
  };
}

type WantedHealthy =
  | { readonly ok: true; readonly expectedPods: number; readonly desiredHealthy: number }
  | { readonly ok: false; readonly problem: string };

function wantedHealthy({ spec }: Budget, pods: readonly Pod[], scale: () => ExpectedScale): WantedHealthy {
  const { maxUnavailable, minAvailable } = spec ?? {};
  if (maxUnavailable === undefined && typeof minAvailable !== "string") {
    return { ok: true, expectedPods: pods.length, desiredHealthy: minAvailable ?? 0 };
  }
  const expected = scale();
  if (!expected.ok) return expected;
  // Percentages are rounded up on either side.
  const amount = amountOf(maxUnavailable ?? minAvailable ?? 0, expected.pods, "up");
  const desiredHealthy = maxUnavailable === undefined ? amount : Math.max(0, expected.pods - amount);
  return { ok: true, expectedPods: expected.pods, desiredHealthy };
}

interface Evictions {
  readonly current: Readonly<Record<string, string>>;
  readonly stayed: readonly Pod[];
  readonly lookAgainInMs?: number;
}

/** Evicted pods of which nothing was seen yet: those that go, or have gone, need no entry any more. */
function evictionsUnderWay({ status }: Budget, pods: readonly Pod[], nowMs: number): Evictions {
  const current: Record<string, string> = {};
  const stayed: Pod[] = [];
  const waits: number[] = [];
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const evictedAt = status?.disruptedPods?.[name];
    if (evictedAt === undefined || deletionTimestamp !== undefined) continue;
    const leftMs = Date.parse(evictedAt) + evictionExpiryMs - nowMs;
    if (leftMs <= 0) {
      stayed.push(pod);
      continue;
    }
    current[name] = evictedAt;
    waits.push(leftMs);
  }
  return { current, stayed, ...(waits.length === 0 ? {} : { lookAgainInMs: Math.min(...waits) }) };
}

/** Nobody may go while nobody knows how many there should be. */
function failSafe(budget: Budget, problem: string, nowMs: number): BudgetStatus {
  const told: Condition = {
    type: "DisruptionAllowed",
    status: "False",
    reason: "SyncFailed",
    message: problem,
    lastTransitionTime: timestamp(nowMs),
  };
  const { currentHealthy = 0, desiredHealthy = 0, expectedPods = 0, disruptedPods } = budget.status ?? {};
  return {
    observedGeneration: budget.metadata.generation ?? 0,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    disruptionsAllowed: 0,
    ...(disruptedPods === undefined ? {} : { disruptedPods }),
    conditions: withCondition(budget.status?.conditions, told).map((one) => observed(one, budget)),
  };
}

/** `metav1.Condition` tells for which generation it holds. */
function observed(condition: Condition, { metadata }: Budget): ObservedCondition {
  return condition.type === "DisruptionAllowed"
    ? { ...condition, observedGeneration: metadata.generation ?? 0 }
    : condition;
}
