/**
 * The scheduler of the embedded cluster, kube-scheduler's stand-in: binds waiting pods to nodes, and tells why the others wait.
 *
 * Knows the cluster only through the API, as kube-scheduler does. A pass over all waiting pods follows every change that
 * could help one of them; changes that come during a pass are answered by the next.
 */
import { type Clock, errorText, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import {
  BackOff,
  type CacheChange,
  type KubeApi,
  KubeError,
  type KubeObject,
  type Node,
  type Pod,
  ResourceCache,
  resources,
} from "../../kube/index.ts";
import { isBoundAfterAll } from "./binding.ts";
import { type DisruptionBudget, disruptionBudgets } from "./budgets.ts";
import { ClusterState } from "./cluster-state.ts";
import { DecisionWriter } from "./decision-writer.ts";
import { isPlaced, nodeChanged, podChanged } from "./helpful-change.ts";
import { type Decision, decide } from "./pass.ts";
import { Pauses } from "./pauses.ts";
import { isWaiting, uidOf } from "./pod-facts.ts";

export interface SchedulerOptions {
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Numbers from 0 to below 1, for the jitter of repeated tries; default `Math.random`. */
  readonly random?: () => number;
  /** Caches that others in the process follow too; by default the scheduler has its own. */
  readonly caches?: { readonly nodes: ResourceCache<Node>; readonly pods: ResourceCache<Pod> };
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
  readonly #namespaces: ResourceCache<KubeObject>;
  readonly #budgets: ResourceCache<DisruptionBudget>;
  /** What the caches show, counted, and with it what is decided but not yet shown. */
  readonly #state = new ClusterState();
  readonly #random: () => number;
  readonly #backOff: BackOff;
  readonly #abort = new AbortController();
  /** Nodes of pods that are bound, or being bound, while the cache does not show it yet; by pod UID. */
  readonly #assumed = new Map<string, string>();
  /** What was last told of each waiting pod; by pod UID. */
  readonly #told = new Map<string, string>();
  readonly #writer: DecisionWriter;
  /** Pods of which the API refused what was decided. */
  readonly #refused: Pauses;
  /** Pods that have been told why they wait. */
  readonly #tellings: Pauses;
  /** Of how many pods there is something else to tell by now, but not yet. */
  #deferred = 0;
  /** When a pass is due because a pause ends, whatever changes before. */
  #nextPassMs = Number.POSITIVE_INFINITY;
  #running: Promise<unknown> | undefined;
  #changed = true;
  #passing = false;
  #synced = false;
  #wake = Promise.withResolvers<void>();

  constructor(api: KubeApi, options: SchedulerOptions = {}) {
    const { clock = systemClock, log = silentLogger, random = Math.random, caches } = options;
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
    this.#backOff = new BackOff(random);
    this.#writer = new DecisionWriter({ api, clock, log, signal: this.#abort.signal });
    this.#refused = new Pauses(random);
    this.#tellings = new Pauses(random);
    const settings = { clock, log, random };
    this.#nodes = caches?.nodes ?? new ResourceCache<Node>(api, resources.nodes, settings);
    this.#pods = caches?.pods ?? new ResourceCache<Pod>(api, resources.pods, settings);
    this.#namespaces = new ResourceCache(api, resources.namespaces, settings);
    this.#budgets = new ResourceCache<DisruptionBudget>(api, disruptionBudgets, settings);
  }

  /** Begins to schedule. To be called once. */
  start(): void {
    const { signal } = this.#abort;
    this.#nodes.onChange((change) => this.#seeNode(change));
    this.#pods.onChange((change) => this.#seePod(change));
    this.#namespaces.onChange((change) => this.#seeNamespace(change));
    const caches = [this.#nodes, this.#pods, this.#namespaces, this.#budgets];
    this.#running = Promise.all([...caches.map((cache) => cache.run(signal)), this.#loop(signal)]);
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
    const isWritten = this.#assumed.size === 0 && this.#refused.size === 0 && this.#deferred === 0;
    return this.#synced && !this.#changed && !this.#passing && isWritten && !this.#state.awaitsLeaving;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    try {
      const caches = [this.#nodes, this.#pods, this.#namespaces, this.#budgets];
      await Promise.all(caches.map((cache) => cache.waitForSync(signal)));
      this.#synced = true;
      while (!signal.aborted) {
        if (!this.#changed) await this.#waitForNews(signal);
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

  /** Until something has changed, or a pause ends. */
  async #waitForNews(signal: AbortSignal): Promise<void> {
    if (this.#nextPassMs === Number.POSITIVE_INFINITY) return await this.#wake.promise;
    const waitMs = Math.max(0, this.#nextPassMs - this.#clock.now());
    const over = new AbortController();
    try {
      await Promise.race([this.#wake.promise, this.#clock.sleep(waitMs, AbortSignal.any([signal, over.signal]))]);
    } finally {
      over.abort();
    }
  }

  /** One pass. Returns whether the API did not answer, so that another must follow. */
  async #pass(): Promise<boolean> {
    this.#changed = false;
    // What is decided counts in the state before the first is written, so that whatever interrupts the writing, no share
    // is given twice.
    const nowMs = this.#clock.now();
    this.#nextPassMs = Number.POSITIVE_INFINITY;
    const decisions = decide(this.#state, this.#budgets.items(), (uid) => this.#isPaused(this.#refused, uid, nowMs));
    for (const one of decisions) if (one.kind === "bind") this.#assumed.set(uidOf(one.pod), one.node);
    const news = decisions.filter((one) => one.kind === "bind" || this.#told.get(uidOf(one.pod)) !== keyOf(one));
    // Reasons change with every pod that comes or goes, and thousands may wait.
    const due = news.filter((one) => {
      const mayWait = one.kind === "wait" && one.victims.length === 0;
      return !(mayWait && this.#isPaused(this.#tellings, uidOf(one.pod), nowMs));
    });
    this.#deferred = news.length - due.length;
    let failed = false;
    const work = due.values();
    const worker = async (): Promise<void> => {
      for (const decision of work) if (!(await this.#carryOut(decision))) failed = true;
    };
    await Promise.all(Array.from({ length: parallelWrites }, worker));
    return failed;
  }

  /** Whether the pod is to be left alone now; if so, a pass is due when that ends. */
  #isPaused(pauses: Pauses, uid: string, nowMs: number): boolean {
    const endMs = pauses.endMs(uid);
    if (endMs <= nowMs) return false;
    this.#nextPassMs = Math.min(this.#nextPassMs, endMs);
    return true;
  }

  /** Returns whether the API answered, and with that what becomes of the pod is settled for now. */
  async #carryOut(decision: Decision): Promise<boolean> {
    const { pod } = decision;
    const { namespace, name } = pod.metadata;
    try {
      if (decision.kind !== "bind") await this.#tellWaiting(decision);
      else {
        await this.#writer.bind(pod, decision.node);
        this.#told.delete(uidOf(pod));
      }
      this.#refused.forget(uidOf(pod));
      return true;
    } catch (error) {
      const check = { api: this.#api, clock: this.#clock, random: this.#random, signal: this.#abort.signal };
      if (decision.kind === "bind" && !(await isBoundAfterAll(pod, error, check))) {
        this.#assumed.delete(uidOf(pod));
        this.#state.release(uidOf(pod));
        // What it was to get is there for others.
        this.#ring();
      }
      this.#told.delete(uidOf(pod));
      if (this.#abort.signal.aborted) return true;
      this.#log.warn({ pod: `${namespace}/${name}`, error: errorText(error) }, "scheduling failed");
      if (!(error instanceof KubeError) || error.status === 0) return false;
      // It may have gone, or got its node, meanwhile.
      if (this.#state.isWaiting(uidOf(pod))) {
        const endMs = this.#refused.begin(uidOf(pod), this.#clock.now(), error.retryAfterMs);
        this.#nextPassMs = Math.min(this.#nextPassMs, endMs);
      } else this.#tellings.forget(uidOf(pod));
      return true;
    }
  }

  async #tellWaiting(decision: Exclude<Decision, { kind: "bind" }>): Promise<void> {
    const uid = uidOf(decision.pod);
    this.#told.set(uid, keyOf(decision));
    if (decision.kind === "wait") await this.#evict(decision);
    const isWritten = await this.#writer.tell(decision, this.#tellings.count(uid));
    // It may have gone meanwhile, and nobody would forget it.
    if (!this.#state.isWaiting(uid)) this.#told.delete(uid);
    else if (isWritten) this.#tellings.begin(uid, this.#clock.now());
  }

  /** Asks the victims to go. Those that could not be asked count as staying, so that the next pass decides anew. */
  async #evict({ pod, nominatedNode = "", victims }: Extract<Decision, { kind: "wait" }>): Promise<void> {
    for (const [index, victim] of victims.entries()) {
      try {
        await this.#writer.evict(victim, pod, nominatedNode);
      } catch (error) {
        for (const one of victims.slice(index)) this.#state.markLeaving(uidOf(one), "stays");
        throw error;
      }
    }
  }

  #seeNode(change: CacheChange<Node>): void {
    if (change.type === "modified" && !nodeChanged(change.previous, change.object)) return;
    if (change.type === "deleted") this.#state.removeNode(change.object.metadata.name);
    else this.#state.setNode(change.object);
    this.#ring();
  }

  #seePod(change: CacheChange<Pod>): void {
    const { object } = change;
    this.#count(change);
    const arrival = this.#assumed.get(uidOf(object)) === object.spec.nodeName ? "expected" : "news";
    if (isPlaced(object) || change.type === "deleted") this.#forget(object);
    else if (!isWaiting(object)) this.#refused.forget(uidOf(object));
    if (change.type === "modified") {
      const { previous } = change;
      // A pod that has come back under its name is another one.
      const isReplaced = uidOf(previous) !== uidOf(object);
      if (isReplaced) this.#forget(previous);
      else if (!podChanged(previous, object, arrival)) return;
    }
    this.#ring();
  }

  #count(change: CacheChange<Pod>): void {
    const uid = uidOf(change.object);
    if (change.type === "deleted") this.#state.removePod(uid);
    else this.#state.setPod(change.object);
    if (change.type === "modified" && uidOf(change.previous) !== uid) this.#state.removePod(uidOf(change.previous));
  }

  #seeNamespace({ type, object }: CacheChange<KubeObject>): void {
    const { name, labels = {} } = object.metadata;
    if (type === "deleted") this.#state.removeNamespace(name);
    else this.#state.setNamespace(name, labels);
    this.#ring();
  }

  #forget(pod: Pod): void {
    this.#assumed.delete(uidOf(pod));
    this.#told.delete(uidOf(pod));
    this.#refused.forget(uidOf(pod));
    this.#tellings.forget(uidOf(pod));
  }

  #ring(): void {
    this.#changed = true;
    this.#wake.resolve();
  }
}

/** Differs when there is something else to tell of a pod, or somebody to evict for it. */
function keyOf(decision: Exclude<Decision, { kind: "bind" }>): string {
  if (decision.kind === "gated") return "gated";
  return JSON.stringify([decision.message, decision.nominatedNode, decision.victims.map(uidOf)]);
}
