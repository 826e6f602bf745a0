import assert from "node:assert/strict";
import { test } from "node:test";
import { Offering, type Published } from "../../src/agent/offering.ts";
import { type ConfigParts, gpu, nodeOffers, settings } from "../sharing/fixtures.ts";
import { SmallNode } from "./support/small-node.ts";

function published(layout: string, parts: ConfigParts = {}): Published {
  const { offers } = nodeOffers({ ...parts, gpus: [gpu(0, layout), gpu(1)], settings: { migStrategy: "mixed" } });
  return {
    offers,
    settings,
    pairScore: () => 0,
    facts: { presentControlNodes: new Set() },
    withheld: [],
    unusable: [],
    taken: new Set(),
  };
}

/** What the kubelet shows, as `resource: ids`. */
async function shown({ kubelet }: SmallNode): Promise<readonly string[]> {
  return [...(await kubelet.allocatable())]
    .filter(([, ids]) => ids.length > 0)
    .map(([resource, ids]) => `${resource}: ${ids.join()}`);
}

const cut = published("1g.10gb@0 3g.40gb@4");

test("what is published is what the kubelet shows", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  assert.deepEqual(await shown(node), [
    "nvidia.com/gpu: GPU-1",
    "nvidia.com/mig-1g.10gb: MIG-0-0-0",
    "nvidia.com/mig-3g.40gb: MIG-0-4-0",
  ]);
  assert.equal(await node.offering.confirmed(), true);
});

test("withdrawn devices are not shown, with all their shares, and others stay", async () => {
  const node = new SmallNode();
  await node.offering.publish(published("1g.10gb@0 3g.40gb@4", { share: ["mig-3g.40gb x2", "gpu x2"] }));
  assert.equal(await node.offering.withdraw(["MIG-0-4-0"]), true);
  assert.deepEqual(await shown(node), ["nvidia.com/gpu: GPU-1::0,GPU-1::1", "nvidia.com/mig-1g.10gb: MIG-0-0-0"]);
});

test("what is withdrawn later does not bring back what was withdrawn before", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  await node.offering.withdraw(["MIG-0-4-0"]);
  await node.offering.withdraw(["MIG-0-0-0"]);
  assert.deepEqual(await shown(node), ["nvidia.com/gpu: GPU-1"]);
});

test("everything that is published anew is offered, whatever was withdrawn or closed", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  await node.offering.withdraw(["MIG-0-4-0"]);
  node.offering.close(["MIG-0-4-0"]);
  await node.offering.publish(cut);
  assert.deepEqual(await node.kubelet.admit("ml/a", "nvidia.com/mig-3g.40gb"), ["MIG-0-4-0"]);
});

test("a closed device is refused, one that is only withdrawn is still answered", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const [one, other] = ["ml/a", "ml/b"].map((pod, at) =>
    node.kubelet.choose(pod, at === 0 ? "nvidia.com/mig-3g.40gb" : "nvidia.com/mig-1g.10gb"),
  );
  assert.ok(one !== undefined && other !== undefined);
  await node.offering.withdraw(["MIG-0-4-0", "MIG-0-0-0"]);
  node.offering.close(["MIG-0-4-0"]);
  await assert.rejects(node.kubelet.finish(one), {
    code: "device-withdrawn",
    message: "MIG-0-4-0 is being re-partitioned; create the pod again",
  });
  const answer = await node.kubelet.finish(other);
  assert.equal(answer.envs["NVIDIA_VISIBLE_DEVICES"], "MIG-0-0-0");
});

test("a device in whose place another pod is, is not shown, and refused", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const choice = node.kubelet.choose("ml/a", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  const large = cut.offers.find(({ resource }) => resource === "nvidia.com/mig-3g.40gb");
  await node.offering.publish({ ...cut, taken: new Set(large?.devices) });
  assert.deepEqual(await shown(node), ["nvidia.com/gpu: GPU-1", "nvidia.com/mig-1g.10gb: MIG-0-0-0"]);
  assert.equal(await node.offering.confirmed(), true);
  await assert.rejects(node.kubelet.finish(choice), { code: "device-taken" });
});

test("a device that no container can use is not shown, and refused with another reason", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const choice = node.kubelet.choose("ml/a", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  await node.offering.publish({ ...cut, unusable: ["MIG-0-4-0"] });
  assert.deepEqual(await shown(node), ["nvidia.com/gpu: GPU-1", "nvidia.com/mig-1g.10gb: MIG-0-0-0"]);
  assert.equal(await node.offering.confirmed(), true);
  await assert.rejects(node.kubelet.finish(choice), {
    code: "device-unusable",
    message: "no container can use MIG-0-4-0 now: see the events of the node",
  });
});

