/**
 * The simulated container runtime of one node: what containerd and the NVIDIA container runtime are on a real one.
 *
 * It outlives restarts of the kubelet, which finds the containers here again. It knows nothing of scheduling or restart
 * policies: it creates, runs, stops and forgets containers, and keeps their logs.
 */
import { randomBytes } from "node:crypto";
import { type Clock, TrancheError } from "../../base/index.ts";
import { type CudaOutOfMemoryError, DriverError } from "../../gpu/index.ts";
import type { Container, Pod } from "../../kube/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import { injectedEdits } from "./cdi-injection.ts";
import { mpsClientOf } from "./mps-client.ts";
import { PodAddresses } from "./pod-network.ts";
import { Program, type WorkloadDriver } from "./program.ts";
import { type ContainerEnd, type RuntimeContainer, recalledContainers } from "./runtime-container.ts";
import {
  cdiNames,
  type DeviceFault,
  driverFault,
  type ResolvedDevices,
  requestedDevices,
  resolveDevices,
  type VisibleDevice,
} from "./visible-devices.ts";
import { parseWorkload } from "./workload.ts";

export interface RuntimeOptions {
  readonly driver: WorkloadDriver;
  readonly clock: Clock;
  /** The network of the node's pods, a /24. */
  readonly network: string;
  /** Where it looks for CDI specs. */
  readonly cdiDirectory: string;
}

export interface ContainerRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  /** What the device plugins answered for it. */
  readonly answer: AllocateAnswer;
}

/** Thrown when a container cannot be created or started; `reason` and message are what the pod's status shows. */
export class ContainerFault extends TrancheError {
  readonly reason: DeviceFault["reason"];

  constructor(fault: DeviceFault) {
    super("container-fault", fault.message);
    this.reason = fault.reason;
  }
}

/** A line of a container's log. */
export interface LogLine {
  readonly atMs: number;
  readonly text: string;
}

/** GPU memory that a container's process holds. */
export interface GpuUse {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly pid: number;
  /** UUID of the GPU or MIG device. */
  readonly device: string;
  readonly memoryMiB: number;
  /** What its annotation says; `undefined` if it says nothing. */
  readonly computePercent: number | undefined;
}

interface Running {
  readonly program: Program;
  readonly devices: readonly VisibleDevice[];
  process: { readonly pid: number; readonly device: VisibleDevice; readonly memoryMiB: number } | undefined;
  settled: boolean;
}

interface Entry {
  readonly pod: Pod;
  readonly log: LogLine[];
  readonly computePercent: number | undefined;
  container: RuntimeContainer;
  running: Running | undefined;
}

