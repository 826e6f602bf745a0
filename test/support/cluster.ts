/** A running cluster for end-to-end tests: real sockets and real HTTPS, with its drivers and kubelets in reach. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Clock, errorText, findingLine, silentLogger, systemClock, TrancheError } from "../../src/base/index.ts";
import { formatReport } from "../../src/cli/report/format.ts";
import { applyManifests } from "../../src/cli/up/apply.ts";
import { type Cluster, startCluster } from "../../src/cli/up/cluster.ts";
import type { ClusterNode } from "../../src/cli/up/cluster-node.ts";
import { sortManifests } from "../../src/cli/up/declared.ts";
import { keptNodes } from "../../src/cli/up/kept.ts";
import { readState, settle } from "../../src/cli/up/settle.ts";
import { openStateDir } from "../../src/cli/up/state-dir.ts";
import { isWorkload } from "../../src/cli/up/workloads.ts";
import { readManifests } from "../../src/config/index.ts";
import type { Gpu } from "../../src/gpu/index.ts";
import { buildReport, type NodeSnapshot, type Report } from "../../src/insight/index.ts";
import {
  type ConfigMap,
  hasStatus,
  type KubeClient,
  type KubeEvent,
  type KubeObject,
  type Node,
  type Pod,
  resources,
} from "../../src/kube/index.ts";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { manifestText, operatorNamespace } from "./manifests.ts";
import { temporaryDirectory } from "./temporary.ts";
import { until } from "./until.ts";

const MIG_CONFIG_LABEL = "nvidia.com/mig.config";
const MIG_STATE_LABEL = "nvidia.com/mig.config.state";

/** A cluster under test, with what tests do to it and wait for. */
export class TestCluster {
  readonly cluster: Cluster;
  readonly stateDir: string;

  constructor(cluster: Cluster, stateDir: string) {
    this.cluster = cluster;
    this.stateDir = stateDir;
  }

  get client(): KubeClient {
    return this.cluster.client;
  }

  /** The node of this name, or the only one. */
  node(name?: string): ClusterNode {
    const found = this.cluster.nodes.find((one) => name === undefined || one.name === name);
    assert.ok(found, `no node ${name}`);
    return found;
  }

  /** The kubelet's directory of the node. */
  nodeRoot(name?: string): string {
    return join(this.stateDir, "nodes", String(this.cluster.nodes.indexOf(this.node(name))));
  }

  /** The GPU of this index, as the driver has it now. */
  async gpu(index = 0, node?: string): Promise<Gpu> {
    const gpu = (await this.node(node).driver.list()).find((one) => one.index === index);
    assert.ok(gpu, `no GPU ${index}`);
    return gpu;
  }

  /** MIG device UUID to `profile@start` of everything on the GPU. */
  async instances(index = 0, node?: string): Promise<ReadonlyMap<string, string>> {
    const { instances } = await this.gpu(index, node);
    return new Map(
      instances.flatMap(({ placement, computeInstances }) =>
        computeInstances.map((one) => [one.uuid, `${one.profile}@${placement.start}`] as const),
      ),
    );
  }

  /** The device ids that the kubelet's books give to the pod. */
  devicesOf(pod: string, node?: string): readonly string[] {
    const allocations = this.node(node).kubelet.pods();
    return allocations.filter((one) => one.pod === pod).flatMap((one) => one.deviceIds);
  }

  async createPods(...pods: readonly Pod[]): Promise<void> {
    for (const one of pods) await this.client.create(resources.pods, one);
  }

  /** Deletes the pod at once, or gives it as many seconds as it likes. */
  async deletePod(name: string): Promise<void> {
    await this.client.delete(resources.pods, { namespace: "default", name });
    await until(`pod ${name} is gone`, async () => (await this.pod(name)) === undefined);
  }

