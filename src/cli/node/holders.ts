/**
 * Who holds what on this machine: pods as the kubelet tells, also while they are idle, and processes as the driver tells.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { TrancheError } from "../../base/index.ts";
import type { Gpu, GpuDriver, GpuProcess } from "../../gpu/index.ts";
import type { PodResourcesClient } from "../../kubelet/index.ts";
import type { Holders } from "../../partition/index.ts";

/** Below the host's root. */
const KUBELET_ROOT = "var/lib/kubelet";
const POD_RESOURCES_SOCKET = "pod-resources/kubelet.sock";
const PLUGIN_DIRECTORY = "device-plugins";

/** Who holds what, asked as often as somebody needs it. */
export class LocalHolders {
  readonly #driver: GpuDriver;
  readonly #kubeletRoot: string;
  #client: PodResourcesClient | undefined;

  /** `root` is where the host's file system is. */
  constructor(driver: GpuDriver, root: string) {
    this.#driver = driver;
    this.#kubeletRoot = join(root, KUBELET_ROOT);
  }

  /** Everybody: pods and processes. Throws what the kubelet or the driver throw when they do not answer. */
  async all(): Promise<Holders> {
    const [pods, processes] = await Promise.all([this.#pods(), this.#processes()]);
    return merged(pods, processes);
  }

  /** The agent that gives this node's devices to pods, as it names itself; `undefined` when none runs. */
  async agent(): Promise<string | undefined> {
    const { agentAt, PLUGIN_LOCK } = await import("../agent/agent-lock.ts");
    return agentAt(join(this.#kubeletRoot, PLUGIN_DIRECTORY, PLUGIN_LOCK));
  }

  /**
   * What pods hold, device UUID to `namespace/name`. Pods outlive a kubelet that is stopped, and one that has just
   * started knows of none: then its checkpoint counts, which has no names but UIDs.
   */
  async #pods(): Promise<Holders> {
    const socketPath = join(this.#kubeletRoot, POD_RESOURCES_SOCKET);
    if (!existsSync(this.#kubeletRoot)) return new Map();
    const { PodResourcesClient, readDeviceCheckpoint } = await kubeletRoom();
    const told = existsSync(socketPath) ? await this.#told(() => new PodResourcesClient({ socketPath })) : undefined;
    if (!(told instanceof TrancheError) && told !== undefined && told.size > 0) return told;
    const written = await readDeviceCheckpoint(this.#kubeletRoot);
    if (written === undefined && told instanceof TrancheError) throw told;
    const holders = new Map<string, Set<string>>();
    for (const { podUid, deviceIds } of written ?? []) {
      for (const id of deviceIds) add(holders, deviceOf(id), `UID ${podUid}`);
    }
    return sorted(holders);
  }

  /** The kubelet's word, or why it does not answer. */
  async #told(connect: () => PodResourcesClient): Promise<Holders | TrancheError> {
    this.#client ??= connect();
    const holders = new Map<string, Set<string>>();
    try {
      for (const { namespace, pod, deviceIds } of await this.#client.list()) {
        for (const id of deviceIds) add(holders, deviceOf(id), `${namespace}/${pod}`);
      }
    } catch (error) {
      if (error instanceof TrancheError && error.retryable) return error;
      throw error;
    }
    return sorted(holders);
  }

  /** What processes use, device UUID to `process 4242 (python)`; one on no MIG device holds the GPU. */
  async #processes(): Promise<Holders> {
    const holders = new Map<string, Set<string>>();
    for (const gpu of await this.#driver.list()) {
      for (const process of await this.#driver.processes(gpu.uuid)) {
        add(holders, deviceUsed(gpu, process), `process ${process.pid} (${process.command})`);
      }
    }
    return sorted(holders);
  }

  /** Lets go of the kubelet's socket. */
  close(): void {
    this.#client?.close();
  }
}

/** gRPC takes long to load, so it is loaded only where there is a kubelet. */
function kubeletRoom(): Promise<typeof import("../../kubelet/index.ts")> {
  return import("../../kubelet/index.ts");
}

/** Both together. */
function merged(...all: readonly Holders[]): Holders {
  const holders = new Map<string, Set<string>>();
  for (const one of all) for (const [uuid, names] of one) for (const name of names) add(holders, uuid, name);
  return sorted(holders);
}

/** The UUID of the MIG device that a process is on, or of its GPU. */
function deviceUsed(gpu: Gpu, { gpuInstanceId, computeInstanceId }: GpuProcess): string {
  const instance = gpu.instances.find(({ id }) => id === gpuInstanceId);
  return instance?.computeInstances.find(({ id }) => id === computeInstanceId)?.uuid ?? gpu.uuid;
}

/** A device id without the `::<n>` of a share. */
function deviceOf(id: string): string {
  return id.split("::", 1)[0] ?? id;
}

function add(holders: Map<string, Set<string>>, uuid: string, name: string): void {
  holders.set(uuid, (holders.get(uuid) ?? new Set()).add(name));
}

function sorted(holders: ReadonlyMap<string, ReadonlySet<string>>): Holders {
  return new Map([...holders].map(([uuid, names]) => [uuid, [...names].sort()]));
}
