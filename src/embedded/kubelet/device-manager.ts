/**
 * The device manager: device plugins register here, and pods get devices here, over the real device plugin API.
 *
 * Behaves as Kubernetes 1.36 pkg/kubelet/cm/devicemanager with topology policy `none`. One difference is deliberate:
 * when a plugin registers again while its older stream still stands, that stream is closed and its end is not taken for
 * the end of the new one, as the kubelet does by looking clients up by name.
 */
import { lstat, mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, errorText, type Logger, TrancheError } from "../../base/index.ts";
import { type Container, type Pod, parseQuantity } from "../../kube/index.ts";
import {
  DevicePluginConnection,
  type PluginDevice,
  type PluginOptions,
  type PodDevice,
  type RegistrationRequest,
  type ServerHandle,
  serveRegistration,
} from "../../kubelet/index.ts";
import type { AllocateAnswer } from "../../sharing/index.ts";
import { CheckpointFile, checkpointName, checkpointText, readCheckpoint } from "./checkpoint.ts";
import { type DeviceDemand, DeviceTable, fillUp, type Holding, type ResourceCounts, screen } from "./device-table.ts";
import { isSidecar } from "./pod-plan.ts";
import { isExtendedResourceName } from "./resource-names.ts";
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

interface Endpoint {
  readonly connection: DevicePluginConnection;
  readonly options: PluginOptions;
  /** Whether the first list has come. */
  listed: boolean;
}

/** How long the kubelet waits for a plugin to accept its call-back. */
const dialMs = 10_000;
/** How long a resource outlives its plugin's stream (`endpointStopGracePeriod`). */
const stopGraceMs = 300_000;

/** One run of a device manager; a kubelet that restarts makes a new one over the same directory. */
export class DeviceManager {
  readonly #options: DeviceManagerOptions;
  readonly #table = new DeviceTable();
  readonly #checkpoint: CheckpointFile;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Resources whose plugin is away, each with what ends the wait for it. */
  readonly #away = new Map<string, AbortController>();
  readonly #dropped = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();
  #turn = Promise.resolve();
  #server: ServerHandle | undefined;
  #registering = 0;
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
  }

  /** Whether a checkpoint was found at start; without one the kubelet zeroes all extended resources of its node. */
  get hadCheckpoint(): boolean {
    return this.#hadCheckpoint;
  }

  /** Whether a registration is under way or a first list is awaited. */
  get busy(): boolean {
    return this.#registering > 0 || [...this.#endpoints.values()].some((one) => !one.listed);
  }

  /** Restores allocations, clears the directory of sockets and listens for registrations. */
  async start(): Promise<void> {
    const { directory } = this.#options;
    await this.#restore();
    await mkdir(directory, { recursive: true, mode: 0o750 });
    await removeSockets(directory);
    await writeFile(join(directory, "DEPRECATION"), "");
    this.#server = await serveRegistration({
      socketPath: join(directory, "kubelet.sock"),
      onRegister: (request) => this.#register(request),
    });
  }

  /** Stops listening and hangs up on the plugins; what containers hold stays in the checkpoint. */
  async stop(): Promise<void> {
    await this.#server?.close();
    for (const wait of this.#away.values()) wait.abort(new TrancheError("stopped", "the kubelet stopped"));
    for (const endpoint of this.#endpoints.values()) endpoint.connection.close();
    this.#endpoints.clear();
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
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
        const endpoint = this.#endpoints.get(resource);
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
    const endpoint = this.#endpoints.get(resource);
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

  async #register(request: RegistrationRequest): Promise<void> {
    const { version, endpoint: file, resourceName: resource } = request;
    if (version !== "v1beta1") {
      const message = `requested API version "${version}" is not supported by kubelet. Supported version is ["v1beta1"]`;
      throw new TrancheError("plugin-registration", message);
    }
    if (!isExtendedResourceName(resource)) {
      throw new TrancheError("plugin-registration", `the ResourceName "${resource}" is invalid`);
    }
    this.#registering += 1;
    try {
      const endpoint = await this.#dial(join(this.#options.directory, file));
      this.#endpoints.get(resource)?.connection.close();
      this.#endpoints.set(resource, endpoint);
      this.#away.get(resource)?.abort(new TrancheError("registered", "the plugin registered again"));
      this.#options.log.info({ resource, endpoint: file }, "device plugin registered");
      this.#own(this.#follow(resource, endpoint));
    } finally {
      this.#registering -= 1;
    }
  }

  async #dial(socketPath: string): Promise<Endpoint> {
    const failed = (what: string) => (cause: unknown) => {
      throw new TrancheError("plugin-registration", `${what}: ${errorText(cause)}`, { retryable: true });
    };
    const connection = await DevicePluginConnection.connect(socketPath, { timeoutMs: dialMs }).catch(
      failed("failed to dial device plugin"),
    );
    try {
      // What the plugin answers here counts; the options it sent along with Register do not.
      const options = await connection.options().catch(failed("failed to get device plugin options"));
      return { connection, options, listed: false };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Follows a plugin's lists until its stream ends; the plugin has to register again after that. */
  async #follow(resource: string, endpoint: Endpoint): Promise<void> {
    try {
      await endpoint.connection.listAndWatch((devices) => {
        if (this.#endpoints.get(resource) !== endpoint) return;
        endpoint.listed = true;
        this.#dropped.delete(resource);
        this.#table.setDevices(resource, devices);
        this.#save();
        this.#options.onChange();
      });
    } catch (error) {
      this.#options.log.warn({ resource, problem: errorText(error) }, "device plugin stream broke");
    }
    endpoint.connection.close();
    if (this.#endpoints.get(resource) !== endpoint) return;
    this.#endpoints.delete(resource);
    this.#table.markUnhealthy(resource);
    this.#options.onChange();
    this.#own(this.#dropAfterGrace(resource));
  }

  async #dropAfterGrace(resource: string): Promise<void> {
    const wait = new AbortController();
    this.#away.set(resource, wait);
    try {
      await this.#options.clock.sleep(stopGraceMs, wait.signal);
    } catch {
      return; // The plugin came back, or the kubelet stops.
    } finally {
      this.#away.delete(resource);
    }
    this.#table.dropResource(resource);
    this.#dropped.add(resource);
    this.#save();
    this.#options.onChange();
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
        this.#own(this.#dropAfterGrace(resource));
      }
    } catch (error) {
      this.#options.log.error({ problem: errorText(error) }, "starting without allocations");
    }
  }

  #save(): void {
    const saved = this.#checkpoint.save().catch((error: unknown) => {
      this.#options.log.error({ problem: errorText(error) }, "checkpoint not written");
    });
    this.#own(saved);
  }

  #own(task: Promise<void>): void {
    this.#tasks.add(task);
    void task.finally(() => this.#tasks.delete(task));
  }
}

/** Only sockets right in the directory go; the checkpoint and whatever else lies there stays. */
async function removeSockets(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if ((await lstat(path)).isSocket()) await unlink(path);
  }
}
