/**
 * The cluster as the scheduler counts it: kept up change by change, so that a pass need not add everything up anew.
 *
 * A pod is in one of three places: on a node (bound, or assumed there while its binding is under way), waiting, or
 * unknown, which is what ended pods and those of other schedulers are.
 */
import { hasEnded, type Node, type Pod } from "../../kube/index.ts";
import { addUsed, displace, type NodeState, nodeState, place } from "./node-state.ts";
import { isWaiting, type PodFacts, podFacts, uidOf, type WaitingPod, waitingPod } from "./pod-facts.ts";

interface Placed {
  readonly facts: PodFacts;
  readonly nodeName: string;
}

/** Changed by the watches and by the passes. */
export class ClusterState {
  readonly #nodes = new Map<string, NodeState>();
  readonly #placed = new Map<string, Placed>();
  readonly #waiting = new Map<string, WaitingPod>();
  /** Node names of pods for which others were evicted; by UID. */
  readonly #nominations = new Map<string, string>();
  /** Waiting pods as last seen, while they are counted on a node whose binding is under way; by UID. */
  readonly #assumed = new Map<string, Pod>();
  readonly #namespaceLabels = new Map<string, Readonly<Record<string, string>>>();
  /** UIDs of pods that were asked to go while the watch does not show it yet. */
  readonly #leaving = new Set<string>();
  /** Placed pods with terms about others' nearness; they bind those that come after. */
  readonly #withAffinity = new Map<string, Placed>();
  #sorted: readonly NodeState[] | undefined;
  #lastVersion = 0;
  #changes = 0;

  /** In name order. */
  get nodes(): readonly NodeState[] {
    this.#sorted ??= [...this.#nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#sorted;
  }

  get waiting(): Iterable<WaitingPod> {
    return this.#waiting.values();
  }

  /** Whether the pod with this UID has no node, and none that it is being bound to. */
  isWaiting(uid: string): boolean {
    return this.#waiting.has(uid);
  }

  /** How often anything changed that could let a waiting pod go somewhere; trials do not count. */
  get changes(): number {
    return this.#changes;
  }

  node(name: string): NodeState | undefined {
    return this.#nodes.get(name);
  }

