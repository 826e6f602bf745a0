/** GPUs fall ill and recover in a running cluster: what kubelet, pods and people get to see of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { QUIET_MS } from "../../src/agent/health/xid-table.ts";
import { type KubeObject, type Node, resources } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const share = { "nvidia.com/gpu": "1" };
const slice = { "nvidia.com/mig-1g.10gb": "1" };
const memory = { "tranche.dev/gpu-memory": "1Gi" };

const sliced: readonly KubeObject[] = [
  nodeManifest("node-a", "T4:2"),
  clusterPolicy({ plugin: "plugin", pluginDefault: "any" }),
  configMap("plugin", { any: timeSliced(4) }),
];

const cut: readonly KubeObject[] = [
  nodeManifest("node-a", "A100-80GB:2", { "nvidia.com/mig.config": "mixed" }),
  clusterPolicy({ mig: "mig" }),
  configMap("mig", { "config.yaml": migParted({ mixed: { "1g.10gb": 2, "3g.40gb": 1 }, other: { "1g.10gb": 7 } }) }),
];

/** The GPU that the pod's first device is on: 0 or 1. */
async function gpuOf(cluster: TestCluster, name: string): Promise<number> {
  const [device = ""] = cluster.devicesOf(name);
  const [uuid] = device.split("::");
  for (const index of [0, 1]) {
    const ids = [(await cluster.gpu(index)).uuid, ...(await cluster.instances(index)).keys()];
    if (ids.some((one) => one === uuid)) return index;
  }
  assert.fail(`${name} holds ${device}`);
}

function nodeOf({ client }: TestCluster): Promise<Node> {
  return client.get<Node>(resources.nodes, { name: "node-a" });
}

async function raise(cluster: TestCluster, index: number, xid: number): Promise<string> {
  const { uuid } = await cluster.gpu(index);
  cluster.node().driver.raiseXid({ gpuUuid: uuid, xid });
  return uuid;
}

test("XID 79 on a time-sliced GPU takes all its shares off, names the pods, and a reboot brings it back", async (t) => {
  const objects = [...sliced, pod("one", share, memory), pod("two", share, memory)];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "one", "two");
    await cluster.settle();
    const [ill, well] = await Promise.all(["one", "two"].map((name) => gpuOf(cluster, name)));
    assert.ok(ill !== undefined && ill !== well, "the two pods are on two GPUs");
    const uuid = await raise(cluster, ill, 79);
    await cluster.offers("nvidia.com/gpu", 4);
    const { status } = await nodeOf(cluster);
    assert.equal(status?.capacity?.["nvidia.com/gpu"], "8", "the capacity stays");
    const told = `GPU ${ill} (${uuid}) is unhealthy: XID 79, GPU has fallen off the bus; held by default/one`;
    await cluster.eventMatches("node-a", /^GpuUnhealthy: /);
    assert.deepEqual(
      (await cluster.events("node-a")).filter((one) => one.startsWith("GpuUnhealthy")),
      [`GpuUnhealthy: ${told}; reboot the node; if that does not bring it back, have the GPU checked`],
    );
    const podEvent = await cluster.eventMatches("one", /^GpuUnhealthy: /);
    assert.match(podEvent, /of node-a, which this pod holds, is unhealthy: XID 79, GPU has fallen off the bus$/);
    assert.ok((await cluster.events("two")).every((one) => !one.startsWith("Gpu")));

    await until("the program on it has ended", async () => {
      const [main] = (await cluster.pod("one"))?.status?.containerStatuses ?? [];
      return main?.allocatedResourcesStatus?.[0]?.resources[0]?.health === "Unhealthy" && main.ready === false;
    });
    const report = await cluster.settle();
    const finding = report.findings.find((one) => one.code === "gpu-unhealthy");
    assert.deepEqual([finding?.subject.name, finding?.message], [`node-a GPU ${ill}`, told]);
    assert.equal(report.nodes[0]?.gpus.length, 2, "the report still shows the GPU");

    await cluster.node().reboot();
    await cluster.offers("nvidia.com/gpu", 8);
    assert.deepEqual(
      (await cluster.settle()).findings.filter((one) => one.code === "gpu-unhealthy"),
      [],
    );
  });
});

test("XID 79 on a MIG GPU takes all its slices off; the other GPU works on and the layout of the lost one is left", async (t) => {
  const objects = [...cut, pod("one", slice), pod("two", slice), pod("big", { "nvidia.com/mig-3g.40gb": "2" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "one", "two", "big");
    await cluster.settle();
    const ill = await gpuOf(cluster, "one");
    const uuid = await raise(cluster, ill, 79);
    await cluster.offers("nvidia.com/mig-1g.10gb", 2);
    await cluster.offers("nvidia.com/mig-3g.40gb", 1);
    const event = await cluster.eventMatches("node-a", /^GpuUnhealthy: .* XID 79/);
    assert.ok(event.includes(`GPU ${ill} (${uuid}) is unhealthy`), event);
    assert.match(event, /held by default\/big, default\/one/);
    for (const name of ["one", "big"]) await cluster.eventMatches(name, /^GpuUnhealthy: .* XID 79/);
    assert.equal(await cluster.migState(), "success");

    await cluster.relabel("other");
    await cluster.migBecomes("other", "pending");
    const { findings, unhealthy } = await cluster.snapshot();
    assert.match(
      findings.map((one) => one.message).join("\n"),
      new RegExp(`GPU ${ill} is unhealthy, so its layout is not changed`),
    );
    assert.equal(unhealthy.size, 3, "the slices of the lost GPU are still offered, as unhealthy ones");
    await cluster.settle();
  });
});

