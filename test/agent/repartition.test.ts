import assert from "node:assert/strict";
import { test } from "node:test";
import type { RepartitionResult } from "../../src/agent/repartition.ts";
import { findingLine } from "../../src/base/index.ts";
import type { Choice } from "./support/fake-kubelet.ts";
import { SmallNode } from "./support/small-node.ts";

const codes = ({ findings }: RepartitionResult): readonly string[] => findings.map((one) => one.code);

test("a free GPU gets its layout, and the kubelet its devices", async () => {
  const node = new SmallNode();
  const result = await node.turn("3x1g.10gb 1x3g.40gb");
  assert.deepEqual([result.state, codes(result), result.retryInMs], ["success", [], undefined]);
  assert.equal(await node.layout(), "1g.10gb@0 1g.10gb@1 1g.10gb@2 3g.40gb@4");
  assert.deepEqual(
    [...node.kubelet.free()],
    [
      ["nvidia.com/mig-1g.10gb", 3],
      ["nvidia.com/mig-3g.40gb", 1],
    ],
  );
  assert.equal(await node.offering.confirmed(), true);
});

test("what stands as wanted is left alone", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const before = node.driver.calls();
  assert.equal((await node.turn("2x3g.40gb")).state, "success");
  assert.deepEqual(node.driver.calls().get("createGpuInstance"), before.get("createGpuInstance"));
  assert.equal(node.plans.length, 1);
});

test("a slice that a pod holds stays, and the rest of the change comes when the pod has ended", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  await node.kubelet.admit("ml/train", "nvidia.com/mig-3g.40gb");
  const waits = await node.turn("7x1g.10gb");
  assert.equal(waits.state, "pending");
  assert.deepEqual(
    waits.findings.map((one) => one.subject.name),
    ["node-a GPU 0"],
  );
  assert.match(
    waits.findings.map(findingLine).join(),
    /warning slice-in-use: GPU 0 3g\.40gb@\d is held by pod ml\/train/,
  );
  const layout = await node.layout();
  assert.match(layout, /^3g\.40gb@0 1g|1g.* 3g\.40gb@4$/);
  node.kubelet.end("ml/train");
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
  assert.equal((await node.layout()).split(" ").length, 7);
});

/** Finishes an admission at the second question of the next turn, when the slices to go have just been withdrawn. */
function finishDuringWithdrawal({ kubelet }: SmallNode, choice: Choice): { readonly admitted: Promise<unknown> } {
  const admission = Promise.withResolvers<unknown>();
  let questions = 0;
  kubelet.meanwhile = () => {
    questions += 1;
    if (questions === 2) admission.resolve(kubelet.finish(choice));
  };
  return { admitted: admission.promise };
}

test("a pod that is admitted while its slice is being withdrawn keeps it", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const choice = node.kubelet.choose("ml/late", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  const { admitted } = finishDuringWithdrawal(node, choice);
  const result = await node.turn("7x1g.10gb");
  await admitted;
  assert.deepEqual([result.state, codes(result)], ["pending", ["slice-in-use"]]);
  assert.match(await node.layout(), /3g\.40gb@0 1g/);
});

test("when a pod takes one slice during the withdrawal and another can go instead, that one is withdrawn first", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const choice = node.kubelet.choose("ml/late", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  const { admitted } = finishDuringWithdrawal(node, choice);
  const offered: (number | undefined)[] = [];
  const stop = node.driver.onChange(() => offered.push(node.kubelet.free().get("nvidia.com/mig-3g.40gb")));
  const result = await node.turn("1x3g.40gb 3x1g.10gb");
  stop();
  await admitted;
  assert.deepEqual([result.state, codes(result)], ["success", []]);
  assert.deepEqual(new Set(offered), new Set([0]));
  const [gpu] = await node.driver.list();
  const uuids = gpu?.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid)) ?? [];
  assert.ok(choice.ids.every((id) => uuids.includes(id)));
});

test("a pod that asks for a slice during its change is refused, with a message for its author", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const choice = node.kubelet.choose("ml/late", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  const tries: Promise<string>[] = [];
  const stop = node.driver.onChange(() => {
    if (tries.length === 0) tries.push(node.kubelet.finish(choice).then(() => "admitted", String));
  });
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
  stop();
  assert.match(await (tries[0] ?? ""), /MIG-\S+ is being re-partitioned; create the pod again/);
});

