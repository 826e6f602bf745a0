/**
 * Affinity and anti-affinity between pods (kube-scheduler plugin InterPodAffinity).
 */
import { matchesLabels } from "../../kube/index.ts";
import type { ClusterState } from "./cluster-state.ts";
import type { NodeObstacle } from "./filter.ts";
import type { NodeState } from "./node-state.ts";
import type { PodFacts } from "./pod-facts.ts";
import { type AffinityTerm, isSelected } from "./pod-terms.ts";
import { TopologyCounts } from "./topology-counts.ts";

/** That a pod there requires this one near counts as a preference of this weight (`hardPodAffinityWeight`). */
const requiredByOthersWeight = 1;

const unmatchedAffinity = { reasons: ["node(s) didn't match pod affinity rules"], resolvable: false };
const unmatchedAntiAffinity = { reasons: ["node(s) didn't match pod anti-affinity rules"], resolvable: true };
const unmatchedOthers = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"], resolvable: true };

/** How the pods in the cluster lie for one incoming pod, and for all pods like it. */
export class InterPodView {
  readonly #facts: PodFacts;
  readonly #state: ClusterState;
  readonly #wanted = new TopologyCounts();
  readonly #unwanted: readonly TopologyCounts[];
  /** Pods whose own anti-affinity keeps this one away. */
  readonly #repelling = new TopologyCounts();
  readonly #preferred = new TopologyCounts();

  constructor(facts: PodFacts, state: ClusterState) {
    this.#facts = facts;
    this.#state = state;
    this.#unwanted = facts.terms.antiAffinity.map(() => new TopologyCounts());
    // A pod without terms of its own is bound only by those who have some.
    for (const [other, node] of state.placed(facts.hasAffinity ? "all" : "with-affinity")) this.shift(other, node, 1);
  }

  /** Takes in that another pod came to a node or went from it. */
  shift(other: PodFacts, { labels }: NodeState, by: 1 | -1): void {
    const { affinity, antiAffinity, preferred } = this.#facts.terms;
    if (affinity.length > 0 && affinity.every((term) => this.#means(term, other))) {
      for (const { topologyKey } of affinity) this.#wanted.add(topologyKey, labels, by);
    }
    for (const [index, term] of antiAffinity.entries()) {
      if (this.#means(term, other)) this.#unwanted[index]?.add(term.topologyKey, labels, by);
    }
    for (const term of preferred) {
      if (this.#means(term, other)) this.#preferred.add(term.topologyKey, labels, by * term.weight);
    }
    if (other.hasAffinity) this.#shiftOthersTerms(other, labels, by);
  }

  /** Why the node is out of the question, in the order in which kube-scheduler looks. */
  obstacle({ labels }: NodeState): NodeObstacle | undefined {
    if (!this.#meetsAffinity(labels)) return unmatchedAffinity;
    const { antiAffinity } = this.#facts.terms;
    if (antiAffinity.some(({ topologyKey }, index) => (this.#unwanted[index]?.at(topologyKey, labels) ?? 0) > 0)) {
      return unmatchedAntiAffinity;
    }
    return this.#repelling.touches(labels) ? unmatchedOthers : undefined;
  }

  /** The weights of what this pod and those there prefer, summed; more is better. */
  preference({ labels }: NodeState): number {
    return this.#preferred.sumAt(labels);
  }

  #shiftOthersTerms(other: PodFacts, labels: Readonly<Record<string, string>>, by: 1 | -1): void {
    const { affinity, antiAffinity, preferred } = other.terms;
    for (const term of antiAffinity) {
      if (this.#means(term, this.#facts)) this.#repelling.add(term.topologyKey, labels, by);
    }
    for (const term of preferred) {
      if (this.#means(term, this.#facts)) this.#preferred.add(term.topologyKey, labels, by * term.weight);
    }
    for (const term of affinity) {
      if (this.#means(term, this.#facts)) this.#preferred.add(term.topologyKey, labels, by * requiredByOthersWeight);
    }
  }

  #meetsAffinity(labels: Readonly<Record<string, string>>): boolean {
    const { affinity } = this.#facts.terms;
    if (affinity.some(({ topologyKey }) => labels[topologyKey] === undefined)) return false;
    if (affinity.every(({ topologyKey }) => this.#wanted.at(topologyKey, labels) > 0)) return true;
    // The first of a group that wants to be together has nobody to join.
    return this.#wanted.total === 0 && affinity.every((term) => this.#means(term, this.#facts));
  }

  #means(term: AffinityTerm, { namespace, labels }: PodFacts): boolean {
    if (!isSelected(term.selector, labels)) return false;
    if (term.namespaces.has(namespace)) return true;
    const { namespaceSelector } = term;
    return namespaceSelector !== undefined && matchesLabels(namespaceSelector, this.#state.namespaceLabels(namespace));
  }
}
