/**
 * Which pods disruption budgets would rather keep (policy/v1 `PodDisruptionBudget`).
 */
import { type KubeObject, matchesLabels, parseLabelSelector, type ResourceType } from "../../kube/index.ts";
import type { PodFacts } from "./pod-facts.ts";

/** A budget as far as preemption looks at it. */
export interface DisruptionBudget extends KubeObject {
  spec?: { selector?: unknown };
  status?: { disruptionsAllowed?: number; disruptedPods?: Record<string, string> };
}

/** The collection of budgets. */
export const disruptionBudgets: ResourceType = {
  group: "policy",
  version: "v1",
  plural: "poddisruptionbudgets",
  kind: "PodDisruptionBudget",
  namespaced: true,
};

/**
 * Those of `pods` whose eviction, after that of those before them, would break a budget (kube-scheduler,
 * `filterPodsWithPDBViolation`). Other than in the eviction API, no budget keeps a pod without labels here, and one with
 * an empty selector keeps nobody.
 */
export function violatingPods(pods: readonly PodFacts[], budgets: readonly DisruptionBudget[]): ReadonlySet<PodFacts> {
  const left = budgets.map((budget) => ({
    namespace: budget.metadata.namespace,
    selector: parseLabelSelector(budget.spec?.selector) ?? [],
    allowed: budget.status?.disruptionsAllowed ?? 0,
    disrupted: budget.status?.disruptedPods ?? {},
  }));
  const violating = new Set<PodFacts>();
  for (const facts of pods) {
    if (Object.keys(facts.labels).length === 0) continue;
    for (const budget of left) {
      if (budget.namespace !== facts.namespace || budget.selector.length === 0) continue;
      if (!matchesLabels(budget.selector, facts.labels)) continue;
      // Counted already when it was evicted.
      if (Object.hasOwn(budget.disrupted, facts.pod.metadata.name)) continue;
      budget.allowed -= 1;
      if (budget.allowed < 0) violating.add(facts);
    }
  }
  return violating;
}
