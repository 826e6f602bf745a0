/** A machine that was switched off and is switched on again in another process: its pods are known again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { KubeletStandIn } from "../../src/embedded/kubelet/stand-in.ts";
import { resources } from "../../src/kube/index.ts";
import { PodResourcesClient } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";
import { TestNode } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

/** A node whose kubelet and runtime are gone; what they left is on disk and in the API. */
async function switchedOff(
  t: TestContext,
  prepare: (node: TestNode, api: MemoryApi) => Promise<void>,
): Promise<{ readonly node: TestNode; readonly api: MemoryApi; readonly clock: VirtualClock }> {
  const clock = new VirtualClock(1_700_000_000_000);
  const api = new MemoryApi();
  const node = await TestNode.start({ api, clock, shares: 2 });
  t.after(() => node.stop());
  await prepare(node, api);
  await node.settled();
  await node.plugin.stop();
  await node.kubelet.stop();
  return { node, api, clock };
}

/** Switches it on; pods are let in when `admitAfter` has resolved. */
async function switchedOn(
  t: TestContext,
  { node, api, clock }: { readonly node: TestNode; readonly api: MemoryApi; readonly clock: VirtualClock },
  admitAfter?: Promise<void>,
): Promise<KubeletStandIn> {
  const kubelet = new KubeletStandIn({
    name: "node-a",
    ordinal: 0,
    rootDirectory: node.root,
    api,
    driver: node.driver,
    clock,
    earlierPods: api.pods(),
    ...(admitAfter === undefined ? {} : { admitAfter }),
  });
  await kubelet.start();
  t.after(() => kubelet.stop());
  return kubelet;
}

function main(api: MemoryApi, name: string) {
  return api.pod(name)?.status?.containerStatuses?.[0];
}

test("what ran has ended with the power, and goes on as restart policies say; what had ended stays", async (t) => {
  const off = await switchedOff(t, async (node, api) => {
    const done = { "tranche.dev/run-for": "0" };
    await node.create("daemon", { shares: 0, restartPolicy: "Always" });
    await node.create("batch", { shares: 0, restartPolicy: "Never" });
    await node.create("retried", { shares: 0, restartPolicy: "OnFailure" });
    await node.create("finished", { shares: 0, restartPolicy: "OnFailure", annotations: done });
    await until("they are under way", () =>
      ["daemon", "batch", "retried"].every((one) => api.pod(one)?.status?.phase === "Running"),
    );
    await until("one has finished", () => api.pod("finished")?.status?.phase === "Succeeded");
  });
  const { api } = off;
  const finished = api.pod("finished");
  const ids = ["daemon", "retried"].map((one) => main(api, one)?.containerID);
  await switchedOn(t, off);
  await until("those that may are started again", () =>
    ["daemon", "retried"].every((one) => main(api, one)?.restartCount === 1),
  );
  await until("the other has failed", () => api.pod("batch")?.status?.phase === "Failed");
  const ends = [
    main(api, "daemon")?.lastState?.terminated,
    main(api, "retried")?.lastState?.terminated,
    main(api, "batch")?.state.terminated,
  ];
  assert.deepEqual(
    ends.map((end) => `${end?.exitCode} ${end?.reason}`),
    ["255 Unknown", "255 Unknown", "255 Unknown"],
  );
  assert.deepEqual(
    ends.slice(0, 2).map((end) => end?.containerID),
    ids,
  );
  assert.deepEqual(api.pod("finished"), finished);
});

test("a container that waited to be started again has not run once more", async (t) => {
  const failing = { "tranche.dev/run-for": "0", "tranche.dev/exit-code": "3" };
  const off = await switchedOff(t, async (node, api) => {
    await node.create("crashing", { shares: 0, restartPolicy: "Always", annotations: failing });
    await until("it waits", () => main(api, "crashing")?.state.waiting?.reason === "CrashLoopBackOff");
  });
  const { api } = off;
  const before = main(api, "crashing");
  await switchedOn(t, off);
  await until("it was started again", () => main(api, "crashing")?.restartCount === (before?.restartCount ?? 0) + 1);
  assert.equal(main(api, "crashing")?.lastState?.terminated?.exitCode, 3);
});

test("pods keep their devices until the plugin is back, and get them again", async (t) => {
  const off = await switchedOff(t, async (node, api) => {
    await node.create("train", { restartPolicy: "Always", annotations: { "tranche.dev/gpu-memory": "4Gi" } });
    await until("it runs", () => api.pod("train")?.status?.phase === "Running");
  });
  const { node, api, clock } = off;
  const [held] = node.plugin.allocated;
  const gate = Promise.withResolvers<void>();
  const kubelet = await switchedOn(t, off, gate.promise);
  const socketPath = join(node.root, "pod-resources", "kubelet.sock");
  const podResources = new PodResourcesClient({ socketPath, clock, signal: new AbortController().signal });
  t.after(() => podResources.close());
  const told = await until("the kubelet tells who holds what", async () => {
    const listed = await podResources.list();
    return listed.length > 0 && listed;
  });
  assert.deepEqual(
    told.map((one) => [one.pod, one.deviceIds]),
    [["train", held]],
  );
  assert.equal(main(api, "train")?.restartCount, 0);
  await node.plugin.start();
  await until("the devices are known", async () => (await podResources.allocatable()).size > 0);
  gate.resolve();
  await until("it runs again", () => main(api, "train")?.restartCount === 1);
  assert.deepEqual(node.plugin.allocated, [held], "nothing was allocated anew");
  assert.equal(kubelet.gpuUse()[0]?.memoryMiB, 4096);
});

test("a kubelet that stops while pods wait to be let in ends", async (t) => {
  const off = await switchedOff(t, async (node, api) => {
    await node.create("train", { restartPolicy: "Always" });
    await until("it runs", () => api.pod("train")?.status?.phase === "Running");
  });
  const kubelet = await switchedOn(t, off, new Promise(() => {}));
  await until("it knows its pod", () => kubelet.knows("default", "train"));
  await kubelet.stop();
  assert.equal(off.api.pod("train")?.status?.phase, "Running");
});

test("a pod that was deleted while the machine was off leaves nothing", async (t) => {
  const off = await switchedOff(t, async (node, api) => {
    await node.create("short", { restartPolicy: "Always" });
    await until("it runs", () => api.pod("short")?.status?.phase === "Running");
  });
  await off.api.delete(resources.pods, { namespace: "default", name: "short" });
  assert.notEqual(off.api.pod("short")?.metadata.deletionTimestamp, undefined);
  const kubelet = await switchedOn(t, off);
  await until("it is gone", () => off.api.pod("short") === undefined);
  await until("nothing is held", () => kubelet.pods().length === 0 && kubelet.idle());
});
