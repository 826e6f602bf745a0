import assert from "node:assert/strict";
import { test } from "node:test";
import { LinkScores } from "../../src/agent/links.ts";
import { modelById, SimulatedDriver } from "../../src/gpu/index.ts";
import { linkScore } from "../../src/sharing/index.ts";

test("every pair of GPUs has the score of its link, in either order; a GPU of another node has none", async () => {
  const model = modelById("a100-sxm4-80gb") ?? assert.fail();
  const driver = new SimulatedDriver({ models: [model, model, model], seed: "node-a" });
  const gpus = await driver.list();
  const score = await new LinkScores(driver).scores(gpus);
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
  await new LinkScores(driver).scores(await driver.list());
  assert.equal(driver.calls().get("link"), undefined);
});

test("a link is read once, and again when a GPU of the pair changes its MIG mode", async () => {
  const model = modelById("h100-sxm5-80gb") ?? assert.fail();
  const driver = new SimulatedDriver({ models: [model, model, model], seed: "node-a" });
  const links = new LinkScores(driver);
  const [first, second] = await driver.list();
  assert.ok(first !== undefined && second !== undefined);
  const before = (await links.scores(await driver.list()))(first.uuid, second.uuid);
  await links.scores(await driver.list());
  assert.equal(driver.calls().get("link"), 3);
  await driver.setMigMode(first.uuid, true);
  const after = (await links.scores(await driver.list()))(first.uuid, second.uuid);
  assert.equal(driver.calls().get("link"), 5);
  assert.ok(after < before, "NVLink is off while one of them is cut");
});

test("a GPU that is lost keeps the links that are known and costs no others", async () => {
  const model = modelById("a100-sxm4-80gb") ?? assert.fail();
  const driver = new SimulatedDriver({ models: [model, model], seed: "node-a" });
  const gpus = await driver.list();
  const [first, second] = gpus;
  assert.ok(first !== undefined && second !== undefined);
  driver.raiseXid({ gpuUuid: first.uuid, xid: 79 });
  const unknown = new LinkScores(driver);
  assert.equal((await unknown.scores(gpus))(first.uuid, second.uuid), 0);
  driver.reboot();
  const links = new LinkScores(driver);
  const known = (await links.scores(gpus))(first.uuid, second.uuid);
  driver.raiseXid({ gpuUuid: first.uuid, xid: 79 });
  assert.ok(known > 0);
  assert.equal((await links.scores(gpus))(first.uuid, second.uuid), known);
});
