/** Shares by MPS in a running cluster: limits that hold, daemons that fail, configs that change under running pods. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod, timeSliced } from "../support/manifests.ts";

const share = { "nvidia.com/gpu": "1" };

function byMps(replicas: number, flags: Readonly<Record<string, unknown>> = {}): string {
  const mps = { ...flags, resources: [{ name: "nvidia.com/gpu", replicas }] };
  return JSON.stringify({ version: "v1", sharing: { mps } });
}

// A T4 has 15,360 MiB.
const four: readonly KubeObject[] = [
  nodeManifest("node-a", "T4"),
  clusterPolicy({ strategy: "none", plugin: "plugin", pluginDefault: "any" }),
  configMap("plugin", { any: byMps(4) }),
];

function asking(name: string, memory: string, limits: Readonly<Record<string, string>> = share) {
  const made = pod(name, limits, { "tranche.dev/gpu-memory": memory });
  return { ...made, spec: { ...made.spec, restartPolicy: "Never" as const } };
}

async function crashDaemon(cluster: TestCluster): Promise<void> {
  const { mps } = cluster.node().driver;
  const { uuid: deviceUuid } = await cluster.gpu(0);
  mps.kill((await mps.pid({ directory: `/run/nvidia/mps/${deviceUuid}`, deviceUuid })) ?? assert.fail("no daemon"));
}

function daemons(cluster: TestCluster): Promise<readonly string[]> {
  return cluster.node().driver.mps.known("/run/nvidia/mps");
}

test("an MPS client gets its part of the memory and no more, and the report says whose limit it was", async (t) => {
  await withCluster(
    t,
    { objects: [...four, asking("fits", "3840Mi"), asking("asks-more", "3841Mi")] },
    async (cluster) => {
      await cluster.podsBecome("Running", "fits");
      await cluster.podsBecome("Failed", "asks-more");
      const { findings } = await cluster.settle();
      assert.deepEqual(
        findings.map(({ code, subject }) => [code, subject.name]),
        [["out-of-memory", "default/asks-more"]],
      );
      assert.match(findings[0]?.message ?? "", /3840 MiB free, its MPS limit is 3840 MiB/);
      await cluster.eventMatches(
        "node-a",
        /^MpsDaemonReady: the simulated MPS control daemon of GPU 0 works: 4 shares/,
      );
    },
  );
});

test("two shares have twice the limit of one where a container may ask for two", async (t) => {
  const objects = [...four.slice(0, 2), configMap("plugin", { any: byMps(4, { failRequestsGreaterThanOne: false }) })];
  const two = { "nvidia.com/gpu": "2" };
  const pods = [asking("fits", "7680Mi", two), asking("single", "3841Mi")];
  await withCluster(t, { objects: [...objects, ...pods] }, async (cluster) => {
    await cluster.podsBecome("Running", "fits");
    await cluster.podsBecome("Failed", "single");
  });
});

test("no share is given out while its daemon is down; pods keep theirs, and it comes back by itself", async (t) => {
  await withCluster(t, { objects: [...four, asking("stays", "1Gi")] }, async (cluster) => {
    await cluster.podsBecome("Running", "stays");
    await cluster.settle();
    await crashDaemon(cluster);
    await cluster.offers("nvidia.com/gpu", 0);
    await cluster.eventMatches("node-a", /^MpsDaemonDown: .*its 4 shares are not given to pods: its process has ended/);
    await cluster.offers("nvidia.com/gpu", 4);
    await cluster.podsBecome("Running", "stays");
    assert.deepEqual((await cluster.settle()).findings, []);
  });
});

test("from 4 to 8 replicas with 4 pods running: they stay, 4 more fit, and those have the new limit", async (t) => {
  const first = [1, 2, 3, 4].map((at) => asking(`first-${at}`, "1Gi"));
  await withCluster(t, { objects: [...four, ...first] }, async (cluster) => {
    await cluster.podsBecome("Running", ...first.map((one) => one.metadata.name));
    await cluster.setConfigMap("plugin", { any: byMps(8) });
    await cluster.offers("nvidia.com/gpu", 8);
    await cluster.createPods(asking("too-much", "1921Mi"), ...[1, 2, 3].map((at) => asking(`more-${at}`, "1920Mi")));
    await cluster.podsBecome("Failed", "too-much");
    await cluster.podsBecome("Running", "more-1", "more-2", "more-3", ...first.map((one) => one.metadata.name));
  });
});

test("from MPS to time slices: nobody gets the GPU before its clients have ended", async (t) => {
  await withCluster(t, { objects: [...four, asking("client", "1Gi")] }, async (cluster) => {
    await cluster.podsBecome("Running", "client");
    await cluster.setConfigMap("plugin", { any: timeSliced(2) });
    await cluster.offers("nvidia.com/gpu", 0);
    const { findings } = await cluster.settle();
    assert.deepEqual(
      findings.map((one) => one.code),
      ["mps-daemon-held"],
    );
    await cluster.podsBecome("Running", "client");
    await cluster.deletePod("client");
    await cluster.offers("nvidia.com/gpu", 2);
    assert.deepEqual((await cluster.settle()).findings, []);
  });
});

test("a reboot takes the daemon; the next one serves the pods that come back", async (t) => {
  const objects = [...four, pod("back", share, { "tranche.dev/gpu-memory": "1Gi" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "back");
    await cluster.node().reboot();
    await cluster.offers("nvidia.com/gpu", 4);
    await cluster.podsBecome("Running", "back");
  });
});

test("slices shared by MPS: each client has its part of its slice; a change leaves the daemons of what stays", async (t) => {
  const mps = { resources: [{ name: "nvidia.com/mig-1g.10gb", replicas: 2 }] };
  const objects = [
    nodeManifest("node-a", "A100-80GB"),
    clusterPolicy({ strategy: "mixed", plugin: "plugin", pluginDefault: "any", mig: "mig" }),
    configMap("plugin", { any: JSON.stringify({ version: "v1", sharing: { mps } }) }),
    configMap("mig", { "config.yaml": migParted({ more: { "1g.10gb": 3 }, fewer: { "1g.10gb": 1, "2g.20gb": 1 } }) }),
  ];
  const slice = { "nvidia.com/mig-1g.10gb": "1" };
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.relabel("more");
    await cluster.offers("nvidia.com/mig-1g.10gb", 6);
    assert.equal((await daemons(cluster)).length, 3);
    // 9,728 MiB by two.
    await cluster.createPods(asking("fits", "4864Mi", slice), asking("too-much", "4865Mi", slice));
    await cluster.podsBecome("Running", "fits");
    await cluster.podsBecome("Failed", "too-much");
    await cluster.relabel("fewer");
    await cluster.migBecomes("fewer", "success");
    await cluster.offers("nvidia.com/mig-1g.10gb", 2);
    await cluster.offers("nvidia.com/mig-2g.20gb", 1);
    await cluster.podsBecome("Running", "fits");
    assert.equal((await daemons(cluster)).length, 1);
  });
});

test("a GPU that is to be cut loses its daemon first, and gets one again when it is whole", async (t) => {
  const objects = [
    nodeManifest("node-a", "A100-80GB"),
    clusterPolicy({ strategy: "mixed", plugin: "plugin", pluginDefault: "any", mig: "mig" }),
    configMap("plugin", { any: byMps(4) }),
    configMap("mig", { "config.yaml": migParted({ cut: { "1g.10gb": 7 }, whole: {} }) }),
  ];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.offers("nvidia.com/gpu", 4);
    assert.equal((await daemons(cluster)).length, 1);
    await cluster.relabel("cut");
    await cluster.migBecomes("cut", "success");
    assert.deepEqual(await daemons(cluster), []);
    await cluster.offers("nvidia.com/mig-1g.10gb", 7);
    await cluster.relabel("whole");
    await cluster.migBecomes("whole", "success");
    await cluster.offers("nvidia.com/gpu", 4);
    assert.equal((await daemons(cluster)).length, 1);
  });
});
