/**
 * One run of a kubelet, from its start to its stop: sockets, node, pods.
 *
 * Everything here is made anew when the kubelet restarts, from the checkpoint, the runtime and the API server, as when a
 * real kubelet process is replaced. What outlives it, the containers, is the runtime's.
 */
import { join } from "node:path";
import { type Clock, type Logger, TrancheError } from "../../base/index.ts";
import { type Container, type KubeApi, type KubeEvent, type Pod, ResourceCache, resources } from "../../kube/index.ts";
import {
  type Allocation,
  type PodDevice,
  type PodResourcesEntry,
  type ServerHandle,
  servePodResources,
} from "../../kubelet/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import { DeviceManager } from "./device-manager.ts";
import { EventQueue } from "./event-queue.ts";
import { nodeRejection, type Rejection } from "./node-fit.ts";
import { NodeLease } from "./node-lease.ts";
import type { Machine } from "./node-object.ts";
import { NodeWriter } from "./node-writer.ts";
import { nodeAddress } from "./pod-network.ts";
import { isSidecar } from "./pod-plan.ts";
import type { DeviceHealth } from "./pod-status.ts";
import { type PodHost, PodWorker } from "./pod-worker.ts";
import type { SimulatedRuntime } from "./runtime.ts";
import { isRunning } from "./runtime-container.ts";

