/**
 * Takes one pod through its life: admission, containers, status, end.
 *
 * A worker looks at the pod, the runtime and the clock, does what `pod-plan.ts` says, writes the status and waits for
 * the next change. It keeps nothing that a kubelet which restarts could not find again.
 */
import { isDeepStrictEqual } from "node:util";
import { errorText, type Logger, TrancheError } from "../../base/index.ts";
import { BackOff, hasStatus, type KubeApi, type Pod, type PodStatus, resources } from "../../kube/index.ts";
import type { Rejection } from "./node-fit.ts";
import { type ContainerHost, PodContainers } from "./pod-containers.ts";
import { type PodPlan, podText, stopPlan } from "./pod-plan.ts";
import { type DeviceHealth, podStatus, rejectedStatus } from "./pod-status.ts";
import { isRunning } from "./runtime-container.ts";
import { strayAnnotations } from "./workload.ts";

/** What a worker needs of its kubelet. */
export interface PodHost extends ContainerHost {
  readonly api: Pick<KubeApi, "mergePatch" | "delete">;
  readonly log: Logger;
  readonly hostIp: string;
  /** Decides over the pod and gives it its devices; one pod at a time, in the order of asking. */
  admit(worker: PodWorker): Promise<Rejection | undefined>;
  deviceHealth(podUid: string): DeviceHealth;
}

export class PodWorker {
  /** Whether it was there when the kubelet started; its running containers are then left as they are. */
  readonly initial: boolean;
  readonly #host: PodHost;
  readonly #containers: PodContainers;
  readonly #stopping = new AbortController();
  #pod: Pod;
  #task: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #due = true;
  #working = false;
  #admitted = false;
  #rejection: Rejection | undefined;
  #over: boolean;
  /** Whether the server knows the last status. */
  #reported: boolean;
  #removed = false;
  #deleted = false;
  #written: PodStatus | undefined;

  constructor(host: PodHost, pod: Pod, initial: boolean) {
    this.#host = host;
    this.#containers = new PodContainers(host, this.#stopping.signal);
    this.#pod = pod;
    this.initial = initial;
    this.#over = isTerminal(pod.status) && !host.runtime.containers(this.uid).some(isRunning);
    this.#reported = this.#over;
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? "";
  }

  get pod(): Pod {
    return this.#pod;
  }

  get busy(): boolean {
    return this.#due || this.#working;
  }

  /** Whether the pod was let in and holds its place on the node. */
  get active(): boolean {
    return this.#admitted && !this.#over;
  }

  /** Nothing runs and nothing will: its devices and addresses are free for others. */
  get over(): boolean {
    return this.#over;
  }

  /** Whether the object is gone or going. */
  get leaving(): boolean {
    return this.#removed || this.#pod.metadata.deletionTimestamp !== undefined;
  }

  /** Begins to work; `done` is called when the pod is gone and its traces are removed. */
  start(done: () => void): void {
    this.#task = this.#run(done);
  }

