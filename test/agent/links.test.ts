import assert from "node:assert/strict";
import { test } from "node:test";
import { pairScores } from "../../src/agent/links.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import { linkScore } from "../../src/sharing/index.ts";

test("every pair of GPUs has the score of its link, in either order; a GPU of another node has none", async () => {
  const model = modelById("a100-sxm4-80gb") ?? assert.fail();
  const driver = new SimulatedDriver({ models: [model, model, model], seed: "node-a" });
  const gpus = await driver.list();
  const score = await pairScores(driver, gpus);
  for (const one of gpus) {
    for (const other of gpus) {
      if (one === other) continue;
      const want = linkScore(await driver.link(one.uuid, other.uuid));
      assert.ok(want > 0);
      assert.equal(score(one.uuid, other.uuid), want);
      assert.equal(score(other.uuid, one.uuid), want);
    }
  }
  assert.equal(score(gpus[0]?.uuid ?? "", "GPU-elsewhere"), 0);
});

test("a node of one GPU asks the driver for no link", async () => {
  const model = modelById("t4-16gb") ?? assert.fail();
  const driver = new SimulatedDriver({ models: [model], seed: "node-a" });
  await pairScores(driver, await driver.list());
  assert.equal(driver.calls().get("link"), undefined);
});
