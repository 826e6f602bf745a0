/**
 * What the agent reads of the Kubernetes API: its node, the pods on it, ConfigMaps and ClusterPolicies.
 */
import type { Clock, Logger } from "../base/index.ts";
import type { PlaceAt } from "../config/index.ts";
import {
  type ConfigMap,
  type KubeApi,
  type KubeObject,
  type Node,
  type Pod,
  ResourceCache,
  resources,
} from "../kube/index.ts";

export interface AgentInputsOptions {
  readonly node: string;
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called for everything that may ask for a turn. */
  onChange(): void;
}

/** One consistent enough view: each part is as new as its watch. */
export interface InputValues {
  readonly node: Node;
  readonly policies: readonly KubeObject[];
  readonly configMaps: readonly ConfigMap[];
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

  constructor({ node, api, clock, log, onChange }: AgentInputsOptions) {
    this.#name = node;
    const common = { clock, log };
    this.#nodes = new ResourceCache<Node>(api, resources.nodes, { ...common, fieldSelector: `metadata.name=${node}` });
    this.#pods = new ResourceCache<Pod>(api, resources.pods, { ...common, fieldSelector: `spec.nodeName=${node}` });
    this.#configMaps = new ResourceCache<ConfigMap>(api, resources.configMaps, common);
    this.#policies = new ResourceCache<KubeObject>(api, resources.clusterPolicies, common);
    this.#nodes.onChange((change) => {
      // The kubelet's heartbeats and allocatable change the node too; only labels concern the agent.
      const before = change.type === "modified" ? JSON.stringify(change.previous.metadata.labels) : undefined;
      if (before !== JSON.stringify(change.object.metadata.labels)) onChange();
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

  /** `undefined` while the node is not registered. */
  read(): InputValues | undefined {
    const node = this.#nodes.get(undefined, this.#name);
    if (node === undefined) return undefined;
    return { node, policies: this.#policies.items(), configMaps: this.#configMaps.items() };
  }
}
