/**
 * Rolls deployments out through replica sets.
 */
import { errorText } from "../../base/index.ts";
import { hasStatus, type Pod, parseLabelSelector, resources } from "../../kube/index.ts";
import { inNamespace } from "./caches.ts";
import { withCondition } from "./conditions.ts";
import { type DeploymentPlan, type DeploymentStep, planDeployment } from "./deployment.ts";
import { revisionNote, sortSets } from "./deployment-revision.ts";
import { lookAgainInMs, timedCondition } from "./deployment-status.ts";
import { claim, controllerOf, isControlledBy, selecting } from "./owners.ts";
import { carryOutClaim } from "./pod-control.ts";
import { hasEnded } from "./pod-state.ts";
import { meaningOf } from "./same.ts";
import type { Deployment, DeploymentStatus, ReplicaSet } from "./types.ts";
import { type Controller, type ControllerContext, keyOf, objectOf, Worker } from "./worker.ts";

/** The controller of deployments. */
export class DeploymentController implements Controller {
  readonly #worker: Worker;

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "deployment-controller", (key) => this.#serve(key));
    const { deployments, replicaSets, pods } = context.caches;
    worker.follow(deployments);
    worker.followOwned(replicaSets, "Deployment", (set) =>
      selecting(inNamespace(deployments, set.metadata.namespace), set),
    );
    // Recreate waits for the last old pod to go.
    pods.onChange(({ type, object }) => {
      if (type === "deleted" || hasEnded(object)) this.#seeEnd(object);
    });
    this.#worker = worker;
  }

  get idle(): boolean {
    return this.#worker.idle;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#worker.run(signal);
  }

  #seeEnd(pod: Pod): void {
    const { caches } = this.#worker.context;
    const { namespace } = pod.metadata;
    const set = caches.replicaSets.get(namespace, controllerOf(pod)?.name ?? "");
    const owner = set && caches.deployments.get(namespace, controllerOf(set)?.name ?? "");
    if (owner?.spec.strategy?.type === "Recreate") this.#worker.queue.add(keyOf(owner));
  }

  async #serve(key: string): Promise<void> {
    const { caches, clock } = this.#worker.context;
    const deployment = objectOf(caches.deployments, key);
    if (deployment === undefined) return;
    const { namespace } = deployment.metadata;
    const collection = { type: resources.replicaSets, cache: caches.replicaSets };
    const found = claim(
      deployment,
      parseLabelSelector(deployment.spec.selector),
      inNamespace(caches.replicaSets, namespace),
    );
    if (await carryOutClaim(this.#worker, deployment, found, collection)) return;
    const pods = inNamespace(caches.pods, namespace).filter((pod) =>
      found.owned.some((set) => isControlledBy(pod, set)),
    );
    const nowMs = clock.now();
    const plan = planDeployment({ deployment, sets: found.owned, pods, nowMs });
    const written = await this.#carryOut(deployment, plan);
    const waitMs = lookAgainInMs(written, plan.status, nowMs);
    if (waitMs !== undefined) this.#worker.queue.addAfter(key, waitMs);
  }

  async #carryOut(deployment: Deployment, plan: DeploymentPlan): Promise<Deployment> {
    let current = deployment;
    for (const step of plan.steps) current = await this.#take(current, step);
    return await this.#writeStatus(current, plan.status);
  }

  /** Takes one step; returns the deployment as it is then. */
  async #take(deployment: Deployment, step: DeploymentStep): Promise<Deployment> {
    const { api, caches } = this.#worker.context;
    const key = keyOf(deployment);
    const { awaited } = this.#worker;
    switch (step.kind) {
      case "create":
        return await this.#create(deployment, step.set);
      case "update": {
        awaited.written(key, caches.replicaSets, await api.update(resources.replicaSets, step.set));
        if (step.was !== undefined) this.#tellScaled(deployment, step.set, step.was);
        return deployment;
      }
      case "delete":
        await api.delete(resources.replicaSets, step.set.metadata);
        awaited.deleted(key, caches.replicaSets, step.set);
        return deployment;
      case "note": {
        const { uid } = deployment.metadata;
        const patch = { metadata: { uid, annotations: { [revisionNote]: step.revision } } };
        const noted = await api.mergePatch<Deployment>(resources.deployments, deployment.metadata, patch);
        awaited.written(key, caches.deployments, noted);
        return noted;
      }
    }
  }

  /** Creates a replica set; when its name is taken by one of another template, counts the collision for another name. */
  async #create(deployment: Deployment, set: ReplicaSet): Promise<Deployment> {
    const { api, caches } = this.#worker.context;
    const key = keyOf(deployment);
    try {
      this.#worker.awaited.written(key, caches.replicaSets, await api.create(resources.replicaSets, set));
      if (set.spec.replicas !== 0) this.#tellScaled(deployment, set, 0);
      return deployment;
    } catch (error) {
      if (!hasStatus(error, 409)) {
        await this.#tellRefused(deployment, set, errorText(error));
        throw error;
      }
      const taken = await api.get<ReplicaSet>(resources.replicaSets, set.metadata);
      if (isControlledBy(taken, deployment) && sortSets(deployment, [taken]).fresh !== undefined) throw error;
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      await this.#writeStatus(deployment, { ...deployment.status, collisionCount });
      throw error;
    }
  }

  async #tellRefused(deployment: Deployment, set: ReplicaSet, why: string): Promise<void> {
    const reason = "ReplicaSetCreateError";
    const message = `Failed to create new replica set "${set.metadata.name}": ${why}`;
    this.#worker.tell(deployment, "Warning", reason, message);
    const nowMs = this.#worker.context.clock.now();
    const condition = timedCondition("Progressing", { status: "False", reason, message }, nowMs);
    const conditions = withCondition(deployment.status?.conditions, condition);
    const observedGeneration = deployment.metadata.generation ?? 0;
    await this.#writeStatus(deployment, { ...deployment.status, observedGeneration, conditions });
  }

  async #writeStatus(deployment: Deployment, status: DeploymentStatus): Promise<Deployment> {
    if (meaningOf(status) === meaningOf(deployment.status)) return deployment;
    const { api, caches } = this.#worker.context;
    const next = { ...deployment, status };
    const written = await api.update<Deployment>(resources.deployments, next, { subresource: "status" });
    this.#worker.awaited.written(keyOf(deployment), caches.deployments, written);
    return written;
  }

  #tellScaled(deployment: Deployment, set: ReplicaSet, was: number): void {
    const now = set.spec.replicas ?? 1;
    if (now === was) return;
    const message = `Scaled ${now > was ? "up" : "down"} replica set ${set.metadata.name} from ${was} to ${now}`;
    this.#worker.tell(deployment, "Normal", "ScalingReplicaSet", message);
  }
}
