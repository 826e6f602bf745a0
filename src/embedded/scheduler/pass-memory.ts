/**
 * What one pass remembers, so that it need not look twice at the same: pods made from one template are alike.
 */
import type { ClusterState } from "./cluster-state.ts";
import { fixedObstacle, type NodeObstacle, shortage } from "./filter.ts";
import { InterPodView } from "./inter-pod.ts";
import type { NodeState } from "./node-state.ts";
import type { PodFacts, WaitingPod } from "./pod-facts.ts";
import { type FixedRating, fixedRating, type Rating, type RoomRating, roomRating } from "./score.ts";
import { SpreadView } from "./spread.ts";

/** What was found of one node for pods alike; what depends on its sums holds for one version. */
interface NodeEntry {
  readonly fixed: NodeObstacle | undefined;
  readonly fixedRating: FixedRating;
  version: number;
  shortage: NodeObstacle | undefined;
  /** `undefined` until it is asked for. */
  room: RoomRating | undefined;
}

/** A node that takes the pod once these have gone. */
export interface Candidate {
  readonly state: NodeState;
  /** The most important first; never empty, and all of lower priority than the pod. */
  readonly victims: readonly PodFacts[];
  /** How many of them a disruption budget would keep. */
  readonly violations: number;
}

/** What one node offers a pod that would evict others, or why it is of no use. */
export type Search =
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  | { readonly kind: "none"; readonly reasons: readonly string[] };

/** How the other pods lie for pods alike. */
interface Views {
  readonly interPod: InterPodView;
  readonly spread: SpreadView | undefined;
}

/** How many templates are remembered at a time; a thousand nodes take some 100 kB for each. */
const remembered = 64;

/** Belongs to one pass, during which nodes and namespaces stay as they are. */
export class PassMemory {
  readonly #state: ClusterState;
  readonly #hasAffinity: boolean;
  readonly #entries = new Map<string, Map<string, NodeEntry>>();
  readonly #views = new Map<string, Views>();
  readonly #searches = new Map<string, Map<string, { readonly version: number; readonly search: Search }>>();
  /** What was told of pods that waited, by what they are like, while nothing changed. */
  readonly #refused = new Map<string, { readonly changes: number; readonly message: string }>();

  constructor(state: ClusterState) {
    this.#state = state;
    this.#hasAffinity = state.hasAffinity;
  }

  /** Looks at how the other pods lie; to be called for a pod before trials are made for it. */
  prepare(waiting: WaitingPod): void {
    this.#viewsOf(waiting);
  }

  /** Why the node does not take the pod now; pods for which places are kept are not yet counted. */
  obstacle(waiting: WaitingPod, state: NodeState): NodeObstacle | undefined {
    const entry = this.#entry(waiting, state);
    return entry.fixed ?? entry.shortage ?? this.#aroundObstacle(waiting, state);
  }

  /**
   * The same, with those counted for whom places are kept on the node and who are at least as important: the pod must fit
   * with and without them, as in kube-scheduler's `RunFilterPluginsWithNominatedPods`.
   */
  obstacleBesideNominated(waiting: WaitingPod, state: NodeState): NodeObstacle | undefined {
    const alone = this.obstacle(waiting, state);
    if (alone !== undefined || state.nominated.size === 0) return alone;
    const { uid, priority } = waiting.facts;
    const before = [...state.nominated.values()].filter((one) => one.uid !== uid && one.priority >= priority);
    if (before.length === 0) return undefined;
    return this.trying(state, () => {
      for (const one of before) this.shift(one, state, 1);
      const obstacle = this.obstacle(waiting, state);
      for (const one of before) this.shift(one, state, -1);
      return obstacle;
    });
  }

  /** How good a node is that has no obstacle. */
  rating(waiting: WaitingPod, state: NodeState): Rating {
    const entry = this.#entry(waiting, state);
    entry.room ??= roomRating(waiting.facts, state);
    const views = this.#viewsOf(waiting);
    return {
      fixed: entry.fixedRating,
      room: entry.room,
      near: views?.interPod.preference(state) ?? 0,
      spreadCost: views?.spread?.cost(state) ?? 0,
    };
  }

