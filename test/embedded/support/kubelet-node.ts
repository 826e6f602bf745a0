/** One simulated node for tests: kubelet stand-in, simulated GPUs, and a device plugin on real sockets. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../src/base/index.ts";
import { KubeletStandIn } from "../../../src/embedded/kubelet/stand-in.ts";
import { modelById, SimulatedDriver } from "../../../src/gpu/index.ts";
import { type KubeApi, type Pod, resources } from "../../../src/kube/index.ts";
import { DevicePluginServer } from "../../../src/kubelet/index.ts";
import type { AllocateAnswer } from "../../../src/sharing/index.ts";
import { until } from "../../support/until.ts";

export const gpuResource = "nvidia.com/gpu";

/** Offers every whole GPU of a driver in shares `GPU-…::<n>`. */
export class SharePlugin {
  readonly allocated: string[][] = [];
  /** Ids reported as unhealthy. */
  readonly ill = new Set<string>();
  /** The error that Allocate answers with, if any. */
  refusal: string | undefined;
  readonly #ids: readonly string[];
  readonly #directory: string;
  #server: DevicePluginServer | undefined;

  constructor(directory: string, uuids: readonly string[], shares: number) {
    this.#directory = directory;
    this.#ids = uuids.flatMap((uuid) => Array.from({ length: shares }, (_, index) => `${uuid}::${index}`));
  }

  get ids(): readonly string[] {
    return this.#ids;
  }

  async start(): Promise<void> {
    const backend = {
      preferredAllocation: ({ available, size }: { available: readonly string[]; size: number }) =>
        available.slice(0, size),
      allocate: (ids: readonly string[]): AllocateAnswer => {
        if (this.refusal !== undefined) throw new Error(this.refusal);
        this.allocated.push([...ids]);
        const uuids = [...new Set(ids.map((id) => id.split("::")[0]))];
        return {
          envs: { NVIDIA_VISIBLE_DEVICES: uuids.join(",") },
          mounts: [],
          devices: [],
          annotations: {},
          cdiDevices: [],
        };
      },
    };
    this.#server = new DevicePluginServer({ resource: gpuResource, directory: this.#directory, backend });
    this.report();
    await this.#server.start();
    await this.#server.register(join(this.#directory, "kubelet.sock"));
  }

  /** Sends the list of devices with their health. */
  report(): void {
    this.#server?.update(this.#ids.map((id) => ({ id, healthy: !this.ill.has(id), numaNode: undefined })));
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }
}

export interface TestNodeOptions {
  readonly api: KubeApi;
  readonly clock?: Clock;
  /** Catalogue ids; default one T4. */
  readonly models?: readonly string[];
  readonly shares: number;
}

export class TestNode {
  readonly kubelet: KubeletStandIn;
  readonly driver: SimulatedDriver;
  readonly plugin: SharePlugin;
  readonly root: string;
  readonly api: KubeApi;

  private constructor(root: string, driver: SimulatedDriver, uuids: readonly string[], options: TestNodeOptions) {
    const { api, shares, clock = systemClock } = options;
    this.root = root;
    this.driver = driver;
    this.api = api;
    this.plugin = new SharePlugin(join(root, "device-plugins"), uuids, shares);
    this.kubelet = new KubeletStandIn({ name: "node-a", ordinal: 0, rootDirectory: root, api, driver, clock });
  }

  /** Starts the kubelet, then the plugin, and waits until the node offers its shares. */
  static async start(options: TestNodeOptions): Promise<TestNode> {
    const models = (options.models ?? ["t4-16gb"]).map((id) => {
      const model = modelById(id);
      assert.ok(model !== undefined, id);
      return model;
    });
    const driver = new SimulatedDriver({ seed: "node-a", models });
    const uuids = (await driver.list()).map((gpu) => gpu.uuid);
    const node = new TestNode(await mkdtemp(join(tmpdir(), "kubelet-")), driver, uuids, options);
    await node.kubelet.start();
    await node.plugin.start();
    await node.settled();
    return node;
  }

  async stop(): Promise<void> {
    await this.plugin.stop();
    await this.kubelet.stop();
    await rm(this.root, { recursive: true });
  }

  /** Waits until nothing is under way. Two looks, since a change may still be on its way to the kubelet at the first. */
  async settled(): Promise<void> {
    await until("the kubelet is idle", async () => {
      if (!this.kubelet.idle()) return false;
      await new Promise((resolve) => setImmediate(resolve));
      return this.kubelet.idle();
    });
  }

  /** Creates a pod that is bound to the node already. */
  async create(name: string, details: PodDetails = {}): Promise<void> {
    await this.api.create(resources.pods, podOf(name, details));
  }
}

export interface PodDetails {
  /** Shares asked for; default 1. */
  readonly shares?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly restartPolicy?: "Always" | "OnFailure" | "Never";
  readonly initShares?: number;
}

export function podOf(name: string, details: PodDetails): Pod {
  const { shares = 1, annotations = {}, restartPolicy = "Never", initShares } = details;
  const asking = (count: number) => (count === 0 ? {} : { resources: { limits: { [gpuResource]: String(count) } } });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", annotations: { ...annotations } },
    spec: {
      nodeName: "node-a",
      restartPolicy,
      containers: [{ name: "main", image: "cuda", ...asking(shares) }],
      ...(initShares === undefined ? {} : { initContainers: [{ name: "init", image: "cuda", ...asking(initShares) }] }),
    },
  };
}
