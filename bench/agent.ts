/**
 * How long the agent takes until the kubelet has heard: of a config that was edited, and of a GPU that failed.
 *
 * One node of the embedded cluster is in this process, and everything between its parts is as on a real node: the API
 * over HTTP, the device plugin and pod resources APIs over gRPC. What the kubelet knows is asked of itself.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, systemClock } from "../src/base/index.ts";
import { ClusterNode } from "../src/cli/up/cluster-node.ts";
import { startApiServer } from "../src/embedded/index.ts";
import { modelById } from "../src/gpu/index.ts";
import { KubeClient, resources } from "../src/kube/index.ts";
import { PodResourcesClient } from "../src/kubelet/index.ts";
import { clusterPolicy, configMap, operatorNamespace, timeSliced } from "../test/support/manifests.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const gpuCount = 8;
const configName = "plugin-configs";
const limitMs = 1_000;
const deadlineMs = 10_000;

interface Machine {
  readonly client: KubeClient;
  readonly node: ClusterNode;
  /** Waits until the kubelet can hand out so many shares. */
  kubeletShows(count: number): Promise<void>;
}

/** A node with 8 GPUs whose agent offers four shares of each and has come to rest. */
async function withMachine(measure: (machine: Machine) => Promise<BenchResult>): Promise<BenchResult> {
  const directory = await mkdtemp(join(tmpdir(), "tranche-bench-"));
  const common = { clock: systemClock, log: silentLogger };
  const server = await startApiServer(common);
  const client = new KubeClient(server.connection());
  const model = modelById("t4-16gb");
  if (model === undefined) throw new Error("no such model");
  const gpus = Array.from({ length: gpuCount }, () => model);
  const place = { name: "bench", ordinal: 0, rootDirectory: join(directory, "k"), keeping: undefined };
  const node = new ClusterNode({ ...place, ...common, gpus, api: client });
  const podResources = new PodResourcesClient({
    socketPath: join(place.rootDirectory, "pod-resources", "kubelet.sock"),
  });
  const kubeletShows = async (count: number): Promise<void> => {
    for (const endMs = performance.now() + deadlineMs; performance.now() < endMs; await sleep(1)) {
      const shown = await podResources.allocatable().catch(() => undefined);
      if (shown !== undefined && (shown.get("nvidia.com/gpu") ?? []).length === count) return;
    }
    throw new Error(`the kubelet does not show ${count} shares`);
  };
  try {
    const metadata = { name: operatorNamespace };
    await client.create(resources.namespaces, { apiVersion: "v1", kind: "Namespace", metadata });
    await client.create(resources.configMaps, configMap(configName, { any: timeSliced(4) }));
    await client.create(resources.clusterPolicies, clusterPolicy({ plugin: configName, pluginDefault: "any" }));
    await node.startKubelet();
    node.startAgent();
    await kubeletShows(4 * gpuCount);
    while (!node.idle()) await sleep(10);
    return await measure({ client, node, kubeletShows });
  } finally {
    podResources.close();
    await node.stopAgent();
    await node.stopKubelet();
    await client.close();
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Milliseconds from the request that edits the ConfigMap. */
function editRun(edits: number): Promise<BenchResult> {
  return withMachine(async ({ client, node, kubeletShows }) => {
    const samples: number[] = [];
    for (let edit = 0; edit < edits; edit += 1) {
      const replicas = edit % 2 === 0 ? 8 : 4;
      const beganMs = performance.now();
      const data = { any: timeSliced(replicas) };
      await client.mergePatch(resources.configMaps, { namespace: operatorNamespace, name: configName }, { data });
      await kubeletShows(replicas * gpuCount);
      samples.push(performance.now() - beganMs);
      while (!node.idle()) await sleep(10);
    }
    return result(samples, "edits");
  });
}

/** Milliseconds from the driver's event. A GPU that fell off the bus stays away, so each is one sample. */
function xidRun(): Promise<BenchResult> {
  return withMachine(async ({ node, kubeletShows }) => {
    const samples: number[] = [];
    for (const { index, uuid } of node.driver.boards) {
      const beganMs = performance.now();
      node.driver.raiseXid({ gpuUuid: uuid, xid: 79 });
      await kubeletShows(4 * (gpuCount - 1 - index));
      samples.push(performance.now() - beganMs);
      while (!node.idle()) await sleep(10);
    }
    return result(samples, "GPUs");
  });
}

function result(samples: readonly number[], what: string): BenchResult {
  const sorted = samples.toSorted((a, b) => a - b);
  const middleMs = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return {
    figure: `${middleMs.toFixed(0)} ms`,
    met: middleMs <= limitMs,
    note: `median of ${samples.length} ${what}, slowest ${(sorted.at(-1) ?? Number.NaN).toFixed(0)} ms`,
  };
}

export const rows: readonly BenchRow[] = [
  {
    name: "ConfigMap edited until the kubelet has the new list",
    aim: "within 1 s",
    run: (mode) => editRun(mode === "small" ? 5 : 41),
  },
  { name: "XID 79 until the kubelet has all shares of the GPU as unhealthy", aim: "within 1 s", run: () => xidRun() },
];
