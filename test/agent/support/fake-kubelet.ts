/**
 * A kubelet at the agent's ports: takes offers, admits pods in two halves, tells who holds what.
 *
 * As in the real one, choosing devices and calling Allocate are not one step: the list may change in between. A device
 * that was chosen is given to nobody else, and shows as held only after Allocate was answered.
 */

import type { PodResources } from "../../../src/agent/holders.ts";
import type { PluginHost, ShownDevices } from "../../../src/agent/offering.ts";
import type { Allocation, ResourceOffer } from "../../../src/kubelet/index.ts";
import type { AllocateAnswer } from "../../../src/sharing/index.ts";

/** Devices chosen for a pod, which Allocate was not called for yet. */
export interface Choice {
  readonly pod: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

export class FakeKubelet implements PluginHost, ShownDevices, PodResources {
  #sent: ReadonlyMap<string, ResourceOffer> = new Map();
  #shown: ReadonlyMap<string, ResourceOffer> = new Map();
  #reserved = new Set<string>();
  #allocations: Allocation[] = [];
  /** While true, lists that are sent are not taken up. */
  behind = false;
  /** Called as soon as Allocate was answered well. */
  onGrant: (choice: Choice) => void = () => {};
  /** Called whenever the agent asks something: what happens on the node meanwhile. */
  meanwhile: () => void = () => {};

  async offer(resources: ReadonlyMap<string, ResourceOffer>): Promise<void> {
    this.#sent = resources;
    if (!this.behind) this.#shown = resources;
    this.meanwhile();
  }

  async allocatable(): Promise<ReadonlyMap<string, readonly string[]>> {
    this.meanwhile();
    if (!this.behind) this.#shown = this.#sent;
    return new Map([...this.#shown].map(([resource]) => [resource, this.#healthy(resource)]));
  }

  async list(): Promise<readonly Allocation[]> {
    const then = [...this.#allocations];
    // What happens while the answer is on its way is not in it.
    this.meanwhile();
    return then;
  }

  /** Resource to the number of devices a pod could be given. */
  free(): ReadonlyMap<string, number> {
    return new Map([...this.#shown.keys()].map((resource) => [resource, this.#available(resource).length]));
  }

  /** How many devices the resource has, unhealthy ones too: its capacity. */
  listed(resource: string): number | undefined {
    return this.#shown.get(resource)?.devices.length;
  }

  /** The first half of an admission; `undefined` when too few are free. */
  choose(pod: string, resource: string, size = 1): Choice | undefined {
    const backend = this.#shown.get(resource)?.backend;
    const available = this.#available(resource);
    if (backend === undefined || available.length < size) return undefined;
    const ids = backend.preferredAllocation({ available, mustInclude: [], size });
    for (const id of ids) this.#reserved.add(id);
    return { pod, resource, ids };
  }

  /** The second half: Allocate. Throws what the plugin answers, and then the pod has nothing. */
  async finish(choice: Choice): Promise<AllocateAnswer> {
    const { pod, resource, ids } = choice;
    const backend = this.#shown.get(resource)?.backend;
    try {
      if (backend === undefined) throw new Error(`${resource} has no endpoint`);
      const answering = backend.allocate(ids);
      this.onGrant(choice);
      const answer = await answering;
      const [namespace = "", name = ""] = pod.split("/");
      this.#allocations.push({ namespace, pod: name, container: "main", resource, deviceIds: ids });
      return answer;
    } finally {
      for (const id of ids) this.#reserved.delete(id);
    }
  }

  /** Both halves at once. */
  async admit(pod: string, resource: string, size = 1): Promise<readonly string[]> {
    const choice = this.choose(pod, resource, size);
    if (choice === undefined) throw new Error(`${pod} does not fit: ${JSON.stringify([...this.free()])}`);
    await this.finish(choice);
    return choice.ids;
  }

  end(pod: string): void {
    this.#allocations = this.#allocations.filter((one) => `${one.namespace}/${one.pod}` !== pod);
  }

  #healthy(resource: string): readonly string[] {
    return (this.#shown.get(resource)?.devices ?? []).filter((one) => one.healthy).map((one) => one.id);
  }

  #available(resource: string): readonly string[] {
    const held = new Set(this.#allocations.flatMap((one) => one.deviceIds));
    return this.#healthy(resource).filter((id) => !held.has(id) && !this.#reserved.has(id));
  }
}
