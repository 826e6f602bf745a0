/** A node's MIG config changes while pods run: what is free changes, what a pod holds stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, migParted, nodeManifest, pod } from "../support/manifests.ts";

const configs = {
  "all-disabled": {},
  "all-1g.10gb": { "1g.10gb": 7 },
  "all-2g.20gb": { "2g.20gb": 3 },
  "all-3g.40gb": { "3g.40gb": 2 },
  "all-balanced": { "1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1 },
};

/** An A100 cut as `config` says. */
function cut(config: string): readonly KubeObject[] {
  return [
    nodeManifest("node-a", "A100-80GB", { "nvidia.com/mig.config": config }),
    clusterPolicy({ strategy: "mixed", mig: "mig" }),
    configMap("mig", { "config.yaml": migParted(configs) }),
  ];
}

const slice = (profile: string): Record<string, string> => ({ [`nvidia.com/mig-${profile}`]: "1" });

/** The one device that the pod holds, with what it is and where it stands. */
async function held(cluster: TestCluster, name: string): Promise<readonly [uuid: string, where: string]> {
  const [uuid, ...more] = cluster.devicesOf(name);
  assert.ok(uuid !== undefined && more.length === 0, `${name} does not hold one device`);
  const where = (await cluster.instances()).get(uuid);
  assert.ok(where !== undefined, `${name} holds ${uuid}, which is not there`);
  return [uuid, where];
}

test("free slices change and held ones stay; the rest follows when the pod is deleted", async (t) => {
  const objects = [...cut("all-1g.10gb"), pod("keeper", slice("1g.10gb"), { "tranche.dev/gpu-memory": "6Gi" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "keeper");
    const before = await held(cluster, "keeper");
    await cluster.relabel("all-3g.40gb");
    await cluster.migBecomes("all-3g.40gb", "pending");
    assert.deepEqual(await held(cluster, "keeper"), before);
    assert.deepEqual([...(await cluster.instances()).values()].sort(), [before[1], "3g.40gb@4"].sort());
    const { findings } = await cluster.settle();
    const [inUse] = findings.filter((one) => one.code === "slice-in-use");
    assert.match(inUse?.message ?? "", /default\/keeper/);
    assert.notEqual(inUse?.remedy, "");
    await cluster.eventMatches("node-a", /^SliceInUse: .*default\/keeper/);
    await cluster.deletePod("keeper");
    await cluster.migBecomes("all-3g.40gb", "success");
    assert.deepEqual([...(await cluster.instances()).values()], ["3g.40gb@0", "3g.40gb@4"]);
    assert.deepEqual((await cluster.settle()).findings, []);
  });
});

test("slices that both configs have stay in place, held or not", async (t) => {
  const objects = [...cut("all-balanced"), pod("large", slice("3g.40gb"))];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "large");
    const before = await held(cluster, "large");
    await cluster.relabel("all-3g.40gb");
    await cluster.migBecomes("all-3g.40gb", "success");
    assert.deepEqual(await held(cluster, "large"), before);
    assert.deepEqual([...(await cluster.instances()).values()], ["3g.40gb@0", "3g.40gb@4"]);
    await cluster.podsBecome("Running", "large");
  });
});

test("MIG is not switched off under a pod, and is when the pod has gone", async (t) => {
  const objects = [...cut("all-2g.20gb"), pod("keeper", slice("2g.20gb"))];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "keeper");
    const before = await held(cluster, "keeper");
    await cluster.relabel("all-disabled");
    await cluster.migBecomes("all-disabled", "pending");
    assert.deepEqual(await held(cluster, "keeper"), before);
    assert.equal((await cluster.gpu()).mig?.current, true);
    await cluster.deletePod("keeper");
    await cluster.migBecomes("all-disabled", "success");
    assert.deepEqual((await cluster.gpu()).mig, { current: false, pending: false });
    await cluster.offers("nvidia.com/gpu", 1);
  });
});

