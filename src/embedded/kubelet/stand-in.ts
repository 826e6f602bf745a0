/**
 * The kubelet of one simulated node, with the machine below it.
 *
 * The runtime and its containers live as long as this object; the kubelet itself can go away and come back.
 */
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, type Logger, silentLogger, systemClock, TrancheError } from "../../base/index.ts";
import type { KubeApi, Pod } from "../../kube/index.ts";
import type { Allocation } from "../../kubelet/index.ts";
import { KubeletRun, type KubeletRunOptions } from "./kubelet-run.ts";
import { podNetwork } from "./pod-network.ts";
import type { WorkloadDriver } from "./program.ts";
import { type GpuUse, type LogLine, SimulatedRuntime } from "./runtime.ts";

export interface KubeletOptions {
  /** Name of the node. */
  readonly name: string;
  /** Number of the node in its cluster, from 0: its address and pod network follow from it. */
  readonly ordinal: number;
  /** For a node that does not exist yet; one that exists keeps its own. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The kubelet's directory, `/var/lib/kubelet` on a real node; `device-plugins/` and `pod-resources/` come below it. */
  readonly rootDirectory: string;
  readonly api: KubeApi;
  readonly driver: WorkloadDriver;
  /** Default 128. */
  readonly cpus?: number;
  /** Main memory; default 1 TiB. */
  readonly memoryMiB?: number;
  /** Default 110, as the kubelet's own; at most 253. */
  readonly maxPods?: number;
  /**
   * Pods that were on the machine when it was switched off: their containers have ended with its power, and go on from
   * there as their restart policy says. Default: none, a machine that is new.
   */
  readonly earlierPods?: readonly Pod[];
  /**
   * Pods are let in only when it has resolved; default: at once, as a real kubelet. Until then those that were on the
   * node before keep the devices that the checkpoint gives them, so a plugin that is slow to register costs no pod its place.
   */
  readonly admitAfter?: Promise<unknown>;
  readonly clock?: Clock;
  readonly log?: Logger;
}

export class KubeletStandIn {
  readonly #runOptions: Omit<KubeletRunOptions, "bootId">;
  readonly #runtime: SimulatedRuntime;
  #run: KubeletRun | undefined;
  /** The machine's, new at every boot (`/proc/sys/kernel/random/boot_id`). */
  #bootId = randomUUID();
  #changing = false;

  constructor(options: KubeletOptions) {
    const { name, ordinal, labels = {}, annotations = {}, rootDirectory, api, driver } = options;
    const { cpus = 128, memoryMiB = 1024 * 1024, maxPods = 110, clock = systemClock, log = silentLogger } = options;
    const machine = { name, ordinal, labels, annotations, cpus, memoryMiB, maxPods };
    const cdiDirectory = cdiDirectoryOf(rootDirectory);
    this.#runtime = new SimulatedRuntime({ driver, clock, network: podNetwork(ordinal), cdiDirectory });
    for (const pod of options.earlierPods ?? []) this.#runtime.recall(pod);
    const { admitAfter = Promise.resolve() } = options;
    this.#runOptions = { machine, rootDirectory, api, runtime: this.#runtime, admitAfter, clock, log };
  }

  /** Serves the sockets and begins to work; throws when the sockets cannot be made. Once per object. */
  async start(): Promise<void> {
    if (this.#run !== undefined) {
      throw new TrancheError("kubelet-running", `the kubelet of ${this.#runOptions.machine.name} has been started`);
    }
    await this.#startRun();
  }

  /** Stops the kubelet, then all containers; their memory on the driver is free afterwards. */
  async stop(): Promise<void> {
    await this.#run?.stop();
    this.#run = undefined;
    await this.#runtime.stop();
  }

  /**
   * Takes the kubelet away and brings it back: its sockets and the plugins' vanish, plugins have to register again,
   * containers run on, allocations come back from the checkpoint.
   */
  restart(): Promise<void> {
    return this.#startAnew(async () => {});
  }

  /**
   * Reboots the machine as a power cut does: the kubelet goes away and every container ends with exit code 255, then the
   * kubelet comes back under another boot id, with its checkpoint. Containers are started again as their restart policy
   * says. As on a real node, a pod with plugin devices is refused then (`UnexpectedAdmissionError`), since the kubelet
   * looks at it before any plugin has registered.
   *
   * `meanwhile` runs while nothing does: the place for what else happens to the machine, such as the reboot of its GPUs
   * or of its agent.
   */
  reboot(meanwhile: () => void | Promise<void> = () => {}): Promise<void> {
    return this.#startAnew(async () => {
      await this.#runtime.cutPower();
      this.#bootId = randomUUID();
      // It is in memory on a real machine.
      await rm(cdiDirectoryOf(this.#runOptions.rootDirectory), { recursive: true, force: true });
      await meanwhile();
    });
  }

  /**
   * Whether things have settled: no admission, start, stop, event or status write is outstanding. A container in
   * back-off and a program that merely runs do not count.
   */
  idle(): boolean {
    return !this.#changing && this.#run?.busy === false && !this.#runtime.busy;
  }

  /** Which active pods hold which devices. */
  pods(): readonly Allocation[] {
    return this.#run?.allocations() ?? [];
  }

  /** Whether the pod is, or was, on this node. */
  knows(namespace: string, pod: string): boolean {
    return this.#run?.worker(namespace, pod) !== undefined;
  }

  /** The lines of a container's log: what it asked for, what it got, why it ended; `undefined` when it never ran here. */
  logs(ref: ContainerRef, run: "latest" | "previous" = "latest"): readonly LogLine[] | undefined {
    const worker = this.#run?.worker(ref.namespace, ref.pod);
    return worker === undefined ? undefined : this.#runtime.logs(worker.uid, ref.container, run);
  }

  /** GPU memory held by containers of this node, with their process ids. */
  gpuUse(): readonly GpuUse[] {
    return this.#runtime.gpuUse();
  }

  async #startAnew(between: () => Promise<void>): Promise<void> {
    this.#changing = true;
    try {
      await this.#run?.stop();
      this.#run = undefined;
      await between();
      await this.#startRun();
    } finally {
      this.#changing = false;
    }
  }

  async #startRun(): Promise<void> {
    const run = new KubeletRun({ ...this.#runOptions, bootId: this.#bootId });
    await run.start();
    this.#run = run;
  }
}

/** Where the node's runtime looks for CDI specs: what `/var/run/cdi` is on a real one. */
export function cdiDirectoryOf(rootDirectory: string): string {
  return join(rootDirectory, "cdi");
}

/** Names a container of a pod. */
export interface ContainerRef {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}
