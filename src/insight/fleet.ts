/**
 * What the nodes have of each resource and who holds it: counted once, however many pods ask.
 */
import { amountsOf, type Node, type Taint } from "../kube/index.ts";
import type { NodeSnapshot } from "./snapshot.ts";

/** All nodes together, as they are at one moment. */
export class Fleet {
  readonly #most = new Map<string, number>();
  readonly #nodes = new Map<string, Set<string>>();
  readonly #holders = new Map<string, Set<string>>();
  readonly #taints = new Map<string, Taint>();
  /** Answers of `holdersOf`; by the resources asked for. */
  readonly #sorted = new Map<string, readonly string[]>();

  constructor(nodes: readonly Node[], snapshots: readonly NodeSnapshot[]) {
    for (const { metadata, spec, status } of nodes) {
      for (const taint of spec?.taints ?? []) this.#taints.set(taintText(taint), taint);
      for (const [resource, amount] of amountsOf(status?.allocatable)) {
        this.#most.set(resource, Math.max(amount, this.mostOnOneNode(resource)));
      }
      for (const [resource, amount] of amountsOf(status?.capacity)) {
        if (amount > 0) addTo(this.#nodes, resource, metadata.name);
      }
    }
    for (const { resource, namespace, pod } of snapshots.flatMap(({ allocations }) => allocations)) {
      addTo(this.#holders, resource, `${namespace}/${pod}`);
    }
  }

  /** The largest allocatable amount of the resource that a node has. */
  mostOnOneNode(resource: string): number {
    return this.#most.get(resource) ?? 0;
  }

  /** Names of nodes with devices of the resource, healthy or not, sorted. */
  nodesWith(resource: string): readonly string[] {
    return [...(this.#nodes.get(resource) ?? [])].sort();
  }

  /** The taints of all nodes, each once, by how `kubectl taint` writes them. */
  get taints(): ReadonlyMap<string, Taint> {
    return this.#taints;
  }

  /** `namespace/name` of the pods that hold some of these resources, sorted. */
  holdersOf(resources: readonly string[]): readonly string[] {
    const key = resources.join();
    let sorted = this.#sorted.get(key);
    if (sorted === undefined) {
      sorted = [...new Set(resources.flatMap((resource) => [...(this.#holders.get(resource) ?? [])]))].sort();
      this.#sorted.set(key, sorted);
    }
    return sorted;
  }
}

function taintText({ key, value = "", effect }: Taint): string {
  return value === "" ? `${key}:${effect}` : `${key}=${value}:${effect}`;
}

function addTo(sets: Map<string, Set<string>>, key: string, name: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([name]));
  else set.add(name);
}
