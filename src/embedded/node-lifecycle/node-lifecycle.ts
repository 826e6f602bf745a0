/**
 * Gives up nodes whose kubelet has fallen silent, taints nodes by their state, and evicts pods from nodes that are tainted
 * NoExecute: kube-controller-manager's node lifecycle and taint eviction controllers, as far as one zone goes.
 *
 * Leases are read at each look and not watched: a fleet of 1,000 nodes renews a hundred a second.
 */
import { type Clock, errorText, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import {
  hasStatus,
  type KubeApi,
  type Lease,
  type Node,
  type Pod,
  ResourceCache,
  resources,
  type Taint,
} from "../../kube/index.ts";
import { EventQueue } from "../kubelet/event-queue.ts";
import { nodeLeaseNamespace } from "../kubelet/node-lease.ts";
import { timestamp } from "../kubelet/pod-status.ts";
import { stayMs } from "./eviction.ts";
import { silentConditions, wantedTaints } from "./node-state.ts";
import { monitorEveryMs, NodeWatch } from "./node-watch.ts";

export interface NodeLifecycleOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** A cache that others in the process follow too; by default there is one of its own. */
  readonly nodes?: ResourceCache<Node>;
}

/** A pod on a tainted node, and when it was first seen there. */
interface Staying {
  readonly pod: Pod;
  readonly sinceMs: number;
}

const deletionCondition = {
  type: "DisruptionTarget",
  status: "True",
  reason: "DeletionByTaintManager",
  message: "Taint manager: deleting due to NoExecute taint",
} as const;

/** How soon a node is looked at again that somebody else has written meanwhile. */
const retryMs = 50;

/** Works from `start` to `stop`. */
export class NodeLifecycle {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #nodes: ResourceCache<Node>;
  readonly #events: EventQueue;
  readonly #evictionEvents: EventQueue;
  readonly #watch = new NodeWatch();
  readonly #ending = new AbortController();
  /** Pods that have to go if their node stays tainted, by UID. */
  #staying: ReadonlyMap<string, Staying> = new Map();
  /** Nodes that were given up and whose pods are not all marked; each look that finds them silent tries again. */
  readonly #unmarked = new Set<string>();
  #running: Promise<unknown> | undefined;
  /** Whether a node has changed that was not looked at since. */
  #due = true;
  #acting = false;
  /** Whether a write of this turn came too late. */
  #retry = false;
  #wake: (() => void) | undefined;
  #nextMonitorMs = 0;

