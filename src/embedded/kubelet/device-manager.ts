/**
 * The device manager: gives pods the devices that plugins offer, over the real device plugin API.
 *
 * Behaves as Kubernetes 1.36 pkg/kubelet/cm/devicemanager with topology policy `none`.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, errorText, type Logger, TrancheError } from "../../base/index.ts";
import { type Container, type Pod, parseQuantity } from "../../kube/index.ts";
import type { PluginDevice, PodDevice } from "../../kubelet/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import { CheckpointFile, checkpointName, checkpointText, readCheckpoint } from "./checkpoint.ts";
import { type DeviceDemand, DeviceTable, fillUp, type Holding, type ResourceCounts, screen } from "./device-table.ts";
import { PluginEndpoints } from "./plugin-endpoints.ts";
import { isSidecar } from "./pod-plan.ts";
import { mergeAnswers } from "./visible-devices.ts";

export interface DeviceManagerOptions {
  /** `<kubelet root>/device-plugins`. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** UIDs of the pods that have not ended; `undefined` until the kubelet has seen all pods of its node. */
  activePods(): ReadonlySet<string> | undefined;
  /** Called when the number of devices or the health of one has changed. */
  onChange(): void;
}

/** One run of a device manager; a kubelet that restarts makes a new one over the same directory. */
export class DeviceManager {
  readonly #options: DeviceManagerOptions;
  readonly #table = new DeviceTable();
  readonly #checkpoint: CheckpointFile;
  readonly #plugins: PluginEndpoints;
  readonly #dropped = new Set<string>();
  readonly #saves = new Set<Promise<void>>();
  #turn = Promise.resolve();
  #hadCheckpoint = false;

