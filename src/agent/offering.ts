/**
 * Offers a node's devices to its kubelet, and takes devices back before a change touches them.
 */
import { type Clock, TrancheError } from "../base/index.ts";
import type { PreferredRequest, ResourceOffer } from "../kubelet/index.ts";
import {
  type AllocateAnswer,
  allocate,
  type Device,
  type Offer,
  type PairScore,
  preferredAllocation,
  type SharingSettings,
} from "../sharing/index.ts";
import type { NodeFacts } from "./container-side.ts";
import { type HolderBook, uuidOf } from "./holders.ts";
import type { Withdrawal } from "./repartition.ts";

/** How long the kubelet may take to show a list it was sent. */
const KUBELET_DEADLINE_MS = 5_000;
const POLL_MS = 10;

/** What is offered now, and what answers depend on. */
export interface Published {
  readonly offers: readonly Offer[];
  readonly settings: SharingSettings;
  readonly pairScore: PairScore;
  readonly facts: NodeFacts;
  /** UUIDs of devices that no pod may get for now, since they are to be re-partitioned. */
  readonly withheld: readonly string[];
  /** UUIDs of devices that no container could use. */
  readonly unusable: readonly string[];
  /** Devices of the offers in whose place somebody else is. */
  readonly taken: ReadonlySet<Device>;
}

/** The device plugins of the node, as far as an offering needs them. */
export interface PluginHost {
  /** Makes `resources` the whole of what is offered. */
  offer(resources: ReadonlyMap<string, ResourceOffer>): Promise<void>;
}

/** What the kubelet shows of it: healthy devices by resource, used or free. */
export interface ShownDevices {
  allocatable(): Promise<ReadonlyMap<string, readonly string[]>>;
}

export interface OfferingOptions {
  readonly host: PluginHost;
  readonly podResources: ShownDevices;
  readonly holders: Pick<HolderBook, "granted">;
  readonly clock: Clock;
  /** Whether a pod may get the device; asked at every list that goes out. */
  isHealthy(device: Device): boolean;
  /** A fresh version 4 UUID, for CDI annotation keys. */
  randomUuid(): string;
}

/** The agent's side of all device plugins of the node. */
export class Offering implements Withdrawal {
  readonly #options: OfferingOptions;
  #published: Published | undefined;
  /** UUIDs that are out of the list. Like `#closed` it only grows until the next `publish`, since what was taken away
   * for a change may be gone after it. */
  #withdrawn: ReadonlySet<string> = new Set();
  #closed: ReadonlySet<string> = new Set();
  /** Every name that was offered; the kubelet must show nothing under those that are not any more. */
  readonly #names = new Set<string>();
  #allocations = 0;

  constructor(options: OfferingOptions) {
    this.#options = options;
  }

  /** How many calls of Allocate were answered. */
  get allocations(): number {
    return this.#allocations;
  }

  get offers(): readonly Offer[] {
    return this.#published?.offers ?? [];
  }

  /** Makes `published` the whole of what the node offers; nothing but what it holds back is withdrawn or closed any more. */
  async publish(published: Published): Promise<void> {
    this.#published = published;
    this.#withdrawn = new Set([...published.withheld, ...published.unusable]);
    this.#closed = new Set(published.withheld);
    for (const { resource } of published.offers) this.#names.add(resource);
    await this.#send();
  }

