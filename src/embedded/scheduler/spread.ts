/**
 * Even spreading of like pods over places (kube-scheduler plugin PodTopologySpread, KEP-895).
 */
import { matchesNodeAffinity, untoleratedTaints } from "../../kube/index.ts";
import type { ClusterState } from "./cluster-state.ts";
import type { NodeObstacle } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import type { PodFacts } from "./pod-facts.ts";
import { isSelected, type SpreadConstraint } from "./pod-terms.ts";

const unmatched = "node(s) didn't match pod topology spread constraints";
const skewed: NodeObstacle = { reasons: [unmatched], resolvable: true };
const placeless: NodeObstacle = { reasons: [`${unmatched} (missing required label)`], resolvable: false };

interface Counted {
  readonly constraint: SpreadConstraint;
  /** Like pods by the topology key's value, for every place that counts. */
  readonly counts: Map<string, number>;
  /** How many the emptiest place has; `undefined` until it is asked for. */
  least: number | undefined;
}

/** How pods like one incoming pod are spread. */
export class SpreadView {
  readonly #facts: PodFacts;
  readonly #counted: readonly Counted[];
  /** Keys that a node must have to count for constraints that bind, and for those that only prefer. */
  readonly #keys: { readonly hard: readonly string[]; readonly soft: readonly string[] };

  constructor(facts: PodFacts, state: ClusterState) {
    this.#facts = facts;
    const { spread } = facts.terms;
    this.#counted = spread.map((constraint) => ({ constraint, counts: new Map(), least: undefined }));
    const keysOf = (hard: boolean): string[] =>
      spread.filter((one) => one.hard === hard).map(({ topologyKey }) => topologyKey);
    this.#keys = { hard: keysOf(true), soft: keysOf(false) };
    for (const node of state.nodes) {
      for (const { constraint, counts } of this.#counted) {
        const value = this.#placeOf(constraint, node);
        if (value !== undefined && !counts.has(value)) counts.set(value, 0);
      }
    }
    for (const [other, node] of state.placed("all")) this.shift(other, node, 1);
  }

  /** Takes in that another pod came to a node or went from it. */
  shift(other: PodFacts, node: NodeState, by: 1 | -1): void {
    const isLike = other.namespace === this.#facts.namespace && other.pod.metadata.deletionTimestamp === undefined;
    if (!isLike) return;
    for (const counted of this.#counted) {
      const { constraint, counts } = counted;
      if (!isSelected(constraint.selector, other.labels)) continue;
      const value = this.#placeOf(constraint, node);
      if (value === undefined) continue;
      counts.set(value, (counts.get(value) ?? 0) + by);
      counted.least = undefined;
    }
  }

  /** Why the node is out of the question. */
  obstacle({ labels }: NodeState): NodeObstacle | undefined {
    for (const counted of this.#counted) {
      const { topologyKey, maxSkew, hard, selector } = counted.constraint;
      if (!hard) continue;
      const value = labels[topologyKey];
      if (value === undefined) return placeless;
      const itself = isSelected(selector, this.#facts.labels) ? 1 : 0;
      if ((counted.counts.get(value) ?? 0) + itself - leastOf(counted) > maxSkew) return skewed;
    }
    return undefined;
  }

  /**
   * How full the node's places are by the constraints that only prefer; less is better. Places weigh by how many of them
   * there are, as in kube-scheduler's `scoreForCount`; a node that is no place comes last.
   */
  cost({ labels }: NodeState): number {
    let cost = 0;
    for (const { constraint, counts } of this.#counted) {
      if (constraint.hard) continue;
      const value = labels[constraint.topologyKey];
      if (value === undefined) return Number.POSITIVE_INFINITY;
      cost += (counts.get(value) ?? 0) * Math.log(counts.size + 2) + constraint.maxSkew - 1;
    }
    return cost;
  }

  /** The node's place under the constraint; `undefined` when pods on the node do not count for it. */
  #placeOf(
    { topologyKey, hard, honorsAffinity, honorsTaints }: SpreadConstraint,
    state: NodeState,
  ): string | undefined {
    const { labels, node } = state;
    const { pod } = this.#facts;
    const keys = hard ? this.#keys.hard : this.#keys.soft;
    if (keys.some((key) => labels[key] === undefined)) return undefined;
    if (honorsAffinity && !matchesNodeAffinity(pod, node)) return undefined;
    if (honorsTaints && untoleratedTaints(pod, node).some(({ effect }) => effect !== "PreferNoSchedule")) {
      return undefined;
    }
    return labels[topologyKey];
  }
}

function leastOf(counted: Counted): number {
  const { counts, constraint } = counted;
  if (counts.size < constraint.minDomains) return 0;
  if (counted.least === undefined) {
    let least = Number.POSITIVE_INFINITY;
    for (const count of counts.values()) least = Math.min(least, count);
    counted.least = least;
  }
  return counted.least;
}
