/**
 * What to do next with a pod's containers: which to start, which to stop, which have to wait and until when.
 *
 * Pure: from the pod, what the runtime reports and the time. The rules are those of Kubernetes pkg/kubelet/kuberuntime
 * `computePodActions`: init containers one after another, restartable ones (sidecars) stay, app containers at once.
 */
import type { Container, Pod } from "../../kube/index.ts";
import { type CrashLoop, goDuration } from "./crash-loop.ts";
import { isRunning, type RuntimeContainer } from "./runtime-container.ts";

/** A container that could not even be created; tried again at `retryAtMs`. */
export interface CreateFailure {
  readonly reason: string;
  readonly message: string;
  readonly retryAtMs: number;
}

export interface PodFacts {
  readonly pod: Pod;
  /** The runtime's containers of this pod, every attempt it still knows. */
  readonly containers: readonly RuntimeContainer[];
  readonly failures: ReadonlyMap<string, CreateFailure>;
  readonly crashLoop: CrashLoop;
  readonly nowMs: number;
}

export interface ContainerStart {
  readonly container: Container;
  readonly attempt: number;
  /** The run before, if there was one. */
  readonly previous: RuntimeContainer | undefined;
}

export interface PodPlan {
  readonly start: readonly ContainerStart[];
  readonly stop: readonly RuntimeContainer[];
  /** Why a container that is due waits instead, as its status shows it. */
  readonly waiting: ReadonlyMap<string, { readonly reason: string; readonly message: string }>;
  /** When to look again; `undefined` when only a change can bring something to do. */
  readonly wakeAtMs: number | undefined;
  /** Nothing runs and nothing will be started again. */
  readonly over: boolean;
}

/** The latest run of each container, by name. */
export function latestRuns(containers: readonly RuntimeContainer[]): ReadonlyMap<string, RuntimeContainer> {
  const latest = new Map<string, RuntimeContainer>();
  for (const one of containers) {
    const known = latest.get(one.name);
    if (known === undefined || known.attempt < one.attempt) latest.set(one.name, one);
  }
  return latest;
}

/** Whether an init container is a sidecar: it stays while the pod lives. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** The plan for a pod that shall run; for one that is being deleted `stopPlan` is the plan. */
export function planPod(facts: PodFacts): PodPlan {
  const planning = new Planning(facts);
  const { pod } = facts;
  const apps = pod.spec.containers;
  const appsOver = apps.every((one) => planning.isOver(one, "app"));
  if (appsOver) return planning.end();
  const appsBegan = apps.some((one) => planning.latest.has(one.name));
  for (const container of pod.spec.initContainers ?? []) {
    if (isSidecar(container)) {
      planning.keepRunning(container, "sidecar");
      if (!appsBegan && !isRunning(planning.latest.get(container.name))) return planning.plan();
    } else if (!appsBegan) {
      const run = planning.latest.get(container.name);
      if (run?.end?.exitCode === 0) continue;
      if (planning.isOver(container, "init")) return planning.end();
      planning.keepRunning(container, "init");
      return planning.plan();
    }
  }
  for (const container of apps) planning.keepRunning(container, "app");
  return planning.plan();
}

/** The plan for a pod that shall end: whatever runs is stopped. */
export function stopPlan(containers: readonly RuntimeContainer[]): PodPlan {
  const stop = containers.filter(isRunning);
  return { start: [], stop, waiting: new Map(), wakeAtMs: undefined, over: stop.length === 0 };
}

type ContainerRole = "init" | "sidecar" | "app";

class Planning {
  readonly latest: ReadonlyMap<string, RuntimeContainer>;
  readonly #facts: PodFacts;
  readonly #start: ContainerStart[] = [];
  readonly #waiting = new Map<string, { reason: string; message: string }>();
  #wakeAtMs: number | undefined;

  constructor(facts: PodFacts) {
    this.#facts = facts;
    this.latest = latestRuns(facts.containers);
  }

  /** Whether the container has ended and will not be started again. */
  isOver(container: Container, role: ContainerRole): boolean {
    const end = this.latest.get(container.name)?.end;
    if (end === undefined || role === "sidecar") return false;
    const policy = this.#facts.pod.spec.restartPolicy ?? "Always";
    if (policy === "Never") return true;
    return end.exitCode === 0 && (policy === "OnFailure" || role === "init");
  }

  /** Starts the container if it does not run, has not ended for good and need not wait. */
  keepRunning(container: Container, role: ContainerRole): void {
    const run = this.latest.get(container.name);
    if (isRunning(run) || this.isOver(container, role)) return;
    const { failures, crashLoop, nowMs, pod } = this.#facts;
    const failure = failures.get(container.name);
    if (failure !== undefined && nowMs < failure.retryAtMs) {
      this.#wait(container.name, failure, failure.retryAtMs);
      return;
    }
    const backOff = run?.end === undefined ? undefined : crashLoop.waiting(run.name, run.end.finishedAtMs, nowMs);
    if (backOff !== undefined) {
      const message = `back-off ${goDuration(backOff.backOffMs)} restarting failed container=${container.name} pod=${podText(pod)}`;
      this.#wait(container.name, { reason: "CrashLoopBackOff", message }, backOff.untilMs);
      return;
    }
    const attempt = run === undefined ? earlierRuns(pod, container.name) : run.attempt + 1;
    this.#start.push({ container, attempt, previous: run });
  }

  plan(): PodPlan {
    return { start: this.#start, stop: [], waiting: this.#waiting, wakeAtMs: this.#wakeAtMs, over: false };
  }

  /** The pod has done its work or failed: what still runs (sidecars) is stopped. */
  end(): PodPlan {
    return stopPlan([...this.latest.values()]);
  }

  #wait(name: string, why: { readonly reason: string; readonly message: string }, untilMs: number): void {
    this.#waiting.set(name, { reason: why.reason, message: why.message });
    this.#wakeAtMs = Math.min(untilMs, this.#wakeAtMs ?? untilMs);
  }
}

/** A pod as the kubelet names it in texts: `name_namespace(uid)`. */
export function podText(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace ?? "default"}(${pod.metadata.uid ?? ""})`;
}

/** How often the container ran before this runtime knew it, for example before its node was started anew. */
function earlierRuns(pod: Pod, container: string): number {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const status = statuses.find((one) => one.name === container);
  return status?.containerID === undefined ? 0 : status.restartCount + 1;
}
