/**
 * Keeps one pod of each daemon set on every node that it belongs on.
 */
import {
  type CacheChange,
  hasStatus,
  type KubeObject,
  type Node,
  type Pod,
  parseLabelSelector,
  resources,
} from "../../kube/index.ts";
import { controllerRevisions, inNamespace } from "./caches.ts";
import { type HistoryPlan, planHistory } from "./daemon-history.ts";
import { daemonPod, nodeOf, revisionLabel } from "./daemon-pod.ts";
import { planDaemonSet } from "./daemon-set.ts";
import { claim, selecting } from "./owners.ts";
import { carryOutClaim, createPods, deletePods } from "./pod-control.ts";
import { nextAvailableInMs } from "./pod-state.ts";
import { meaningOf } from "./same.ts";
import type { ControllerRevision, DaemonSet, DaemonSetStatus } from "./types.ts";
import { type Controller, type ControllerContext, keyOf, objectOf, Worker } from "./worker.ts";

const pauseMs = { first: 1000, longest: 900_000 };

interface Pause {
  readonly failures: number;
  readonly untilMs: number;
}

/** The controller of daemon sets. */
export class DaemonSetController implements Controller {
  readonly #worker: Worker;
  /** When a pod that ended may be replaced, by UID of the set and name of the node. */
  readonly #pauses = new Map<string, Pause>();

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "daemonset-controller", (key) => this.#serve(key));
    const { daemonSets, pods, nodes, revisions } = context.caches;
    worker.follow(daemonSets);
    const takers = (one: KubeObject) => selecting(inNamespace(daemonSets, one.metadata.namespace), one);
    worker.followOwned(pods, "DaemonSet", takers);
    worker.followOwned(revisions, "DaemonSet", takers);
    nodes.onChange((change) => {
      const sets = daemonSets.items();
      if (sets.length > 0 && mattersToDaemons(change)) for (const set of sets) worker.queue.add(keyOf(set));
    });
    this.#worker = worker;
  }

  get idle(): boolean {
    return this.#worker.idle;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#worker.run(signal);
  }

  async #serve(key: string): Promise<void> {
    const { caches, clock } = this.#worker.context;
    const set = objectOf(caches.daemonSets, key);
    if (set === undefined) return;
    const { namespace } = set.metadata;
    const found = claim(set, parseLabelSelector(set.spec.selector), inNamespace(caches.pods, namespace));
    if (await carryOutClaim(this.#worker, set, found, { type: resources.pods, cache: caches.pods })) return;
    const past = claim(set, parseLabelSelector(set.spec.selector), inNamespace(caches.revisions, namespace));
    const collection = { type: controllerRevisions, cache: caches.revisions };
    if (await carryOutClaim(this.#worker, set, past, collection)) return;
    const pods = found.owned;
    const revisions = past.owned;
    const live = new Set(pods.map((pod) => pod.metadata.labels?.[revisionLabel] ?? ""));
    const history = planHistory(set, revisions, live);
    if (set.metadata.deletionTimestamp === undefined) await this.#carryOutHistory(key, history);
    const nowMs = clock.now();
    const { hash } = history;
    const plan = planDaemonSet({ set, nodes: caches.nodes.items(), pods, hash, nowMs });
    await this.#writeStatus(set, plan.status);
    await deletePods(this.#worker, set, [...plan.remove, ...this.#replaceable(set, plan.ended, nowMs)]);
    const fresh = plan.create.map((node) => daemonPod(set, hash, node));
    await createPods(this.#worker, set, fresh);
    const waitMs = nextAvailableInMs(pods, set.spec.minReadySeconds ?? 0, nowMs);
    if (waitMs !== undefined) this.#worker.queue.addAfter(key, waitMs);
  }

  async #carryOutHistory(key: string, { create, update, remove }: HistoryPlan): Promise<void> {
    const { api, caches } = this.#worker.context;
    const { awaited } = this.#worker;
    try {
      if (create !== undefined) awaited.written(key, caches.revisions, await api.create(controllerRevisions, create));
    } catch (error) {
      // The name is made from the template: it is there already, under this owner before it was made anew.
      if (!hasStatus(error, 409)) throw error;
    }
    if (update !== undefined) awaited.written(key, caches.revisions, await api.update(controllerRevisions, update));
    for (const one of remove) {
      await api.delete(controllerRevisions, one.metadata);
      awaited.deleted<ControllerRevision>(key, caches.revisions, one);
    }
  }

  /** Those of the pods that ended whose node has waited long enough: the first at once, then ever longer. */
  #replaceable(set: DaemonSet, ended: readonly Pod[], nowMs: number): readonly Pod[] {
    // A long time without failures clears the count.
    for (const [key, { untilMs }] of this.#pauses) {
      if (nowMs - untilMs > pauseMs.longest) this.#pauses.delete(key);
    }
    return ended.filter((pod) => {
      const node = nodeOf(pod) ?? "";
      const key = `${set.metadata.uid} ${node}`;
      const { failures = 0, untilMs = 0 } = this.#pauses.get(key) ?? {};
      if (untilMs > nowMs) {
        this.#worker.queue.addAfter(keyOf(set), untilMs - nowMs);
        return false;
      }
      const count = failures + 1;
      const waitMs = Math.min(pauseMs.longest, pauseMs.first * 2 ** (count - 1));
      this.#pauses.set(key, { failures: count, untilMs: nowMs + waitMs });
      const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
      if (pod.status?.phase === "Failed") {
        const message = `Found failed daemon pod ${name} on node ${node}, will try to kill it`;
        this.#worker.tell(set, "Warning", "FailedDaemonPod", message);
      } else {
        const message = `Found succeeded daemon pod ${name} on node ${node}, will try to delete it`;
        this.#worker.tell(set, "Normal", "SucceededDaemonPod", message);
      }
      return true;
    });
  }

  async #writeStatus(set: DaemonSet, status: DaemonSetStatus): Promise<void> {
    if (meaningOf(status) === meaningOf(set.status)) return;
    const { api, caches } = this.#worker.context;
    const written = await api.update<DaemonSet>(resources.daemonSets, { ...set, status }, { subresource: "status" });
    this.#worker.awaited.written(keyOf(set), caches.daemonSets, written);
  }
}

/** Heartbeats and what a node offers do not change where daemons belong. */
function mattersToDaemons(change: CacheChange<Node>): boolean {
  if (change.type !== "modified") return true;
  const { previous, object } = change;
  return meaningOf([previous.metadata.labels, previous.spec]) !== meaningOf([object.metadata.labels, object.spec]);
}