test("an error of one instance takes off that slice alone, and time heals it", async (t) => {
  const objects = [...cut, pod("one", slice), pod("two", slice)];
  const clock = fastClock(QUIET_MS / 1_500);
  await withCluster(t, { objects, clock }, async (cluster) => {
    await cluster.podsBecome("Running", "one", "two");
    const [device = ""] = cluster.devicesOf("one");
    const { uuid, instances } = await cluster.gpu(await gpuOf(cluster, "one"));
    const held = instances.find((one) => one.computeInstances.some((part) => part.uuid === device));
    assert.ok(held !== undefined);
    cluster.node().driver.raiseXid({ gpuUuid: uuid, xid: 94, gpuInstanceId: held.id });
    await cluster.offers("nvidia.com/mig-1g.10gb", 3);
    assert.match(await cluster.eventMatches("one", /^GpuUnhealthy/), /1g\.10gb@\d \(MIG-\S+\) of node-a, .* XID 94/);
    await cluster.offers("nvidia.com/mig-1g.10gb", 4);
    await cluster.eventMatches("one", /^GpuHealthy: .* after XID 94: it did not come again for 10 minutes$/);
    assert.equal(await cluster.allocatable("nvidia.com/mig-3g.40gb"), 2);
    assert.ok((await cluster.events("two")).every((one) => !one.startsWith("Gpu")));
  });
});

test("errors that applications raise change nothing, and the policy's variables say otherwise", async (t) => {
  await withCluster(t, { objects: sliced }, async (cluster) => {
    await raise(cluster, 0, 13);
    await raise(cluster, 0, 43);
    await cluster.settle();
    assert.equal(await cluster.allocatable("nvidia.com/gpu"), 8);
    const env = [{ name: "DP_ENABLE_HEALTHCHECKS", value: "13" }];
    const patch = { spec: { devicePlugin: { env } } };
    await cluster.client.mergePatch(resources.clusterPolicies, { name: "cluster-policy" }, patch);
    await until("the agent counts it", async () => {
      await raise(cluster, 0, 13);
      return (await cluster.allocatable("nvidia.com/gpu")) === 4;
    });
  });
});

test("while the driver is down its devices stay known as unhealthy, and XID errors are seen again afterwards", async (t) => {
  await withCluster(t, { objects: [...sliced, pod("one", share)] }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    const { driver } = cluster.node();
    driver.unload();
    await cluster.offers("nvidia.com/gpu", 0);
    assert.equal((await nodeOf(cluster)).status?.capacity?.["nvidia.com/gpu"], "8");
    await cluster.eventMatches("node-a", /^DriverUnreachable: .*no device is given to pods/);
    assert.ok((await cluster.snapshot()).findings.some((one) => one.code === "driver-unreachable"));
    driver.load();
    await cluster.offers("nvidia.com/gpu", 8);
    await cluster.eventMatches("node-a", /^DriverReachable: /);
    assert.deepEqual(
      (await cluster.settle()).findings.filter((one) => one.severity === "error"),
      [],
    );
    await raise(cluster, 0, 48);
    await cluster.offers("nvidia.com/gpu", 4);
  });
});

test("an agent that starts while the driver is down says so, and offers the GPUs when it is up", async (t) => {
  await withCluster(t, { objects: sliced }, async (cluster) => {
    await cluster.settle();
    cluster.node().driver.unload();
    await cluster.node().reboot();
    await cluster.eventMatches("node-a", /^DriverUnreachable: /);
    await cluster.offers("nvidia.com/gpu", 0);
    cluster.node().driver.load();
    await cluster.offers("nvidia.com/gpu", 8);
    await cluster.eventMatches("node-a", /^DriverReachable: /);
    await cluster.settle();
    await raise(cluster, 0, 48);
    await cluster.offers("nvidia.com/gpu", 4);
  });
});

test("a snapshot is there while the kubelet is away, with what it told last", async (t) => {
  await withCluster(t, { objects: [...sliced, pod("one", share)] }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    await cluster.settle();
    const { allocations, gpus } = await cluster.node().snapshot();
    assert.equal(allocations.length, 1);
    let meanwhile: readonly unknown[] = [];
    await cluster.node().kubelet.reboot(async () => {
      const snapshot = await cluster.node().snapshot();
      meanwhile = [snapshot.allocations, snapshot.gpus];
    });
    assert.deepEqual(meanwhile, [allocations, gpus]);
  });
});

test("an agent that outlives a reboot of its node knows it by the boot id", async (t) => {
  await withCluster(t, { objects: sliced }, async (cluster) => {
    await cluster.settle();
    await raise(cluster, 1, 48);
    await cluster.offers("nvidia.com/gpu", 4);
    await cluster.node().kubelet.restart();
    await cluster.kubeletShows("nvidia.com/gpu", 4);
    const { driver, kubelet } = cluster.node();
    await kubelet.reboot(() => driver.reboot());
    await cluster.kubeletShows("nvidia.com/gpu", 8);
    await cluster.eventMatches(
      "node-a",
      /^GpuHealthy: GPU 1 \S+ is healthy again after XID 48: the node was rebooted$/,
    );
  });
});