test("what is handed out is held from then on; what is refused is not", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const choice = node.kubelet.choose("ml/a", "nvidia.com/mig-1g.10gb") ?? assert.fail();
  await node.kubelet.finish(choice);
  node.kubelet.end("ml/a");
  assert.deepEqual([...(await node.holders.holders()).keys()], ["MIG-0-0-0"]);
  const next = node.kubelet.choose("ml/b", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  node.offering.close(["MIG-0-4-0"]);
  await assert.rejects(node.kubelet.finish(next));
  assert.deepEqual([...(await node.holders.holders()).keys()], ["MIG-0-0-0"]);
});

test("a resource that is not offered any more is answered with that", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const choice = node.kubelet.choose("ml/a", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  node.kubelet.behind = true;
  await node.offering.publish(published("7g.80gb@0"));
  await assert.rejects(node.kubelet.finish(choice), {
    code: "resource-withdrawn",
    message: "nvidia.com/mig-3g.40gb is no longer offered by this node",
  });
});

/** Whether the kubelet confirms in time; it takes up lists again once `afterMs` have passed. */
async function confirmedAfter(node: SmallNode, offering: Offering, afterMs: number): Promise<boolean> {
  const wake = node.clock.sleep(afterMs).then(() => {
    node.kubelet.behind = false;
  });
  const confirmed = await node.pass(offering.confirmed());
  await node.pass(wake);
  return confirmed;
}

const lags = [
  { name: "a kubelet that takes its time confirms late", afterMs: 4_500, want: true },
  { name: "a kubelet that takes more than five seconds does not confirm", afterMs: 6_000, want: false },
];
for (const { name, afterMs, want } of lags) {
  test(name, async () => {
    const node = new SmallNode();
    node.kubelet.behind = true;
    await node.offering.publish(cut);
    assert.equal(await confirmedAfter(node, node.offering, afterMs), want);
  });
}

test("a name that was offered before must be empty before the new offer is confirmed", async () => {
  const node = new SmallNode();
  await node.offering.publish({ ...cut, offers: cut.offers.filter((one) => one.resource !== "nvidia.com/gpu") });
  await node.offering.publish(cut);
  node.kubelet.behind = true;
  await node.offering.publish({ ...cut, offers: [] });
  assert.equal(await confirmedAfter(node, node.offering, 6_000), false);
  assert.equal(await node.offering.confirmed(), true);
});

test("before anything is offered there is nothing to withdraw and nothing to wait for", async () => {
  const node = new SmallNode();
  node.kubelet.behind = true;
  assert.deepEqual(node.offering.offers, []);
  assert.equal(await node.offering.withdraw(["GPU-0"]), true);
});

test("a withdrawal does not wait for resources that the kubelet does not know yet", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  await node.kubelet.offer(new Map());
  node.kubelet.behind = true;
  assert.equal(await node.offering.withdraw(["MIG-0-4-0"]), true);
});

test("an unhealthy device is listed as such with all its shares, and given again when it is well", async () => {
  const node = new SmallNode();
  await node.offering.publish(published("1g.10gb@0 3g.40gb@4", { share: ["gpu x2"] }));
  const all = await shown(node);
  node.ill.add("GPU-1");
  node.ill.add("MIG-0-0-0");
  assert.deepEqual(await shown(node), all, "nobody was told yet");
  await node.offering.refresh();
  assert.deepEqual(await shown(node), ["nvidia.com/mig-3g.40gb: MIG-0-4-0"]);
  assert.equal(await node.offering.confirmed(), true);
  assert.equal(node.kubelet.listed("nvidia.com/gpu"), 2);
  node.ill.clear();
  await node.offering.refresh();
  assert.deepEqual(await shown(node), all);
});

test("before its first offer an agent asks whether the kubelet still shows what one before it has offered", async () => {
  const node = new SmallNode();
  await node.offering.publish(cut);
  const { kubelet, holders, clock } = node;
  const common = { host: kubelet, podResources: kubelet, holders, clock };
  const next = new Offering({ ...common, isHealthy: () => true, randomUuid: () => "" });
  assert.equal(await node.pass(next.withdraw(["MIG-0-4-0"])), false);
  await node.offering.withdraw(["MIG-0-4-0"]);
  assert.equal(await next.withdraw(["MIG-0-4-0"]), true);
});
