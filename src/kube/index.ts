/** The Kubernetes API: client, caches that follow collections, events, and the notations of quantities and selectors. */
export { BackOff, defaultBackOff } from "./back-off.ts";
export { type CacheApi, type CacheChange, type CacheOptions, ResourceCache } from "./cache.ts";
export { KubeClient } from "./client.ts";
export type { KubeConnection } from "./connection.ts";
export { hasStatus, KubeError } from "./error.ts";
export { type EventApi, type EventInput, recordEvent } from "./event.ts";
export { evictPod } from "./eviction.ts";
export { inClusterConnection } from "./in-cluster.ts";
export { connectionFromKubeconfig } from "./kubeconfig.ts";
export { labelSelectorMatches, parseLabelSelector, selectorText } from "./label-selector.ts";
export {
  matchesNodeAffinity,
  namesOtherNodes,
  parseRequirements,
  placementObstacle,
  preferenceWeight,
  tolerates,
  untolerated,
  untoleratedTaints,
} from "./placement.ts";
export { hasEnded } from "./pod-phase.ts";
export { amountsOf, isSidecar, podRequests, type ResourceAmounts } from "./pod-requests.ts";
export { formatQuantity, parseQuantity } from "./quantity.ts";
export { apiVersionOf, resources } from "./resources.ts";
export { matchesLabels, parseSelector, type Requirement, type Selector } from "./selector.ts";
export type {
  Binding,
  Condition,
  ConfigMap,
  Container,
  ContainerState,
  ContainerStatus,
  DeleteOptions,
  EnvVar,
  KubeApi,
  KubeEvent,
  KubeObject,
  Lease,
  ListOptions,
  Node,
  ObjectMeta,
  ObjectRef,
  OwnerReference,
  Pod,
  PodSpec,
  PodStatus,
  ResourceList,
  ResourceType,
  Taint,
  Toleration,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from "./types.ts";
