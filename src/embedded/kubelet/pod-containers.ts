/**
 * Starts and stops the containers of one pod as its plan says, and tells of it in events.
 */
import { type Clock, errorText } from "../../base/index.ts";
import type { Container, KubeEvent, Pod } from "../../kube/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import { CrashLoop } from "./crash-loop.ts";
import { type ContainerStart, type CreateFailure, type PodPlan, planPod, podText } from "./pod-plan.ts";
import { ContainerFault, type SimulatedRuntime } from "./runtime.ts";

/** What starting containers needs of the kubelet. */
export interface ContainerHost {
  readonly clock: Clock;
  readonly runtime: SimulatedRuntime;
  /** What the device plugins give to a container. */
  prepare(podUid: string, container: Container): Promise<AllocateAnswer>;
  tell(pod: Pod, type: KubeEvent["type"], event: readonly [reason: string, message: string]): void;
}

/** How long the kubelet waits before it tries again to create a container that could not be created. */
const createRetryMs = 10_000;

export class PodContainers {
  readonly #host: ContainerHost;
  readonly #signal: AbortSignal;
  readonly #crashLoop = new CrashLoop();
  readonly #failures = new Map<string, CreateFailure>();
  /** Ids of containers whose stop or back-off has been told. */
  readonly #told = new Set<string>();

  /** `signal` fires when the kubelet stops; starts that fail from then on mean nothing. */
  constructor(host: ContainerHost, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
  }

  /** What to do next if the pod shall run. */
  plan(pod: Pod): PodPlan {
    return planPod({
      pod,
      containers: this.#host.runtime.containers(pod.metadata.uid ?? ""),
      failures: this.#failures,
      crashLoop: this.#crashLoop,
      nowMs: this.#host.clock.now(),
    });
  }

  /** Does it. A container that cannot be started is no error here: the next plan makes it wait. */
  async act(pod: Pod, plan: PodPlan): Promise<void> {
    const { runtime } = this.#host;
    for (const container of plan.stop) {
      if (!this.#told.has(container.id))
        this.#host.tell(pod, "Normal", ["Killing", `Stopping container ${container.name}`]);
      this.#told.add(container.id);
      runtime.stopContainer(container.id);
    }
    for (const [name, { reason }] of plan.waiting) {
      const run = runtime.containers(pod.metadata.uid ?? "").findLast((one) => one.name === name);
      if (reason !== "CrashLoopBackOff" || run === undefined || this.#told.has(run.id)) continue;
      this.#told.add(run.id);
      const message = `Back-off restarting failed container ${name} in pod ${podText(pod)}`;
      this.#host.tell(pod, "Warning", ["BackOff", message]);
    }
    for (const start of plan.start) await this.#start(pod, start);
  }

  async #start(pod: Pod, { container, attempt, previous }: ContainerStart): Promise<void> {
    const { clock, runtime } = this.#host;
    const { name, image = "" } = container;
    if (previous?.end !== undefined) this.#crashLoop.started(name, previous.end.finishedAtMs, clock.now());
    this.#failures.delete(name);
    const pulled = `Container image "${image}" already present on machine and can be accessed by the pod`;
    this.#host.tell(pod, "Normal", ["Pulled", pulled]);
    const answer = await this.#prepare(pod, container);
    if (answer === undefined) return;
    try {
      await runtime.run({ pod, container, attempt, answer });
      this.#host.tell(pod, "Normal", ["Created", "Container created"]);
      this.#host.tell(pod, "Normal", ["Started", "Container started"]);
    } catch (error) {
      if (!(error instanceof ContainerFault)) throw error;
      if (error.reason === "CreateContainerError") {
        this.#failToCreate(pod, name, { reason: error.reason, message: error.message });
        return;
      }
      this.#host.tell(pod, "Normal", ["Created", "Container created"]);
      this.#host.tell(pod, "Warning", ["Failed", `Error: ${error.message}`]);
    }
  }

  async #prepare(pod: Pod, container: Container): Promise<AllocateAnswer | undefined> {
    try {
      return await this.#host.prepare(pod.metadata.uid ?? "", container);
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#failToCreate(pod, container.name, { reason: "CreateContainerConfigError", message: errorText(error) });
      return undefined;
    }
  }

  #failToCreate(pod: Pod, name: string, why: { readonly reason: string; readonly message: string }): void {
    this.#failures.set(name, { ...why, retryAtMs: this.#host.clock.now() + createRetryMs });
    this.#host.tell(pod, "Warning", ["Failed", `Error: ${why.message}`]);
  }
}
