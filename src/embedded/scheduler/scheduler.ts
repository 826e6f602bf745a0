/**
 * The scheduler of the embedded cluster, kube-scheduler's stand-in: binds waiting pods to nodes, and tells why the others wait.
 *
 * Knows the cluster only through the API, as kube-scheduler does. A pass over all waiting pods follows every change that
 * could help one of them; changes that come during a pass are answered by the next.
 */
import { type Clock, errorText, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import {
  BackOff,
  type Binding,
  type CacheChange,
  hasStatus,
  type KubeApi,
  KubeError,
  type Node,
  type Pod,
  ResourceCache,
  recordEvent,
  resources,
} from "../../kube/index.ts";
import { type Decision, decide, defaultSchedulerName, hasEnded, isWaiting } from "./pass.ts";

export interface SchedulerOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Numbers from 0 to below 1, for the jitter of repeated tries; default `Math.random`. */
  readonly random?: () => number;
}

/** How many decisions are carried out at the same time. */
const parallelWrites = 16;

/** Schedules from `start` to `stop`. */
export class Scheduler {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #nodes: ResourceCache<Node>;
  readonly #pods: ResourceCache<Pod>;
  readonly #random: () => number;
  readonly #backOff: BackOff;
  readonly #abort = new AbortController();
  /** Nodes of pods that are bound, or being bound, while the cache does not show it yet; by pod UID. */
  readonly #assumed = new Map<string, string>();
  /** What was last told of each waiting pod; by pod UID. */
  readonly #told = new Map<string, string>();
  #running: Promise<unknown> | undefined;
  #changed = true;
  #passing = false;
  #synced = false;
  #wake = Promise.withResolvers<void>();

  constructor(api: KubeApi, options: SchedulerOptions = {}) {
    const { clock = systemClock, log = silentLogger, random = Math.random } = options;
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
    this.#backOff = new BackOff(random);
    this.#nodes = new ResourceCache<Node>(api, resources.nodes, { clock, log, random });
    this.#pods = new ResourceCache<Pod>(api, resources.pods, { clock, log, random });
  }

  /** Begins to schedule. To be called once. */
  start(): void {
    const { signal } = this.#abort;
    this.#nodes.onChange((change) => this.#seeNode(change));
    this.#pods.onChange((change) => this.#seePod(change));
    this.#running = Promise.all([this.#nodes.run(signal), this.#pods.run(signal), this.#loop(signal)]);
    // Ends with `stop`, which tells of a defect; without this line Node would end the process before that.
    this.#running.catch((error: unknown) => this.#log.error({ error: errorText(error) }, "scheduler broke"));
  }