  /** Takes over another version of the object, unless it is older than what a write of its own has brought. */
  update(pod: Pod): void {
    if (revision(pod) < revision(this.#pod)) return;
    this.#pod = pod;
    this.kick();
  }

  /** The object is gone. */
  remove(): void {
    this.#removed = true;
    this.kick();
  }

  /** Something about the pod may have changed. */
  kick(): void {
    this.#due = true;
    this.#wake?.();
  }

  /** The kubelet goes: containers stay as they are. */
  async stop(): Promise<void> {
    this.#stopping.abort(new TrancheError("stopped", "the kubelet stopped"));
    await this.#task;
  }

  async #run(done: () => void): Promise<void> {
    const { clock, log } = this.#host;
    const { signal } = this.#stopping;
    const backOff = new BackOff(Math.random);
    while (!signal.aborted) {
      this.#working = true;
      this.#due = false;
      const startMs = clock.now();
      try {
        const wakeAtMs = await this.#sync();
        if (this.#removed && this.#over) break;
        this.#working = false;
        // A signal that has fired already would never wake it.
        if (!this.#due && !signal.aborted) await this.#wait(wakeAtMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#due = true;
        log.warn({ pod: podText(this.#pod), problem: errorText(error) }, "pod not brought up to date");
        await clock.sleep(backOff.afterTry(clock.now() - startMs), signal).catch(() => {});
      }
    }
    this.#working = false;
    this.#due = false;
    if (!this.#removed || !this.#over) return;
    this.#host.runtime.removePod(this.uid);
    done();
  }

  /** One round; answers when to look again even if nothing changes. */
  async #sync(): Promise<number | undefined> {
    if (this.leaving) {
      await this.#end();
      return undefined;
    }
    if (this.#reported) return undefined;
    if (!this.#admitted && !(await this.#admit())) return undefined;
    await this.#containers.act(this.#pod, this.#containers.plan(this.#pod));
    const next = this.#containers.plan(this.#pod);
    this.#over = next.over;
    await this.#report(next);
    if (next.start.length > 0) this.kick();
    return next.wakeAtMs;
  }

  /** Whether the pod was let in. */
  async #admit(): Promise<boolean> {
    if (this.#rejection === undefined) {
      this.#rejection = await this.#host.admit(this);
      this.#stopping.signal.throwIfAborted();
      if (this.leaving) {
        this.kick();
        return false;
      }
      this.#tellAdmission(this.#rejection);
    }
    if (this.#rejection === undefined) {
      this.#admitted = true;
      return true;
    }
    this.#over = true;
    await this.#report({ waiting: new Map(), over: true });
    return false;
  }

  /** Stops what runs; when nothing does, shows the last status and lets the object go. */
  async #end(): Promise<void> {
    const { runtime, api } = this.#host;
    const plan = stopPlan(runtime.containers(this.uid));
    await this.#containers.act(this.#pod, plan);
    if (!plan.over) return; // The end of a container brings the next round.
    this.#over = true;
    if (this.#removed) runtime.releaseAddress(this.uid);
    if (this.#removed || this.#deleted) return;
    if (!this.#reported) await this.#report(plan);
    try {
      await api.delete(resources.pods, this.#pod.metadata, { gracePeriodSeconds: 0 });
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
    this.#deleted = true;
  }

  #tellAdmission(rejection: Rejection | undefined): void {
    if (rejection !== undefined) {
      this.#host.tell(this.#pod, "Warning", [rejection.reason, rejection.message]);
      return;
    }
    for (const one of strayAnnotations(this.#pod)) {
      this.#host.tell(this.#pod, "Warning", ["BadWorkloadAnnotation", `${one.message}; ${one.remedy}`]);
    }
  }

  /** Writes the status as it is under `plan`. */
  async #report(plan: Pick<PodPlan, "waiting" | "over">): Promise<void> {
    const { runtime, hostIp, clock } = this.#host;
    const containers = runtime.containers(this.uid);
    const sandboxed = containers.length > 0 && !plan.over;
    const status =
      this.#rejection !== undefined
        ? rejectedStatus(this.#pod, this.#rejection, clock.now())
        : podStatus({
            pod: this.#pod,
            containers,
            plan,
            deviceHealth: this.#host.deviceHealth(this.uid),
            hostIp,
            podIp: sandboxed ? runtime.address(this.uid) : (this.#written ?? this.#pod.status)?.podIP,
            nowMs: clock.now(),
          });
    await this.#patchStatus(status);
    this.#reported = plan.over;
    if (plan.over) runtime.releaseAddress(this.uid);
  }

  /** Writes what differs from what was written last; a pod that is gone or has been replaced needs no status. */
  async #patchStatus(status: PodStatus): Promise<void> {
    const patch = differences(this.#written ?? this.#pod.status ?? {}, status);
    if (Object.keys(patch).length === 0) return;
    try {
      // With the UID, so that a pod that came after it under the same name is not taken for it.
      const body = { metadata: { uid: this.uid }, status: patch };
      const options = { subresource: "status" };
      const pod = await this.#host.api.mergePatch<Pod>(resources.pods, this.#pod.metadata, body, options);
      if (revision(pod) > revision(this.#pod)) this.#pod = pod;
    } catch (error) {
      if (!hasStatus(error, 404) && !hasStatus(error, 409)) throw error;
    }
    this.#written = status;
  }

  #wait(wakeAtMs: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = new AbortController();
      const wake = (): void => {
        this.#wake = undefined;
        signal.removeEventListener("abort", wake);
        timer.abort();
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener("abort", wake, { once: true });
      if (wakeAtMs === undefined) return;
      const waitMs = Math.max(0, wakeAtMs - this.#host.clock.now());
      this.#host.clock.sleep(waitMs, timer.signal).then(
        () => this.kick(),
        () => {}, // Woken by something else.
      );
    });
  }
}

/** Resource versions are numbers that grow (KEP-5504). */
function revision(pod: Pod): number {
  return Number(pod.metadata.resourceVersion ?? 0);
}

function isTerminal(status: PodStatus | undefined): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** A merge patch that turns `known` into `wanted` as far as the kubelet's fields go. */
function differences(known: PodStatus, wanted: PodStatus): Record<string, unknown> {
  const old = new Map<string, unknown>(Object.entries(known));
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wanted)) if (!isDeepStrictEqual(value, old.get(key))) patch[key] = value;
  // A pod that is refused after a reboot of its node shows no containers any more.
  for (const key of ["reason", "message", "podIP", "podIPs", "containerStatuses", "initContainerStatuses"]) {
    if (old.has(key) && !(key in wanted)) patch[key] = null;
  }
  return patch;
}
