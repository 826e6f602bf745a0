/**
 * Offers a node's devices to its kubelet, and takes devices back before a change touches them.
 */
import { type Clock, TrancheError } from "../base/index.ts";
import type { DevicePluginHost, PodResourcesClient, PreferredRequest, ResourceOffer } from "../kubelet/index.ts";
import {
  type AllocateAnswer,
  allocate,
  type Offer,
  type PairScore,
  preferredAllocation,
  type SharingSettings,
} from "../sharing/index.ts";
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
}

export interface OfferingOptions {
  readonly host: DevicePluginHost;
  readonly podResources: PodResourcesClient;
  readonly holders: HolderBook;
  readonly clock: Clock;
  /** A fresh version 4 UUID, for CDI annotation keys. */
  randomUuid(): string;
  /** Which of the driver's control nodes, such as `/dev/nvidiactl`, exist on this node. */
  readonly presentControlNodes: ReadonlySet<string>;
}

/** The agent's side of all device plugins of the node. */
export class Offering implements Withdrawal {
  readonly #options: OfferingOptions;
  #published: Published | undefined;
  #withdrawn: ReadonlySet<string> = new Set();
  #closed: ReadonlySet<string> = new Set();

  constructor(options: OfferingOptions) {
    this.#options = options;
  }

  get offers(): readonly Offer[] {
    return this.#published?.offers ?? [];
  }

  /** Makes `published` the whole of what the node offers. */
  async publish(published: Published): Promise<void> {
    this.#published = published;
    await this.#send();
  }

  async withdraw(uuids: readonly string[]): Promise<boolean> {
    if (this.#published === undefined) return true;
    this.#withdrawn = new Set(uuids);
    await this.#send();
    return this.confirmed();
  }

  close(uuids: readonly string[]): void {
    this.#closed = new Set(uuids);
  }

  /** The devices stay out of the list until `publish`, which tells the kubelet what there is after the change. */
  release(): void {
    this.#withdrawn = new Set();
    this.#closed = new Set();
  }

  /** Whether the kubelet shows exactly what is offered, within five seconds. */
  async confirmed(): Promise<boolean> {
    const { clock, podResources } = this.#options;
    const endMs = clock.now() + KUBELET_DEADLINE_MS;
    for (;;) {
      const shown = await podResources.allocatable();
      if (this.#matches(shown)) return true;
      if (clock.now() >= endMs) return false;
      await clock.sleep(POLL_MS);
    }
  }

  #matches(shown: ReadonlyMap<string, readonly string[]>): boolean {
    return this.offers.every((offer) => {
      const expected = offer.devices.filter((device) => !this.#withdrawn.has(device.uuid)).map((device) => device.id);
      const seen = new Set(shown.get(offer.resource) ?? []);
      return expected.length === seen.size && expected.every((id) => seen.has(id));
    });
  }

  async #send(): Promise<void> {
    const resources = new Map<string, ResourceOffer>(
      this.offers.map((offer) => [
        offer.resource,
        {
          devices: offer.devices.map(({ id, uuid, numaNode }) => ({
            id,
            healthy: !this.#withdrawn.has(uuid),
            numaNode,
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
    const closed = ids.find((id) => this.#closed.has(uuidOf(id)));
    if (closed !== undefined) {
      throw new TrancheError("device-withdrawn", `${closed} is being re-partitioned; create the pod again`, {
        retryable: true,
      });
    }
    const { randomUuid, presentControlNodes, holders } = this.#options;
    const answer = allocate({ offer, ids, settings: published.settings, randomUuid, presentControlNodes });
    holders.granted(ids);
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