test("a pod that asks for a slice which is gone by then is refused as well", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const choice = node.kubelet.choose("ml/late", "nvidia.com/mig-3g.40gb") ?? assert.fail();
  await node.turn("7x1g.10gb");
  await assert.rejects(node.kubelet.finish(choice));
  assert.deepEqual(await node.kubelet.list(), []);
});

test("while the kubelet still offers what is to go, nothing is changed", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  node.kubelet.behind = true;
  const result = await node.pass(node.turn("7x1g.10gb"));
  assert.deepEqual([result.state, codes(result)], ["pending", ["kubelet-behind"]]);
  assert.equal(await node.layout(), "3g.40gb@0 3g.40gb@4");
  node.kubelet.behind = false;
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
});

test("a change that takes nothing away does not wait for the kubelet", async () => {
  const node = new SmallNode();
  await node.turn("1x3g.40gb");
  node.kubelet.behind = true;
  assert.equal((await node.turn("1x3g.40gb 1x2g.20gb")).state, "success");
});

test("who holds what must be known: without the kubelet nothing is changed", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  node.kubelet.meanwhile = () => {
    throw new Error("the kubelet is away");
  };
  await assert.rejects(node.turn("7x1g.10gb"), /the kubelet is away/);
  assert.equal(await node.layout(), "3g.40gb@0 3g.40gb@4");
});

test("while a kubelet at its start leaves out a pod that runs, nothing is changed, and soon tried again", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  node.admitted = [{ name: "ml/a", uid: "1" }];
  const waiting = await node.turn("7x1g.10gb");
  assert.equal(waiting.state, "pending");
  assert.match(waiting.findings[0]?.message ?? "", /does not tell yet what ml\/a holds; nothing is changed/);
  assert.equal(waiting.retryInMs, 1_000);
  assert.equal(await node.layout(), "3g.40gb@0 3g.40gb@4");
  node.admitted = [];
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
});

for (const { name, model, before, resource } of [
  { name: "a slice", model: "a100-sxm4-80gb", before: "2x3g.40gb", resource: "nvidia.com/mig-3g.40gb" },
  { name: "a whole GPU", model: "h100-sxm5-80gb", before: "off", resource: "nvidia.com/gpu" },
]) {
  test(`${name} that is to go as soon as it is told who holds what is given to no pod meanwhile`, async () => {
    const node = new SmallNode({ models: [model] });
    await node.turn(before);
    const free = (of: string): number => node.kubelet.free().get(of) ?? 0;
    assert.notEqual(free(resource), 0);
    node.admitted = [{ name: "ml/a", uid: "1" }];
    await node.turn("7x1g.10gb");
    assert.equal(free(resource), 0);
    assert.equal(await node.offering.confirmed(), true);
    await node.turn(before);
    assert.notEqual(free(resource), 0, "nothing is to go any more");
    await node.turn("7x1g.10gb");
    node.admitted = [];
    assert.equal((await node.turn("7x1g.10gb")).state, "success");
    assert.equal(free("nvidia.com/mig-1g.10gb"), 7);
  });
}

test("while one GPU is changed, the devices that another has lost are not offered again", async () => {
  const node = new SmallNode({ models: ["a100-sxm4-80gb", "a100-sxm4-80gb"] });
  await node.turn("2x3g.40gb");
  const standing = async (): Promise<ReadonlySet<string>> => {
    const gpus = await node.driver.list();
    return new Set(gpus.flatMap((gpu) => gpu.instances.flatMap((one) => one.computeInstances.map(({ uuid }) => uuid))));
  };
  const checks: Promise<void>[] = [];
  const check = async (): Promise<void> => {
    const shown = [...(await node.kubelet.allocatable()).values()].flat();
    const there = await standing();
    assert.deepEqual(
      shown.filter((id) => !there.has(id)),
      [],
    );
  };
  const stop = node.driver.onChange(() => checks.push(check()));
  assert.equal((await node.turn("1x4g.40gb")).state, "success");
  stop();
  assert.ok(checks.length > 4);
  await Promise.all(checks);
  assert.equal(await node.layout(), "4g.40gb@0 | 4g.40gb@0");
});

