/**
 * Who holds which device right now: what the kubelet tells, and what was handed out so lately that it cannot tell yet.
 */
import type { Clock } from "../base/index.ts";
import type { Allocation } from "../kubelet/index.ts";

/** How long a device counts as held after Allocate when the kubelet never confirms it, for example as the pod failed. */
const GRANT_MS = 10_000;
const REPLICA_SEPARATOR = "::";

/** The kubelet's pod resources API, as far as holders need it. */
export interface PodResources {
  list(): Promise<readonly Allocation[]>;
}

/** One answer to Allocate; a later one for the same device is another grant. */
interface Grant {
  readonly atMs: number;
}

/** Keeps the short memory of Allocate calls that bridges the time until the pod resources API shows them. */
export class HolderBook {
  readonly #podResources: PodResources;
  readonly #clock: Clock;
  readonly #grants = new Map<string, Grant>();

  constructor(podResources: PodResources, clock: Clock) {
    this.#podResources = podResources;
    this.#clock = clock;
  }

  /** To be called for every Allocate that is answered, before the answer goes out. */
  granted(deviceIds: readonly string[]): void {
    const grant = { atMs: this.#clock.now() };
    for (const id of deviceIds) this.#grants.set(id, grant);
  }

  /** All allocations of the node as the kubelet tells them. Throws a retryable error while the kubelet is away. */
  allocations(): Promise<readonly Allocation[]> {
    return this.#podResources.list();
  }

  /** Device UUID (replicas folded into their device) to the pods that hold it; a pod not known yet is `(admitting)`. */
  async holders(): Promise<ReadonlyMap<string, readonly string[]>> {
    // The list may be older than a grant that comes while it is on its way: it then shows the holder before.
    const grantsBefore = new Map(this.#grants);
    const allocations = await this.allocations();
    const holders = new Map<string, Set<string>>();
    const add = (id: string, pod: string): void => {
      const uuid = uuidOf(id);
      holders.set(uuid, (holders.get(uuid) ?? new Set()).add(pod));
    };
    for (const { namespace, pod, deviceIds } of allocations) {
      for (const id of deviceIds) {
        add(id, `${namespace}/${pod}`);
        if (this.#grants.get(id) === grantsBefore.get(id)) this.#grants.delete(id);
      }
    }
    for (const [id, { atMs }] of this.#grants) {
      if (this.#clock.now() - atMs > GRANT_MS) this.#grants.delete(id);
      else add(id, "(admitting)");
    }
    return new Map([...holders].map(([uuid, pods]) => [uuid, [...pods].sort()]));
  }
}

/** The device's own id without the `::<n>` of a replica. */
export function uuidOf(deviceId: string): string {
  const at = deviceId.indexOf(REPLICA_SEPARATOR);
  return at < 0 ? deviceId : deviceId.slice(0, at);
}