  /** Sends the lists anew, if there are any, as the health of devices has changed or some are withdrawn. */
  async refresh(): Promise<void> {
    if (this.#published !== undefined) await this.#send();
  }

  async withdraw(uuids: readonly string[]): Promise<boolean> {
    this.#withdrawn = new Set([...this.#withdrawn, ...uuids]);
    await this.refresh();
    // Also before the first offer: the kubelet may still show what an agent before this one has offered.
    return this.#shows((shown) => !this.#isShown(shown));
  }

  close(uuids: readonly string[]): void {
    this.#closed = new Set([...this.#closed, ...uuids]);
  }

  /**
   * Whether the kubelet shows exactly what is offered, not withdrawn and healthy, within five seconds. Rejects when the
   * signal fires: an agent that ends has no plugins any more, and nothing would ever be shown.
   */
  confirmed(signal?: AbortSignal): Promise<boolean> {
    return this.#shows((shown) => this.#matches(shown), signal);
  }

  async #shows(
    isRight: (shown: ReadonlyMap<string, readonly string[]>) => boolean,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { clock, podResources } = this.#options;
    const endMs = clock.now() + KUBELET_DEADLINE_MS;
    for (;;) {
      if (isRight(await podResources.allocatable())) return true;
      if (clock.now() >= endMs) return false;
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** Whether a device that is withdrawn can still be given to a pod. */
  #isShown(shown: ReadonlyMap<string, readonly string[]>): boolean {
    return [...shown.values()].some((ids) => ids.some((id) => this.#withdrawn.has(uuidOf(id))));
  }

  #matches(shown: ReadonlyMap<string, readonly string[]>): boolean {
    const expected = new Map(
      this.offers.map(({ resource, devices }) => {
        return [resource, devices.filter((device) => this.#isFree(device)).map(({ id }) => id)];
      }),
    );
    return [...this.#names].every((resource) => {
      const ids = expected.get(resource) ?? [];
      const seen = new Set(shown.get(resource) ?? []);
      return ids.length === seen.size && ids.every((id) => seen.has(id));
    });
  }

  /** Whether a pod may get it. */
  #isFree(device: Device): boolean {
    if (this.#withdrawn.has(device.uuid) || this.#published?.taken.has(device) === true) return false;
    return this.#options.isHealthy(device);
  }

  async #send(): Promise<void> {
    const resources = new Map<string, ResourceOffer>(
      this.offers.map((offer) => [
        offer.resource,
        {
          devices: offer.devices.map((device) => ({
            id: device.id,
            healthy: this.#isFree(device),
            numaNode: device.numaNode,
          })),
          backend: {
            preferredAllocation: (request: PreferredRequest) => this.#preferred(offer.resource, request),
            allocate: (ids: readonly string[]) => this.#allocate(offer.resource, ids),
          },
        },
      ]),
    );
    await this.#options.host.offer(resources);
  }

  #preferred(resource: string, { available, mustInclude, size }: PreferredRequest): readonly string[] {
    const { offer, published } = this.#current(resource);
    const { settings, pairScore } = published;
    const policy = settings.sharedDevicesAllocationPolicy;
    return preferredAllocation({ offer, available, mustInclude, size, policy, pairScore });
  }

  #allocate(resource: string, ids: readonly string[]): AllocateAnswer {
    const { offer, published } = this.#current(resource);
    const unusable = ids.find((id) => published.unusable.includes(uuidOf(id)));
    if (unusable !== undefined) {
      throw new TrancheError("device-unusable", `no container can use ${unusable} now: see the events of the node`, {
        retryable: true,
      });
    }
    const taken = [...published.taken].find((one) => ids.includes(one.id) && offer.devices.includes(one));
    if (taken !== undefined) {
      throw new TrancheError("device-taken", `${taken.id} is still held by a pod under another name of it`, {
        retryable: true,
      });
    }
    const closed = ids.find((id) => this.#closed.has(uuidOf(id)));
    if (closed !== undefined) {
      throw new TrancheError("device-withdrawn", `${closed} is being re-partitioned; create the pod again`, {
        retryable: true,
      });
    }
    const { randomUuid, holders } = this.#options;
    const answer = allocate({
      offer,
      offers: this.offers,
      ids,
      settings: published.settings,
      randomUuid,
      ...published.facts,
    });
    holders.granted(resource, ids);
    this.#allocations += 1;
    return answer;
  }

  #current(resource: string): { readonly offer: Offer; readonly published: Published } {
    const published = this.#published;
    const offer = this.offers.find((one) => one.resource === resource);
    if (published === undefined || offer === undefined) {
      throw new TrancheError("resource-withdrawn", `${resource} is no longer offered by this node`);
    }
    return { offer, published };
  }
}
