/**
 * The simulated driver and the NVML driver over the C double, given the same random calls: the same answers and refusals,
 * the same instances. Each is the other's slow, obvious twin, since the two were written apart.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { DriverError, type GpuDriver, type GpuModel, SimulatedDriver } from "../../src/gpu/index.ts";
import { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { model } from "./models.ts";
import { openNode } from "./nvml-support.ts";

type Call =
  | { readonly call: "mode"; readonly enabled: boolean }
  | { readonly call: "reset" }
  | { readonly call: "create"; readonly profile: number; readonly start: number; readonly wrongSize: boolean }
  | { readonly call: "destroy"; readonly instance: number }
  | { readonly call: "create-compute"; readonly instance: number; readonly profile: number }
  | { readonly call: "destroy-compute"; readonly instance: number; readonly compute: number };

/** Positions among what there is; the last ones of a range often name nothing. */
const position = fc.nat({ max: 7 });

const anyCall: fc.Arbitrary<Call> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ call: fc.constant("mode" as const), enabled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ call: "reset" as const }) },
  {
    weight: 8,
    arbitrary: fc.record({
      call: fc.constant("create" as const),
      profile: fc.nat({ max: 11 }),
      start: position,
      wrongSize: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ call: fc.constant("destroy" as const), instance: position }) },
  {
    weight: 8,
    arbitrary: fc.record({
      call: fc.constant("create-compute" as const),
      instance: position,
      profile: fc.nat({ max: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      call: fc.constant("destroy-compute" as const),
      instance: position,
      compute: fc.nat({ max: 3 }),
    }),
  },
);

/** Of each generation and layout one; on the A100 instances stay until the reset, which is a known difference. */
for (const id of ["b200-180gb", "rtx-pro-6000-blackwell-server", "gh200-96gb"]) {
  test(`both drivers answer the same on ${id}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCall, { minLength: 10, maxLength: 30 }), (calls) => sameAnswers(model(id), calls)),
      { numRuns: 8 },
    );
  });
}

async function sameAnswers(one: GpuModel, calls: readonly Call[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "nvml-"));
  const node = await MockNode.create(directory, { models: [one] });
  const opened = await openNode(node);
  assert.ok(opened.ok);
  const drivers = [new SimulatedDriver({ seed: directory, models: [one] }), opened.value];
  try {
    for (const call of [{ call: "mode", enabled: true } as const, ...calls]) {
      const [expected, got] = await Promise.all(drivers.map((driver) => answerOf(driver, one, call)));
      assert.deepEqual(got, expected, JSON.stringify(call));
      const [wanted, standing] = await Promise.all(drivers.map(standingOn));
      assert.deepEqual(standing, wanted, `after ${JSON.stringify(call)}`);
    }
  } finally {
    await opened.value.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** `done`, or the code of the refusal. */
async function answerOf(driver: GpuDriver, one: GpuModel, call: Call): Promise<string> {
  try {
    await carryOut(driver, one, call);
    return "done";
  } catch (error) {
    if (error instanceof DriverError) return error.nvmlCode;
    throw error;
  }
}

async function carryOut(driver: GpuDriver, { mig }: GpuModel, call: Call): Promise<void> {
  const [gpu] = await driver.list();
  assert.ok(gpu !== undefined && mig !== undefined);
  const instance = "instance" in call ? gpu.instances[call.instance] : undefined;
  const id = instance?.id ?? 99;
  switch (call.call) {
    case "mode":
      await driver.setMigMode(gpu.uuid, call.enabled);
      return;
    case "reset":
      return driver.resetGpu(gpu.uuid);
    case "create": {
      const profile = mig.profiles[call.profile];
      const size = (profile?.memorySlices ?? 1) + (call.wrongSize ? 1 : 0);
      // A few starts beyond those that the profile has.
      const start = profile?.starts[call.start] ?? call.start;
      await driver.createGpuInstance(gpu.uuid, profile?.smiProfileId ?? 999, { start, size });
      return;
    }
    case "destroy":
      return driver.destroyGpuInstance(gpu.uuid, id);
    case "create-compute": {
      const profile = instance?.profile.computeInstanceProfiles[call.profile];
      await driver.createComputeInstance(gpu.uuid, id, profile?.smiProfileId ?? 999);
      return;
    }
    case "destroy-compute":
      return driver.destroyComputeInstance(gpu.uuid, id, instance?.computeInstances[call.compute]?.id ?? 99);
    default:
      return call satisfies never;
  }
}

/** All but UUIDs, which each driver makes by a rule of its own. */
async function standingOn(driver: GpuDriver) {
  const [gpu] = await driver.list();
  return {
    mig: gpu?.mig,
    instances: gpu?.instances.map(({ id, profile, placement, memoryMiB, computeInstances }) => ({
      id,
      profile: profile.name,
      placement,
      memoryMiB,
      computeInstances: computeInstances.map(({ uuid: _, ...rest }) => rest),
    })),
  };
}