test("a pod on a whole GPU keeps it whole", async (t) => {
  const objects = [...cut("all-disabled"), pod("whole", { "nvidia.com/gpu": "1" })];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "whole");
    await cluster.relabel("all-1g.10gb");
    await cluster.migBecomes("all-1g.10gb", "pending");
    assert.equal((await cluster.gpu()).mig?.current, false);
    await cluster.podsBecome("Running", "whole");
    await cluster.deletePod("whole");
    await cluster.migBecomes("all-1g.10gb", "success");
    await cluster.offers("nvidia.com/mig-1g.10gb", 7);
  });
});

const failures = [
  { call: "createGpuInstance", afterCalls: 0 },
  { call: "createGpuInstance", afterCalls: 1 },
  { call: "createComputeInstance", afterCalls: 0 },
  { call: "createComputeInstance", afterCalls: 1 },
  { call: "destroyComputeInstance", afterCalls: 2 },
  { call: "destroyGpuInstance", afterCalls: 3 },
] as const;

for (const { call, afterCalls } of failures) {
  test(`the old layout is back when ${call} fails after ${afterCalls} calls, and a retry succeeds`, async (t) => {
    const objects = [...cut("all-1g.10gb"), pod("keeper", slice("1g.10gb"))];
    await withCluster(t, { objects }, async (cluster) => {
      await cluster.podsBecome("Running", "keeper");
      await cluster.settle();
      const before = await cluster.instances();
      const holding = await held(cluster, "keeper");
      const { driver } = cluster.node();
      const mend = driver.failCall({ call, afterCalls, nvmlCode: "unknown" });
      await cluster.relabel("all-2g.20gb");
      await cluster.migBecomes("all-2g.20gb", "failed");
      const { findings } = await cluster.snapshot();
      mend();
      assert.ok(
        findings.some((one) => one.severity === "error" && one.message.includes(call) && one.remedy !== ""),
        JSON.stringify(findings),
      );
      assert.deepEqual(await cluster.instances(), before);
      const event = await cluster.eventMatches("node-a", new RegExp(call));
      assert.match(event, /injected fault/);
      await cluster.migBecomes("all-2g.20gb", "pending");
      assert.deepEqual(await held(cluster, "keeper"), holding);
      await cluster.deletePod("keeper");
      await cluster.migBecomes("all-2g.20gb", "success");
      assert.deepEqual((await cluster.settle()).findings, []);
    });
  });
}

test("what is left is told when the way back fails too, and a retry sets it right", async (t) => {
  const objects = [...cut("all-1g.10gb"), pod("keeper", slice("1g.10gb"))];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "keeper");
    await cluster.settle();
    const holding = await held(cluster, "keeper");
    const { driver } = cluster.node();
    const mend = driver.failCall({ call: "createGpuInstance", times: Number.POSITIVE_INFINITY, nvmlCode: "unknown" });
    await cluster.relabel("all-3g.40gb");
    await cluster.migBecomes("all-3g.40gb", "failed");
    const left = [...(await cluster.instances()).values()];
    const { findings } = await cluster.snapshot();
    mend();
    assert.ok(left.length < 7, "nothing was destroyed, so there was no way back to fail");
    const told = findings.map((one) => one.message).join("\n");
    for (const where of left) assert.ok(told.includes(where), `${where} is left, but only this is told:\n${told}`);
    assert.deepEqual(await held(cluster, "keeper"), holding);
    await cluster.deletePod("keeper");
    await cluster.migBecomes("all-3g.40gb", "success");
    assert.deepEqual([...(await cluster.instances()).values()], ["3g.40gb@0", "3g.40gb@4"]);
  });
});

test("a config that is unknown is refused with a finding, and nothing changes", async (t) => {
  await withCluster(t, { objects: cut("all-balanced") }, async (cluster) => {
    const before = await cluster.instances();
    await cluster.relabel("all-9g.90gb");
    await cluster.migBecomes("all-9g.90gb", "failed");
    assert.deepEqual(await cluster.instances(), before);
    const { findings } = await cluster.settle();
    assert.equal(findings.filter((one) => one.severity === "error").length, 1);
    await cluster.relabel("all-balanced");
    await cluster.migBecomes("all-balanced", "success");
    assert.deepEqual(await cluster.instances(), before);
  });
});
