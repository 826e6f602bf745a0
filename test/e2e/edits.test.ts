/** ConfigMaps and ClusterPolicies are edited while pods run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resources } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const share = { "nvidia.com/gpu": "1" };
const shares = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => pod(`pod-${from + at}`, share));
const names = (from: number, to: number) => shares(from, to).map((one) => one.metadata.name);

const sharedByFour = [
  nodeManifest("node-t4", "T4"),
  clusterPolicy({ strategy: "none", plugin: "plugin", pluginDefault: "any" }),
  configMap("plugin", { any: timeSliced(4), eight: timeSliced(8) }),
];

test("four more pods fit when four replicas become eight, and the four that run stay", async (t) => {
  await withCluster(t, { objects: [...sharedByFour, ...shares(1, 4)] }, async (cluster) => {
    await cluster.podsBecome("Running", ...names(1, 4));
    const before = names(1, 4).map((name) => cluster.devicesOf(name));
    await cluster.setConfigMap("plugin", { any: timeSliced(8) });
    await cluster.offers("nvidia.com/gpu", 8);
    await cluster.createPods(...shares(5, 8));
    await cluster.podsBecome("Running", ...names(1, 8));
    assert.deepEqual(
      names(1, 4).map((name) => cluster.devicesOf(name)),
      before,
    );
    const ids = names(1, 8).flatMap((name) => cluster.devicesOf(name));
    assert.equal(new Set(ids).size, 8);
  });
});

test("pods run on when there are fewer replicas than pods, and nobody new gets in", async (t) => {
  await withCluster(t, { objects: [...sharedByFour, ...shares(1, 4)] }, async (cluster) => {
    await cluster.podsBecome("Running", ...names(1, 4));
    await cluster.setConfigMap("plugin", { any: timeSliced(2) });
    await cluster.offers("nvidia.com/gpu", 2);
    await cluster.createPods(...shares(5, 5));
    await cluster.eventMatches("pod-5", /^FailedScheduling: /);
    await cluster.settle();
    await cluster.podsBecome("Running", ...names(1, 4));
    await cluster.podsBecome("Pending", "pod-5");
  });
});

test("a device-plugin config that cannot be read leaves the last good one in force and is told", async (t) => {
  await withCluster(t, { objects: [...sharedByFour, ...shares(1, 1)] }, async (cluster) => {
    await cluster.podsBecome("Running", "pod-1");
    await cluster.setConfigMap("plugin", { any: timeSliced(4).replace('"replicas":4', '"replicas":"many"') });
    const told = await errorOf(cluster);
    assert.match(told, /configmap\/gpu-operator\/plugin\/any:1:\d+/);
    await cluster.eventMatches("node-t4", /configmap\/gpu-operator\/plugin\/any:1:\d+/);
    await cluster.createPods(...shares(2, 4));
    await cluster.podsBecome("Running", ...names(1, 4));
    assert.equal(await cluster.allocatable("nvidia.com/gpu"), 4);
    await cluster.setConfigMap("plugin", { any: timeSliced(5) });
    await cluster.offers("nvidia.com/gpu", 5);
    assert.deepEqual((await cluster.settle()).findings, []);
  });
});

test("a ConfigMap that is deleted leaves its config in force and is told", async (t) => {
  await withCluster(t, { objects: [...sharedByFour, ...shares(1, 1)] }, async (cluster) => {
    await cluster.podsBecome("Running", "pod-1");
    await cluster.client.delete(resources.configMaps, { namespace: "gpu-operator", name: "plugin" });
    assert.match(await errorOf(cluster), /there is no such ConfigMap/);
    await cluster.settle();
    assert.equal(await cluster.allocatable("nvidia.com/gpu"), 4);
  });
});

test("a node's label chooses another device-plugin config at once", async (t) => {
  await withCluster(t, { objects: [...sharedByFour, ...shares(1, 1)] }, async (cluster) => {
    await cluster.offers("nvidia.com/gpu", 4);
    await cluster.labelNode({ "nvidia.com/device-plugin.config": "eight" });
    await cluster.offers("nvidia.com/gpu", 8);
    await cluster.labelNode({ "nvidia.com/device-plugin.config": null });
    await cluster.offers("nvidia.com/gpu", 4);
    await cluster.podsBecome("Running", "pod-1");
  });
});

test("slices change their resource when the policy changes its MIG strategy, and nobody gets what a pod holds", async (t) => {
  const objects = [
    nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": "all-3g.40gb" }),
    clusterPolicy({ strategy: "mixed", mig: "mig" }),
    configMap("mig", { "config.yaml": migParted({ "all-3g.40gb": { "3g.40gb": 2 } }) }),
    pod("large", { "nvidia.com/mig-3g.40gb": "1" }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "large");
    const before = cluster.devicesOf("large");
    const policy = { name: "cluster-policy" };
    await cluster.client.mergePatch(resources.clusterPolicies, policy, { spec: { mig: { strategy: "single" } } });
    await cluster.offers("nvidia.com/mig-3g.40gb", 0);
    await cluster.offers("nvidia.com/gpu", 1);
    await cluster.createPods(pod("another", { "nvidia.com/gpu": "1" }));
    await cluster.podsBecome("Running", "large", "another");
    assert.deepEqual(cluster.devicesOf("large"), before);
    assert.notDeepEqual(cluster.devicesOf("another"), before);
    await cluster.eventMatches(
      "node-a",
      /DeviceHeldElsewhere: .*nvidia\.com\/gpu now are held as .*mig-3g\.40gb by default\/large/,
    );
    await cluster.deletePod("large");
    await cluster.offers("nvidia.com/gpu", 2);
  });
});

test("a mig-parted file that is edited is acted upon, and one that cannot be read changes nothing", async (t) => {
  const objects = [
    nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": "mine" }),
    clusterPolicy({ strategy: "mixed", mig: "mig" }),
    configMap("mig", { "config.yaml": migParted({ mine: { "3g.40gb": 2 } }) }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.offers("nvidia.com/mig-3g.40gb", 2);
    await cluster.setConfigMap("mig", { "config.yaml": migParted({ mine: { "1g.10gb": 7 } }) });
    await cluster.offers("nvidia.com/mig-1g.10gb", 7);
    await cluster.migBecomes("mine", "success");
    await cluster.setConfigMap("mig", { "config.yaml": "version: v1\nmig-configs: [" });
    assert.match(await errorOf(cluster), /configmap\/gpu-operator\/mig\/config\.yaml:2:\d+/);
    await cluster.migBecomes("mine", "failed");
    await cluster.settle();
    assert.equal(await cluster.allocatable("nvidia.com/mig-1g.10gb"), 7);
  });
});

/** The first error that the agent of the only node tells, with its place. */
async function errorOf(cluster: TestCluster): Promise<string> {
  return until("an error is told", async () => {
    const { findings } = await cluster.snapshot();
    const [error] = findings.filter((one) => one.severity === "error");
    return error && `${JSON.stringify(error.place)} ${placed(error.place)} ${error.message}`;
  });
}

function placed(place: { readonly file: string; readonly line: number; readonly column: number } | undefined): string {
  return place === undefined ? "" : `${place.file}:${place.line}:${place.column}`;
}
