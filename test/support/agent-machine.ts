/**
 * A machine with a kubelet stand-in, an API server and a scheduler in this process, and `tranche agent` as a process of
 * its own: nothing but sockets and files between them, as on a real node.
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import {
  type ApiServer,
  cdiDirectoryOf,
  KubeletStandIn,
  Scheduler,
  startApiServer,
  type WorkloadDriver,
} from "../../src/embedded/index.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import {
  hasStatus,
  KubeClient,
  type KubeEvent,
  type KubeObject,
  type Node,
  type Pod,
  resources,
} from "../../src/kube/index.ts";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { cleanUp } from "./clean-up.ts";
import { temporaryDirectory } from "./temporary.ts";
import { TrancheProcess } from "./tranche-process.ts";
import { until } from "./until.ts";

/** The seed by which the agent's own simulated GPUs get their UUIDs, so that containers here meet the same ones. */
const SEED = "this-node";
export const NODE = "node-a";

export interface AgentMachineOptions {
  /** Catalogue ids; default one A100-80GB. */
  readonly models?: readonly string[];
  /** Where containers find their GPUs; default simulated ones, the same as the agent's. */
  readonly driver?: WorkloadDriver;
  /** Written before the kubelet starts. */
  readonly objects?: readonly KubeObject[];
}

export class AgentMachine {
  readonly directory: string;
  readonly client: KubeClient;
  readonly kubelet: KubeletStandIn;
  readonly server: ApiServer;
  readonly kubeconfig: string;
  readonly #t: TestContext;
  readonly #models: readonly string[];

  private constructor(parts: {
    readonly t: TestContext;
    readonly directory: string;
    readonly server: ApiServer;
    readonly client: KubeClient;
    readonly kubelet: KubeletStandIn;
    readonly models: readonly string[];
  }) {
    const { t, directory, server, client, kubelet, models } = parts;
    this.#t = t;
    this.#models = models;
    this.directory = directory;
    this.server = server;
    this.client = client;
    this.kubelet = kubelet;
    this.kubeconfig = join(directory, "kubeconfig");
  }

  /** Starts everything but the agent; ends it all with the test. */
  static async start(t: TestContext, options: AgentMachineOptions = {}): Promise<AgentMachine> {
    const { models = ["a100-sxm4-80gb"], objects = [] } = options;
    const directory = await temporaryDirectory(t);
    const server = await startApiServer({ clock: systemClock, log: silentLogger });
    cleanUp(t, () => server.close());
    const client = new KubeClient(server.connection());
    cleanUp(t, () => client.close());
    const scheduler = new Scheduler(client, { clock: systemClock, log: silentLogger });
    scheduler.start();
    cleanUp(t, () => scheduler.stop());
    const driver =
      options.driver ??
      new SimulatedDriver({ seed: SEED, models: models.map((id) => modelById(id) ?? assert.fail(id)) });
    const rootDirectory = join(directory, "k");
    await mkdir(rootDirectory);
    const kubelet = new KubeletStandIn({ name: NODE, ordinal: 0, rootDirectory, api: client, driver });
    const machine = new AgentMachine({ t, directory, server, client, kubelet, models });
    for (const object of objects) await machine.create(object);
    await kubelet.start();
    cleanUp(t, () => kubelet.stop());
    await writeFile(machine.kubeconfig, server.kubeconfig());
    return machine;
  }

  get kubeletRoot(): string {
    return join(this.directory, "k");
  }

  get plugins(): string {
    return join(this.kubeletRoot, "device-plugins");
  }

  get stateDir(): string {
    return join(this.directory, "state");
  }

  /** The options that name the GPUs of this machine. */
  get gpuOptions(): readonly string[] {
    const gpus = this.#models.join();
    return [
      ...["--driver", "simulated", "--simulated-gpus", gpus, "--root", this.directory],
      ...["--state-dir", this.stateDir],
    ];
  }

