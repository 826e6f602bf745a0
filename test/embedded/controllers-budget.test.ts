/** What disruption budgets allow (kubernetes, pkg/controller/disruption/disruption_test.go). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { planBudget } from "../../src/embedded/controllers/budget.ts";
import type { Budget, Share } from "../../src/embedded/controllers/types.ts";
import { at, nowMs, podOf } from "./controllers-support.ts";

interface Spec {
  readonly minAvailable?: Share;
  readonly maxUnavailable?: Share;
}

function budgetOf(spec: Spec, disruptedPods: Record<string, string> = {}): Budget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "web", namespace: "default", uid: "b", generation: 2 },
    spec: { ...spec, selector: { matchLabels: { app: "web" } } },
    status: { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptionsAllowed: 0, disruptedPods },
  };
}

const pods = (ready: number, unready: number) =>
  Array.from({ length: ready + unready }, (_, index) => podOf(`p${index}`, index < ready ? { readyFor: 1000 } : {}));

suite("allowed, healthy, desired and expected", () => {
  const rows: readonly { name: string; spec: Spec; ready: number; unready: number; scale?: number; want: string }[] = [
    { name: "a number of available pods", spec: { minAvailable: 2 }, ready: 3, unready: 0, want: "1 3 2 3" },
    {
      name: "pods that are not ready are no reserve",
      spec: { minAvailable: 2 },
      ready: 2,
      unready: 2,
      want: "0 2 2 4",
    },
    {
      name: "a percentage is of what is wanted, rounded up",
      spec: { minAvailable: "50%" },
      ready: 3,
      unready: 0,
      scale: 5,
      want: "0 3 3 5",
    },
    {
      name: "a number of unavailable pods",
      spec: { maxUnavailable: 1 },
      ready: 3,
      unready: 0,
      scale: 3,
      want: "1 3 2 3",
    },
    {
      name: "missing pods count as unavailable",
      spec: { maxUnavailable: 1 },
      ready: 2,
      unready: 0,
      scale: 3,
      want: "0 2 2 3",
    },
    {
      name: "a percentage of unavailable pods is rounded up",
      spec: { maxUnavailable: "30%" },
      ready: 7,
      unready: 0,
      scale: 7,
      want: "3 7 4 7",
    },
    { name: "more than there are", spec: { maxUnavailable: 9 }, ready: 2, unready: 0, scale: 2, want: "2 2 0 2" },
    { name: "none at all", spec: { maxUnavailable: "0%" }, ready: 4, unready: 0, scale: 4, want: "0 4 4 4" },
    {
      name: "nothing is allowed where nothing is expected",
      spec: { maxUnavailable: 1 },
      ready: 1,
      unready: 0,
      scale: 0,
      want: "0 1 0 0",
    },
  ];
  for (const { name, spec, ready, unready, scale = 0, want } of rows) {
    test(name, () => {
      const facts = {
        budget: budgetOf(spec),
        pods: pods(ready, unready),
        scale: () => ({ ok: true, pods: scale }) as const,
        nowMs,
      };
      const { status } = planBudget(facts);
      const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods, conditions = [] } = status;
      assert.equal([disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods].join(" "), want);
      assert.equal(conditions[0]?.reason, disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods");
      assert.equal(status.observedGeneration, 2);
    });
  }
});

const noScale = () => ({ ok: true, pods: 0 }) as const;

test("an evicted pod is no reserve until it goes, stays for two minutes, or has gone", () => {
  const evicted = { p0: at(nowMs - 60_000), p1: at(nowMs - 121_000), p2: at(nowMs - 1000), gone: at(nowMs - 1000) };
  const seen = [...pods(2, 0), podOf("p2", { readyFor: 1000, isLeaving: true }), podOf("p3", { readyFor: 1000 })];
  const plan = planBudget({ budget: budgetOf({ minAvailable: 1 }, evicted), pods: seen, scale: noScale, nowMs });
  assert.deepEqual(plan.status.disruptedPods, { p0: evicted.p0 });
  assert.equal(plan.status.currentHealthy, 2);
  assert.deepEqual(
    plan.stayed.map((pod) => pod.metadata.name),
    ["p1"],
  );
  assert.equal(plan.lookAgainInMs, 60_000);
});

test("nobody may go while nobody can say how many there should be", () => {
  const scale = () => ({ ok: false, problem: "jobs.batch does not implement the scale subresource" }) as const;
  const plan = planBudget({ budget: budgetOf({ maxUnavailable: 1 }), pods: pods(3, 0), scale, nowMs });
  assert.equal(plan.status.disruptionsAllowed, 0);
  assert.equal(plan.status.conditions?.[0]?.reason, "SyncFailed");
  assert.match(plan.problem ?? "", /^jobs\.batch does not implement/);
});