  /** Ends the watches and waits for what is being written. Throws what broke the scheduler, if anything did. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake.resolve();
    await this.#running;
  }

  /**
   * Whether every pod it knows of has been considered against everything it knows, and what it decided is written and
   * seen. It knows what the watches have brought: just after a write it may not have heard of it yet.
   */
  idle(): boolean {
    return this.#synced && !this.#changed && !this.#passing && this.#assumed.size === 0;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#nodes.synced, this.#pods.synced]);
      this.#synced = true;
      while (!signal.aborted) {
        if (!this.#changed) await this.#wake.promise;
        if (signal.aborted) break;
        this.#wake = Promise.withResolvers();
        this.#passing = true;
        const retry = await this.#pass();
        if (retry) await this.#clock.sleep(this.#backOff.afterTry(0), signal);
        else this.#backOff.clear();
        this.#changed ||= retry;
        this.#passing = false;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** One pass. Returns whether something could not be written and must be tried again. */
  async #pass(): Promise<boolean> {
    this.#changed = false;
    const decisions = decide({ nodes: this.#nodes.items(), pods: this.#pods.items(), assumed: this.#assumed });
    const pending = decisions.filter((one) => one.kind === "bind" || this.#told.get(uidOf(one.pod)) !== one.message);
    // All are assumed before the first is written, so that whatever interrupts the writing, no share is given twice.
    for (const one of pending) if (one.kind === "bind") this.#assumed.set(uidOf(one.pod), one.node);
    let failed = false;
    const work = pending.values();
    const worker = async (): Promise<void> => {
      for (const decision of work) if (!(await this.#carryOut(decision))) failed = true;
    };
    await Promise.all(Array.from({ length: parallelWrites }, worker));
    return failed;
  }

  /** Returns whether it is done with; if not, another pass must follow. */
  async #carryOut(decision: Decision): Promise<boolean> {
    const { pod } = decision;
    const { namespace, name } = pod.metadata;
    try {
      if (decision.kind === "bind") await this.#bind(pod, decision.node);
      else await this.#tellWaiting(pod, decision.message);
      return true;
    } catch (error) {
      if (decision.kind === "bind" && !(await this.#isBound(pod, error))) this.#assumed.delete(uidOf(pod));
      this.#told.delete(uidOf(pod));
      if (this.#abort.signal.aborted) return true;
      this.#log.warn({ pod: `${namespace}/${name}`, error: errorText(error) }, "scheduling failed");
      return hasStatus(error, 404);
    }
  }

  /**
   * Whether the pod has a node after all. A binding whose answer was lost may have been made, and giving its share to
   * another pod before the watch tells would give it twice: so the server is asked until it answers.
   */
  async #isBound(pod: Pod, error: unknown): Promise<boolean> {
    if (!(error instanceof KubeError) || !error.retryable) return false;
    const { signal } = this.#abort;
    const backOff = new BackOff(this.#random);
    while (!signal.aborted) {
      try {
        const now = await this.#api.get<Pod>(resources.pods, pod.metadata, signal);
        return uidOf(now) === uidOf(pod) && (now.spec.nodeName ?? "") !== "";
      } catch (again) {
        if (!(again instanceof KubeError) || !again.retryable) return false;
        await this.#clock.sleep(backOff.afterTry(0, again.retryAfterMs), signal).catch(() => {});
      }
    }
    return true;
  }

  async #bind(pod: Pod, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
    const target = { apiVersion: "v1", kind: "Node", name: node } as const;
    const binding: Binding = { apiVersion: "v1", kind: "Binding", metadata, target };
    await this.#api.createSubresource(resources.pods, pod.metadata, "binding", binding);
    this.#told.delete(uidOf(pod));
    await this.#record(pod, "Normal", "Scheduled", `Successfully assigned ${namespace ?? ""}/${name} to ${node}`);
  }

  async #tellWaiting(pod: Pod, message: string): Promise<void> {
    this.#told.set(uidOf(pod), message);
    const conditions = pod.status?.conditions ?? [];
    const known = conditions.find(({ type }) => type === "PodScheduled");
    if (known?.status === "False" && known.message === message) return;
    const now = new Date(this.#clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const lastTransitionTime = known?.status === "False" ? (known.lastTransitionTime ?? now) : now;
    const condition = { type: "PodScheduled", status: "False", reason: "Unschedulable", message, lastTransitionTime };
    const others = conditions.filter(({ type }) => type !== "PodScheduled");
    const patch = {
      // With its version, so that a list of conditions written meanwhile is not overwritten.
      metadata: { resourceVersion: pod.metadata.resourceVersion },
      status: { conditions: [...others, condition] },
    };
    await this.#api.mergePatch(resources.pods, pod.metadata, patch, { subresource: "status" });
    await this.#record(pod, "Warning", "FailedScheduling", message);
  }

  /** A lost event must not undo what it tells of, so failure is only logged. */
  async #record(pod: Pod, type: "Normal" | "Warning", reason: string, message: string): Promise<void> {
    const event = { object: pod, type, reason, message, component: defaultSchedulerName };
    try {
      await recordEvent(this.#api, event, this.#clock);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#log.warn({ pod: pod.metadata.name, reason, error: errorText(error) }, "event not recorded");
    }
  }

  #seeNode(change: CacheChange<Node>): void {
    if (change.type === "modified" && facts(change.previous) === facts(change.object)) return;
    this.#ring();
  }

  #seePod(change: CacheChange<Pod>): void {
    const { object } = change;
    const placed = (object.spec.nodeName ?? "") !== "";
    const asAssumed = this.#assumed.get(uidOf(object)) === object.spec.nodeName;
    if (placed || change.type === "deleted") this.#forget(object);
    if (change.type === "modified") {
      const { previous } = change;
      // A pod that has come back under its name is another one.
      const replaced = uidOf(previous) !== uidOf(object);
      if (replaced) this.#forget(previous);
      const freed = hasEnded(object) && !hasEnded(previous);
      const moved = placed && (previous.spec.nodeName ?? "") === "" && !asAssumed;
      const asks = isWaiting(object) && !(isWaiting(previous) && sameSpec(previous, object));
      if (!replaced && !freed && !moved && !asks) return;
    }
    this.#ring();
  }

  #forget(pod: Pod): void {
    this.#assumed.delete(uidOf(pod));
    this.#told.delete(uidOf(pod));
  }

  #ring(): void {
    this.#changed = true;
    this.#wake.resolve();
  }
}

function uidOf(pod: Pod): string {
  return pod.metadata.uid ?? `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
}

/** What of a node scheduling depends on. */
function facts({ metadata, spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return JSON.stringify([metadata.labels, spec, status?.allocatable, ready]);
}

function sameSpec(a: Pod, b: Pod): boolean {
  return JSON.stringify(a.spec) === JSON.stringify(b.spec);
}
