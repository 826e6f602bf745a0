/**
 * The kinds of objects this API server knows from the start, as a table.
 */
import type { ResourceType } from "../../kube/index.ts";
import type { CustomVersion } from "./custom-version.ts";
import { eventView, type ObjectView } from "./event-view.ts";

/** Paths below an object that this server serves. */
export type Subresource = "status" | "scale" | "binding" | "eviction" | "log";

/** A kind as clients name it. */
export type GroupVersionKind = Pick<ResourceType, "group" | "version" | "kind">;

/** A collection with all that discovery, paths and writes need to know of it. */
export interface ApiType extends ResourceType {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly Subresource[];
  /** Whether `metadata.generation` counts changes of what is wanted. */
  readonly counted: boolean;
  /** Whether objects are kept; others are only answered, as reviews are. */
  readonly stored: boolean;
  /** Whether it comes from a CustomResourceDefinition: such types know no strategic merge patch. */
  readonly custom: boolean;
  /** What a CustomResourceDefinition says of its objects; `undefined` for types without one. */
  readonly definition?: CustomVersion;
  /** For a type that only shows another's objects under its own names. */
  readonly view?: ObjectView;
}

interface Row {
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly subresources?: readonly Subresource[];
  readonly counted?: boolean;
  readonly clusterWide?: boolean;
  readonly custom?: boolean;
  readonly answeredOnly?: boolean;
  readonly view?: ObjectView;
}

function row(groupVersion: string, kind: string, plural: string, more: Row = {}): ApiType {
  const [version = "", group = ""] = groupVersion.split("/").reverse();
  return {
    group,
    version,
    plural,
    kind,
    namespaced: more.clusterWide !== true,
    singular: kind.toLowerCase(),
    shortNames: more.shortNames ?? [],
    categories: more.categories ?? [],
    subresources: more.subresources ?? [],
    counted: more.counted ?? false,
    stored: more.answeredOnly !== true,
    custom: more.custom ?? false,
    ...(more.view === undefined ? {} : { view: more.view }),
  };
}

const all = ["all"];
const clusterWide = true;
const counted = true;
const status: readonly Subresource[] = ["status"];
const scaled: readonly Subresource[] = ["status", "scale"];

/** Every built-in type; `nvidia.com` belongs here so that a ClusterPolicy needs no definition first. */
export const builtInTypes: readonly ApiType[] = [
  row("v1", "Namespace", "namespaces", { shortNames: ["ns"], clusterWide, subresources: status }),
  row("v1", "Node", "nodes", { shortNames: ["no"], clusterWide, subresources: status }),
  row("v1", "Pod", "pods", {
    shortNames: ["po"],
    categories: all,
    subresources: ["status", "binding", "eviction", "log"],
    counted,
  }),
  row("v1", "ConfigMap", "configmaps", { shortNames: ["cm"] }),
  row("v1", "Secret", "secrets"),
  row("v1", "Event", "events", { shortNames: ["ev"] }),
  row("v1", "Service", "services", { shortNames: ["svc"], categories: all, subresources: status }),
  row("v1", "Endpoints", "endpoints", { shortNames: ["ep"] }),
  row("v1", "ServiceAccount", "serviceaccounts", { shortNames: ["sa"] }),
  row("v1", "PersistentVolume", "persistentvolumes", { shortNames: ["pv"], clusterWide, subresources: status }),
  row("v1", "PersistentVolumeClaim", "persistentvolumeclaims", { shortNames: ["pvc"], subresources: status }),
  row("v1", "LimitRange", "limitranges", { shortNames: ["limits"] }),
  row("v1", "ResourceQuota", "resourcequotas", { shortNames: ["quota"], subresources: status }),
  row("v1", "ReplicationController", "replicationcontrollers", {
    shortNames: ["rc"],
    categories: all,
    subresources: status,
    counted,
  }),
  row("apps/v1", "Deployment", "deployments", {
    shortNames: ["deploy"],
    categories: all,
    subresources: scaled,
    counted,
  }),
  row("apps/v1", "ReplicaSet", "replicasets", { shortNames: ["rs"], categories: all, subresources: scaled, counted }),
  row("apps/v1", "StatefulSet", "statefulsets", {
    shortNames: ["sts"],
    categories: all,
    subresources: scaled,
    counted,
  }),
  row("apps/v1", "DaemonSet", "daemonsets", { shortNames: ["ds"], categories: all, subresources: status, counted }),
  row("apps/v1", "ControllerRevision", "controllerrevisions"),
  row("batch/v1", "Job", "jobs", { categories: all, subresources: status, counted }),
  row("batch/v1", "CronJob", "cronjobs", { shortNames: ["cj"], categories: all, subresources: status, counted }),
  row("coordination.k8s.io/v1", "Lease", "leases"),
  row("events.k8s.io/v1", "Event", "events", { shortNames: ["ev"], view: eventView }),
  row("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", {
    shortNames: ["pdb"],
    subresources: status,
    counted,
  }),
  row("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", { shortNames: ["pc"], clusterWide, counted }),
  row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", { clusterWide }),
  row("storage.k8s.io/v1", "StorageClass", "storageclasses", { shortNames: ["sc"], clusterWide }),
  row("rbac.authorization.k8s.io/v1", "Role", "roles"),
  row("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
  row("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", { clusterWide }),
  row("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", { clusterWide }),
  row("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", {
    clusterWide,
    answeredOnly: true,
  }),
  row("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", {
    clusterWide,
    answeredOnly: true,
  }),
  row("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", { clusterWide, answeredOnly: true }),
  row("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", {
    shortNames: ["crd", "crds"],
    categories: ["api-extensions"],
    clusterWide,
    subresources: status,
    counted,
  }),
  row("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", {
    categories: ["api-extensions"],
    clusterWide,
    counted,
  }),
  row("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", {
    categories: ["api-extensions"],
    clusterWide,
    counted,
  }),
  row("nvidia.com/v1", "ClusterPolicy", "clusterpolicies", {
    clusterWide,
    subresources: status,
    counted,
    custom: true,
  }),
];