  /** The options every agent of this machine has but for the API. */
  get options(): readonly string[] {
    return [
      ...this.gpuOptions,
      ...["--kubelet-root", this.kubeletRoot, "--node-name", NODE, "--cdi-directory", cdiDirectoryOf(this.kubeletRoot)],
    ];
  }

  /** `tranche agent` with the API of this machine. */
  startAgent(...options: readonly string[]): Promise<TrancheProcess> {
    return this.startProcess("--kubeconfig", this.kubeconfig, ...options);
  }

  /** `tranche agent` with these options and those of the machine. */
  startProcess(...options: readonly string[]): Promise<TrancheProcess> {
    return TrancheProcess.start(this.#t, "agent", ...this.options, ...options);
  }

  async create(object: KubeObject): Promise<void> {
    const type = Object.values(resources).find(({ kind }) => kind === object.kind);
    assert.ok(type, object.kind);
    const { namespace } = object.metadata;
    if (namespace !== undefined && namespace !== "default") {
      const metadata = { name: namespace };
      await this.client
        .create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata })
        .catch((error: unknown) => assert.ok(hasStatus(error, 409), String(error)));
    }
    await this.client.create(type, object);
  }

  async node(): Promise<Node> {
    return this.client.get<Node>(resources.nodes, { name: NODE });
  }

  /** Sets the label that chooses the MIG config. */
  async relabel(config: string): Promise<void> {
    const metadata = { labels: { "nvidia.com/mig.config": config } };
    await this.client.mergePatch(resources.nodes, { name: NODE }, { metadata });
  }

  /** Waits until the kubelet tells the API of so many allocatable devices. */
  async offers(resource: string, count: number): Promise<void> {
    let seen = 0;
    try {
      await until(`${count} of ${resource}`, async () => {
        seen = Number((await this.node()).status?.allocatable?.[resource] ?? 0);
        return seen === count;
      });
    } catch (error) {
      throw new Error(`it is ${seen}`, { cause: error });
    }
  }

  /** Waits until the kubelet itself can hand out so many devices, given away or not. */
  async kubeletShows(resource: string, count: number): Promise<void> {
    const socketPath = join(this.kubeletRoot, "pod-resources", "kubelet.sock");
    const client = new PodResourcesClient({ socketPath });
    try {
      await until(`the kubelet shows ${count} of ${resource}`, async () => {
        const shown = await client.allocatable().catch(() => undefined);
        return shown?.get(resource)?.length === count;
      });
    } finally {
      client.close();
    }
  }

  async pod(name: string): Promise<Pod | undefined> {
    try {
      return await this.client.get<Pod>(resources.pods, { namespace: "default", name });
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async podsBecome(phase: string, ...names: readonly string[]): Promise<void> {
    for (const name of names) {
      let seen: Pod | undefined;
      try {
        await until(`pod ${name} is ${phase}`, async () => {
          seen = await this.pod(name);
          return seen?.status?.phase === phase;
        });
      } catch (error) {
        const { status } = seen ?? {};
        const details = JSON.stringify([status?.conditions, status?.containerStatuses]);
        throw new Error(`it is ${status?.phase}: ${status?.message} ${details}`, { cause: error });
      }
    }
  }

  async deletePod(name: string): Promise<void> {
    await this.client.delete(resources.pods, { namespace: "default", name }, { gracePeriodSeconds: 0 });
    await until(`pod ${name} is gone`, async () => (await this.pod(name)) === undefined);
  }

  /** Device ids of each pod, sorted. */
  held(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(this.kubelet.pods().map(({ pod, deviceIds }) => [pod, [...deviceIds].sort()]));
  }

  /** Events about objects of this name. */
  async eventList(name: string): Promise<readonly KubeEvent[]> {
    const { items } = await this.client.list<KubeEvent>(resources.events);
    return items.filter((one) => one.involvedObject.name === name);
  }

  /** `Reason: message` of each event about objects of this name. */
  async events(name: string): Promise<readonly string[]> {
    return (await this.eventList(name)).map((one) => `${one.reason}: ${one.message}`);
  }
}
