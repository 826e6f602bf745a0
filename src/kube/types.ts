/**
 * The Kubernetes objects Tranche reads and writes, as far as it reads and writes them.
 *
 * On what a server sent, `metadata.name`, `uid` and `resourceVersion` are always there.
 */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  generateName?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}

export interface Taint {
  key: string;
  value?: string;
  effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  timeAdded?: string;
}

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastHeartbeatTime?: string;
  lastProbeTime?: string | null;
}

/** Quantities are strings on the wire, for example `4` or `250m`. */
export type ResourceList = Record<string, string>;

export interface Node extends KubeObject {
  spec?: { unschedulable?: boolean; taints?: Taint[]; podCIDR?: string; providerID?: string };
  status?: {
    capacity?: ResourceList;
    allocatable?: ResourceList;
    conditions?: Condition[];
    addresses?: { type: string; address: string }[];
    nodeInfo?: Record<string, string>;
    daemonEndpoints?: { kubeletEndpoint: { Port: number } };
    images?: unknown[];
  };
}

/** Empty texts mean the same as none. */
export interface Toleration {
  key?: string;
  operator?: "Exists" | "Equal" | "";
  value?: string;
  effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute" | "";
  tolerationSeconds?: number;
}

export interface EnvVar {
  name: string;
  value?: string;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  resources?: { limits?: ResourceList; requests?: ResourceList };
  restartPolicy?: string;
}

export interface PodSpec {
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  affinity?: unknown;
  topologySpreadConstraints?: unknown;
  schedulingGates?: { name: string }[];
  tolerations?: Toleration[];
  containers: Container[];
  initContainers?: Container[];
  restartPolicy?: "Always" | "OnFailure" | "Never";
  terminationGracePeriodSeconds?: number;
  schedulerName?: string;
  priority?: number;
  priorityClassName?: string;
  preemptionPolicy?: string;
  runtimeClassName?: string;
  serviceAccountName?: string;
  overhead?: ResourceList;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: {
    exitCode: number;
    signal?: number;
    reason?: string;
    message?: string;
    startedAt?: string;
    finishedAt?: string;
    containerID?: string;
  };
}

export interface ContainerStatus {
  name: string;
  state: ContainerState;
  lastState?: ContainerState;
  ready: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
  started?: boolean;
  allocatedResourcesStatus?: { name: string; resources: { resourceID: string; health: string }[] }[];
}

export interface PodStatus {
  phase?: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  reason?: string;
  message?: string;
  conditions?: Condition[];
  hostIP?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
  qosClass?: string;
  nominatedNodeName?: string;
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

/** events.v1 core: `v1` Event. */
export interface KubeEvent extends KubeObject {
  involvedObject: {
    apiVersion?: string;
    kind: string;
    namespace?: string;
    name: string;
    uid?: string;
    fieldPath?: string;
    resourceVersion?: string;
  };
  reason: string;
  message: string;
  type: "Normal" | "Warning";
  count?: number;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
  source?: { component?: string; host?: string };
  reportingComponent?: string;
  reportingInstance?: string;
  action?: string;
}

/** coordination.k8s.io/v1 Lease. */
export interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

export interface Binding extends KubeObject {
  target: { apiVersion?: string; kind: "Node"; name: string };
}

/** Names one collection of the API, for example core v1 pods. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** One object of a collection; `namespace` is left out for cluster-scoped ones. */
export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name: string;
}

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface WatchOptions extends ListOptions {
  /** Where to go on from: what `list` or the last event told. Left out, the server first tells all there is. */
  readonly resourceVersion?: string | undefined;
  /** After this long the server ends the watch; default 300. A dead connection is noticed a little later. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
}

/** One line of a watch. A bookmark carries nothing but the resource version reached. */
export type WatchEvent<T extends KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

export interface WriteOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  /** `status`, `binding`, `eviction`, … */
  readonly subresource?: string;
}

/** What a deletion is bound to, and what becomes of what belongs to the object. */
export interface DeleteOptions {
  /** How long a pod gets to end; default what the pod says itself. */
  readonly gracePeriodSeconds?: number;
  /**
   * `Background` deletes dependents after the object, `Foreground` before it, `Orphan` leaves them. Default
   * `Background`, for Jobs `Orphan`.
   */
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  /** Fails with 409 when the object is not, or no longer, this one. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** The calls of the Kubernetes API that Tranche uses. All throw `KubeError`; all end early when the signal fires. */
export interface KubeApi {
  get<T extends KubeObject>(type: ResourceType, ref: ObjectRef, signal?: AbortSignal): Promise<T>;
  /** All pages of a collection, with the resource version to watch from. */
  list<T extends KubeObject>(
    type: ResourceType,
    options?: ListOptions,
    signal?: AbortSignal,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  create<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T>;
  /** Replaces; fails with 409 when `metadata.resourceVersion` is given and stale. */
  update<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T>;
  /** JSON merge patch (RFC 7386). */
  mergePatch<T extends KubeObject>(
    type: ResourceType,
    ref: ObjectRef,
    patch: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** POSTs a body to a subresource, for example a Binding to `pods/binding`. */
  createSubresource(type: ResourceType, ref: ObjectRef, subresource: string, body: KubeObject): Promise<void>;
  /**
   * Follows a collection until the server, the connection or the signal ends it. An orderly end ends the iteration;
   * everything else throws `KubeError`, with status 410 when the resource version is too old.
   */
  watch<T extends KubeObject>(type: ResourceType, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
}
