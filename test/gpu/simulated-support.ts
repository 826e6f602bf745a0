/** Simulated drivers cut as tests need them. */
import assert from "node:assert/strict";
import { DriverError, type NvmlCode, SimulatedDriver, type SimulatedDriverOptions } from "../../src/gpu/index.ts";
import { model, profile } from "./models.ts";

/** A driver of the node `node-a`. */
export function driverOf(
  options: Partial<SimulatedDriverOptions> & Pick<SimulatedDriverOptions, "models">,
): SimulatedDriver {
  return new SimulatedDriver({ seed: "node-a", ...options });
}

/** The GPU at a position of the driver's list; fails when there is none. */
export async function gpuAt(driver: SimulatedDriver, at: number) {
  return (await driver.list())[at] ?? assert.fail(`no GPU ${at}`);
}

/** Fails unless the driver refuses the call with this code. */
export async function refused(call: Promise<unknown>, code: NvmlCode): Promise<void> {
  await assert.rejects(call, (error) => error instanceof DriverError && error.nvmlCode === code);
}

/** Turns MIG on and creates `name` at `start` with a compute instance over all of it. */
export async function cut(driver: SimulatedDriver, name: string, start: number) {
  const { uuid, modelId = "" } = await gpuAt(driver, 0);
  await driver.setMigMode(uuid, true);
  const { mig } = await gpuAt(driver, 0);
  if (mig?.current !== true) await driver.resetGpu(uuid);
  const { smiProfileId, memorySlices: size, computeInstanceProfiles } = profile(model(modelId), name);
  const instance = await driver.createGpuInstance(uuid, smiProfileId, { start, size });
  const whole = computeInstanceProfiles.at(-1)?.smiProfileId ?? -1;
  return { uuid, instance, device: await driver.createComputeInstance(uuid, instance.id, whole) };
}
