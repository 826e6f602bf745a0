/** Whatever is asked of the simulated driver in whatever order, it never shows what hardware could not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  CudaNoDeviceError,
  CudaOutOfMemoryError,
  DriverError,
  type Gpu,
  layoutFault,
  SimulatedDriver,
} from "../../src/gpu/index.ts";
import { model } from "./models.ts";

type Action =
  | { readonly do: "mode"; readonly enabled: boolean }
  | { readonly do: "reset" | "reboot" | "lose" }
  | { readonly do: "create"; readonly profile: number; readonly start: number }
  | { readonly do: "cut"; readonly instance: number; readonly profile: number }
  | { readonly do: "destroy" | "close"; readonly instance: number; readonly device: number }
  | { readonly do: "start"; readonly device: number; readonly share: number }
  | { readonly do: "grow" | "end"; readonly process: number; readonly share: number };

const small = fc.nat({ max: 12 });
const share = fc.double({ min: 0, max: 1.2, noNaN: true });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant("mode" as const), enabled: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("reset" as const, "reboot" as const, "lose" as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("create" as const), profile: small, start: small }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("cut" as const), instance: small, profile: small }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom("destroy" as const, "close" as const), instance: small, device: small }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("start" as const), device: small, share }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom("grow" as const, "end" as const), process: small, share }),
  },
);

for (const id of ["a100-sxm4-40gb", "h100-sxm5-80gb", "a30-24gb", "rtx-pro-6000-blackwell-server"]) {
  test(`no sequence of calls brings ${id} into a state that cannot be`, async () => {
    const geometry = model(id).mig ?? assert.fail("not MIG capable");
    let instancesSeen = 0;
    let processesSeen = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 60 }), async (actions) => {
        const driver = new SimulatedDriver({ seed: "property", models: [model(id)] });
        const { uuid } = (await driver.list())[0] ?? assert.fail("no GPU");
        await driver.setMigMode(uuid, true);
        if ((await driver.list())[0]?.mig?.current === false) await driver.resetGpu(uuid);
        for (const one of actions) {
          const before = await driver.list();
          const succeeded = await perform(driver, uuid, one);
          const after = await driver.list();
          if (!succeeded) assert.deepEqual(after, before);
          const [gpu] = after;
          if (gpu === undefined) continue;
          const layout = gpu.instances.map(({ profile, placement }) => ({ profile, start: placement.start }));
          assert.equal(layoutFault(geometry, layout), undefined);
          assertComputeInstances(gpu);
          const processes = await driver.processes(uuid);
          assertMemory(gpu, processes);
          instancesSeen += gpu.instances.length;
          processesSeen += processes.length;
        }
      }),
      { numRuns: 60 },
    );
    assert.ok(instancesSeen > 500 && processesSeen > 100, `saw ${instancesSeen} instances, ${processesSeen} processes`);
  });
}

/** Whether the driver, or CUDA, did what was asked. */
async function perform(driver: SimulatedDriver, uuid: string, one: Action): Promise<boolean> {
  try {
    await performOrThrow(driver, uuid, one);
    return true;
  } catch (error) {
    assert.ok(
      error instanceof DriverError || error instanceof CudaNoDeviceError || error instanceof CudaOutOfMemoryError,
      String(error),
    );
    return false;
  }
}

async function performOrThrow(driver: SimulatedDriver, uuid: string, one: Action): Promise<void> {
  const gpu = (await driver.list())[0];
  switch (one.do) {
    case "mode":
      await driver.setMigMode(uuid, one.enabled);
      return;
    case "reset":
      return driver.resetGpu(uuid);
    case "reboot":
      return driver.reboot();
    case "lose":
      return driver.raiseXid({ gpuUuid: uuid, xid: 79 });
    case "create": {
      const wanted = pick(gpu?.profiles ?? [], one.profile);
      if (wanted === undefined) return;
      const start = pick(wanted.starts, one.start) ?? one.start;
      await driver.createGpuInstance(uuid, wanted.smiProfileId, { start, size: wanted.memorySlices });
      return;
    }
    case "cut": {
      const instance = pick(gpu?.instances ?? [], one.instance);
      const wanted = pick(instance?.profile.computeInstanceProfiles ?? [], one.profile);
      if (instance !== undefined && wanted !== undefined) {
        await driver.createComputeInstance(uuid, instance.id, wanted.smiProfileId);
      }
      return;
    }
    case "destroy":
    case "close": {
      const instance = pick(gpu?.instances ?? [], one.instance);
      if (instance === undefined) return;
      if (one.do === "destroy") return driver.destroyGpuInstance(uuid, instance.id);
      return driver.destroyComputeInstance(uuid, instance.id, pick(instance.computeInstances, one.device)?.id ?? 99);
    }
    case "start":
    case "grow":
    case "end":
      return performProcess(driver, gpu, one);
  }
}

async function performProcess(
  driver: SimulatedDriver,
  gpu: Gpu | undefined,
  one: Action & { readonly do: "start" | "grow" | "end" },
): Promise<void> {
  if (gpu === undefined) return;
  const memoryMiB = Math.round((one.share * gpu.memoryMiB) / 4);
  if (one.do === "start") {
    const devices = gpu.instances.flatMap(({ computeInstances }) => computeInstances.map(({ uuid }) => uuid));
    driver.startProcess({ device: pick([gpu.uuid, ...devices], one.device) ?? "", command: "work", memoryMiB });
    return;
  }
  const pid = pick(await driver.processes(gpu.uuid), one.process)?.pid;
  if (pid === undefined) return;
  if (one.do === "end") driver.endProcess(pid);
  else driver.growProcess(pid, memoryMiB);
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list.length === 0 ? undefined : list[at % list.length];
}

function assertComputeInstances(gpu: Gpu): void {
  const devices = gpu.instances.flatMap(({ computeInstances }) => computeInstances);
  for (const key of ["uuid", "migIndex"] as const) {
    assert.equal(new Set(devices.map((device) => device[key])).size, devices.length);
  }
  assert.equal(new Set(gpu.instances.map(({ id }) => id)).size, gpu.instances.length);
  for (const { profile, computeInstances } of gpu.instances) {
    const slices = computeInstances.flatMap(({ placement }) =>
      Array.from({ length: placement.size }, (_, at) => placement.start + at),
    );
    assert.equal(new Set(slices).size, slices.length);
    assert.ok(slices.every((slice) => slice < profile.computeSlices));
  }
  if (gpu.mig?.current === false) assert.deepEqual(gpu.instances, []);
}

function assertMemory(gpu: Gpu, processes: Awaited<ReturnType<SimulatedDriver["processes"]>>): void {
  const held = (instance: number | undefined): number =>
    processes.reduce((sum, one) => sum + (one.gpuInstanceId === instance ? one.memoryMiB : 0), 0);
  assert.ok(held(undefined) <= gpu.memoryMiB);
  for (const { id, memoryMiB } of gpu.instances) assert.ok(held(id) <= memoryMiB);
  assert.ok(processes.reduce((sum, one) => sum + one.memoryMiB, 0) <= gpu.memoryMiB);
  for (const { gpuInstanceId, computeInstanceId } of processes) {
    const home = gpu.instances.find(({ id }) => id === gpuInstanceId)?.computeInstances;
    if (gpuInstanceId !== undefined) assert.ok(home?.some(({ id }) => id === computeInstanceId));
    else assert.equal(gpu.mig?.current, false);
  }
}
