/** Kubelet stand-ins behind the embedded API server: everything over HTTP and unix sockets, as the agent meets it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { type ApiServer, KubeletStandIn, logReader, startApiServer } from "../../src/embedded/index.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import { KubeClient, type KubeEvent, type Node, type Pod, resources } from "../../src/kube/index.ts";
import { DevicePluginServer } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { describeDevices } from "./support/cdi.ts";

const slice = "nvidia.com/mig-3g.20gb";
let server: ApiServer;
let client: KubeClient;
let directory: string;
const stops: (() => Promise<void>)[] = [];
const kubelets = new Map<string, KubeletStandIn>();
const drivers = new Map<string, SimulatedDriver>();

before(async () => {
  server = await startApiServer({ clock: systemClock, log: silentLogger });
  client = new KubeClient(server.connection());
  server.setLogs(logReader(() => kubelets.values()));
  directory = await mkdtemp(join(tmpdir(), "kubelets-"));
  for (const [ordinal, name] of ["node-a", "node-b"].entries()) await startNode(name, ordinal);
});

after(async () => {
  for (const stop of stops.reverse()) await stop();
  await client.close();
  await server.close();
  await rm(directory, { recursive: true });
});

/** A node with an A100 cut into two 3g.20gb, offered by CDI names. */
async function startNode(name: string, ordinal: number): Promise<void> {
  const model = modelById("a100-sxm4-40gb");
  assert.ok(model !== undefined);
  const driver = new SimulatedDriver({ seed: name, models: [model] });
  const uuids = await cut(driver);
  const rootDirectory = join(directory, name);
  await describeDevices(join(rootDirectory, "cdi"), await driver.list());
  const kubelet = new KubeletStandIn({
    name,
    ordinal,
    rootDirectory,
    api: client,
    driver,
    labels: { "example.com/rack": "r1" },
  });
  await kubelet.start();
  const plugins = join(rootDirectory, "device-plugins");
  const backend = {
    preferredAllocation: ({ available, size }: { available: readonly string[]; size: number }) =>
      available.slice(0, size),
    allocate: (ids: readonly string[]) => {
      const cdiDevices = ids.map((id) => `k8s.device-plugin.nvidia.com/gpu=${id}`);
      return { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices };
    },
  };
  const plugin = new DevicePluginServer({ resource: slice, directory: plugins, backend });
  plugin.update(uuids.map((id) => ({ id, healthy: true, numaNode: 0 })));
  await plugin.start();
  await plugin.register(join(plugins, "kubelet.sock"));
  kubelets.set(name, kubelet);
  drivers.set(name, driver);
  stops.push(
    () => kubelet.stop(),
    () => plugin.stop(),
  );
}

async function cut(driver: SimulatedDriver): Promise<readonly string[]> {
  const [gpu] = await driver.list();
  assert.ok(gpu !== undefined);
  await driver.setMigMode(gpu.uuid, true);
  await driver.resetGpu(gpu.uuid);
  const profile = gpu.profiles.find((one) => one.name === "3g.20gb");
  const whole = profile?.computeInstanceProfiles.at(-1);
  assert.ok(profile !== undefined && whole !== undefined);
  const uuids: string[] = [];
  for (const start of [0, 4]) {
    const { id } = await driver.createGpuInstance(gpu.uuid, profile.smiProfileId, {
      start,
      size: profile.memorySlices,
    });
    uuids.push((await driver.createComputeInstance(gpu.uuid, id, whole.smiProfileId)).uuid);
  }
  return uuids;
}

async function createPod(name: string, node: string, annotations: Record<string, string>): Promise<void> {
  const resourcesOf = { limits: { [slice]: "1" }, requests: { [slice]: "1" } };
  await client.create<Pod>(resources.pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", annotations },
    spec: {
      nodeName: node,
      restartPolicy: "Never",
      containers: [{ name: "main", image: "cuda", resources: resourcesOf }],
    },
  });
}

const ref = (name: string) => ({ namespace: "default", name });

function phase(name: string, wanted: string): Promise<Pod> {
  return until(`${name} is ${wanted}`, async () => {
    const pod = await client.get<Pod>(resources.pods, ref(name));
    return pod.status?.phase === wanted ? pod : undefined;
  });
}

