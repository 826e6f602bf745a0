/** A simulated machine reboots: containers, kubelet and node afterwards; the API is in memory. */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { resources } from "../../src/kube/index.ts";
import { until } from "../support/until.ts";
import { gpuResource, podOf, TestNode } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

const clock = new VirtualClock(1_700_000_000_000);
let node: TestNode | undefined;
afterEach(async () => {
  await node?.stop();
  node = undefined;
});

async function bootedNode(): Promise<{ node: TestNode; api: MemoryApi }> {
  const api = new MemoryApi();
  node = await TestNode.start({ api, clock, shares: 2 });
  return { node, api };
}

function main(api: MemoryApi, name: string) {
  return api.pod(name)?.status?.containerStatuses?.[0];
}

test("containers end with 255 and are started again as their restart policy says", async () => {
  const { node, api } = await bootedNode();
  await node.create("daemon", { shares: 0, restartPolicy: "Always" });
  await node.create("batch", { shares: 0, restartPolicy: "Never" });
  await until("both run", () => ["daemon", "batch"].every((one) => api.pod(one)?.status?.phase === "Running"));
  const log = { namespace: "default", pod: "batch", container: "main" };
  const saidBefore = node.kubelet.logs(log);
  await node.kubelet.reboot();
  await until("one runs again", () => main(api, "daemon")?.restartCount === 1);
  await until("the other has failed", () => api.pod("batch")?.status?.phase === "Failed");
  const ends = [main(api, "daemon")?.lastState?.terminated, main(api, "batch")?.state.terminated];
  assert.deepEqual(
    ends.map((end) => [end?.exitCode, end?.reason]),
    [
      [255, "Unknown"],
      [255, "Unknown"],
    ],
  );
  assert.equal(api.pod("daemon")?.status?.phase, "Running");
  assert.deepEqual(node.kubelet.logs(log), saidBefore, "a program says nothing when the power goes");
});

test("a pod with devices is refused, what it held is free and its memory too", async () => {
  const { node, api } = await bootedNode();
  await node.create("train", { restartPolicy: "Always", annotations: { "tranche.dev/gpu-memory": "4Gi" } });
  await until("it runs", () => api.pod("train")?.status?.phase === "Running");
  let processesMeanwhile: number | undefined;
  await node.kubelet.reboot(async () => {
    processesMeanwhile = node.kubelet.gpuUse().length;
    node.driver.reboot();
  });
  assert.equal(processesMeanwhile, 0);
  await until("it is refused", () => api.pod("train")?.status?.phase === "Failed");
  const status = api.pod("train")?.status;
  assert.equal(status?.reason, "UnexpectedAdmissionError");
  assert.match(status?.message ?? "", /no healthy devices present; cannot allocate unhealthy devices nvidia.com\/gpu/);
  assert.equal(status?.containerStatuses, undefined);
  await node.plugin.stop();
  await node.plugin.start();
  await until("the plugin is back", () => api.node("node-a")?.status?.allocatable?.[gpuResource] === "2");
  await node.create("next", { shares: 2 });
  await until("all devices are free", () => api.pod("next")?.status?.phase === "Running");
});

test("the kubelet tells of its start, and of a reboot by the boot id", async () => {
  const { node, api } = await bootedNode();
  const bootId = (): string => api.node("node-a")?.status?.nodeInfo?.["bootID"] ?? "";
  const first = bootId();
  assert.match(first, /^[0-9a-f]{8}-/);
  await node.kubelet.restart();
  await node.settled();
  assert.equal(bootId(), first);
  assert.deepEqual(api.events("node-a"), ["Starting: Starting kubelet."]);
  await node.kubelet.reboot();
  await until("the boot id is another", () => bootId() !== first);
  await node.settled();
  const rebooted = `Rebooted: Node node-a has been rebooted, boot id: ${bootId()}`;
  assert.deepEqual(api.events("node-a"), ["Starting: Starting kubelet.", rebooted]);
});

test("a pod that was deleted while the machine was off is gone afterwards", async () => {
  const { node, api } = await bootedNode();
  await node.api.create(resources.pods, podOf("short", { restartPolicy: "Always" }));
  await until("it runs", () => api.pod("short")?.status?.phase === "Running");
  await node.kubelet.reboot(() => node.api.delete(resources.pods, { namespace: "default", name: "short" }));
  await until("it is gone", () => api.pod("short") === undefined);
  assert.deepEqual(node.kubelet.pods(), []);
});
