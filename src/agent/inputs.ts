/**
 * What the agent reads of the Kubernetes API: its node, the pods on it, ConfigMaps and ClusterPolicies.
 */
import type { Clock, Logger } from "../base/index.ts";
import type { PlaceAt } from "../config/index.ts";
import {
  amountsOf,
  type ConfigMap,
  isSidecar,
  type KubeApi,
  type KubeObject,
  type Node,
  type Pod,
  ResourceCache,
  resources,
} from "../kube/index.ts";
import type { AdmittedPod } from "./holders.ts";
import type { LocalInputs } from "./local-inputs.ts";

/** What all resources of NVIDIA GPUs begin with (NVIDIA k8s-device-plugin api/config/v1/resources.go). */
const GPU_RESOURCE_PREFIX = "nvidia.com/";

export interface AgentInputsOptions {
  readonly node: string;
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where configs are looked for; `undefined` for everywhere. */
  readonly configNamespace?: string | undefined;
  /** Called for everything that may ask for a turn. */
  onChange(): void;
}

/** One consistent enough view: each part is as new as its watch. */
export interface InputValues {
  readonly node: Node;
  readonly policies: readonly KubeObject[];
  readonly configMaps: readonly ConfigMap[];
  /** Default: nothing but what the API says. */
  readonly local?: LocalInputs;
  /** Where a key's text stands in a file, when the ConfigMap was read from one. */
  placeAtOf?(map: ConfigMap, key: string): PlaceAt | undefined;
}

export class AgentInputs {
  /** Resolves once everything has been listed; rejects when the agent ends first. */
  readonly synced: Promise<void>;
  readonly #name: string;
  readonly #nodes: ResourceCache<Node>;
  readonly #pods: ResourceCache<Pod>;
  readonly #configMaps: ResourceCache<ConfigMap>;
  readonly #policies: ResourceCache<KubeObject>;

  constructor({ node, api, clock, log, configNamespace, onChange }: AgentInputsOptions) {
    this.#name = node;
    const common = { clock, log };
    this.#nodes = new ResourceCache<Node>(api, resources.nodes, { ...common, fieldSelector: `metadata.name=${node}` });
    this.#pods = new ResourceCache<Pod>(api, resources.pods, { ...common, fieldSelector: `spec.nodeName=${node}` });
    this.#configMaps = new ResourceCache<ConfigMap>(api, resources.configMaps, {
      ...common,
      namespace: configNamespace,
    });
    // A cluster without the GPU operator does not know the kind.
    const policies = { ...common, absentIsEmpty: true };
    this.#policies = new ResourceCache<KubeObject>(api, resources.clusterPolicies, policies);
    this.#nodes.onChange((change) => {
      // The kubelet's heartbeats and allocatable change the node too; they do not concern the agent.
      const before = change.type === "modified" ? concernsAgent(change.previous) : undefined;
      if (before !== concernsAgent(change.object)) onChange();
    });
    for (const cache of [this.#pods, this.#configMaps, this.#policies]) cache.onChange(onChange);
    const all = [this.#nodes, this.#pods, this.#configMaps, this.#policies];
    this.synced = Promise.all(all.map((cache) => cache.synced)).then(() => {});
    this.synced.catch(() => {});
  }

  /** Follows the API until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const all = [this.#nodes, this.#pods, this.#configMaps, this.#policies];
    await Promise.all(all.map((cache) => cache.run(signal)));
  }

  /**
   * Pods on the node that hold devices of some GPU resource: the kubelet has admitted them, as their status shows, and
   * they have not ended. The pod resources API leaves plain init containers out, so a pod that wants a GPU in those only
   * shows as one of which nothing is told while they may run, and is left out once its other containers do.
   */
  admittedPods(): readonly AdmittedPod[] {
    return this.#pods.items().flatMap((pod) => {
      const { namespace = "", name, uid = "" } = pod.metadata;
      return isAdmitted(pod) && wantsGpu(pod) ? [{ name: `${namespace}/${name}`, uid }] : [];
    });
  }

  pod(namespace: string, name: string): Pod | undefined {
    return this.#pods.get(namespace, name);
  }

  /** `undefined` while the node is not registered. */
  read(): InputValues | undefined {
    const node = this.#nodes.get(undefined, this.#name);
    if (node === undefined) return undefined;
    return { node, policies: this.#policies.items(), configMaps: this.#configMaps.items() };
  }
}

/** What of the node makes a turn due. */
function concernsAgent({ metadata, status }: Node): string {
  return JSON.stringify([metadata.labels, status?.nodeInfo?.["bootID"]]);
}

/** The kubelet writes container statuses when it has admitted a pod, never before. */
function isAdmitted({ status }: Pod): boolean {
  const { phase = "Pending", containerStatuses = [], initContainerStatuses = [] } = status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return false;
  return phase === "Running" || containerStatuses.length > 0 || initContainerStatuses.length > 0;
}

function wantsGpu({ spec, status }: Pod): boolean {
  const isInitOver = status?.phase === "Running";
  const first = (spec.initContainers ?? []).filter((one) => isSidecar(one) || !isInitOver);
  return [...first, ...spec.containers].some(({ resources: wanted }) =>
    [...amountsOf({ ...wanted?.limits, ...wanted?.requests })].some(
      ([resource, amount]) => resource.startsWith(GPU_RESOURCE_PREFIX) && amount > 0,
    ),
  );
}
