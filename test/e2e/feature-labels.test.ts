/** Nodes say what their GPUs are, and pods choose nodes by it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { featureLabels } from "../../src/insight/index.ts";
import { type Node, type Pod, resources } from "../../src/kube/index.ts";
import { config } from "../sharing/fixtures.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import {
  clusterPolicy,
  configMap,
  manifestText,
  migParted,
  nodeManifest,
  pod,
  timeSliced,
} from "../support/manifests.ts";
import { phases, runUp } from "../support/run-up.ts";
import { writtenFiles } from "../support/temporary.ts";
import { until } from "../support/until.ts";

/** Wants a slice, and names the card it is cut from by the slice's own label. */
function pickyPod(): Pod {
  const picky = pod("picky", { "nvidia.com/mig-3g.40gb": "1" });
  picky.spec.nodeSelector = { "nvidia.com/mig-3g.40gb.product": "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb" };
  return picky;
}

type Labels = Readonly<Record<string, string>>;

async function labelsOf(cluster: TestCluster): Promise<Labels> {
  const { metadata } = await cluster.client.get<Node>(resources.nodes, { name: cluster.node().name });
  return metadata.labels ?? {};
}

/** Those that only feature discovery writes. */
function featuresIn(labels: Labels): Labels {
  const others = /^nvidia\.com\/(mig\.config(\.state)?|device-plugin\.config|team)$/;
  return Object.fromEntries(
    Object.entries(labels).filter(([name]) => name.startsWith("nvidia.com/") && !others.test(name)),
  );
}

/** What a node that was always as this one is now would have, without the time. */
async function fromScratch(cluster: TestCluster): Promise<Labels> {
  const { driver, name } = cluster.node();
  const made = featureLabels({
    nodeName: name,
    gpus: await driver.list(),
    driverVersion: driver.driverVersion,
    facts: await driver.nodeFacts(),
    config: config({}),
    migStrategy: "mixed",
    machineType: "Tranche simulated node",
    timestamp: undefined,
  });
  return Object.fromEntries(made.labels);
}

test("labels follow layouts, are right when success is told, and leave nothing behind", async (t) => {
  const objects = [nodeManifest("node-a", "A100-80GB:2", { zone: "a" }), clusterPolicy({ strategy: "mixed" })];
  await withCluster(t, { objects }, async (cluster) => {
    for (const layout of ["all-1g.10gb", "all-balanced", "all-3g.40gb", "all-enabled", "all-disabled"]) {
      await cluster.relabel(layout);
      await cluster.migBecomes(layout, "success");
      const { "nvidia.com/gfd.timestamp": time, ...features } = featuresIn(await labelsOf(cluster));
      assert.match(time ?? "", /^\d{10}$/);
      assert.deepEqual(features, await fromScratch(cluster), layout);
    }
    await cluster.settle();
    assert.equal((await labelsOf(cluster))["zone"], "a");
  });
});

test("an agent that starts on a node cut otherwise takes away what the one before wrote", async (t) => {
  const objects = [nodeManifest("node-a", "H100"), clusterPolicy({ strategy: "mixed" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.relabel("all-1g.10gb");
    await cluster.migBecomes("all-1g.10gb", "success");
    assert.equal((await labelsOf(cluster))["nvidia.com/mig-1g.10gb.count"], "7");
    // A reboot takes MIG mode and slices from an H100, and nobody wants them back.
    await cluster.labelNode({ "nvidia.com/mig.config": null });
    await cluster.settle();
    await cluster.node().reboot();
    await until("the slices' labels are gone", async () => {
      return (await labelsOf(cluster))["nvidia.com/mig-1g.10gb.count"] === undefined;
    });
    await cluster.settle();
    const { "nvidia.com/gfd.timestamp": time, ...features } = featuresIn(await labelsOf(cluster));
    assert.ok(time !== undefined);
    assert.deepEqual(features, await fromScratch(cluster));
  });
});

test("labels follow the sharing config, and what users change by hand is set right without touching the rest", async (t) => {
  const objects = [
    nodeManifest("node-t4", "T4"),
    clusterPolicy({ strategy: "none", plugin: "plugin", pluginDefault: "any" }),
    configMap("plugin", { any: timeSliced(4) }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    const shared = { "nvidia.com/gpu.product": "Tesla-T4-SHARED", "nvidia.com/gpu.sharing-strategy": "time-slicing" };
    assert.partialDeepStrictEqual(await labelsOf(cluster), { ...shared, "nvidia.com/gpu.replicas": "4" });
    await cluster.setConfigMap("plugin", { any: timeSliced(8) });
    await until("eight replicas are told", async () => (await labelsOf(cluster))["nvidia.com/gpu.replicas"] === "8");
    await cluster.labelNode({ "nvidia.com/gpu.count": "99", "nvidia.com/gpu.product": null, "nvidia.com/team": "ml" });
    await until("count and product are right again", async () => {
      const labels = await labelsOf(cluster);
      return labels["nvidia.com/gpu.count"] === "1" && labels["nvidia.com/gpu.product"] === "Tesla-T4-SHARED";
    });
    await cluster.settle();
    assert.equal((await labelsOf(cluster))["nvidia.com/team"], "ml");
  });
});

test("a pod that asks for slices' labels waits until its node has them", async (t) => {
  const objects = [nodeManifest("node-a", "A100-80GB"), clusterPolicy({ strategy: "mixed" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.createPods(pickyPod());
    await cluster.eventMatches("picky", /didn't match Pod's node affinity\/selector/);
    await cluster.relabel("all-3g.40gb");
    await cluster.podsBecome("Running", "picky");
  });
});

test("a node told to write a file for Node Feature Discovery writes it below its own root, and no label", async (t) => {
  const objects = [
    nodeManifest("node-t4", "T4"),
    clusterPolicy({ plugin: "plugin", pluginDefault: "any" }),
    configMap("plugin", { any: '{"version": "v1"}' }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    assert.equal((await labelsOf(cluster))["nvidia.com/gpu.count"], "1");
    await cluster.setConfigMap("plugin", { any: '{"version": "v1", "flags": {"useNodeFeatureAPI": false}}' });
    const file = join(cluster.nodeRoot(), "etc/kubernetes/node-feature-discovery/features.d/gfd");
    const text = await until("the file is there", () => readFile(file, "utf8").catch(() => undefined));
    assert.match(text, /^nvidia\.com\/gpu\.product=Tesla-T4$/m);
    await cluster.settle();
    assert.deepEqual(featuresIn(await labelsOf(cluster)), {});
  });
});

test("a config is chosen for pods that ask for labels which only a cut node has", async (t) => {
  const objects = [
    nodeManifest("node-h100", "H100"),
    nodeManifest("node-a100", "A100-80GB"),
    clusterPolicy({ mig: "mig" }),
    configMap("mig", { "config.yaml": migParted({ whole: {}, halves: { "3g.40gb": 2 } }) }),
    pickyPod(),
  ];
  const paths = await writtenFiles(t, { "all.yaml": manifestText(...objects) });
  const { report } = await runUp(paths.flatMap((path) => ["-f", path]));
  assert.deepEqual(phases(report), { picky: "Running" });
  assert.equal(report.pods[0]?.node, "node-a100");
});
