import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeHealth } from "../../src/agent/health/node-health.ts";
import type { PodName } from "../../src/agent/untold-events.ts";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import type { Allocation } from "../../src/kubelet/index.ts";
import { until } from "../support/until.ts";

test("an error is told to a pod that got its device after the last look, or that was seen before the kubelet went", async () => {
  for (const isKubeletThere of [true, false]) {
    const model = modelById("t4-16gb") ?? assert.fail("no T4");
    const driver = new SimulatedDriver({ seed: "n", models: [model] });
    const gpuUuid = driver.boards[0]?.uuid ?? assert.fail("no GPU");
    const held = { namespace: "ml", pod: "train", container: "main", resource: "nvidia.com/gpu", deviceIds: [gpuUuid] };
    let latest: readonly Allocation[] = isKubeletThere ? [] : [held];
    const told: (PodName | "node")[] = [];
    const ending = new AbortController();
    const health = new NodeHealth({
      node: "n",
      driver,
      clock: systemClock,
      log: silentLogger,
      allocations: () => latest,
      askHolders: async () => {
        if (!isKubeletThere) throw new Error("the kubelet is away");
        latest = [held];
      },
      events: { add: (about) => told.push(about), tell: async () => {} },
      onChange: () => {},
    });
    const running = health.run(ending.signal).catch(() => {});
    await health.look();
    driver.raiseXid({ gpuUuid, xid: 79 });
    await until("both are told", () => told.length === 2);
    assert.deepEqual(told, ["node", { namespace: "ml", name: "train" }]);
    assert.equal(health.busy, false);
    ending.abort();
    await running;
  }
});
