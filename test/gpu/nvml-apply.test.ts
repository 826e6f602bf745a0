/** Plans carried out over the NVML driver: the calls they take, and what is left when any one of them fails. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Gpu, NvmlDriver } from "../../src/gpu/index.ts";
import { executePlan, planGpu } from "../../src/partition/index.ts";
import type { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { model } from "./models.ts";
import { driverOver, mockNode } from "./nvml-support.ts";

const h100 = model("h100-sxm5-80gb");
const place = { file: "layout.yaml", line: 1, column: 1 };

const before = { "1g.10gb": 3, "3g.40gb": 1 };
const after = { "1g.10gb": 1, "2g.20gb": 1, "3g.40gb": 1 };

test("only what must go goes, and a plan that is done makes no change", async (t) => {
  const { node, driver } = await cutNode(t, before);
  const kept = (await gpuOf(driver)).instances.filter(({ profile }) => profile.name === "3g.40gb");
  const from = (await node.changes()).length;
  assert.deepEqual(await apply(driver, after), { result: "done" });
  const changes = (await node.changes()).slice(from).map(({ symbol }) => symbol);
  assert.deepEqual(changes, [
    "nvmlComputeInstanceDestroy",
    "nvmlGpuInstanceDestroy",
    "nvmlComputeInstanceDestroy",
    "nvmlGpuInstanceDestroy",
    "nvmlDeviceCreateGpuInstanceWithPlacement",
    "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
  ]);
  const now = await gpuOf(driver);
  assert.deepEqual(
    now.instances.filter(({ profile }) => profile.name === "3g.40gb"),
    kept,
  );
  assert.deepEqual(await apply(driver, after), { result: "done" });
  assert.equal((await node.changes()).length, from + changes.length);
});

describe("when one call of a change fails", () => {
  test("the old or the new layout stands, whichever call it is", async (t) => {
    const { node, driver } = await cutNode(t, before);
    const old = standing(await gpuOf(driver));
    const [first, last] = await callsOf(node, async () => {
      assert.deepEqual(await apply(driver, after), { result: "done" });
    });
    const wanted = standing(await gpuOf(driver));
    await apply(driver, before);
    for (let nth = 1; nth <= last - first; nth++) {
      const heal = await node.fail({ symbol: "*", nth, code: 999 });
      const outcome = await apply(driver, after).catch((error: unknown) => ({ result: "thrown", error }));
      await heal();
      const now = standing(await gpuOf(driver));
      assert.ok(now === old || now === wanted, `call ${nth}: ${outcome.result}, ${now}`);
      if (outcome.result === "done") assert.equal(now, wanted, `call ${nth}`);
      if (now !== old) assert.deepEqual(await apply(driver, before), { result: "done" }, `call ${nth}, the way back`);
      assert.equal(standing(await gpuOf(driver)), old, `call ${nth}`);
    }
  });

  test("the finding names the call, the GPU and what to do", async (t) => {
    const { node, driver } = await cutNode(t, before);
    await node.fail({ symbol: "nvmlDeviceCreateGpuInstanceWithPlacement", code: 4 });
    const outcome = await apply(driver, after);
    assert.equal(outcome.result, "rolled-back");
    const [finding] = "findings" in outcome ? outcome.findings : [];
    assert.partialDeepStrictEqual(finding, {
      code: "driver-call-failed",
      evidence: { call: "nvmlDeviceCreateGpuInstanceWithPlacement", nvmlCode: "no-permission" },
    });
    assert.match(finding?.message ?? "", /^GPU 0: .*insufficient permissions \(NVML_ERROR_NO_PERMISSION, 4\)$/);
    assert.match(finding?.remedy ?? "", /run as root/);
  });
});

test("changes of eight GPUs run side by side, each GPU's own one after the other", async (t) => {
  const node = await mockNode(t, { models: Array.from({ length: 8 }, () => h100) });
  const driver = await driverOver(t, node);
  await node.delay(20);
  const executions = await Promise.all(node.uuids.map((uuid) => apply(driver, { "1g.10gb": 7 }, uuid)));
  assert.deepEqual(new Set(executions.map(({ result }) => result)), new Set(["done"]));
  const gpus = (await node.changes()).map(({ gpu }) => gpu);
  // Had one GPU been finished before the next began, each would stand in one run.
  const runs = gpus.filter((gpu, at) => gpu !== gpus[at - 1]).length;
  assert.ok(runs > 8 * 2, `${runs} runs`);
  for (const { instances } of await driver.list()) assert.equal(instances.length, 7);
});

test("a GPU the catalogue does not know is cut by plan all the same", async (t) => {
  const strange = { ...h100, nvmlName: "NVIDIA H999", pciDeviceIds: ["FFF1"] };
  const node = await mockNode(t, { models: [strange] });
  const driver = await driverOver(t, node);
  assert.deepEqual(await apply(driver, after), { result: "done" });
  const names = (await gpuOf(driver)).instances.map(({ profile }) => profile.name);
  assert.deepEqual(names.sort(), ["1g.10gb", "2g.20gb", "3g.40gb"]);
});

/** A node of one H100, cut. */
async function cutNode(t: TestContext, layout: Readonly<Record<string, number>>) {
  const node = await mockNode(t, { models: [h100] });
  const driver = await driverOver(t, node);
  assert.deepEqual(await apply(driver, layout), { result: "done" });
  return { node, driver };
}

/** Plans and executes; throws when there is no plan. */
async function apply(driver: NvmlDriver, layout: Readonly<Record<string, number>>, gpuUuid?: string) {
  const gpu = await gpuOf(driver, gpuUuid);
  const counts = new Map(Object.entries(layout));
  const wanted = { gpuUuid: gpu.uuid, gpuIndex: gpu.index, migEnabled: true, counts, place };
  return executePlan(driver, planGpu({ gpu, wanted, holders: new Map() }));
}

async function gpuOf(driver: NvmlDriver, uuid?: string): Promise<Gpu> {
  const found = (await driver.list()).find((gpu) => uuid === undefined || gpu.uuid === uuid);
  return found ?? assert.fail(`no GPU ${uuid}`);
}

function standing({ mig, instances }: Gpu): string {
  const names = instances.map(({ profile, placement, computeInstances }) => {
    return `${profile.name}@${placement.start} ${computeInstances.map((one) => one.uuid)}`;
  });
  return JSON.stringify([mig, names]);
}

/** How many calls there were before and after. */
async function callsOf(node: MockNode, body: () => Promise<void>): Promise<readonly [number, number]> {
  const first = (await node.calls()).length;
  await body();
  return [first, (await node.calls()).length];
}
