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
/** Stands for the pod of a device that was handed out and is not listed yet. */
const ADMITTING = "(admitting)";

/** The kubelet's pod resources API, as far as holders need it. */
export interface PodResources {
  list(): Promise<readonly Allocation[]>;
}

/** One answer to Allocate; a later one for the same device is another grant. */
interface Grant {
  readonly resource: string;
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
  readonly allocations: readonly Allocation[];
}

/** What pods hold as far as can be told. */
export interface Presumed {
  readonly allocations: readonly Allocation[];
  /** False while the kubelet leaves out a pod of which it never told what it holds. */
  readonly isComplete: boolean;
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
  granted(resource: string, deviceIds: readonly string[]): void {
    const grant = { resource, atMs: this.#clock.now() };
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
   * The allocations as the kubelet tells them or, while it is away, told them last, with those of admitted pods that it
   * leaves out and those that were handed out and are not listed yet (their pod is `(admitting)`). Never rejects.
   */
  async presumed(): Promise<Presumed> {
    const untold = await this.#look().catch(() => undefined);
    const listed = new Set(this.#latest.map(podOf));
    const leftOut = [...this.#holdings].flatMap(([name, { allocations }]) => (listed.has(name) ? [] : allocations));
    const granted = [...this.#grants].map(([id, { resource }]): Allocation => {
      return { namespace: "", pod: ADMITTING, container: "", resource, deviceIds: [id] };
    });
    return { allocations: [...this.#latest, ...leftOut, ...granted], isComplete: untold?.length === 0 };
  }

  /**
   * Device UUID (replicas folded into their device) to the pods that hold it; a pod not known yet is `(admitting)`.
   * Throws a retryable `HOLDERS_UNTOLD` while the kubelet leaves out a pod that must hold something.
   */
  async holders(): Promise<ReadonlyMap<string, readonly string[]>> {
    const untold = await this.#look();
    if (untold.length > 0) {
      const message = `the kubelet does not tell yet what ${untold.join(", ")} ${untold.length === 1 ? "holds" : "hold"}`;
      throw new TrancheError(HOLDERS_UNTOLD, message, { retryable: true });
    }
    const holders = new Map<string, Set<string>>();
    const add = (id: string, pod: string): void => {
      const uuid = uuidOf(id);
      holders.set(uuid, (holders.get(uuid) ?? new Set()).add(pod));
    };
    const known = [...this.#latest, ...[...this.#holdings.values()].flatMap(({ allocations }) => allocations)];
    for (const one of known) for (const id of one.deviceIds) add(id, podOf(one));
    for (const id of this.#grants.keys()) add(id, ADMITTING);
    return new Map([...holders].map(([uuid, pods]) => [uuid, [...pods].sort()]));
  }

  /** Reads the list and brings the memory up to date; returns the pods of which the kubelet has never told anything. */
  async #look(): Promise<readonly string[]> {
    // The list may be older than a grant that comes while it is on its way: it then shows the holder before.
    const grantsBefore = new Map(this.#grants);
    // Asked before the list, which then has every pod that was admitted by now.
    const admitted = this.#admitted();
    const listed = Map.groupBy(await this.allocations(), podOf);
    const holdings = new Map<string, Holding>();
    const untold: string[] = [];
    for (const { name, uid } of admitted) {
      const now = listed.get(name);
      const then = this.#holdings.get(name);
      if (now !== undefined) holdings.set(name, { uid, allocations: now });
      else if (then?.uid === uid) holdings.set(name, then);
      else untold.push(name);
    }
    this.#holdings = holdings;
    for (const id of this.#latest.flatMap(({ deviceIds }) => deviceIds)) {
      if (this.#grants.get(id) === grantsBefore.get(id)) this.#grants.delete(id);
    }
    for (const [id, { atMs }] of this.#grants) if (this.#clock.now() - atMs > GRANT_MS) this.#grants.delete(id);
    return untold;
  }
}

/** Whether it is only known that some pod was given the devices. */
export function isAdmitting({ pod }: Allocation): boolean {
  return pod === ADMITTING;
}

function podOf({ namespace, pod }: Allocation): string {
  return `${namespace}/${pod}`;
}

/** The device's own id without the `::<n>` of a replica. */
export function uuidOf(deviceId: string): string {
  const at = deviceId.indexOf(REPLICA_SEPARATOR);
  return at < 0 ? deviceId : deviceId.slice(0, at);
}