  /** Placed pods on known nodes, all or only those with terms about others' nearness. */
  *placed(which: "all" | "with-affinity"): Generator<readonly [PodFacts, NodeState]> {
    for (const { facts, nodeName } of (which === "all" ? this.#placed : this.#withAffinity).values()) {
      const state = this.#nodes.get(nodeName);
      if (state !== undefined) yield [facts, state];
    }
  }

  /** Whether any pod, placed or waiting, has terms about others' nearness. */
  get hasAffinity(): boolean {
    return this.#withAffinity.size > 0 || [...this.#waiting.values()].some(({ facts }) => facts.hasAffinity);
  }

  setNode(node: Node): void {
    const { name } = node.metadata;
    const before = this.#nodes.get(name);
    const state = nodeState(node, ++this.#lastVersion);
    this.#changes += 1;
    this.#nodes.set(name, state);
    this.#sorted = undefined;
    if (before === undefined) {
      for (const { facts, nodeName } of this.#placed.values()) if (nodeName === name) place(state, facts);
    } else {
      for (const facts of before.pods.values()) place(state, facts);
    }
    for (const [uid, nodeName] of this.#nominations) {
      const facts = this.#waiting.get(uid)?.facts;
      if (nodeName === name && facts !== undefined) state.nominated.set(uid, facts);
    }
  }

  removeNode(name: string): void {
    this.#nodes.delete(name);
    this.#sorted = undefined;
    this.#changes += 1;
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>>): void {
    this.#namespaceLabels.set(name, labels);
    this.#changes += 1;
  }

  removeNamespace(name: string): void {
    this.#namespaceLabels.delete(name);
    this.#changes += 1;
  }

  namespaceLabels(name: string): Readonly<Record<string, string>> {
    return this.#namespaceLabels.get(name) ?? {};
  }

  /** Takes over what is now known of a pod. */
  setPod(pod: Pod): void {
    const uid = uidOf(pod);
    const { nodeName = "" } = pod.spec;
    if (hasEnded(pod)) {
      this.removePod(uid);
      return;
    }
    if (pod.metadata.deletionTimestamp !== undefined) this.#leaving.delete(uid);
    if (nodeName !== "") {
      this.#drop(uid);
      this.#put(podFacts(pod), nodeName);
    } else if (this.#assumed.has(uid)) {
      this.#assumed.set(uid, pod);
    } else if (isWaiting(pod)) {
      this.#wait(pod);
    } else {
      this.removePod(uid);
    }
  }

  removePod(uid: string): void {
    this.#leaving.delete(uid);
    this.#drop(uid);
  }

  /** Counts a waiting pod on a node, until `setPod` tells it is bound or `release` that it is not. */
  assume(facts: PodFacts, nodeName: string): void {
    this.#drop(facts.uid);
    this.#put(facts, nodeName);
    this.#assumed.set(facts.uid, facts.pod);
  }

  /** Undoes `assume` for a binding that failed. */
  release(uid: string): void {
    const pod = this.#assumed.get(uid);
    if (pod === undefined) return;
    this.#drop(uid);
    this.setPod(pod);
  }

  /** Keeps a place on a node for a waiting pod, or on none. */
  nominate(uid: string, nodeName: string | undefined): void {
    const before = this.#nominations.get(uid);
    if (before === nodeName) return;
    if (before !== undefined) {
      const old = this.#nodes.get(before);
      this.#touch(old);
      old?.nominated.delete(uid);
    }
    this.#nominations.delete(uid);
    this.#changes += 1;
    const facts = this.#waiting.get(uid)?.facts;
    if (nodeName === undefined || facts === undefined) return;
    this.#nominations.set(uid, nodeName);
    const state = this.#nodes.get(nodeName);
    this.#touch(state);
    state?.nominated.set(uid, facts);
  }

  nominatedNode(uid: string): string | undefined {
    return this.#nominations.get(uid);
  }

  /** Notes that a pod has been asked to go, or with `stays` that it could not be asked. */
  markLeaving(uid: string, what: "leaves" | "stays"): void {
    if (what === "leaves") this.#leaving.add(uid);
    else this.#leaving.delete(uid);
  }

  /** Whether the pod is on its way out. */
  isLeaving({ uid, pod }: PodFacts): boolean {
    return this.#leaving.has(uid) || pod.metadata.deletionTimestamp !== undefined;
  }

  /** Whether some pod was asked to go and the watch does not show it yet. */
  get awaitsLeaving(): boolean {
    return this.#leaving.size > 0;
  }

  /** Changes a node's sums only: for trying what would be. Undone by the opposite and the old version. */
  try(facts: PodFacts, state: NodeState, by: 1 | -1): void {
    this.#touch(state);
    addUsed(state, facts, by);
  }

  #touch(state: NodeState | undefined): void {
    this.#lastVersion += 1;
    if (state !== undefined) state.version = this.#lastVersion;
  }

  /** Forgets where the pod is. */
  #drop(uid: string): void {
    this.#assumed.delete(uid);
    this.nominate(uid, undefined);
    this.#waiting.delete(uid);
    const placed = this.#placed.get(uid);
    if (placed === undefined) return;
    this.#changes += 1;
    this.#placed.delete(uid);
    this.#withAffinity.delete(uid);
    const state = this.#nodes.get(placed.nodeName);
    this.#touch(state);
    if (state !== undefined) displace(state, placed.facts);
  }

  #put(facts: PodFacts, nodeName: string): void {
    this.#changes += 1;
    const placed = { facts, nodeName };
    this.#placed.set(facts.uid, placed);
    if (facts.hasAffinity) this.#withAffinity.set(facts.uid, placed);
    const state = this.#nodes.get(nodeName);
    this.#touch(state);
    if (state !== undefined) place(state, facts);
  }

  #wait(pod: Pod): void {
    const uid = uidOf(pod);
    const isNew = !this.#waiting.has(uid);
    const facts = podFacts(pod);
    this.#waiting.set(uid, waitingPod(facts));
    const nominated = this.#nominations.get(uid);
    if (nominated !== undefined) this.#nodes.get(nominated)?.nominated.set(uid, facts);
    // Later the passes know better than the status, which follows them.
    else if (isNew) this.nominate(uid, pod.status?.nominatedNodeName);
  }
}
