/** Pods on a node whose GPU driver is not loaded; the API is in memory. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../src/base/index.ts";
import { until } from "../support/until.ts";
import { TestNode } from "./support/kubelet-node.ts";
import { MemoryApi } from "./support/memory-api.ts";

test("what runs goes on, what wants no GPU starts, and what wants one starts when the driver is there", async () => {
  const clock = new VirtualClock(1_700_000_000_000);
  const api = new MemoryApi();
  const node = await TestNode.start({ api, clock, shares: 2 });
  const phase = (name: string) => api.pod(name)?.status?.phase;
  const state = (name: string) => api.pod(name)?.status?.containerStatuses?.[0];
  try {
    await node.create("before", { annotations: { "tranche.dev/gpu-memory": "1Gi" } });
    await until("one runs", () => phase("before") === "Running");
    node.driver.unload();
    await node.create("plain", { shares: 0 });
    await node.create("late", { restartPolicy: "Always", annotations: { "tranche.dev/gpu-memory": "1Gi" } });
    await until("one without a GPU runs", () => phase("plain") === "Running");
    await until("the other cannot start", () => state("late")?.lastState?.terminated?.reason === "StartError");
    const message = /nvidia-container-cli: initialization error: nvml error: driver not loaded/;
    assert.match(state("late")?.lastState?.terminated?.message ?? "", message);
    assert.equal(phase("before"), "Running");
    node.driver.load();
    await until("it has started", async () => {
      await clock.advance(10_000);
      return phase("late") === "Running";
    });
    assert.equal(node.kubelet.gpuUse().length, 2);
  } finally {
    await node.stop();
  }
});
