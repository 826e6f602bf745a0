/** Execution against things that happen meanwhile: pods, signals, other tools, steps done before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Finding } from "../../src/base/index.ts";
import {
  type Execution,
  executePlan,
  type PartitionPlan,
  planGpu,
  type Step,
  stepText,
} from "../../src/partition/index.ts";
import { FailingDriver } from "./support/failing-driver.ts";
import { type Stage, stageOf, stateText, wantedOf } from "./support/stage.ts";

const never = { first: Number.POSITIVE_INFINITY, count: 0, afterEffect: false };

test("a pod that gets hold of a device after planning stops the step that would take it away", async () => {
  const { stage, plan } = await scene("2g.10gb@0 1g.5gb@4", "1x7g.40gb");
  const device = (await stage.gpu()).instances[1]?.computeInstances[0]?.uuid ?? assert.fail("no device");
  const holders = async () => new Map([[device, ["ml/late"]]]);
  const execution = await executePlan(stage.driver, plan, { holders });
  assert.equal(execution.result, "rolled-back");
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["slice-in-use"],
  );
  assert.match(findingsOf(execution)[0]?.message ?? "", /1g\.5gb@4 is held by pod ml\/late/);
  assert.equal(stateText(await stage.gpu()), "MIG on 2g.10gb@0 1g.5gb@4");
});

test("a pod that gets hold of the GPU stops its change of mode", async () => {
  const stage = await stageOf({ model: "h100-sxm5-80gb", mode: "off" });
  const plan = await planOf(stage, "7x1g.10gb");
  const holders = async () => new Map([[plan.gpuUuid, ["ml/late"]]]);
  const execution = await executePlan(stage.driver, plan, { holders });
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["gpu-in-use"],
  );
  assert.equal(stateText(await stage.gpu()), "MIG off");
});

test("nothing is taken away while nobody can tell who holds what", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "1x7g.40gb");
  const driver = new FailingDriver(stage.driver, never);
  const execution = await executePlan(driver, plan, {
    holders: () => Promise.reject(new Error("the kubelet does not answer")),
  });
  assert.equal(execution.result, "rolled-back");
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["holders-unknown"],
  );
  assert.equal(driver.changes, 0);
});

test("a device that a pod got hold of half way is not taken away by the way back either", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "2x1g.5gb");
  const driver = new FailingDriver(stage.driver, { first: 5, count: 1, afterEffect: false });
  const holders = async () => {
    const created = (await stage.gpu()).instances.find(({ profile }) => profile.name === "1g.5gb");
    return new Map((created?.computeInstances ?? []).map(({ uuid }) => [uuid, ["ml/early"]]));
  };
  const execution = await executePlan(driver, plan, { holders });
  assert.equal(execution.result, "left-over");
  const state = stateText(await stage.gpu());
  assert.equal(state, "MIG on 1g.5gb@0");
  const left = findingsOf(execution).find(({ code }) => code === "layout-left-over");
  assert.match(left?.message ?? "", /missing: 2g\.10gb@0; not expected: 1g\.5gb@0; what stands: 1g\.5gb@0/);
});

test("a change of mode is not taken back under a pod that got hold of a device half way", async () => {
  const stage = await stageOf({ model: "h100-sxm5-80gb", mode: "off" });
  const plan = await planOf(stage, "7x1g.10gb");
  const driver = new FailingDriver(stage.driver, { first: 5, count: 1, afterEffect: false });
  const holders = async () => {
    const created = (await stage.gpu()).instances[0]?.computeInstances ?? [];
    return new Map(created.map(({ uuid }) => [uuid, ["ml/early"]]));
  };
  const execution = await executePlan(driver, plan, { holders });
  assert.equal(execution.result, "left-over");
  assert.equal(stateText(await stage.gpu()), "MIG on 1g.10gb@0");
});

test("a signal ends the change between two steps and takes it back", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "7x1g.5gb");
  const controller = new AbortController();
  const taken: string[] = [];
  const onStep = (step: Step): void => {
    taken.push(stepText(step));
    if (taken.length === 4) controller.abort(new Error("the agent stops"));
  };
  const execution = await executePlan(stage.driver, plan, { signal: controller.signal, onStep });
  assert.equal(execution.result, "rolled-back");
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["change-interrupted"],
  );
  assert.match(findingsOf(execution)[0]?.message ?? "", /the agent stops/);
  assert.equal(taken.length, 4);
  assert.equal(stateText(await stage.gpu()), "MIG on 2g.10gb@0");
});

test("a plan for another state than the present one is not begun", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "1x3g.20gb");
  const { uuid, profiles } = await stage.gpu();
  const small = profiles.find(({ name }) => name === "1g.5gb") ?? assert.fail("no 1g.5gb");
  await stage.driver.createGpuInstance(uuid, small.smiProfileId, { start: 3, size: 1 });
  const driver = new FailingDriver(stage.driver, never);
  const execution = await executePlan(driver, plan);
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["plan-outdated"],
  );
  assert.match(findingsOf(execution)[0]?.message ?? "", /1g\.5gb@3 stands on it/);
  assert.equal(driver.changes, 0);
});

test("a plan whose kept instance is gone is not begun", async () => {
  const { plan } = await scene("2g.10gb@0", "1x2g.10gb 1x3g.20gb");
  const empty = await stageOf({ model: "a100-sxm4-40gb" });
  const execution = await executePlan(empty.driver, plan);
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["plan-outdated"],
  );
});

test("a GPU the driver no longer lists is a finding", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "1x3g.20gb");
  stage.driver.raiseXid({ gpuUuid: plan.gpuUuid, xid: 79 });
  const execution = await executePlan(stage.driver, plan);
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["plan-outdated"],
  );
});

test("an instance that another tool creates meanwhile shows in the check at the end, and is taken away", async () => {
  const { stage, plan } = await scene("", "1x3g.20gb");
  const { uuid, profiles } = await stage.gpu();
  const small = profiles.find(({ name }) => name === "1g.5gb") ?? assert.fail("no 1g.5gb");
  let meddled = false;
  const onStep = (): void => {
    if (meddled) return;
    meddled = true;
    void stage.driver.createGpuInstance(uuid, small.smiProfileId, { start: 0, size: 1 });
  };
  const execution = await executePlan(stage.driver, plan, { onStep });
  assert.equal(execution.result, "rolled-back");
  assert.deepEqual(
    findingsOf(execution).map(({ code }) => code),
    ["layout-not-verified"],
  );
  assert.match(findingsOf(execution)[0]?.message ?? "", /not expected: 1g\.5gb@0 \(no compute instance\)/);
});

test("a plan that broke off is finished by executing it again, and only what is missing is done", async () => {
  const { stage, plan } = await scene("2g.10gb@0 3g.20gb@4", "2x1g.5gb 3x1c.3g.20gb");
  const { uuid } = await stage.gpu();
  // As after a crash: the 2g is gone and one of three narrow devices stands.
  const [first, second] = (await stage.gpu()).instances;
  assert.ok(first && second);
  await stage.driver.destroyComputeInstance(uuid, first.id, 0);
  await stage.driver.destroyGpuInstance(uuid, first.id);
  await stage.driver.destroyComputeInstance(uuid, second.id, 0);
  await stage.driver.createComputeInstance(uuid, second.id, 0);
  const taken: string[] = [];
  const execution = await executePlan(stage.driver, plan, { onStep: (step) => taken.push(stepText(step)) });
  assert.deepEqual(execution, { result: "done" });
  assert.deepEqual(taken, [
    "create compute instance 1c.3g.20gb@4",
    "create compute instance 1c.3g.20gb@4",
    "create GPU instance 1g.5gb@0",
    "create compute instance 1g.5gb@0",
    "create GPU instance 1g.5gb@1",
    "create compute instance 1g.5gb@1",
  ]);
});

test("a change of mode on one GPU leaves the others alone", async () => {
  const { driver } = await stageOf({ model: "a100-sxm4-40gb", mode: "off", gpus: 2 });
  const [, other] = await driver.list();
  assert.ok(other);
  await driver.setMigMode(other.uuid, true);
  const plan = planGpu({
    gpu: (await driver.list())[0] ?? other,
    wanted: wantedOf("7x1g.5gb", other),
    holders: new Map(),
  });
  assert.deepEqual(await executePlan(driver, plan), { result: "done" });
  const [changed, left] = await driver.list();
  assert.equal(changed?.instances.length, 7);
  assert.deepEqual(left?.mig, { current: false, pending: true });
});

test("what goes is withdrawn, what stays is not", async () => {
  const { stage, plan } = await scene("2g.10gb@0 3g.20gb@4", "1x3g.20gb 2x1g.5gb");
  const [first] = (await stage.gpu()).instances;
  assert.deepEqual(
    plan.withdrawn,
    first?.computeInstances.map(({ uuid }) => uuid),
  );
  const off = await planOf(stage, "off");
  assert.deepEqual(off.withdrawn.toSorted(), [plan.gpuUuid, ...(await devices(stage))].toSorted());
});

test("equal plans have equal ids, different ones do not", async () => {
  const { stage, plan } = await scene("2g.10gb@0", "2x1g.5gb");
  assert.equal((await planOf(stage, "2x1g.5gb")).id, plan.id);
  assert.notEqual((await planOf(stage, "3x1g.5gb")).id, plan.id);
});

test("a GPU the catalogue does not know is planned by what its driver tells", async () => {
  const { stage } = await scene("2g.10gb@0", "");
  const known = await stage.gpu();
  const plans = [known, { ...known, modelId: undefined }].map((gpu) =>
    planGpu({ gpu, wanted: wantedOf("1x2g.10gb 1x3g.20gb", gpu), holders: new Map() }),
  );
  assert.ok(plans[0]?.complete);
  assert.deepEqual(plans[1]?.steps, plans[0]?.steps);
});

test("a GPU of which nobody tells where instances can stand is left alone, with a finding", async () => {
  const { stage } = await scene("2g.10gb@0", "");
  const known = await stage.gpu();
  const gpu = { ...known, modelId: undefined, profiles: known.profiles.map((one) => ({ ...one, starts: [] })) };
  const plan = planGpu({ gpu, wanted: wantedOf("1x2g.10gb", gpu), holders: new Map() });
  assert.deepEqual(plan.steps, []);
  assert.deepEqual(
    plan.findings.map(({ code }) => code),
    ["mig-geometry-unknown"],
  );
});

async function scene(
  instances: string,
  wanted: string,
): Promise<{ readonly stage: Stage; readonly plan: PartitionPlan }> {
  const stage = await stageOf({ model: "a100-sxm4-40gb", instances });
  return { stage, plan: await planOf(stage, wanted) };
}

async function planOf(stage: Stage, wanted: string): Promise<PartitionPlan> {
  const gpu = await stage.gpu();
  return planGpu({ gpu, wanted: wantedOf(wanted, gpu), holders: stage.holders });
}

async function devices(stage: Stage): Promise<readonly string[]> {
  return (await stage.gpu()).instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid));
}

function findingsOf(execution: Execution): readonly Finding[] {
  return execution.result === "done" ? [] : execution.findings;
}
