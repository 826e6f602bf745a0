/**
 * Runs jobs to their end, and removes them when their time is over.
 */
import { hasStatus, type KubeObject, type Pod, resources } from "../../kube/index.ts";
import { inNamespace } from "./caches.ts";
import { finishedCondition, type JobPlan, planJob } from "./job.ts";
import { indexKey, isTracked, trackingFinalizer } from "./job-pods.ts";
import { controllerOf } from "./owners.ts";
import { createPods, deletePods, podFromTemplate } from "./pod-control.ts";
import { meaningOf } from "./same.ts";
import type { Job } from "./types.ts";
import { type Controller, type ControllerContext, keyOf, objectOf, Worker } from "./worker.ts";

/** The controller of jobs. */
export class JobController implements Controller {
  readonly #worker: Worker;

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "job-controller", (key) => this.#serve(key));
    worker.follow(context.caches.jobs);
    // A job's selector is its own UID: nobody else's pods could meet it.
    worker.followOwned(context.caches.pods, "Job", () => []);
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
    const [namespace, name] = key.split("/");
    const job = objectOf(caches.jobs, key);
    const mine = inNamespace(caches.pods, namespace).filter((pod) => {
      const owner = controllerOf(pod);
      return owner?.kind === "Job" && owner.name === name;
    });
    const [pods, orphans] = [mine.filter((pod) => isOf(job, pod)), mine.filter((pod) => !isOf(job, pod))];
    await this.#release(key, orphans.filter(isTracked));
    if (job === undefined) return;
    const nowMs = clock.now();
    await this.#carryOut(job, planJob({ job, pods, nowMs }));
    await this.#expire(job, nowMs);
  }

  /** The books first: what is counted must be written before its finalizer comes off. */
  async #carryOut(job: Job, plan: JobPlan): Promise<void> {
    const key = keyOf(job);
    await this.#writeStatus(job, plan);
    await this.#release(key, plan.release);
    await this.#release(key, plan.discard.filter(isTracked));
    await deletePods(this.#worker, job, [...plan.discard, ...plan.abort]);
    await createPods(
      this.#worker,
      job,
      plan.create.map((index) => podOf(job, index)),
    );
    if (plan.lookAgainInMs !== undefined) this.#worker.queue.addAfter(key, plan.lookAgainInMs);
  }

  async #writeStatus(job: Job, { status, events }: JobPlan): Promise<void> {
    if (meaningOf(status) === meaningOf(job.status)) return;
    const { api, caches } = this.#worker.context;
    const written = await api.update<Job>(resources.jobs, { ...job, status }, { subresource: "status" });
    this.#worker.awaited.written(keyOf(job), caches.jobs, written);
    for (const [type, reason, message] of events) this.#worker.tell(job, type, reason, message);
  }

  /** Takes the finalizer off; a pod that has gone meanwhile needs none. */
  async #release(key: string, pods: readonly Pod[]): Promise<void> {
    const { api, caches } = this.#worker.context;
    for (const pod of pods) {
      const { uid, resourceVersion } = pod.metadata;
      const finalizers = (pod.metadata.finalizers ?? []).filter((one) => one !== trackingFinalizer);
      const patch = { metadata: { uid, resourceVersion, finalizers } };
      try {
        this.#worker.awaited.written(key, caches.pods, await api.mergePatch(resources.pods, pod.metadata, patch));
      } catch (error) {
        if (!hasStatus(error, 404)) throw error;
      }
    }
  }

  /** Deletes a job whose time after its end is over (kubernetes, pkg/controller/ttlafterfinished). */
  async #expire(job: Job, nowMs: number): Promise<void> {
    const { ttlSecondsAfterFinished } = job.spec;
    const finished = finishedCondition(job);
    if (ttlSecondsAfterFinished === undefined || finished === undefined) return;
    if (job.metadata.deletionTimestamp !== undefined) return;
    const leftMs = Date.parse(finished.lastTransitionTime ?? "") + ttlSecondsAfterFinished * 1000 - nowMs;
    if (leftMs > 0) {
      this.#worker.queue.addAfter(keyOf(job), leftMs);
      return;
    }
    const { api, caches } = this.#worker.context;
    const { uid = "" } = job.metadata;
    await api.delete(resources.jobs, job.metadata, { propagationPolicy: "Foreground", preconditions: { uid } });
    this.#worker.awaited.deleted(keyOf(job), caches.jobs, job);
  }
}

function isOf(job: KubeObject | undefined, pod: Pod): boolean {
  return job !== undefined && controllerOf(pod)?.uid === job.metadata.uid;
}

/** A pod of the job, with its index if it has one. */
function podOf(job: Job, index: number | undefined): Pod {
  const pod = podFromTemplate(job.spec.template, job);
  const metadata = { ...pod.metadata, finalizers: [...(pod.metadata.finalizers ?? []), trackingFinalizer] };
  if (index === undefined) return { ...pod, metadata };
  const note = { [indexKey]: String(index) };
  const { name } = job.metadata;
  const variable = {
    name: "JOB_COMPLETION_INDEX",
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexKey}']` } },
  };
  const withIndex = <T extends Pod["spec"]["containers"][number]>(container: T): T => ({
    ...container,
    env: [...(container.env ?? []).filter((one) => one.name !== variable.name), variable],
  });
  const { containers, initContainers } = pod.spec;
  const spec = {
    ...pod.spec,
    hostname: `${name}-${index}`,
    containers: containers.map(withIndex),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(withIndex) }),
  };
  return {
    ...pod,
    metadata: {
      ...metadata,
      generateName: `${name}-${index}-`,
      labels: { ...metadata.labels, ...note },
      annotations: { ...metadata.annotations, ...note },
    },
    spec,
  };
}
