/**
 * Making and removing pods for an owner, with the events people look for (kubernetes,
 * pkg/controller/controller_utils.go, `RealPodControl`).
 */
import { errorText } from "../../base/index.ts";
import {
  hasStatus,
  KubeError,
  type KubeObject,
  type Pod,
  type ResourceCache,
  type ResourceType,
  resources,
} from "../../kube/index.ts";
import { adoptionPatch, type Claim, controllerReference, releasePatch } from "./owners.ts";
import type { PodTemplate } from "./types.ts";
import { keyOf, type Worker } from "./worker.ts";

/** A pod of the template, owned by `owner`; the server makes its name up. */
export function podFromTemplate(template: PodTemplate, owner: KubeObject): Pod {
  const { labels = {}, annotations = {}, finalizers } = template.metadata ?? {};
  const { namespace } = owner.metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "",
      generateName: `${owner.metadata.name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...labels },
      annotations: { ...annotations },
      ...(finalizers === undefined ? {} : { finalizers: [...finalizers] }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec,
  };
}

/**
 * Creates pods: one, then two, then four at a time, so that a quota or webhook that refuses all of them is not asked
 * for each. Throws the first refusal.
 */
export async function createPods(worker: Worker, owner: KubeObject, pods: readonly Pod[]): Promise<void> {
  for (let done = 0, batch = 1; done < pods.length; done += batch, batch *= 2) {
    const tries = pods.slice(done, done + batch).map((pod) => createPod(worker, owner, pod));
    const refused = (await Promise.allSettled(tries)).find((one) => one.status === "rejected");
    if (refused !== undefined) throw refused.reason;
  }
}

async function createPod(worker: Worker, owner: KubeObject, pod: Pod): Promise<void> {
  const { api, caches } = worker.context;
  try {
    const created = await api.create<Pod>(resources.pods, pod);
    worker.awaited.written(keyOf(owner), caches.pods, created);
    worker.tell(owner, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
  } catch (error) {
    // In a namespace that goes, the owner goes too.
    const isEnding = error instanceof KubeError && error.status === 403 && /being terminated/.test(error.message);
    if (!isEnding) worker.tell(owner, "Warning", "FailedCreate", `Error creating: ${errorText(error)}`);
    throw error;
  }
}

/** Deletes pods of the owner. Throws the first failure; a pod that has gone already is none. */
export async function deletePods(worker: Worker, owner: KubeObject, pods: readonly Pod[]): Promise<void> {
  const tries = await Promise.allSettled(pods.map((pod) => deletePod(worker, owner, pod)));
  const failed = tries.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

async function deletePod(worker: Worker, owner: KubeObject, pod: Pod): Promise<void> {
  const { api, caches } = worker.context;
  try {
    await api.delete(resources.pods, pod.metadata);
    worker.tell(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
  } catch (error) {
    if (!hasStatus(error, 404)) {
      worker.tell(owner, "Warning", "FailedDelete", `Error deleting: ${errorText(error)}`);
      throw error;
    }
  }
  worker.awaited.deleted(keyOf(owner), caches.pods, pod);
}

/** A collection that a controller takes objects from. */
export interface Collection<T extends KubeObject> {
  readonly type: ResourceType;
  readonly cache: ResourceCache<T>;
}

/** Takes in and lets go what the claim says. Returns whether there was anything, so that the owner is looked at again. */
export async function carryOutClaim<T extends KubeObject>(
  worker: Worker,
  owner: KubeObject,
  { adopt, release }: Claim<T>,
  { type, cache }: Collection<T>,
): Promise<boolean> {
  const patches = [
    ...adopt.map((one) => [one, adoptionPatch(one, owner)] as const),
    ...release.map((one) => [one, releasePatch(one, owner)] as const),
  ];
  for (const [one, patch] of patches) {
    worker.awaited.written(keyOf(owner), cache, await worker.context.api.mergePatch(type, one.metadata, patch));
  }
  return patches.length > 0;
}