test("a failed driver call leaves the old layout and is tried again, each time after a longer wait", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const repair = node.driver.failCall({
    call: "destroyGpuInstance",
    times: Number.POSITIVE_INFINITY,
    nvmlCode: "unknown",
  });
  const waits: (number | undefined)[] = [];
  for (let attempt = 0; attempt < 8; attempt += 1) {
    const result = await node.turn("7x1g.10gb");
    assert.deepEqual([result.state, codes(result)], ["failed", ["driver-call-failed"]]);
    assert.equal(await node.layout(), "3g.40gb@0 3g.40gb@4");
    waits.push(result.retryInMs);
    await node.clock.advance(result.retryInMs ?? 0);
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  repair();
  const result = await node.turn("7x1g.10gb");
  assert.deepEqual([result.state, result.retryInMs], ["success", undefined]);
});

test("before its time a failed change is not tried, and what failed is still told", async () => {
  const node = new SmallNode();
  node.driver.failCall({ call: "createGpuInstance", nvmlCode: "unknown" });
  assert.equal((await node.turn("2x3g.40gb")).state, "failed");
  const calls = node.driver.calls().get("createGpuInstance");
  await node.clock.advance(999);
  const again = await node.turn("2x3g.40gb");
  assert.deepEqual([again.state, codes(again), again.retryInMs], ["failed", ["driver-call-failed"], 1]);
  assert.equal(node.driver.calls().get("createGpuInstance"), calls);
  await node.clock.advance(1);
  assert.equal((await node.turn("2x3g.40gb")).state, "success");
});

test("a failed change whose GPU is ill when it is due is not tried over and over", async () => {
  const node = new SmallNode();
  node.driver.failCall({ call: "createGpuInstance", nvmlCode: "unknown" });
  assert.equal((await node.turn("2x3g.40gb")).retryInMs, 1_000);
  const [gpu] = await node.driver.list();
  node.ill.add(gpu?.uuid ?? "");
  await node.clock.advance(1_000);
  const result = await node.turn("2x3g.40gb");
  assert.deepEqual([result.state, codes(result), result.retryInMs], ["pending", ["gpu-unhealthy"], undefined]);
  node.ill.clear();
  assert.equal((await node.turn("2x3g.40gb")).state, "success");
});

test("another wish is tried at once, whatever failed before", async () => {
  const node = new SmallNode();
  node.driver.failCall({ call: "createGpuInstance", nvmlCode: "unknown" });
  assert.equal((await node.turn("2x3g.40gb")).state, "failed");
  const result = await node.turn("7x1g.10gb");
  assert.deepEqual([result.state, result.retryInMs], ["success", undefined]);
});

test("a failed wish that nobody has any more is not tried again", async () => {
  const node = new SmallNode();
  node.driver.failCall({ call: "createGpuInstance", nvmlCode: "unknown" });
  assert.equal((await node.turn("2x3g.40gb")).retryInMs, 1_000);
  assert.equal((await node.turn("")).retryInMs, undefined);
});

test("one GPU that fails does not hold up the others", async () => {
  const node = new SmallNode({ models: ["a100-sxm4-80gb", "a100-sxm4-80gb"] });
  const [first] = await node.driver.list();
  node.driver.failCall({
    call: "createGpuInstance",
    gpuUuid: first?.uuid ?? "",
    times: Number.POSITIVE_INFINITY,
    nvmlCode: "unknown",
  });
  const result = await node.turn("2x3g.40gb");
  assert.equal(result.state, "failed");
  assert.equal(await node.layout(), "MIG off | 3g.40gb@0 3g.40gb@4");
});

test("each GPU waits for its own pods only", async () => {
  const node = new SmallNode({ models: ["a100-sxm4-80gb", "a100-sxm4-80gb"] });
  await node.turn("1x7g.80gb");
  await node.kubelet.admit("ml/a", "nvidia.com/mig-7g.80gb");
  const result = await node.turn("2x3g.40gb");
  assert.equal(result.state, "pending");
  const layout = (await node.layout()).split(" | ");
  assert.deepEqual(layout.toSorted(), ["3g.40gb@0 3g.40gb@4", "7g.80gb@0"]);
});

