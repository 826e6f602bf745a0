/**
 * Addresses of simulated nodes and of the pods on them; nothing listens there.
 */
import { TrancheError } from "../../base/index.ts";

/** The address of the node with this number, counted from 0. */
export function nodeAddress(ordinal: number): string {
  const number = ordinal + 2;
  return `192.168.${Math.floor(number / 256) % 256}.${number % 256}`;
}

/** The network of a node's pods, a /24 of its own. */
export function podNetwork(ordinal: number): string {
  return `10.${64 + (Math.floor(ordinal / 256) % 192)}.${ordinal % 256}.0/24`;
}

/** Hands out the addresses of one node's pod network, each to one pod at a time. */
export class PodAddresses {
  readonly #prefix: string;
  readonly #byPod = new Map<string, string>();
  #last = 1;

  /** `network` is a /24. */
  constructor(network: string) {
    this.#prefix = network.slice(0, network.lastIndexOf("."));
  }

  /** The pod's address; the same until it is released. */
  assign(podUid: string): string {
    const known = this.#byPod.get(podUid);
    if (known !== undefined) return known;
    const taken = new Set(this.#byPod.values());
    for (let tries = 0; tries < 253; tries++) {
      // Going round, not lowest first: an address that was just released should not come back at once.
      this.#last = this.#last >= 254 ? 2 : this.#last + 1;
      const address = `${this.#prefix}.${this.#last}`;
      if (taken.has(address)) continue;
      this.#byPod.set(podUid, address);
      return address;
    }
    throw new TrancheError("pod-network", `no address is free in ${this.#prefix}.0/24`, { retryable: true });
  }

  release(podUid: string): void {
    this.#byPod.delete(podUid);
  }
}