  /** Places the pod on the node, as the pass decided. */
  assume(facts: PodFacts, state: NodeState): void {
    this.#state.assume(facts, state.name);
    this.#tellViews(facts, state, 1);
  }

  /** Lets a pod come or go for a trial; the caller undoes it by the opposite. */
  shift(facts: PodFacts, state: NodeState, by: 1 | -1): void {
    this.#state.try(facts, state, by);
    this.#tellViews(facts, state, by);
  }

  /** Runs a trial that leaves the node's pods as they were, which then also keeps its version. */
  trying<T>(state: NodeState, trial: () => T): T {
    const { version } = state;
    const result = trial();
    state.version = version;
    return result;
  }

  /** `find`, or what it found for a pod like this one while the node was the same; not where other nodes count too. */
  searching(waiting: WaitingPod, state: NodeState, find: () => Search): Search {
    // A pod for which a place is kept here does not count itself, others like it do.
    if (this.#viewsOf(waiting) !== undefined || state.nominated.has(waiting.facts.uid)) return find();
    let found = this.#searches.get(waiting.fullKey);
    if (found === undefined) {
      bounded(this.#searches);
      found = new Map();
      this.#searches.set(waiting.fullKey, found);
    }
    let known = found.get(state.name);
    if (known?.version !== state.version) {
      known = { version: state.version, search: find() };
      found.set(state.name, known);
    }
    return known.search;
  }

  /** What a pod like this one was told since the cluster last changed. */
  refusal(waiting: WaitingPod): string | undefined {
    const known = this.#refused.get(waiting.fullKey);
    return known?.changes === this.#state.changes ? known.message : undefined;
  }

  rememberRefusal(waiting: WaitingPod, message: string): void {
    bounded(this.#refused);
    this.#refused.set(waiting.fullKey, { changes: this.#state.changes, message });
  }

  #aroundObstacle(waiting: WaitingPod, state: NodeState): NodeObstacle | undefined {
    const views = this.#viewsOf(waiting);
    return views?.spread?.obstacle(state) ?? views?.interPod.obstacle(state);
  }

  #entry(waiting: WaitingPod, state: NodeState): NodeEntry {
    const { facts, nodeKey } = waiting;
    let entries = this.#entries.get(nodeKey);
    if (entries === undefined) {
      bounded(this.#entries);
      entries = new Map();
      this.#entries.set(nodeKey, entries);
    }
    let entry = entries.get(state.name);
    if (entry === undefined) {
      const { node } = state;
      const fixed = fixedObstacle(facts.pod, node);
      const rating = fixedRating(facts.pod, node);
      entry = { fixed, fixedRating: rating, version: -1, shortage: undefined, room: undefined };
      entries.set(state.name, entry);
    }
    if (entry.version !== state.version && entry.fixed === undefined) {
      entry.version = state.version;
      entry.shortage = shortage(facts, state);
      entry.room = undefined;
    }
    return entry;
  }

  #viewsOf(waiting: WaitingPod): Views | undefined {
    const { facts, fullKey } = waiting;
    const spreads = facts.terms.spread.length > 0;
    if (!(spreads || this.#hasAffinity)) return undefined;
    let views = this.#views.get(fullKey);
    if (views === undefined) {
      bounded(this.#views);
      views = {
        interPod: new InterPodView(facts, this.#state),
        spread: spreads ? new SpreadView(facts, this.#state) : undefined,
      };
      this.#views.set(fullKey, views);
    }
    return views;
  }

  #tellViews(facts: PodFacts, state: NodeState, by: 1 | -1): void {
    for (const { interPod, spread } of this.#views.values()) {
      interPod.shift(facts, state, by);
      spread?.shift(facts, state, by);
    }
  }
}

/** Makes room for one more by forgetting the oldest. */
function bounded(map: Map<string, unknown>): void {
  if (map.size < remembered) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