  async pod(name: string): Promise<Pod | undefined> {
    try {
      return await this.client.get<Pod>(resources.pods, { namespace: "default", name });
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** Waits until every one of the pods is in the phase. */
  async podsBecome(phase: string, ...names: readonly string[]): Promise<void> {
    for (const name of names) {
      await until(`pod ${name} is ${phase}`, async () => (await this.pod(name))?.status?.phase === phase);
    }
  }

  /** What the container `main` of the pod has said. */
  podLog(pod: string, node?: string): readonly string[] {
    const lines = this.node(node).kubelet.logs({ namespace: "default", pod, container: "main" }) ?? [];
    return lines.map((one) => one.text);
  }

  /** Sets labels of the node; `null` takes one away. */
  async labelNode(labels: Readonly<Record<string, string | null>>, node?: string): Promise<void> {
    await this.client.mergePatch(resources.nodes, { name: this.node(node).name }, { metadata: { labels } });
  }

  async relabel(config: string, node?: string): Promise<void> {
    await this.labelNode({ [MIG_CONFIG_LABEL]: config }, node);
  }

  async migState(node?: string): Promise<string | undefined> {
    const { metadata } = await this.client.get<Node>(resources.nodes, { name: this.node(node).name });
    return metadata.labels?.[MIG_STATE_LABEL];
  }

  /** Waits until the agent has acted upon the config and the state label says `state`. */
  async migBecomes(config: string, state: string, node?: string): Promise<void> {
    const reached = async (): Promise<boolean> => {
      if ((await this.migState(node)) !== state) return false;
      const { migLabel, migConfig } = await this.snapshot(node);
      return migLabel === config && migConfig?.state === state;
    };
    // A device that was given away counts as held for ten seconds, unless the agent has seen its pod come and go.
    await until(`config ${config} is ${state}`, reached, 30_000);
  }

  /** What the node's agent knows; waits while the kubelet is away. */
  async snapshot(node?: string): Promise<NodeSnapshot> {
    const { agent } = this.node(node);
    return until("the kubelet answers", () =>
      agent.snapshot().catch((error: unknown) => {
        if (error instanceof TrancheError && error.retryable) return undefined;
        throw error;
      }),
    );
  }

  /** What the node offers of the resource, as the API shows it. */
  async allocatable(resource: string, node?: string): Promise<number> {
    const { status } = await this.client.get<Node>(resources.nodes, { name: this.node(node).name });
    return Number(status?.allocatable?.[resource] ?? 0);
  }

  async offers(resource: string, count: number, node?: string): Promise<void> {
    await until(`${count} of ${resource}`, async () => (await this.allocatable(resource, node)) === count);
  }

  /** Waits until the kubelet of the node can hand out so many devices, given away or not. */
  async kubeletShows(resource: string, count: number, node?: string): Promise<void> {
    const socketPath = join(this.nodeRoot(node), "pod-resources", "kubelet.sock");
    const client = new PodResourcesClient({ socketPath, clock: systemClock, signal: new AbortController().signal });
    try {
      await until(`the kubelet shows ${count} of ${resource}`, async () => {
        const shown = await client.allocatable().catch(() => new Map<string, readonly string[]>());
        return (shown.get(resource) ?? []).length === count;
      });
    } finally {
      client.close();
    }
  }

  async setConfigMap(name: string, data: Record<string, string>): Promise<void> {
    await this.client.mergePatch<ConfigMap>(resources.configMaps, { namespace: operatorNamespace, name }, { data });
  }

  /** Events about objects of this name, `Reason: message` of each. */
  async events(name: string): Promise<readonly string[]> {
    const { items } = await this.client.list<KubeEvent>(resources.events);
    return items.filter((one) => one.involvedObject.name === name).map((one) => `${one.reason}: ${one.message}`);
  }

  /** Waits for an event about `name` that matches. */
  async eventMatches(name: string, pattern: RegExp): Promise<string> {
    return until(`event of ${name} like ${pattern}`, async () =>
      (await this.events(name)).find((one) => pattern.test(one)),
    );
  }

  /** Waits until the whole cluster rests; fails when it does not. */
  async settle(): Promise<Report> {
    const signal = new AbortController().signal;
    const state = await settle(this.cluster, { clock: systemClock, timeoutMs: 10_000, signal });
    assert.ok(state.settled, "the cluster does not come to rest");
    return buildReport({ ...state, findings: [] });
  }

  /** Everything there is to see, for a failed test. */
  async description(): Promise<string> {
    const report = readState(this.cluster).then(
      (state) => formatReport(buildReport({ ...state, findings: [] }), "wide"),
      (error: unknown) => `the cluster cannot be read: ${errorText(error)}`,
    );
    const { items } = await this.client.list<KubeEvent>(resources.events);
    const events = items.map((one) => `${one.involvedObject.name} ${one.reason}: ${one.message}`);
    return `${await report}\n\nevents:\n${events.join("\n")}`;
  }
}

export interface TestClusterOptions {
  /** As after `--node`. */
  readonly nodes?: readonly string[];
  /** Applied as `up` does: pods last, when the agents have had their first turn. */
  readonly objects?: readonly KubeObject[];
  /** Of everything in the cluster; default the machine's own. */
  readonly clock?: Clock;
  /** Where an earlier cluster was, to go on from there; default a fresh directory. */
  readonly stateDir?: string;
}

/** Runs `body` with a cluster and stops it; when `body` fails, tells what the cluster looked like. */
export async function withCluster(
  t: TestContext,
  { nodes = [], objects = [], clock = systemClock, ...options }: TestClusterOptions,
  body: (cluster: TestCluster) => Promise<void>,
): Promise<void> {
  const manifests = readManifests([{ file: "test.yaml", text: manifestText(...objects) }]);
  assert.ok(manifests.ok, JSON.stringify(manifests.findings));
  const stateDir = options.stateDir ?? (await temporaryDirectory(t));
  const opened = await openStateDir(stateDir);
  assert.ok(opened.ok, JSON.stringify(opened.findings));
  const { kept } = opened.value;
  const declared = sortManifests(manifests.value, nodes, kept === undefined ? [] : keptNodes(kept));
  assert.ok(declared.ok, JSON.stringify(declared.findings));
  const started = await startCluster({
    nodes: declared.value.nodes,
    port: undefined,
    stateDir: opened.value,
    clock,
    log: silentLogger,
    tell: (one) => assert.fail(findingLine(one)),
  });
  assert.ok(started.ok, JSON.stringify(started.findings));
  const cluster = new TestCluster(started.value, stateDir);
  try {
    const pods = declared.value.manifests.filter(isWorkload);
    const others = declared.value.manifests.filter((one) => !isWorkload(one));
    const applied = [...(await applyManifests(cluster.client, others))];
    started.value.startWork();
    await until("every agent's first turn", () => started.value.nodes.every((node) => node.agent.idle()));
    applied.push(...(await applyManifests(cluster.client, pods)));
    const refused = applied.filter((one) => one.severity === "error");
    assert.deepEqual(refused.map(findingLine), []);
    await body(cluster);
  } catch (error) {
    throw new Error(`${errorText(error)}\n\n${await cluster.description()}`, { cause: error });
  } finally {
    await started.value.stop();
  }
}
