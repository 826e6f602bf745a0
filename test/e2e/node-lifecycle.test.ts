/** A kubelet falls silent and comes back: what becomes of its node and of the pods on it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Node, type Pod, resources, type Toleration } from "../../src/kube/index.ts";
import { type TestCluster, withCluster } from "../support/cluster.ts";
import { fastClock } from "../support/fast-clock.ts";
import { nodeManifest, pod } from "../support/manifests.ts";
import { until } from "../support/until.ts";

const nodes = [nodeManifest("node-a", "T4"), nodeManifest("node-b", "T4")];

function podOn(node: string, name: string, tolerations: Toleration[] = []): Pod {
  const made = pod(name, {});
  return { ...made, spec: { ...made.spec, nodeName: node, tolerations } };
}

function read({ client }: TestCluster, name: string): Promise<Node> {
  return client.get<Node>(resources.nodes, { name });
}

function ready(node: Node): string | undefined {
  return node.status?.conditions?.find((one) => one.type === "Ready")?.status;
}

test("a node whose kubelet stopped is given up, its pods go when their time is over, and it heals", async (t) => {
  const key = "node.kubernetes.io/unreachable";
  const brief: Toleration = { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 20 };
  const objects = [...nodes, podOn("node-b", "brief", [brief]), podOn("node-b", "patient"), podOn("node-a", "other")];
  await withCluster(t, { objects, clock: fastClock(25) }, async (cluster) => {
    await cluster.podsBecome("Running", "brief", "patient", "other");
    await cluster.node("node-b").kubelet.stop();
    const lost = await until("node-b is given up", async () => {
      const node = await read(cluster, "node-b");
      return (node.spec?.taints ?? []).length === 2 && node;
    });
    const condition = lost.status?.conditions?.find((one) => one.type === "Ready");
    assert.deepEqual(
      [condition?.status, condition?.reason, condition?.message],
      ["Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."],
    );
    assert.deepEqual(
      lost.spec?.taints?.map((one) => `${one.key}:${one.effect} ${one.timeAdded !== undefined}`),
      [`${key}:NoSchedule true`, `${key}:NoExecute true`],
    );
    await cluster.eventMatches("node-b", /^NodeNotReady: Node node-b status is now: NodeNotReady$/);
    await cluster.eventMatches("patient", /^NodeNotReady: Node is not ready$/);
    await cluster.eventMatches("brief", /^TaintManagerEviction: Marking for deletion Pod default\/brief$/);
    const leaving = await cluster.pod("brief");
    assert.ok(leaving?.metadata.deletionTimestamp !== undefined, "it waits for its kubelet");
    const target = leaving.status?.conditions?.find((one) => one.type === "DisruptionTarget");
    assert.deepEqual([target?.status, target?.reason], ["True", "DeletionByTaintManager"]);
    assert.equal((await cluster.pod("patient"))?.metadata.deletionTimestamp, undefined);
    assert.equal(ready(await read(cluster, "node-a")), "True");

    await cluster.node("node-b").kubelet.start();
    await until("node-b is ready and free of taints", async () => {
      const node = await read(cluster, "node-b");
      return ready(node) === "True" && (node.spec?.taints ?? []).length === 0;
    });
    await until("the pod that had to go is gone", async () => (await cluster.pod("brief")) === undefined);
    await cluster.eventMatches("node-b", /^NodeReady: Node node-b status is now: NodeReady$/);
    await cluster.eventMatches("patient", /^TaintManagerEviction: Cancelling deletion of Pod default\/patient$/);
    assert.ok((await cluster.pod("patient")) !== undefined);
  });
});

test("a taint NoExecute of one's own evicts at once those that do not tolerate it; a cordon shows as a taint", async (t) => {
  const taint = { key: "repair", value: "fans", effect: "NoExecute" } as const;
  const stays: Toleration = { key: "repair", operator: "Exists" };
  const objects = [...nodes, podOn("node-a", "goes"), podOn("node-a", "stays", [stays])];
  await withCluster(t, { objects }, async (cluster) => {
    await cluster.podsBecome("Running", "goes", "stays");
    await cluster.client.mergePatch(resources.nodes, { name: "node-a" }, { spec: { taints: [taint] } });
    await until("the pod is evicted", async () => (await cluster.pod("goes")) === undefined);
    await cluster.client.mergePatch(resources.nodes, { name: "node-a" }, { spec: { unschedulable: true } });
    await until("the cordon is a taint", async () => {
      const taints = (await read(cluster, "node-a")).spec?.taints ?? [];
      return taints.map((one) => one.key).join() === "repair,node.kubernetes.io/unschedulable";
    });
    await cluster.client.mergePatch(resources.nodes, { name: "node-a" }, { spec: { unschedulable: null } });
    await until("it is gone with the cordon", async () => (await read(cluster, "node-a")).spec?.taints?.length === 1);
    assert.equal((await cluster.pod("stays"))?.status?.phase, "Running");
    await cluster.settle();
  });
});

test("an outage of the API server is nobody's silence", async (t) => {
  await withCluster(t, { objects: nodes, clock: fastClock(25) }, async (cluster) => {
    await cluster.settle();
    const { api } = cluster.cluster;
    const lease = () => cluster.client.get(resources.leases, { namespace: "kube-node-lease", name: "node-a" });
    await api.outage(70_000);
    const before = await until("the server answers", () => lease().catch(() => undefined));
    await until("the kubelet is back", async () => {
      const now = await lease().catch(() => undefined);
      return now !== undefined && now.metadata.resourceVersion !== before.metadata.resourceVersion;
    });
    await cluster.settle();
    for (const name of ["node-a", "node-b"]) {
      const node = await read(cluster, name);
      assert.deepEqual([ready(node), node.spec?.taints ?? []], ["True", []]);
      assert.ok((await cluster.events(name)).every((one) => !one.startsWith("NodeNotReady")));
    }
  });
});
