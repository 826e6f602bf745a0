/**
 * The collections that controllers follow, each once for all of them.
 */
import type { Clock, Logger } from "../../base/index.ts";
import { type KubeApi, type KubeObject, type Node, type Pod, ResourceCache, resources } from "../../kube/index.ts";
import { disruptionBudgets } from "../scheduler/budgets.ts";
import type { Budget, Deployment, ReplicaSet } from "./types.ts";

export interface Caches {
  readonly nodes: ResourceCache<Node>;
  readonly pods: ResourceCache<Pod>;
  readonly deployments: ResourceCache<Deployment>;
  readonly replicaSets: ResourceCache<ReplicaSet>;
  readonly statefulSets: ResourceCache<ScaledObject>;
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

/** Makes the caches; `run` of each fills it. */
export function makeCaches(api: KubeApi, settings: CacheSettings): Caches {
  return {
    nodes: new ResourceCache<Node>(api, resources.nodes, settings),
    pods: new ResourceCache<Pod>(api, resources.pods, settings),
    deployments: new ResourceCache<Deployment>(api, resources.deployments, settings),
    replicaSets: new ResourceCache<ReplicaSet>(api, resources.replicaSets, settings),
    statefulSets: new ResourceCache<ScaledObject>(api, resources.statefulSets, settings),
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