export class SimulatedRuntime {
  readonly #options: RuntimeOptions;
  /** By pod UID; per container the last two attempts. */
  readonly #pods = new Map<string, Entry[]>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #listeners = new Set<(podUid: string) => void>();
  readonly #addresses: PodAddresses;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.#addresses = new PodAddresses(options.network);
  }

  /** Stops every container and waits for their ends. */
  async stop(): Promise<void> {
    for (const entry of this.#entries()) entry.running?.program.stop();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Ends every container as a power cut does, and takes down all sandboxes; what had run is still known afterwards. */
  async cutPower(): Promise<void> {
    for (const entry of this.#entries()) entry.running?.program.cutPower();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    for (const podUid of this.#pods.keys()) this.#addresses.release(podUid);
  }

  /** Whether a program is still at its start. */
  get busy(): boolean {
    return this.#entries().some((one) => one.running?.settled === false);
  }

  /** Calls `listener` whenever a container of a pod has ended. Returns how to stop it. */
  onChange(listener: (podUid: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** UIDs of the pods it has containers of. */
  podUids(): readonly string[] {
    return [...this.#pods.keys()];
  }

  /** The address of a pod's sandbox, made when it is first asked for. */
  address(podUid: string): string {
    return this.#addresses.assign(podUid);
  }

  /** Takes down a pod's sandbox: its address is free for others. */
  releaseAddress(podUid: string): void {
    this.#addresses.release(podUid);
  }

  /**
   * Knows the containers of a pod again that the machine ran before it was switched off, from the pod's status; what ran
   * then ended with the power. Their logs are lost.
   */
  recall(pod: Pod): void {
    const podUid = pod.metadata.uid ?? "";
    const nowMs = this.#options.clock.now();
    const entries = recalledContainers(pod, nowMs).map((container): Entry => {
      return { pod, log: [], computePercent: undefined, container, running: undefined };
    });
    if (entries.length > 0) this.#pods.set(podUid, entries);
  }

  /** The containers of a pod, by attempt; of each the last two. */
  containers(podUid: string): readonly RuntimeContainer[] {
    return (this.#pods.get(podUid) ?? []).map((one) => one.container);
  }

  /**
   * Creates and starts a container. Throws `ContainerFault`: with `CreateContainerError` nothing is left behind, with
   * `RunContainerError` there is a container that ended with `StartError`, as with containerd.
   */
  async run(request: ContainerRequest): Promise<RuntimeContainer> {
    const { pod, container, attempt, answer } = request;
    const resolved = await this.#resolve(answer, container.env);
    if (!resolved.ok && resolved.fault.reason === "CreateContainerError") throw new ContainerFault(resolved.fault);
    const podUid = pod.metadata.uid ?? "";
    const nowMs = this.#options.clock.now();
    const workload = parseWorkload(pod, container);
    const entry: Entry = {
      pod,
      log: [],
      computePercent: workload.ok ? workload.value.computePercent : undefined,
      container: {
        id: `simulated://${randomBytes(32).toString("hex")}`,
        podUid,
        name: container.name,
        attempt,
        startedAtMs: nowMs,
        end: undefined,
      },
      running: undefined,
    };
    const kept = (this.#pods.get(podUid) ?? []).filter(
      (one) => one.container.name !== container.name || one.container.attempt === attempt - 1,
    );
    this.#pods.set(podUid, [...kept, entry]);
    if (!resolved.ok) {
      const end: ContainerEnd = { exitCode: 128, reason: "StartError", message: resolved.fault.message };
      entry.container = { ...entry.container, end: { ...end, finishedAtMs: nowMs } };
      throw new ContainerFault(resolved.fault);
    }
    const program = new Program({
      workload,
      devices: resolved.devices,
      mps: mpsClientOf(answer, container.env),
      command: container.command?.[0] ?? container.image ?? container.name,
      driver: this.#options.driver,
      clock: this.#options.clock,
      say: (text) => entry.log.push({ atMs: this.#options.clock.now(), text }),
      holders: (error) => this.#holders(error),
      onProcess: (pid, device, memoryMiB) => {
        running.process = { pid, device, memoryMiB };
      },
      onSettled: () => {
        running.settled = true;
      },
    });
    const running: Running = { program, devices: resolved.devices, process: undefined, settled: false };
    entry.running = running;
    this.#own(this.#follow(entry, program));
    return entry.container;
  }

  /** Tells a container to stop; it ends soon after. */
  stopContainer(id: string): void {
    const entry = this.#entries().find((one) => one.container.id === id);
    entry?.running?.program.stop();
  }

  /** Forgets a pod whose containers have ended. */
  removePod(podUid: string): void {
    this.#addresses.release(podUid);
    this.#pods.delete(podUid);
  }

  /** The log of a container's latest run, or of the one before; `undefined` when there is no such run. */
  logs(podUid: string, container: string, run: "latest" | "previous" = "latest"): readonly LogLine[] | undefined {
    const runs = (this.#pods.get(podUid) ?? []).filter((one) => one.container.name === container);
    const found = run === "latest" ? runs.at(-1) : runs.at(-2);
    return found === undefined ? undefined : [...found.log];
  }

  /** GPU memory held by this node's containers. */
  gpuUse(): readonly GpuUse[] {
    return this.#entries().flatMap(({ pod, container, running, computePercent }) => {
      if (running?.process === undefined) return [];
      const { pid, device, memoryMiB } = running.process;
      const { namespace = "default", name } = pod.metadata;
      return [{ namespace, pod: name, container: container.name, pid, device: device.uuid, memoryMiB, computePercent }];
    });
  }

  /** Only who asks for GPUs needs the driver. */
  async #resolve(answer: AllocateAnswer, env: Container["env"]): Promise<ResolvedDevices> {
    const { driver, cdiDirectory } = this.#options;
    const injected = await injectedEdits(cdiDirectory, cdiNames(answer));
    if (!injected.ok) return injected;
    const request = requestedDevices(answer, { env, edits: injected.edits });
    if (request.legacy.length === 0 && request.nodes.length === 0) return { ok: true, devices: [] };
    try {
      return resolveDevices(request, await driver.list());
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      return { ok: false, fault: driverFault(error) };
    }
  }

  async #follow(entry: Entry, program: Program): Promise<void> {
    const end = await program.run();
    entry.running = undefined;
    entry.container = { ...entry.container, end: { ...end, finishedAtMs: this.#options.clock.now() } };
    for (const listener of this.#listeners) listener(entry.container.podUid);
  }

  /** By pod; a process that is none of this node's containers is named by its number. */
  #holders(error: CudaOutOfMemoryError): string {
    const owners = new Map(this.gpuUse().map((one) => [one.pid, `${one.namespace}/${one.pod}`]));
    const held = new Map<string, number>();
    for (const { pid, command, memoryMiB } of error.holders) {
      const owner = owners.get(pid) ?? `process ${pid} (${command})`;
      held.set(owner, (held.get(owner) ?? 0) + memoryMiB);
    }
    const texts = [...held].map(([owner, memoryMiB]) => `${owner} (${memoryMiB} MiB)`);
    return texts.length === 0 ? "nobody" : texts.join(", ");
  }

  #entries(): readonly Entry[] {
    return [...this.#pods.values()].flat();
  }

  #own(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }
}
