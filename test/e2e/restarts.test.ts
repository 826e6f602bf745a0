/** Kubelet, agent and node go away and come back while pods run. */
import assert from "node:assert/strict";
import { link, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NodeAgent } from "../../src/agent/index.ts";
import { type Finding, findingLine, silentLogger, systemClock } from "../../src/base/index.ts";
import { simulatedHostFiles } from "../../src/cli/up/simulated-files.ts";
import type { KubeObject } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod, timeSliced } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const CONFIGS = { "all-balanced": { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 }, "all-1g.10gb": { "1g.10gb": 7 } };
const small = { "nvidia.com/mig-1g.10gb": "1" };
const large = { "nvidia.com/mig-3g.40gb": "1" };

function cut(model: string, config = "all-balanced"): readonly KubeObject[] {
  return [
    nodeManifest("node-a", model, { "nvidia.com/mig.config": config }),
    clusterPolicy({ mig: "mig", plugin: "plugin", pluginDefault: "any" }),
    configMap("mig", { "config.yaml": migParted(CONFIGS) }),
    configMap("plugin", { any: timeSliced(4) }),
  ];
}

test("devices come back after a restart of the kubelet, and pods keep what they hold", async (t) => {
  const objects = [...cut("A100-80GB"), pod("one", small), pod("two", large, { "tranche.dev/gpu-memory": "8Gi" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "one", "two");
    const before = [cluster.devicesOf("one"), cluster.devicesOf("two")];
    const log = cluster.podLog("two");
    await cluster.node().kubelet.restart();
    await cluster.kubeletShows("nvidia.com/mig-1g.10gb", 2);
    await cluster.createPods(pod("three", small));
    await cluster.podsBecome("Running", "one", "two", "three");
    assert.deepEqual([cluster.devicesOf("one"), cluster.devicesOf("two")], before);
    assert.ok(!before.flat().includes(cluster.devicesOf("three")[0] ?? ""));
    assert.deepEqual(cluster.podLog("two"), log, "the container ran through");
    assert.deepEqual(problems((await cluster.settle()).findings), []);
  });
});

test("a change that is under way when the kubelet restarts leaves what a pod holds", async (t) => {
  const objects = [...cut("A100-80GB"), pod("one", small)];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "one");
    const [uuid = ""] = cluster.devicesOf("one");
    const { driver, kubelet } = cluster.node();
    let lost = false;
    driver.onChange(() => void cluster.instances().then((there) => (lost ||= !there.has(uuid))));
    for (const config of ["all-1g.10gb", "all-balanced"]) {
      await Promise.all([cluster.relabel(config), kubelet.restart()]);
      await cluster.migBecomes(config, "success");
    }
    assert.equal(lost, false);
    assert.deepEqual(cluster.devicesOf("one"), [uuid]);
    await cluster.podsBecome("Running", "one");
  });
});

test("a second agent on the same node goes on where the first broke off, with the same device ids", async (t) => {
  const objects = [
    ...cut("A100-80GB:2"),
    nodeManifest("node-t4", "T4"),
    pod("one", small),
    pod("two", large),
    pod("share", { "nvidia.com/gpu": "1" }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "one", "two", "share");
    for (const name of ["node-a", "node-t4"]) await replaceAgent(cluster, name);
  });
});

/** Ends the node's agent as a crash does, sockets left behind, and checks what the next one makes of it. */
async function replaceAgent(cluster: TestCluster, name: string): Promise<void> {
  const { agent, driver, kubelet } = cluster.node(name);
  const { offers, allocations } = await agent.snapshot();
  const instances = await driver.list();
  const plugins = join(cluster.nodeRoot(name), "device-plugins");
  const names = (await readdir(plugins)).filter((one) => one.endsWith(".sock") && one !== "kubelet.sock");
  assert.equal(names.length, offers.length);
  const sockets = names.map((one) => join(plugins, one));
  for (const socket of sockets) await link(socket, `${socket}.kept`);
  await agent.stop();
  for (const socket of sockets) await rename(`${socket}.kept`, socket);
  const next = new NodeAgent({
    node: name,
    driver,
    api: cluster.client,
    mps: driver.mps,
    kubeletRoot: cluster.nodeRoot(name),
    clock: systemClock,
    log: silentLogger,
    readHostFiles: simulatedHostFiles,
    cdiDirectory: join(cluster.nodeRoot(), "cdi"),
    features: { readMachineType: async () => undefined },
  });
  next.start();
  try {
    await until("the next agent's first turn", () => next.idle());
    const after = await next.snapshot();
    const ids = (all: typeof offers) => all.map((one) => [one.resource, one.devices.map((device) => device.id)]);
    assert.deepEqual(ids(after.offers), ids(offers));
    assert.deepEqual(after.allocations, allocations);
    assert.deepEqual(problems(after.findings), []);
    assert.deepEqual(await driver.list(), instances);
    const [offer] = offers;
    assert.ok(offer);
    await cluster.offers(offer.resource, offer.devices.length, name);
    const late = `late-${name}`;
    await cluster.createPods({
      ...pod(late, { [offer.resource]: "1" }),
      spec: { ...pod(late, { [offer.resource]: "1" }).spec, nodeName: name },
    });
    await cluster.podsBecome("Running", late);
    assert.deepEqual(
      kubelet.pods().filter((one) => one.pod !== late),
      allocations,
    );
  } finally {
    await next.stop();
  }
}

for (const { model, keepsMode } of [
  { model: "A100-80GB", keepsMode: true },
  { model: "H100-80GB", keepsMode: false },
]) {
  test(`instances that vanish when a node with ${model} reboots are made again`, async (t) => {
    const objects = [...cut(model), pod("one", small, { "tranche.dev/gpu-memory": "4Gi" }), pod("two", large)];
    await withCluster(t, { objects }, async (cluster) => {
      await cluster.podsBecome("Running", "one", "two");
      await cluster.settle();
      const before = await cluster.instances();
      const holding = [cluster.devicesOf("one"), cluster.devicesOf("two")];
      cluster.node().driver.reboot();
      const { mig, instances } = await cluster.gpu();
      assert.deepEqual([mig?.current, instances.length], [keepsMode, 0]);
      await until("the instances are there again", async () => (await cluster.instances()).size === before.size);
      assert.deepEqual(await cluster.instances(), before);
      await cluster.migBecomes("all-balanced", "success");
      assert.deepEqual([cluster.devicesOf("one"), cluster.devicesOf("two")], holding);
      assert.deepEqual(problems((await cluster.snapshot()).findings), []);
    });
  });
}

/** What is more than a remark: that the cut GPUs leave nothing to share is one, and true. */
function problems(findings: readonly Finding[]): readonly string[] {
  return findings.filter((one) => one.severity !== "info").map(findingLine);
}
