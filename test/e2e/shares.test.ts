/** Time-slicing seen by the pods: how many shares one may ask for, how many there are, and whose memory it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { withCluster } from "../support/cluster.ts";
import { clusterPolicy, configMap, pod, timeSliced } from "../support/manifests.ts";

const share = { "nvidia.com/gpu": "1" };
const nodes = ["node-t4=T4"];

function sharedByFour(flags: Readonly<Record<string, unknown>> = {}) {
  return [
    clusterPolicy({ strategy: "none", plugin: "plugin", pluginDefault: "any" }),
    configMap("plugin", { any: timeSliced(4, flags) }),
  ];
}

test("a pod that asks for two shares is refused where two are not allowed, and told what to do", async (t) => {
  const objects = [...sharedByFour({ failRequestsGreaterThanOne: true }), pod("greedy", { "nvidia.com/gpu": "2" })];
  await withCluster(t, { nodes, objects }, async (cluster) => {
    await cluster.podsBecome("Failed", "greedy");
    const { status } = (await cluster.pod("greedy")) ?? {};
    assert.equal(status?.reason, "UnexpectedAdmissionError");
    assert.match(status?.message ?? "", /maximum request size for shared resources is 1; found 2; ask for one share/);
    const { findings } = await cluster.settle();
    assert.deepEqual(
      findings.map(({ code, subject, remedy }) => [code, subject.name, remedy !== ""]),
      [["pod-refused", "default/greedy", true]],
    );
    await cluster.createPods(pod("modest", share));
    await cluster.podsBecome("Running", "modest");
  });
});

test("a pod that gets two shares of a GPU sees it once, and a finding says two give no more", async (t) => {
  const objects = [...sharedByFour({ failRequestsGreaterThanOne: false }), pod("greedy", { "nvidia.com/gpu": "2" })];
  await withCluster(t, { nodes, objects }, async (cluster) => {
    await cluster.podsBecome("Running", "greedy");
    const { findings } = await cluster.settle();
    assert.equal(cluster.devicesOf("greedy").length, 2);
    assert.deepEqual(cluster.podLog("greedy").slice(0, 1), ["sees GPU 0 (15360 MiB)"]);
    assert.deepEqual(
      findings.map((one) => one.subject.name),
      ["default/greedy"],
    );
    assert.match(findings[0]?.message ?? "", /no more compute/);
  });
});

test("a fifth pod on four shares waits with the scheduler's reason, and runs when another ends", async (t) => {
  const five = [1, 2, 3, 4, 5].map((number) => pod(`pod-${number}`, share));
  const objects = [...sharedByFour(), ...five.slice(0, 4)];
  await withCluster(t, { nodes, objects }, async (cluster) => {
    await cluster.podsBecome("Running", "pod-1", "pod-2", "pod-3", "pod-4");
    await cluster.createPods(...five.slice(4));
    const event = await cluster.eventMatches("pod-5", /^FailedScheduling: /);
    assert.match(event, /^FailedScheduling: 0\/1 nodes are available: 1 Insufficient nvidia\.com\/gpu\./);
    const { pods, findings } = await cluster.settle();
    assert.equal(pods.find((one) => one.name === "pod-5")?.phase, "Pending");
    assert.match(findings[0]?.message ?? "", /held by default\/pod-1, default\/pod-2, default\/pod-3, default\/pod-4/);
    await cluster.deletePod("pod-2");
    await cluster.podsBecome("Running", "pod-5");
    assert.deepEqual((await cluster.settle()).findings, []);
  });
});

test("a pod that ends by itself leaves its share to the one that waits", async (t) => {
  const brief = { ...pod("brief", share, { "tranche.dev/run-for": "200ms" }) };
  const objects = [
    clusterPolicy({ strategy: "none" }),
    { ...brief, spec: { ...brief.spec, restartPolicy: "Never" as const } },
  ];
  await withCluster(t, { nodes, objects }, async (cluster) => {
    await cluster.createPods(pod("next", share));
    await cluster.podsBecome("Succeeded", "brief");
    await cluster.podsBecome("Running", "next");
  });
});

test("of four pods that fill a GPU each, one runs and the others are told who holds the memory", async (t) => {
  const hungry = [1, 2, 3, 4].map((number) => {
    const one = pod(`hungry-${number}`, share, { "tranche.dev/gpu-memory": "12Gi" });
    return { ...one, spec: { ...one.spec, restartPolicy: "Never" as const } };
  });
  await withCluster(t, { nodes, objects: [...sharedByFour(), ...hungry] }, async (cluster) => {
    const { pods, findings } = await cluster.settle();
    const running = pods.filter((one) => one.phase === "Running").map((one) => one.name);
    const failed = pods.filter((one) => one.phase === "Failed").map((one) => one.name);
    assert.equal(running.length, 1);
    assert.equal(failed.length, 3);
    const told = findings.filter((one) => one.code === "out-of-memory");
    assert.deepEqual(
      told.map((one) => one.subject.name),
      failed.map((name) => `default/${name}`),
    );
    for (const one of told) {
      assert.match(
        one.message,
        new RegExp(`tried to allocate 12288 MiB .* held by default/${running[0]} \\(12288 MiB\\)`),
      );
    }
  });
});
