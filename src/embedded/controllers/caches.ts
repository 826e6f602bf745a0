/**
 * The collections that controllers follow, each once for all of them.
 */
import type { Clock, Logger } from "../../base/index.ts";
import {
  type KubeApi,
  type KubeObject,
  type Node,
  type Pod,
  ResourceCache,
  type ResourceType,
  resources,
} from "../../kube/index.ts";
import { disruptionBudgets } from "../scheduler/budgets.ts";
import type { Budget, ControllerRevision, DaemonSet, Deployment, Job, ReplicaSet } from "./types.ts";

/** The collection of templates that daemon sets have had. */
export const controllerRevisions: ResourceType = {
  group: "apps",
  version: "v1",
  plural: "controllerrevisions",
  kind: "ControllerRevision",
  namespaced: true,
};

export interface Caches {
  readonly nodes: ResourceCache<Node>;
  readonly pods: ResourceCache<Pod>;
  readonly deployments: ResourceCache<Deployment>;
  readonly replicaSets: ResourceCache<ReplicaSet>;
  readonly statefulSets: ResourceCache<ScaledObject>;
  readonly jobs: ResourceCache<Job>;
  readonly daemonSets: ResourceCache<DaemonSet>;
  readonly revisions: ResourceCache<ControllerRevision>;
  readonly budgets: ResourceCache<Budget>;
}

/** An object that says how many pods it wants. */
export interface ScaledObject extends KubeObject {
  spec?: { readonly replicas?: number };
}

interface CacheSettings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

/** Caches that others in the process follow too. */
export type SharedCaches = Pick<Caches, "nodes" | "pods">;

/** Makes the caches but those that are shared; `run` of each fills it. */
export function makeCaches(api: KubeApi, settings: CacheSettings, shared: SharedCaches | undefined): Caches {
  return {
    nodes: shared?.nodes ?? new ResourceCache<Node>(api, resources.nodes, settings),
    pods: shared?.pods ?? new ResourceCache<Pod>(api, resources.pods, settings),
    deployments: new ResourceCache<Deployment>(api, resources.deployments, settings),
    replicaSets: new ResourceCache<ReplicaSet>(api, resources.replicaSets, settings),
    statefulSets: new ResourceCache<ScaledObject>(api, resources.statefulSets, settings),
    jobs: new ResourceCache<Job>(api, resources.jobs, settings),
    daemonSets: new ResourceCache<DaemonSet>(api, resources.daemonSets, settings),
    revisions: new ResourceCache<ControllerRevision>(api, controllerRevisions, settings),
    budgets: new ResourceCache<Budget>(api, disruptionBudgets, settings),
  };
}

/** The objects of one namespace. */
export function inNamespace<T extends KubeObject>(
  cache: ResourceCache<T>,
  namespace: string | undefined,
): readonly T[] {
  return cache.items().filter((one) => one.metadata.namespace === namespace);
}
