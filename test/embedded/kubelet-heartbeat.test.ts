/** The kubelet's signs of life: its node's Lease, and the times in the node's status. The API is in memory. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { type Lease, type Node, resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { TestNode } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

const startMs = 1_700_000_000_000;
const ref = { namespace: "kube-node-lease", name: "node-a" };
let node: TestNode | undefined;
afterEach(async () => {
  await node?.stop();
  node = undefined;
});

async function started(): Promise<{ node: TestNode; api: MemoryApi; clock: VirtualClock }> {
  const clock = new VirtualClock(startMs);
  const api = new MemoryApi();
  node = await TestNode.start({ api, clock, shares: 2 });
  return { node, api, clock };
}

async function renewedAtMs(api: MemoryApi): Promise<number> {
  const { spec } = await api.get<Lease>(resources.leases, ref);
  return Date.parse(spec?.renewTime ?? "");
}

function heartbeat(object: Node | undefined): string | undefined {
  return object?.status?.conditions?.find((one) => one.type === "Ready")?.lastHeartbeatTime;
}

test("the node has a lease that is its own, renewed every ten seconds", async () => {
  const { api, clock } = await started();
  const { metadata, spec } = await api.get<Lease>(resources.leases, ref);
  const [owner] = metadata.ownerReferences ?? [];
  assert.deepEqual([owner?.kind, owner?.name, owner?.uid], ["Node", "node-a", api.node("node-a")?.metadata.uid]);
  assert.deepEqual([spec?.holderIdentity, spec?.leaseDurationSeconds], ["node-a", 40]);
  assert.equal(spec?.renewTime, "2023-11-14T22:13:20.000000Z");
  await clock.advance(10_000);
  const first = await renewedAtMs(api);
  assert.ok(first > startMs && first <= startMs + 10_000, "the first renewal is at the node's moment");
  await clock.advance(60_000);
  await until("six more", async () => (await renewedAtMs(api)) === first + 60_000);
});

test("a lease that was deleted is made again, one that cannot be renewed is tried again soon", async () => {
  const { api, clock } = await started();
  await api.delete(resources.leases, ref);
  await clock.advance(15_000);
  assert.ok((await renewedAtMs(api)) > startMs);
  api.down = true;
  await clock.advance(60_000);
  api.down = false;
  await clock.advance(7_000);
  assert.ok((await renewedAtMs(api)) >= startMs + 75_000);
});

test("a kubelet that starts anew takes over the lease", async () => {
  const { node, api, clock } = await started();
  await clock.advance(5_000);
  await node.kubelet.restart();
  await until("it is renewed", async () => (await renewedAtMs(api)) === startMs + 5_000);
});

test("the status is written every five minutes though nothing has changed, and that counts as rest", async () => {
  const { node, api, clock } = await started();
  const before = heartbeat(api.node("node-a"));
  await clock.advance(290_000);
  await node.settled();
  assert.equal(heartbeat(api.node("node-a")), before);
  const gate = Promise.withResolvers<void>();
  api.gate = gate.promise;
  await clock.advance(11_000);
  await until("it is being written", () => api.held > 0);
  assert.equal(node.kubelet.idle(), true);
  api.gate = undefined;
  gate.resolve();
  await until("it is written", () => heartbeat(api.node("node-a")) !== before);
  assert.equal(api.node("node-a")?.status?.conditions?.find((one) => one.type === "Ready")?.lastTransitionTime, before);
});

test("a condition that others have set outlives the next heartbeat", async () => {
  const { api, clock } = await started();
  const before = heartbeat(api.node("node-a"));
  const conditions = [...(api.node("node-a")?.status?.conditions ?? []), { type: "GpuHealthy", status: "True" }];
  const patch = { status: { conditions } };
  await api.mergePatch(resources.nodes, { name: "node-a" }, patch, { subresource: "status" });
  await clock.advance(301_000);
  await until("it is written", () => heartbeat(api.node("node-a")) !== before);
  const types = api.node("node-a")?.status?.conditions?.map((one) => one.type);
  assert.ok(types?.includes("GpuHealthy"), types?.join());
});

test("a kubelet that comes back to a node that was given up makes it ready and says so", async () => {
  const { node, api } = await started();
  const conditions = (api.node("node-a")?.status?.conditions ?? []).map((one) => ({ ...one, status: "Unknown" }));
  const patch = { status: { conditions } };
  await api.mergePatch(resources.nodes, { name: "node-a" }, patch, { subresource: "status" });
  await node.kubelet.restart();
  await until("it is ready", () => api.events("node-a").includes("NodeReady: Node node-a status is now: NodeReady"));
  const all = api.node("node-a")?.status?.conditions ?? [];
  assert.ok(all.every((one) => one.status !== "Unknown"));
});