  constructor(api: KubeApi, { clock = systemClock, log = silentLogger, nodes }: NodeLifecycleOptions = {}) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
    this.#nodes = nodes ?? new ResourceCache<Node>(api, resources.nodes, { clock, log });
    this.#events = new EventQueue({ api, clock, log, component: "node-controller" });
    this.#evictionEvents = new EventQueue({ api, clock, log, component: "taint-eviction-controller" });
    this.#nodes.onChange((change) => {
      if (change.type === "modified" && stateOf(change.previous) === stateOf(change.object)) return;
      this.#due = true;
      this.#wake?.();
    });
  }

  /** Begins to work; once per object. */
  start(): void {
    const { signal } = this.#ending;
    this.#running = Promise.all([this.#nodes.run(signal), this.#run(signal)]);
    // Ends with `stop`, which tells of a defect.
    this.#running.catch((error: unknown) => this.#log.error({ error: errorText(error) }, "node lifecycle broke"));
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await Promise.all([this.#events.flushed(), this.#evictionEvents.flushed()]);
  }

  /** Whether every change of a node that is known has been acted upon. Waiting for a time counts as rest. */
  idle(): boolean {
    return !this.#due && !this.#acting && !this.#events.busy && !this.#evictionEvents.busy;
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      await this.#nodes.waitForSync(signal);
      while (!signal.aborted) await this.#turn(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    this.#acting = this.#due;
    this.#due = false;
    this.#retry = false;
    let wakeAtMs = this.#clock.now() + monitorEveryMs;
    try {
      if (this.#clock.now() >= this.#nextMonitorMs) await this.#monitor(signal);
      for (const node of this.#nodes.items()) await this.#taint(node);
      wakeAtMs = Math.min(this.#nextMonitorMs, (await this.#evict(signal)) ?? wakeAtMs);
    } catch (error) {
      if (signal.aborted) return;
      this.#log.warn({ problem: errorText(error) }, "nodes not looked at");
    }
    this.#acting = false;
    await this.#wait(this.#retry ? retryMs : wakeAtMs - this.#clock.now(), signal);
  }

  async #monitor(signal: AbortSignal): Promise<void> {
    const { items } = await this.#api.list<Lease>(resources.leases, { namespace: nodeLeaseNamespace }, signal);
    const nowMs = this.#clock.now();
    this.#nextMonitorMs = nowMs + monitorEveryMs;
    const nodes = this.#nodes.items();
    const silent = this.#watch.look(nodes, items, nowMs);
    const names = new Set(nodes.map((one) => one.metadata.name));
    for (const name of this.#unmarked) if (!names.has(name)) this.#unmarked.delete(name);
    for (const node of nodes) if (silent.has(node.metadata.name)) await this.#giveUp(node);
  }

  async #giveUp(node: Node): Promise<void> {
    const { name, resourceVersion } = node.metadata;
    const conditions = silentConditions(node, timestamp(this.#clock.now()));
    if (conditions !== undefined) {
      const patch = { metadata: { resourceVersion }, status: { conditions } };
      if (!(await this.#patchNode(name, patch, "status"))) return;
      this.#unmarked.add(name);
      this.#events.tell(node, "Normal", ["NodeNotReady", `Node ${name} status is now: NodeNotReady`]);
    }
    if (!this.#unmarked.has(name)) return;
    let areAllMarked = true;
    for (const pod of await this.#podsOn(name)) areAllMarked = (await this.#markNotReady(pod)) && areAllMarked;
    if (areAllMarked) this.#unmarked.delete(name);
  }

  /**
   * A pod of a silent node counts as not ready (pkg/controller/util/node, `MarkPodsNotReady`). False when it could not be
   * written, which keeps nobody from the next pod.
   */
  async #markNotReady(pod: Pod): Promise<boolean> {
    const conditions = pod.status?.conditions ?? [];
    if (!conditions.some((one) => one.type === "Ready" && one.status === "True")) return true;
    const lastTransitionTime = timestamp(this.#clock.now());
    const changed = conditions.map((one) =>
      one.type === "Ready" ? { ...one, status: "False", lastTransitionTime } : one,
    );
    const body = { metadata: { uid: pod.metadata.uid }, status: { conditions: changed } };
    try {
      await this.#api.mergePatch(resources.pods, pod.metadata, body, { subresource: "status" });
      this.#events.tell(pod, "Warning", ["NodeNotReady", "Node is not ready"]);
    } catch (error) {
      if (!hasStatus(error, 404) && !hasStatus(error, 409)) {
        this.#log.warn({ pod: pod.metadata.name, problem: errorText(error) }, "pod not marked not ready");
        return false;
      }
    }
    return true;
  }

  async #taint(node: Node): Promise<void> {
    const taints = wantedTaints(node, timestamp(this.#clock.now()));
    if (taints === undefined) return;
    const { name, resourceVersion } = node.metadata;
    await this.#patchNode(name, { metadata: { resourceVersion }, spec: { taints } });
  }

  /** Whether it was written; if somebody was faster, the next turn comes soon. */
  async #patchNode(name: string, patch: unknown, subresource?: string): Promise<boolean> {
    try {
      await this.#api.mergePatch(resources.nodes, { name }, patch, subresource === undefined ? {} : { subresource });
      return true;
    } catch (error) {
      this.#retry ||= hasStatus(error, 409);
      if (hasStatus(error, 404) || hasStatus(error, 409)) return false;
      throw error;
    }
  }

  /** Deletes the pods whose time is over; answers when the next one's is. */
  async #evict(signal: AbortSignal): Promise<number | undefined> {
    const staying = new Map<string, Staying>();
    const tainted = this.#nodes.items().filter(isTaintedNoExecute);
    let nextMs: number | undefined;
    for (const node of tainted) {
      for (const pod of await this.#podsOn(node.metadata.name)) {
        signal.throwIfAborted();
        const limitMs = stayMs(pod, node);
        const { uid = "", deletionTimestamp } = pod.metadata;
        if (limitMs === undefined || deletionTimestamp !== undefined) continue;
        const { sinceMs } = this.#staying.get(uid) ?? { sinceMs: this.#clock.now() };
        if (this.#clock.now() >= sinceMs + limitMs) await this.#deletePod(pod);
        else {
          staying.set(uid, { pod, sinceMs });
          nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, sinceMs + limitMs);
        }
      }
    }
    const names = new Set(tainted.map((one) => one.metadata.name));
    for (const { pod } of this.#staying.values()) {
      if (!names.has(pod.spec.nodeName ?? "")) this.#tellEviction(pod, "Cancelling deletion of");
    }
    this.#staying = staying;
    return nextMs;
  }

  /** As kube-controller-manager does, the pod first says why it goes (`DisruptionTarget`). */
  async #deletePod(pod: Pod): Promise<void> {
    const { uid = "", resourceVersion } = pod.metadata;
    const others = (pod.status?.conditions ?? []).filter((one) => one.type !== "DisruptionTarget");
    const conditions = [...others, { ...deletionCondition, lastTransitionTime: timestamp(this.#clock.now()) }];
    const body = { metadata: { uid, resourceVersion }, status: { conditions } };
    try {
      await this.#api.mergePatch(resources.pods, pod.metadata, body, { subresource: "status" });
      this.#tellEviction(pod, "Marking for deletion");
      await this.#api.delete(resources.pods, pod.metadata, { preconditions: { uid } });
    } catch (error) {
      this.#retry ||= hasStatus(error, 409);
      if (!hasStatus(error, 404) && !hasStatus(error, 409)) throw error;
    }
  }

  #tellEviction(pod: Pod, what: string): void {
    const { namespace = "default", name } = pod.metadata;
    this.#evictionEvents.tell(pod, "Normal", ["TaintManagerEviction", `${what} Pod ${namespace}/${name}`]);
  }

  async #podsOn(node: string): Promise<readonly Pod[]> {
    return (await this.#api.list<Pod>(resources.pods, { fieldSelector: `spec.nodeName=${node}` })).items;
  }

  /** Resolves after `ms`, when a node has changed, or when the signal fires. */
  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#due || signal.aborted) return;
    const done = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const slept = this.#clock.sleep(Math.max(0, ms), AbortSignal.any([signal, done.signal])).catch(() => {});
    await Promise.race([woken, slept]);
    this.#wake = undefined;
    done.abort();
  }
}

/** What of a node asks for a look. */
function stateOf({ metadata, spec, status }: Node): string {
  const ready = status?.conditions?.find((one) => one.type === "Ready")?.status;
  return JSON.stringify([metadata.uid, ready, spec?.unschedulable, spec?.taints]);
}

function isTaintedNoExecute({ spec }: Node): boolean {
  return (spec?.taints ?? []).some((one: Taint) => one.effect === "NoExecute");
}
