/**
 * Removes pods whose node is no more, so that their owners make others (kubernetes, pkg/controller/podgc/gc_controller.go).
 */
import { hasStatus, type Node, type Pod, type PodStatus, resources } from "../../kube/index.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { hasEnded } from "./pod-state.ts";
import { type Controller, type ControllerContext, keyIn, keyOf, objectOf, Worker } from "./worker.ts";

/** A node that has gone may come back under its name within this time. */
const quarantineMs = 40_000;

/** The pod garbage collector, as far as lost nodes go. */
export class LostPodsController implements Controller {
  readonly #worker: Worker;
  /** Since when each node with pods is missing, by key. */
  readonly #missingSinceMs = new Map<string, number>();

  constructor(context: ControllerContext) {
    const worker = new Worker(context, "pod-garbage-collector", (key) => this.#serve(key));
    const { nodes, pods } = context.caches;
    nodes.onChange(({ type, object }) => {
      if (type === "deleted" || this.#missingSinceMs.has(keyOf(object))) worker.queue.add(keyOf(object));
    });
    pods.onChange(({ type, object }) => {
      const { nodeName = "" } = object.spec;
      const key = keyIn(undefined, nodeName);
      const isLost = nodeName !== "" && nodes.get(undefined, nodeName) === undefined;
      // The last pod that goes ends the node's time.
      if (type === "deleted" ? this.#missingSinceMs.has(key) : isLost) worker.queue.add(key);
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
    const pods = caches.pods.items().filter((pod) => keyIn(undefined, pod.spec.nodeName ?? "") === key);
    if (objectOf(caches.nodes, key) !== undefined || pods.length === 0) {
      this.#missingSinceMs.delete(key);
      return;
    }
    const sinceMs = this.#missingSinceMs.get(key) ?? clock.now();
    this.#missingSinceMs.set(key, sinceMs);
    const leftMs = sinceMs + quarantineMs - clock.now();
    if (leftMs > 0) this.#worker.queue.addAfter(key, leftMs);
    else if (await this.#isGone(pods[0]?.spec.nodeName ?? "")) for (const pod of pods) await this.#remove(key, pod);
  }

  /** The server's word, since the cache may be behind. */
  async #isGone(name: string): Promise<boolean> {
    try {
      await this.#worker.context.api.get<Node>(resources.nodes, { name });
      return false;
    } catch (error) {
      if (hasStatus(error, 404)) return true;
      throw error;
    }
  }

  /** No kubelet will say how the pod ended, so it is said here; and none will let it go. */
  async #remove(key: string, pod: Pod): Promise<void> {
    const { api, caches, clock } = this.#worker.context;
    const { uid = "", resourceVersion } = pod.metadata;
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
    const told = {
      type: "DisruptionTarget",
      status: "True" as const,
      reason: "DeletionByPodGC",
      message: "PodGC: node no longer exists",
      lastTransitionTime: timestamp(clock.now()),
    };
    const status: PodStatus = { conditions: [...others, told], ...(hasEnded(pod) ? {} : { phase: "Failed" }) };
    const patch = { metadata: { uid, resourceVersion }, status };
    try {
      await api.mergePatch(resources.pods, pod.metadata, patch, { subresource: "status" });
      await api.delete(resources.pods, pod.metadata, { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
    this.#worker.awaited.deleted(key, caches.pods, pod);
  }
}