  constructor(options: DeviceManagerOptions) {
    this.#options = options;
    const text = (): string =>
      checkpointText(
        {
          holdings: this.#table.holdings(),
          registered: Object.fromEntries(this.#table.resources().map((one) => [one, [...this.#table.healthy(one)]])),
        },
        (resource, id) => this.#table.device(resource, id)?.numaNode,
      );
    this.#checkpoint = new CheckpointFile(join(options.directory, checkpointName), text);
    this.#plugins = new PluginEndpoints({
      ...options,
      onDevices: (resource, devices) =>
        this.#change(() => {
          this.#dropped.delete(resource);
          this.#table.setDevices(resource, devices);
        }),
      onAway: (resource) => this.#change(() => this.#table.markUnhealthy(resource)),
      onDropped: (resource) =>
        this.#change(() => {
          this.#table.dropResource(resource);
          this.#dropped.add(resource);
        }),
    });
  }

  /** Whether a checkpoint was found at start; without one the kubelet zeroes all extended resources of its node. */
  get hadCheckpoint(): boolean {
    return this.#hadCheckpoint;
  }

  /** Whether a registration is under way, a first list is awaited or the checkpoint is being written. */
  get busy(): boolean {
    return this.#plugins.busy || this.#saves.size > 0;
  }

  /** Restores allocations and listens for registrations. */
  async start(): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o750 });
    await this.#restore();
    await this.#plugins.start();
  }

  /** Hangs up on the plugins; calls to them that are under way fail. What containers hold stays in the checkpoint. */
  async stop(): Promise<void> {
    await this.#plugins.stop();
    await Promise.all(this.#saves);
  }

  /** Every resource with its counts; one that was dropped stays with zeros, as its key stays in the node's status. */
  counts(): ReadonlyMap<string, ResourceCounts> {
    const counts = new Map<string, ResourceCounts>();
    for (const resource of this.#dropped) counts.set(resource, { capacity: 0, allocatable: 0 });
    for (const resource of this.#table.resources()) counts.set(resource, this.#table.counts(resource));
    return counts;
  }

  holdings(): readonly Holding[] {
    return this.#table.holdings();
  }

  device(resource: string, id: string): PluginDevice | undefined {
    return this.#table.device(resource, id);
  }

  /** Every healthy device, used or free. */
  allocatable(): readonly PodDevice[] {
    return this.#table.resources().flatMap((resource) =>
      this.#table
        .devices(resource)
        .filter((device) => device.healthy)
        .map(({ id, numaNode }) => ({ resource, deviceId: id, numaNode })),
    );
  }

  /**
   * Gives the containers of a pod their devices. Throws with the kubelet's text when that fails; what the pod's earlier
   * containers got is freed when the pod has ended. Containers in `running` keep what they have, unexamined: they stand
   * there since before the kubelet restarted.
   */
  allocatePod(pod: Pod, running: ReadonlySet<string>): Promise<void> {
    return this.#inTurn(() => this.#allocatePod(pod, running));
  }

  /**
   * What a container gets from the plugins, merged: made at admission and used again at every restart. Asks the plugins
   * anew only where the books have lost it, and for PreStartContainer where one wants that before every start.
   */
  prepare(podUid: string, container: Container): Promise<AllocateAnswer> {
    return this.#inTurn(async () => {
      const lost = Object.keys(container.resources?.limits ?? {}).filter(
        (resource) => this.#table.holding(podUid, container.name, resource) === undefined,
      );
      if (lost.length > 0) await this.#allocateContainer(podUid, container, { only: lost, reusable: new Map() });
      const held = this.#held(podUid, container.name);
      for (const { resource, deviceIds } of held) {
        const endpoint = this.#plugins.endpoint(resource);
        if (endpoint?.options.preStartRequired === true) await endpoint.connection.preStartContainer(deviceIds);
      }
      return mergeAnswers(held.map((one) => one.answer));
    });
  }

  /** One allocation at a time: the choice and the entry in the books have waits between them. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.then(
      () => {},
      () => {}, // Whoever asked is told.
    );
    return turn;
  }

  async #allocatePod(pod: Pod, running: ReadonlySet<string>): Promise<void> {
    const podUid = pod.metadata.uid ?? "";
    const reusable = new Map<string, Set<string>>();
    const each = async (container: Container, reuse: "offer" | "withdraw"): Promise<void> => {
      if (!running.has(container.name)) await this.#allocateContainer(podUid, container, { reusable });
      for (const { resource, deviceIds } of this.#held(podUid, container.name)) {
        const ids = reusable.get(resource) ?? new Set();
        for (const id of deviceIds) reuse === "offer" ? ids.add(id) : ids.delete(id);
        reusable.set(resource, ids);
      }
    };
    for (const container of pod.spec.initContainers ?? []) {
      await each(container, isSidecar(container) ? "withdraw" : "offer");
    }
    for (const container of pod.spec.containers) await each(container, "withdraw");
  }

  #held(podUid: string, container: string): readonly Holding[] {
    return this.#table.holdings().filter((one) => one.podUid === podUid && one.container === container);
  }

  async #allocateContainer(
    podUid: string,
    container: Container,
    options: { readonly only?: readonly string[]; readonly reusable: ReadonlyMap<string, ReadonlySet<string>> },
  ): Promise<void> {
    for (const [resource, quantity] of Object.entries(container.resources?.limits ?? {})) {
      if (!this.#table.isPluginResource(resource) || options.only?.includes(resource) === false) continue;
      const active = this.#options.activePods();
      if (active !== undefined) this.#table.keepOnly(new Set([...active, podUid]));
      const count = Math.ceil(parseQuantity(quantity) ?? 0);
      const reusable = options.reusable.get(resource) ?? new Set<string>();
      await this.#allocate({ podUid, container: container.name, resource, count }, reusable);
    }
  }

  async #allocate(demand: DeviceDemand, reusable: ReadonlySet<string>): Promise<void> {
    const { podUid, container, resource, count } = demand;
    const screening = screen(this.#table, demand, reusable);
    if (screening.kind === "held") return;
    if (screening.kind === "refused") throw new TrancheError("device-allocation", screening.error);
    const endpoint = this.#plugins.endpoint(resource);
    if (endpoint === undefined) throw new TrancheError("device-allocation", `unknown Device Plugin ${resource}`);
    const { reused, available, missing } = screening;
    const asksPlugin = missing > 0 && endpoint.options.getPreferredAllocationAvailable;
    const preferred = asksPlugin
      ? await endpoint.connection.preferredAllocation({
          available: [...available, ...reused],
          mustInclude: reused,
          size: count,
        })
      : [];
    const deviceIds = fillUp(screening, preferred);
    const answer = await endpoint.connection.allocate(deviceIds);
    this.#table.record({ podUid, container, resource, deviceIds, answer });
    await this.#checkpoint.save();
  }

  /** Takes over the checkpoint: every resource in it is known, but has no devices until its plugin registers. */
  async #restore(): Promise<void> {
    try {
      const checkpoint = await readCheckpoint(join(this.#options.directory, checkpointName));
      if (checkpoint === undefined) return;
      this.#hadCheckpoint = true;
      for (const holding of checkpoint.holdings) this.#table.record(holding);
      for (const resource of Object.keys(checkpoint.registered)) {
        this.#table.setDevices(resource, []);
        this.#plugins.expect(resource);
      }
    } catch (error) {
      this.#options.log.error({ problem: errorText(error) }, "starting without allocations");
    }
  }

  /** Changes the books, then tells the checkpoint and whoever shows them. */
  #change(change: () => void): void {
    change();
    const save = this.#checkpoint.save().catch((error: unknown) => {
      this.#options.log.error({ problem: errorText(error) }, "checkpoint not written");
    });
    this.#saves.add(save);
    void save.finally(() => this.#saves.delete(save));
    this.#options.onChange();
  }
}
