/**
 * Keeps as many pods as each replica set wants.
 */
import { errorText } from "../../base/index.ts";
import { type Pod, parseLabelSelector, resources } from "../../kube/index.ts";
import { inNamespace } from "./caches.ts";
import { claim, controllerOf, isControlledBy, selecting } from "./owners.ts";
import { carryOutClaim, createPods, deletePods, podFromTemplate } from "./pod-control.ts";
import { isActive, nextAvailableInMs } from "./pod-state.ts";
import { type Failure, planReplicaSet, type ReplicaSetPlan, replicaSetStatus } from "./replica-set.ts";
import { meaningOf } from "./same.ts";
import type { ReplicaSet } from "./types.ts";
import { type Controller, type ControllerContext, keyOf, objectOf, Worker } from "./worker.ts";

/** The controller of replica sets. */
export class ReplicaSetController implements Controller {
  readonly #worker: Worker;

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "replicaset-controller", (key) => this.#serve(key));
    const { replicaSets, pods } = context.caches;
    worker.follow(replicaSets);
    worker.followOwned(pods, "ReplicaSet", (pod) => selecting(inNamespace(replicaSets, pod.metadata.namespace), pod));
    this.#worker = worker;
  }

  get idle(): boolean {
    return this.#worker.idle;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#worker.run(signal);
  }

  async #serve(key: string): Promise<void> {
    const { caches, clock } = this.#worker.context;
    const set = objectOf(caches.replicaSets, key);
    if (set === undefined) return;
    const pods = inNamespace(caches.pods, set.metadata.namespace);
    const found = claim(set, parseLabelSelector(set.spec.selector), pods.filter(isActive));
    if (await carryOutClaim(this.#worker, set, found, { type: resources.pods, cache: caches.pods })) return;
    const nowMs = clock.now();
    const failed = pods.filter((pod) => pod.status?.phase === "Failed" && isControlledBy(pod, set));
    const plan = planReplicaSet({ set, active: found.owned, failed, neighbours: this.#neighbours(set, pods), nowMs });
    let failure: (Failure & { readonly error: unknown }) | undefined;
    if (set.metadata.deletionTimestamp === undefined) failure = await this.#carryOut(set, plan);
    // What was done shows in the caches soon, and the status with it.
    if (failure === undefined && this.#worker.awaited.has(key)) return;
    await this.#writeStatus(set, found.owned, failure);
    if (failure !== undefined) throw failure.error;
    const waits = [plan.waitMs, nextAvailableInMs(found.owned, set.spec.minReadySeconds ?? 0, nowMs) ?? 0];
    for (const waitMs of waits) if (waitMs > 0) this.#worker.queue.addAfter(key, waitMs);
  }

  async #carryOut(set: ReplicaSet, plan: ReplicaSetPlan): Promise<(Failure & { readonly error: unknown }) | undefined> {
    const fresh = Array.from({ length: plan.create }, () => podFromTemplate(set.spec.template, set));
    try {
      await createPods(this.#worker, set, fresh);
      await deletePods(this.#worker, set, plan.remove);
      return undefined;
    } catch (error) {
      return { reason: plan.create > 0 ? "FailedCreate" : "FailedDelete", message: errorText(error), error };
    }
  }

  async #writeStatus(set: ReplicaSet, active: readonly Pod[], failure: Failure | undefined): Promise<void> {
    const { api, caches, clock } = this.#worker.context;
    const told = failure && { reason: failure.reason, message: failure.message };
    const status = replicaSetStatus(set, active, { nowMs: clock.now(), failure: told });
    if (meaningOf(status) === meaningOf(set.status)) return;
    const written = await api.update<ReplicaSet>(resources.replicaSets, { ...set, status }, { subresource: "status" });
    this.#worker.awaited.written(keyOf(set), caches.replicaSets, written);
  }

  /** The pods that count of all sets with the same controller. */
  #neighbours(set: ReplicaSet, pods: readonly Pod[]): readonly Pod[] {
    const owner = controllerOf(set);
    const sets = inNamespace(this.#worker.context.caches.replicaSets, set.metadata.namespace).filter(
      (one) => one === set || (owner !== undefined && controllerOf(one)?.uid === owner.uid),
    );
    const uids = new Set(sets.map((one) => one.metadata.uid));
    return pods.filter((pod) => isActive(pod) && uids.has(controllerOf(pod)?.uid));
  }
}
