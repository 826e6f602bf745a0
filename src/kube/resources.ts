/**
 * The collections Tranche uses, and the paths of the API under which they are found.
 */
import type { ObjectRef, ResourceType } from "./types.ts";

function core(plural: string, kind: string, namespaced: boolean): ResourceType {
  return { group: "", version: "v1", plural, kind, namespaced };
}

/** The collections Tranche reads or writes, by the name used in code. */
export const resources = {
  namespaces: core("namespaces", "Namespace", false),
  nodes: core("nodes", "Node", false),
  pods: core("pods", "Pod", true),
  configMaps: core("configmaps", "ConfigMap", true),
  secrets: core("secrets", "Secret", true),
  services: core("services", "Service", true),
  serviceAccounts: core("serviceaccounts", "ServiceAccount", true),
  events: core("events", "Event", true),
  leases: { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", namespaced: true },
  deployments: { group: "apps", version: "v1", plural: "deployments", kind: "Deployment", namespaced: true },
  replicaSets: { group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet", namespaced: true },
  statefulSets: { group: "apps", version: "v1", plural: "statefulsets", kind: "StatefulSet", namespaced: true },
  daemonSets: { group: "apps", version: "v1", plural: "daemonsets", kind: "DaemonSet", namespaced: true },
  jobs: { group: "batch", version: "v1", plural: "jobs", kind: "Job", namespaced: true },
  customResourceDefinitions: {
    group: "apiextensions.k8s.io",
    version: "v1",
    plural: "customresourcedefinitions",
    kind: "CustomResourceDefinition",
    namespaced: false,
  },
  clusterPolicies: {
    group: "nvidia.com",
    version: "v1",
    plural: "clusterpolicies",
    kind: "ClusterPolicy",
    namespaced: false,
  },
} as const satisfies Record<string, ResourceType>;

/** `v1` for the core group, otherwise `group/version`. */
export function apiVersionOf(type: Pick<ResourceType, "group" | "version">): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}

/** The path of a collection; without a namespace it spans all of them. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = type.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${type.plural}`;
}

/** The path of one object or of its subresource; the namespace defaults to `default` as in kubectl. */
export function objectPath(type: ResourceType, ref: ObjectRef, subresource?: string): string {
  const path = `${collectionPath(type, ref.namespace ?? "default")}/${encodeURIComponent(ref.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