export interface KubeletRunOptions {
  readonly machine: Machine;
  /** The kubelet's directory; `device-plugins/` and `pod-resources/` come below it. */
  readonly rootDirectory: string;
  readonly api: KubeApi;
  readonly runtime: SimulatedRuntime;
  /** Of the machine's present boot. */
  readonly bootId: string;
  /** Pods are let in only when it has resolved. */
  readonly admitAfter: Promise<unknown>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class KubeletRun implements PodHost {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: SimulatedRuntime;
  readonly hostIp: string;
  readonly #options: KubeletRunOptions;
  readonly #devices: DeviceManager;
  readonly #events: EventQueue;
  readonly #node: NodeWriter;
  readonly #cache: ResourceCache<Pod>;
  /** By UID, in the order in which the pods were first seen. */
  readonly #workers = new Map<string, PodWorker>();
  readonly #stopping = new AbortController();
  readonly #unlisten: (() => void)[] = [];
  readonly #tasks: Promise<void>[] = [];
  #podResources: ServerHandle | undefined;
  /** Whether all pods of the node are known. */
  #sourcesReady = false;
  #turn = Promise.resolve();

  constructor(options: KubeletRunOptions) {
    const { machine, rootDirectory, api, runtime, bootId, clock, log } = options;
    this.#options = options;
    this.api = api;
    this.clock = clock;
    this.log = log;
    this.runtime = runtime;
    this.hostIp = nodeAddress(machine.ordinal);
    this.#devices = new DeviceManager({
      directory: join(rootDirectory, "device-plugins"),
      clock,
      log,
      activePods: () => this.#activePods(),
      onChange: () => this.#onDevices(),
    });
    this.#events = new EventQueue({ api, clock, log, component: "kubelet", host: machine.name });
    const lease = new NodeLease({ api, clock, log });
    this.#node = new NodeWriter({
      api,
      machine,
      bootId,
      clock,
      log,
      tell: (node, type, event) => this.#events.tell(node, type, event),
      onRegistered: (node) => this.#tasks.push(lease.run(node, this.#stopping.signal)),
      counts: () => this.#devices.counts(),
      resetOthers: () => !this.#devices.hadCheckpoint,
    });
    const fieldSelector = `spec.nodeName=${machine.name}`;
    this.#cache = new ResourceCache<Pod>(api, resources.pods, { fieldSelector, clock, log });
  }

  /** Serves the sockets, then begins to register the node and to follow its pods. */
  async start(): Promise<void> {
    const { rootDirectory, clock, machine } = this.#options;
    await this.#devices.start();
    try {
      this.#podResources = await servePodResources({
        socketPath: join(rootDirectory, "pod-resources", "kubelet.sock"),
        list: () => this.#podResourcesEntries(),
        allocatable: () => this.#devices.allocatable(),
        clock,
      });
    } catch (error) {
      await this.#devices.stop();
      throw error;
    }
    this.#unlisten.push(this.runtime.onChange((podUid) => this.#onContainer(podUid)));
    const { signal } = this.#stopping;
    this.#tasks.push(this.#node.run(signal), this.#cache.run(signal), this.#takeOver());
    this.log.info({ node: machine.name }, "kubelet started");
  }

  /** Ends what `start` began, in reverse; containers stay as they are. */
  async stop(): Promise<void> {
    for (const unlisten of this.#unlisten) unlisten();
    this.#stopping.abort(new TrancheError("stopped", "the kubelet stopped"));
    const workers = [...this.#workers.values()].map((one) => one.stop());
    // First of all, since a worker may wait for a plugin that never answers.
    await this.#devices.stop();
    await this.#podResources?.close();
    await Promise.all(workers);
    await Promise.all(this.#tasks);
    await this.#events.flushed();
  }

  /** Whether anything is under way that will still change what the API server or the driver shows. */
  get busy(): boolean {
    if (!this.#sourcesReady || this.#node.busy || this.#devices.busy || this.#events.busy) return true;
    return [...this.#workers.values()].some((one) => one.busy);
  }

  /** The worker of a pod by name; the one that came last if several bore it. */
  worker(namespace: string, name: string): PodWorker | undefined {
    const named = ({ pod }: PodWorker): boolean => pod.metadata.namespace === namespace && pod.metadata.name === name;
    return [...this.#workers.values()].findLast(named);
  }

  /** Which active pods hold which devices. */
  allocations(): readonly Allocation[] {
    return this.#devices.holdings().flatMap(({ podUid, container, resource, deviceIds }) => {
      const worker = this.#workers.get(podUid);
      if (worker?.active !== true) return [];
      const { namespace = "default", name: pod } = worker.pod.metadata;
      return [{ namespace, pod, container, resource, deviceIds }];
    });
  }

  admit(worker: PodWorker): Promise<Rejection | undefined> {
    const turn = this.#turn.then(() => this.#open()).then(() => this.#admit(worker));
    this.#turn = turn.then(
      () => {},
      () => {}, // The worker is told, and tries again.
    );
    return turn;
  }

  prepare(podUid: string, container: Container): Promise<AllocateAnswer> {
    return this.#devices.prepare(podUid, container);
  }

  deviceHealth(podUid: string): DeviceHealth {
    const holdings = this.#devices.holdings().filter((one) => one.podUid === podUid);
    return (container) =>
      holdings
        .filter((one) => one.container === container)
        .map(({ resource, deviceIds }) => ({
          name: resource,
          // A device that its plugin no longer lists is shown as healthy, as the kubelet does.
          resources: deviceIds.map((id) => ({
            resourceID: id,
            health: this.#devices.device(resource, id)?.healthy === false ? "Unhealthy" : "Healthy",
          })),
        }));
  }

  tell(pod: Pod, type: KubeEvent["type"], event: readonly [reason: string, message: string]): void {
    this.#events.tell(pod, type, event);
  }

  /** Resolves when pods may be let in; rejects when the kubelet stops before. */
  async #open(): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = Promise.withResolvers<never>();
    const onAbort = (): void => stopped.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await Promise.race([this.#options.admitAfter, stopped.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #admit(worker: PodWorker): Promise<Rejection | undefined> {
    if (worker.leaving) return undefined;
    const { pod } = worker;
    const standing = worker.initial ? this.runtime.containers(worker.uid).filter(isRunning) : [];
    try {
      await this.#devices.allocatePod(pod, new Set(standing.map((one) => one.name)));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return { reason: "UnexpectedAdmissionError", message: `Allocate failed due to ${text}, which is unexpected` };
    }
    return standing.length > 0 ? undefined : await this.#nodeRejection(pod);
  }

  async #nodeRejection(pod: Pod): Promise<Rejection | undefined> {
    // Labels can be younger than what this kubelet has seen, and the pod may have been placed by them.
    const known = this.#node.node;
    const node = known === undefined || pod.spec.nodeSelector !== undefined ? await this.#node.refresh() : known;
    const live = [...this.#devices.counts()].map(([resource, one]) => [resource, String(one.allocatable)]);
    const allocatable = { ...node.status?.allocatable, ...Object.fromEntries(live) };
    const devicesInUse = new Map<string, number>();
    for (const { resource, deviceIds } of this.#devices.holdings()) {
      devicesInUse.set(resource, (devicesInUse.get(resource) ?? 0) + deviceIds.length);
    }
    const others = [...this.#workers.values()].filter((one) => one.active).map((one) => one.pod);
    return nodeRejection({ node: { ...node, status: { ...node.status, allocatable } }, pod, others, devicesInUse });
  }

  /** Waits for the first list, then begins with its pods, the oldest first. */
  async #takeOver(): Promise<void> {
    try {
      await this.#cache.synced;
    } catch {
      return; // The kubelet stops.
    }
    const createdAt = (pod: Pod): string => pod.metadata.creationTimestamp ?? "";
    const pods = this.#cache.items().toSorted((a, b) => createdAt(a).localeCompare(createdAt(b)));
    this.#sourcesReady = true;
    for (const pod of pods) this.#see(pod, "initial");
    for (const podUid of this.runtime.podUids()) if (!this.#workers.has(podUid)) this.#endOrphan(podUid);
    const unlisten = this.#cache.onChange((change) => {
      const { object } = change;
      const gone = change.type === "modified" ? change.previous : object;
      const replaced = gone.metadata.uid !== object.metadata.uid;
      if (change.type === "deleted" || replaced) this.#workers.get(gone.metadata.uid ?? "")?.remove();
      if (change.type !== "deleted") this.#see(object, "later");
    });
    this.#unlisten.push(unlisten);
  }

  #see(pod: Pod, when: "initial" | "later"): void {
    const uid = pod.metadata.uid ?? "";
    const known = this.#workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      return;
    }
    const worker = new PodWorker(this, pod, when === "initial");
    this.#workers.set(uid, worker);
    worker.start(() => this.#workers.delete(uid));
  }

  #onContainer(podUid: string): void {
    const worker = this.#workers.get(podUid);
    if (worker !== undefined) worker.kick();
    else if (this.#sourcesReady) this.#endOrphan(podUid);
  }

  /** A pod that was deleted while no kubelet ran: its containers end, then nothing is left of it. */
  #endOrphan(podUid: string): void {
    const running = this.runtime.containers(podUid).filter(isRunning);
    for (const container of running) this.runtime.stopContainer(container.id);
    if (running.length === 0) this.runtime.removePod(podUid);
  }

  #onDevices(): void {
    this.#node.publish();
    const holders = new Set(this.#devices.holdings().map((one) => one.podUid));
    for (const worker of this.#workers.values()) if (worker.active && holders.has(worker.uid)) worker.kick();
  }

  /** Also pods that wait for admission: after a restart their devices are in the books already. */
  #activePods(): ReadonlySet<string> | undefined {
    if (!this.#sourcesReady) return undefined;
    return new Set([...this.#workers.values()].flatMap((one) => (one.over ? [] : [one.uid])));
  }

  #podResourcesEntries(): readonly PodResourcesEntry[] {
    // Also pods that wait for admission after a restart: what is theirs must not look free.
    const holders = [...this.#workers.values()].filter((one) => one.active || (one.initial && !one.over));
    return holders.map(({ pod, uid }) => {
      const containers = [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers];
      const { namespace = "default", name } = pod.metadata;
      return {
        namespace,
        pod: name,
        containers: containers.map((one) => ({ name: one.name, devices: this.#podDevices(uid, one.name) })),
      };
    });
  }

  #podDevices(podUid: string, container: string): readonly PodDevice[] {
    const held = this.#devices.holdings().filter((one) => one.podUid === podUid && one.container === container);
    return held.flatMap(({ resource, deviceIds }) =>
      deviceIds.map((deviceId) => ({
        resource,
        deviceId,
        numaNode: this.#devices.device(resource, deviceId)?.numaNode,
      })),
    );
  }
}
