/**
 * The device manager's books: which devices each resource has, and which container holds which of them.
 *
 * Nothing here waits or talks to anyone; `device-manager.ts` does. The rules are those of Kubernetes
 * pkg/kubelet/cm/devicemanager (`manager.go`, `pod_devices.go`).
 */
import type { PluginDevice } from "../../kubelet/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";

/** What one container holds of one resource, with what the plugin answered for it. */
export interface Holding {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly deviceIds: readonly string[];
  readonly answer: AllocateAnswer;
}

export interface ResourceCounts {
  readonly capacity: number;
  readonly allocatable: number;
}

export class DeviceTable {
  /** By resource, then by device id. A resource without devices is known, but has nothing to give. */
  readonly #resources = new Map<string, Map<string, PluginDevice>>();
  readonly #holdings = new Map<string, Holding>();

  /** Takes over a plugin's list, which replaces the one before; an id that comes twice counts once. */
  setDevices(resource: string, devices: readonly PluginDevice[]): void {
    this.#resources.set(resource, new Map(devices.map((device) => [device.id, device])));
  }

  /** The plugin is out of reach: all its devices count as unhealthy. */
  markUnhealthy(resource: string): void {
    const devices = this.#resources.get(resource);
    if (devices === undefined) return;
    for (const device of devices.values()) devices.set(device.id, { ...device, healthy: false });
  }

  /** Forgets a resource; what containers hold of it stays in the books. */
  dropResource(resource: string): void {
    this.#resources.delete(resource);
  }

  resources(): readonly string[] {
    return [...this.#resources.keys()];
  }

  devices(resource: string): readonly PluginDevice[] {
    return [...(this.#resources.get(resource)?.values() ?? [])];
  }

  device(resource: string, id: string): PluginDevice | undefined {
    return this.#resources.get(resource)?.get(id);
  }

  healthy(resource: string): ReadonlySet<string> {
    return new Set(this.devices(resource).flatMap((device) => (device.healthy ? [device.id] : [])));
  }

  isRegistered(resource: string): boolean {
    return this.#resources.has(resource);
  }

  /** Whether the resource is a plugin's at all: known now, or held by somebody since before. */
  isPluginResource(resource: string): boolean {
    return this.#resources.has(resource) || this.holdings().some((one) => one.resource === resource);
  }

  /** Unhealthy devices count in the capacity, not in what can be allocated. */
  counts(resource: string): ResourceCounts {
    return { capacity: this.devices(resource).length, allocatable: this.healthy(resource).size };
  }

  holdings(): readonly Holding[] {
    return [...this.#holdings.values()];
  }

  holding(podUid: string, container: string, resource: string): Holding | undefined {
    return this.#holdings.get(keyOf(podUid, container, resource));
  }

  inUse(resource: string): ReadonlySet<string> {
    return new Set(this.holdings().flatMap((one) => (one.resource === resource ? one.deviceIds : [])));
  }

  record(holding: Holding): void {
    this.#holdings.set(keyOf(holding.podUid, holding.container, holding.resource), holding);
  }

  /** Frees what pods other than those in `podUids` hold; answers whether there was anything to free. */
  keepOnly(podUids: ReadonlySet<string>): boolean {
    const before = this.#holdings.size;
    for (const [key, one] of this.#holdings) if (!podUids.has(one.podUid)) this.#holdings.delete(key);
    return this.#holdings.size < before;
  }
}

function keyOf(podUid: string, container: string, resource: string): string {
  return `${podUid}/${container}/${resource}`;
}

/** What the first checks over a request say: nothing to do, why it fails, or what there is to choose from. */
export type Screening =
  | { readonly kind: "held" }
  | { readonly kind: "refused"; readonly error: string }
  | {
      readonly kind: "choose";
      /** Taken from the pod's finished init containers, before all others. */
      readonly reused: readonly string[];
      /** Healthy and in nobody's hands; empty when `reused` suffices. */
      readonly available: readonly string[];
      /** How many of `available` are still needed. */
      readonly missing: number;
    };

export interface DeviceDemand {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly count: number;
}

/** `devicesToAllocate` up to the choice: the checks in the kubelet's order and with its texts. */
export function screen(table: DeviceTable, demand: DeviceDemand, reusable: ReadonlySet<string>): Screening {
  const { podUid, container, resource, count } = demand;
  const held = table.holding(podUid, container, resource)?.deviceIds;
  if (held !== undefined && held.length !== count) {
    const error = `pod "${podUid}" container "${container}" changed request for resource "${resource}" from ${held.length} to ${count}`;
    return { kind: "refused", error };
  }
  if (!table.isRegistered(resource)) {
    return { kind: "refused", error: `cannot allocate unregistered device ${resource}` };
  }
  const healthy = table.healthy(resource);
  if (healthy.size === 0) {
    const error = `no healthy devices present; cannot allocate unhealthy devices ${resource}`;
    return { kind: "refused", error };
  }
  if (held !== undefined && !held.every((id) => healthy.has(id))) {
    const error = `previously allocated devices are no longer healthy; cannot allocate unhealthy devices ${resource}`;
    return { kind: "refused", error };
  }
  if (held !== undefined || count === 0) return { kind: "held" };

  const reused = [...reusable].slice(0, count);
  const missing = count - reused.length;
  if (missing === 0) return { kind: "choose", reused, available: [], missing };
  const inUse = table.inUse(resource);
  const available = [...healthy].filter((id) => !inUse.has(id));
  if (available.length < missing) {
    const error = `requested number of devices unavailable for ${resource}. Requested: ${missing}, Available: ${available.length}`;
    return { kind: "refused", error };
  }
  return { kind: "choose", reused, available, missing };
}

/**
 * The devices a container gets: reused ones, then those the plugin prefers, filled up from the rest. Without a topology
 * policy no device has NUMA affinity, so all available ones are alike. An answer that is short or names other devices
 * is tolerated.
 */
export function fillUp(
  choice: { readonly reused: readonly string[]; readonly available: readonly string[]; readonly missing: number },
  preferred: readonly string[],
): readonly string[] {
  const available = new Set(choice.available);
  const ranked = new Set([...preferred.filter((id) => available.has(id)), ...choice.available]);
  return [...choice.reused, ...[...ranked].slice(0, choice.missing)];
}