test("each node offers its own slices", async () => {
  for (const name of kubelets.keys()) {
    const node = await until(`${name} offers slices`, async () => {
      const found = await client.get<Node>(resources.nodes, { name });
      return found.status?.allocatable?.[slice] === "2" ? found : undefined;
    });
    assert.equal(node.metadata.labels?.["example.com/rack"], "r1");
    assert.equal(node.status?.conditions?.find((one) => one.type === "Ready")?.status, "True");
  }
});

test("pods of two nodes hold slices of their own node, and out of memory names pod and slice", async () => {
  await createPod("a1", "node-a", { "tranche.dev/gpu-memory": "8Gi" });
  await createPod("b1", "node-b", { "tranche.dev/gpu-memory": "40Gi" });
  const running = await phase("a1", "Running");
  assert.match(running.status?.podIP ?? "", /^10\.64\.0\./);
  const failed = await phase("b1", "Failed");
  const message = failed.status?.containerStatuses?.[0]?.state.terminated?.message ?? "";
  assert.match(
    message,
    /^CUDA out of memory: tried to allocate 40960 MiB on GPU 0 3g\.20gb@[04] \((\d+) MiB\), \1 MiB free; held by nobody$/,
  );
  assert.equal(kubelets.get("node-a")?.pods().length, 1);
  const [use] = kubelets.get("node-a")?.gpuUse() ?? [];
  assert.deepEqual([use?.pod, use?.memoryMiB, use?.device.startsWith("MIG-")], ["a1", 8192, true]);
});

test("events and the log are there for kubectl", async () => {
  await createPod("a2", "node-a", { "tranche.dev/run-for": "20ms", "tranche.dev/exit-code": "7" });
  await phase("a2", "Failed");
  const events = await until("its events", async () => {
    const { items } = await client.list<KubeEvent>(resources.events, { fieldSelector: "involvedObject.name=a2" });
    return items.length >= 3 ? items : undefined;
  });
  assert.deepEqual(events.map((one) => one.reason).toSorted(), ["Created", "Pulled", "Started"]);
  const log = await logReader(() => kubelets.values())("default", "a2", "main", {
    previous: false,
    tailLines: 2,
    timestamps: false,
  });
  assert.equal(log, "runs for 0.02 s\nends with exit code 7\n");
});

test("a deleted pod goes in order and its slice is free for the next", async () => {
  await createPod("a3", "node-a", {});
  await phase("a3", "Running");
  await createPod("a4", "node-a", {});
  const refused = await phase("a4", "Failed");
  assert.match(refused.status?.message ?? "", /Requested: 1, Available: 0, which is unexpected$/);
  await client.delete(resources.pods, ref("a3"));
  await until("it is gone", async () => {
    const { items } = await client.list<Pod>(resources.pods);
    return !items.some((pod) => pod.metadata.name === "a3");
  });
  await createPod("a5", "node-a", {});
  await phase("a5", "Running");
});

test("a slice that vanished under its plugin fails the container as containerd would", async () => {
  await client.delete(resources.pods, ref("b1"));
  const driver = drivers.get("node-b");
  const [gpu] = (await driver?.list()) ?? [];
  for (const instance of gpu?.instances ?? []) {
    for (const part of instance.computeInstances)
      await driver?.destroyComputeInstance(gpu?.uuid ?? "", instance.id, part.id);
    await driver?.destroyGpuInstance(gpu?.uuid ?? "", instance.id);
  }
  await createPod("b2", "node-b", {});
  const pod = await until("it waits", async () => {
    const found = await client.get<Pod>(resources.pods, ref("b2"));
    return found.status?.containerStatuses?.[0]?.state.waiting?.reason === "CreateContainerError" ? found : undefined;
  });
  assert.equal(pod.status?.phase, "Pending");
  assert.match(
    pod.status?.containerStatuses?.[0]?.state.waiting?.message ?? "",
    /failed to stat CDI host device "\/dev\/nvidia-caps\/nvidia-cap\d+": no such file or directory$/,
  );
});

test("all kubelets come to rest", async () => {
  await until("idle", () => [...kubelets.values()].every((one) => one.idle()));
});