test("a whole GPU that a pod holds is not put into MIG mode", async () => {
  const node = new SmallNode();
  await node.publish();
  await node.kubelet.admit("ml/a", "nvidia.com/gpu");
  const result = await node.turn("7x1g.10gb");
  assert.deepEqual([result.state, codes(result)], ["pending", ["gpu-in-use"]]);
  assert.equal(await node.layout(), "MIG off");
  node.kubelet.end("ml/a");
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
});

test("one share of a GPU holds the whole of it", async () => {
  const node = new SmallNode({ share: ["gpu x4"] });
  await node.publish();
  await node.kubelet.admit("ml/a", "nvidia.com/gpu");
  const result = await node.turn("7x1g.10gb");
  assert.deepEqual([result.state, codes(result)], ["pending", ["gpu-in-use"]]);
});

test("a GPU that has fallen off the bus is told, and comes back after a reboot", async () => {
  const node = new SmallNode();
  const wanted = await node.wanted("2x3g.40gb");
  const { signal } = new AbortController();
  const [gpu] = await node.driver.list();
  node.driver.raiseXid({ gpuUuid: gpu?.uuid ?? "", xid: 79 });
  const result = await node.repartition.run(wanted, signal);
  assert.deepEqual([result.state, codes(result), result.retryInMs], ["failed", ["gpu-gone"], undefined]);
  assert.equal(result.findings[0]?.subject.name, "node-a GPU 0");
  node.driver.reboot();
  assert.equal((await node.repartition.run(wanted, signal)).state, "success");
});

test("a change that is told to stop goes back, and the next run does it", async () => {
  const node = new SmallNode();
  await node.turn("2x3g.40gb");
  const ending = new AbortController();
  const stop = node.driver.onChange(() => ending.abort(new Error("the agent ends")));
  const result = await node.turn("7x1g.10gb", ending.signal);
  stop();
  assert.deepEqual([result.state, codes(result)], ["failed", ["change-interrupted"]]);
  assert.equal(await node.layout(), "3g.40gb@0 3g.40gb@4");
  await node.clock.advance(1_000);
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
});

test("nothing begins once the agent ends", async () => {
  const node = new SmallNode();
  await assert.rejects(node.turn("2x3g.40gb", AbortSignal.abort(new Error("the agent ends"))), /the agent ends/);
  assert.equal(await node.layout(), "MIG off");
});

test("an ill GPU keeps its layout, with the reason, and is no reason to wait if it stands as wanted", async () => {
  const node = new SmallNode({ models: ["a100-sxm4-80gb", "a100-sxm4-80gb"] });
  await node.turn("2x3g.40gb");
  const [gpu] = await node.driver.list();
  node.ill.add(gpu?.uuid ?? "");
  assert.deepEqual((await node.turn("2x3g.40gb")).state, "success");
  const result = await node.turn("7x1g.10gb");
  assert.deepEqual([result.state, codes(result)], ["pending", ["gpu-unhealthy"]]);
  assert.deepEqual(result.findings[0]?.subject, { kind: "gpu", name: "node-a GPU 0" });
  assert.match(await node.layout(), /^3g\.40gb@0 3g\.40gb@4 \| (1g\.10gb@\d ?){7}$/);
  node.ill.clear();
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
});

test("a reset is told, so that errors from before it are over", async () => {
  const node = new SmallNode();
  await node.turn("7x1g.10gb");
  const [gpu] = await node.driver.list();
  assert.deepEqual(node.resets, [gpu?.uuid]);
  await node.turn("2x3g.40gb");
  assert.equal(node.resets.length, 1, "a change of the layout alone needs none");
});

test("a reset that failed is not told", async () => {
  const node = new SmallNode();
  node.driver.failCall({ call: "resetGpu", nvmlCode: "unknown" });
  assert.equal((await node.turn("7x1g.10gb")).state, "failed");
  assert.deepEqual(node.resets, []);
  await node.clock.advance(1_000);
  assert.equal((await node.turn("7x1g.10gb")).state, "success");
  assert.equal(node.resets.length, 1);
});
