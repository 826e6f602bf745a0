/**
 * Keeps the status of disruption budgets, by which evictions and preemption go.
 */
import { matchesLabels, type Pod, parseLabelSelector } from "../../kube/index.ts";
import { disruptionBudgets } from "../scheduler/budgets.ts";
import { type ExpectedScale, planBudget } from "./budget.ts";
import { inNamespace } from "./caches.ts";
import { controllerOf } from "./owners.ts";
import { meaningOf } from "./same.ts";
import type { Budget } from "./types.ts";
import { type Controller, type ControllerContext, keyOf, objectOf, Worker } from "./worker.ts";

/** The disruption controller. */
export class BudgetController implements Controller {
  readonly #worker: Worker;

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "controllermanager", (key) => this.#serve(key));
    const { budgets, pods, deployments, replicaSets, statefulSets } = context.caches;
    worker.follow(budgets);
    pods.onChange((change) => {
      const states = change.type === "modified" ? [change.previous, change.object] : [change.object];
      for (const budget of inNamespace(budgets, change.object.metadata.namespace)) {
        if (states.some((pod) => isMeant(budget, pod))) worker.queue.add(keyOf(budget));
      }
    });
    const addAll = (namespace: string | undefined): void => {
      for (const budget of inNamespace(budgets, namespace)) worker.queue.add(keyOf(budget));
    };
    for (const scaled of [deployments, replicaSets, statefulSets]) {
      // Only sizes count, and those change the generation.
      scaled.onChange((change) => {
        const isSame =
          change.type === "modified" && change.previous.metadata.generation === change.object.metadata.generation;
        if (!isSame) addAll(change.object.metadata.namespace);
      });
    }
    this.#worker = worker;
  }

  get idle(): boolean {
    return this.#worker.idle;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#worker.run(signal);
  }

  async #serve(key: string): Promise<void> {
    const { api, caches, clock } = this.#worker.context;
    const budget = objectOf(caches.budgets, key);
    if (budget === undefined || budget.metadata.deletionTimestamp !== undefined) return;
    const pods = inNamespace(caches.pods, budget.metadata.namespace).filter((pod) => isMeant(budget, pod));
    if (pods.length === 0) this.#worker.tell(budget, "Normal", "NoPods", "No matching pods found");
    const scale = (): ExpectedScale => this.#scaleOf(pods);
    const plan = planBudget({ budget, pods, scale, nowMs: clock.now() });
    if (plan.problem !== undefined) {
      const message = `Failed to calculate the number of expected pods: ${plan.problem}`;
      this.#worker.tell(budget, "Warning", "CalculateExpectedPodCountFailed", message);
    }
    for (const pod of plan.stayed) {
      const message = `Pod was expected by PDB ${budget.metadata.namespace}/${budget.metadata.name} to be deleted but it wasn't`;
      this.#worker.tell(pod, "Warning", "NotDeleted", message);
    }
    if (plan.lookAgainInMs !== undefined) this.#worker.queue.addAfter(key, plan.lookAgainInMs);
    if (meaningOf(plan.status) === meaningOf(budget.status)) return;
    const next = { ...budget, status: plan.status };
    const written = await api.update<Budget>(disruptionBudgets, next, { subresource: "status" });
    this.#worker.awaited.written(key, caches.budgets, written);
  }

  /** What the controllers of the pods want; a deployment speaks for its replica sets, and nobody for a pod alone. */
  #scaleOf(pods: readonly Pod[]): ExpectedScale {
    const scales = new Map<string, number>();
    for (const pod of pods) {
      const found = this.#scaleOfOne(pod);
      if (found === undefined) continue;
      if (!found.ok) return found;
      scales.set(found.uid, found.pods);
    }
    return { ok: true, pods: [...scales.values()].reduce((sum, one) => sum + one, 0) };
  }

  #scaleOfOne(pod: Pod): ({ readonly uid: string } & Extract<ExpectedScale, { ok: true }>) | Unknown | undefined {
    const owner = controllerOf(pod);
    if (owner === undefined) return undefined;
    const { namespace } = pod.metadata;
    const { deployments, replicaSets, statefulSets } = this.#worker.context.caches;
    const set = owner.kind === "ReplicaSet" ? replicaSets.get(namespace, owner.name) : undefined;
    const above = set && controllerOf(set);
    const scaled =
      above?.kind === "Deployment"
        ? deployments.get(namespace, above.name)
        : (set ?? (owner.kind === "StatefulSet" ? statefulSets.get(namespace, owner.name) : undefined));
    if (scaled?.metadata.uid !== undefined) {
      return { ok: true, uid: scaled.metadata.uid, pods: scaled.spec?.replicas ?? 1 };
    }
    const isScalable = ["ReplicaSet", "StatefulSet"].includes(owner.kind);
    const plural = `${owner.kind.toLowerCase()}s.${owner.apiVersion.split("/")[0]}`;
    const problem = isScalable
      ? `found no controllers for pod "${pod.metadata.name}"`
      : `${plural} does not implement the scale subresource`;
    return { ok: false, problem };
  }
}

type Unknown = Extract<ExpectedScale, { ok: false }>;

/** Whether the budget is about the pod; an empty selector means every pod of the namespace. */
function isMeant({ spec }: Budget, { metadata }: Pod): boolean {
  const selector = parseLabelSelector(spec?.selector);
  return selector !== undefined && matchesLabels(selector, metadata.labels);
}
