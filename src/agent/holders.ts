/**
 * Who holds which device right now: what the kubelet tells, and what was handed out so lately that it cannot tell yet.
 *
 * A kubelet that has just started answers before it knows its pods (the pod manager is filled by the first list from
 * the API server), and its answer looks as if nobody held anything. So it is held against the pods that the Kubernetes
 * API shows as admitted: what one of them held before it still holds, and one of which nothing is known stops the change.
 */
import { type Clock, TrancheError } from "../base/index.ts";
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

/** A pod that holds devices of some kind, as the Kubernetes API tells: it was admitted and has not ended. */
export interface AdmittedPod {
  /** `namespace/name`. */
  readonly name: string;
  readonly uid: string;
}

/** What a pod held when the kubelet last told. */
interface Holding {
  readonly uid: string;
  readonly deviceIds: readonly string[];
}

/** The code of the error for a pod of which nobody knows what it holds. */
export const HOLDERS_UNTOLD = "holders-untold";

/** Keeps the short memory of Allocate calls that bridges the time until the pod resources API shows them. */
export class HolderBook {
  readonly #podResources: PodResources;
  readonly #clock: Clock;
  readonly #admitted: () => readonly AdmittedPod[];
  readonly #grants = new Map<string, Grant>();
  /** By `namespace/name`. */
  #holdings: ReadonlyMap<string, Holding> = new Map();
  #latest: readonly Allocation[] = [];

  /** `admitted` tells the node's pods that must hold devices. */
  constructor(podResources: PodResources, clock: Clock, admitted: () => readonly AdmittedPod[] = () => []) {
    this.#podResources = podResources;
    this.#clock = clock;
    this.#admitted = admitted;
  }

  /** To be called for every Allocate that is answered, before the answer goes out. */
  granted(deviceIds: readonly string[]): void {
    const grant = { atMs: this.#clock.now() };
    for (const id of deviceIds) this.#grants.set(id, grant);
  }

  /** All allocations of the node as the kubelet tells them. Throws a retryable error while the kubelet is away. */
  async allocations(): Promise<readonly Allocation[]> {
    this.#latest = await this.#podResources.list();
    return this.#latest;
  }

  /** What the kubelet told last. */
  get latest(): readonly Allocation[] {
    return this.#latest;
  }

  /**
   * Device UUID (replicas folded into their device) to the pods that hold it; a pod not known yet is `(admitting)`.
   * Throws a retryable `HOLDERS_UNTOLD` while the kubelet leaves out a pod that must hold something.
   */
  async holders(): Promise<ReadonlyMap<string, readonly string[]>> {
    // The list may be older than a grant that comes while it is on its way: it then shows the holder before.
    const grantsBefore = new Map(this.#grants);
    // Asked before the list, which then has every pod that was admitted by now.
    const admitted = this.#admitted();
    const allocations = await this.allocations();
    this.#holdings = heldByPod(allocations, admitted, this.#holdings);
    const holders = new Map<string, Set<string>>();
    const add = (id: string, pod: string): void => {
      const uuid = uuidOf(id);
      holders.set(uuid, (holders.get(uuid) ?? new Set()).add(pod));
    };
    for (const [name, { deviceIds }] of this.#holdings) for (const id of deviceIds) add(id, name);
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

/** What each admitted pod holds: as it is listed now or, while the kubelet leaves the pod out, as it was before. */
function heldByPod(
  allocations: readonly Allocation[],
  admitted: readonly AdmittedPod[],
  before: ReadonlyMap<string, Holding>,
): ReadonlyMap<string, Holding> {
  const listed = Map.groupBy(allocations, ({ namespace, pod }) => `${namespace}/${pod}`);
  const untold: string[] = [];
  const holdings = admitted.flatMap(({ name, uid }): readonly [string, Holding][] => {
    const now = listed.get(name);
    if (now !== undefined) return [[name, { uid, deviceIds: now.flatMap((one) => one.deviceIds) }]];
    const then = before.get(name);
    if (then?.uid === uid) return [[name, then]];
    untold.push(name);
    return [];
  });
  if (untold.length > 0) {
    const message = `the kubelet does not tell yet what ${untold.join(", ")} ${untold.length === 1 ? "holds" : "hold"}`;
    throw new TrancheError(HOLDERS_UNTOLD, message, { retryable: true });
  }
  return new Map(holdings);
}

/** The device's own id without the `::<n>` of a replica. */
export function uuidOf(deviceId: string): string {
  const at = deviceId.indexOf(REPLICA_SEPARATOR);
  return at < 0 ? deviceId : deviceId.slice(0, at);
}
