/** The simulated driver: MIG modes, driver versions and instances, and the contract every driver fulfils. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { catalogue, DriverError, SimulatedDriver } from "../../src/gpu/index.ts";
import { driverContract } from "./driver-contract.ts";
import { model, profile } from "./models.ts";
import { cut, driverOf, gpuAt, refused } from "./simulated-support.ts";

const a100 = model("a100-sxm4-80gb");
const h100 = model("h100-sxm5-80gb");
const t4 = model("t4-16gb");

for (const id of ["a100-sxm4-40gb", "h100-sxm5-80gb", "a30-24gb", "rtx-pro-6000-blackwell-server", "h20-96gb"]) {
  driverContract(`simulated ${id}`, async () => {
    const driver = new SimulatedDriver({ seed: "contract", models: [t4, model(id)] });
    const gpuUuid = (await driver.list())[1]?.uuid ?? assert.fail("no GPU");
    return {
      driver,
      gpuUuid,
      startProcess: async (device, started) => {
        const { pid } = driver.startProcess({ device, ...started });
        return async () => driver.endProcess(pid);
      },
      raiseXid: async (xid) => driver.raiseXid({ gpuUuid, xid }),
      close: async () => {},
    };
  });
}

describe("MIG mode", () => {
  const on = { current: true, pending: true };
  const off = { current: false, pending: false };

  test("stays pending on Ampere until the reset", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid } = await gpuAt(driver, 0);
    assert.deepEqual(await driver.setMigMode(uuid, true), { current: false, pending: true });
    await driver.resetGpu(uuid);
    assert.deepEqual((await gpuAt(driver, 0)).mig, on);
  });

  test("can be taken back on Ampere before the reset", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid } = await gpuAt(driver, 0);
    await driver.setMigMode(uuid, true);
    assert.deepEqual(await driver.setMigMode(uuid, false), off);
  });

  test("keeps instances on Ampere until the reset that turns it off", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid } = await cut(driver, "3g.40gb", 4);
    await driver.setMigMode(uuid, false);
    assert.equal((await gpuAt(driver, 0)).instances.length, 1);
    await driver.resetGpu(uuid);
    assert.deepEqual((await gpuAt(driver, 0)).instances, []);
  });

  for (const id of ["h100-sxm5-80gb", "b200-180gb", "rtx-pro-6000-blackwell-server"]) {
    test(`applies at once on ${id} and is gone after a reboot`, async () => {
      const driver = driverOf({ models: [model(id)] });
      const { uuid } = await gpuAt(driver, 0);
      assert.deepEqual(await driver.setMigMode(uuid, true), on);
      driver.reboot();
      assert.deepEqual((await gpuAt(driver, 0)).mig, off);
    });
  }

  test("survives a reboot on Ampere, the instances do not", async () => {
    const driver = driverOf({ models: [a100] });
    await cut(driver, "3g.40gb", 4);
    driver.reboot();
    const { mig, instances } = await gpuAt(driver, 0);
    assert.deepEqual({ mig, instances }, { mig: on, instances: [] });
  });

  test("is changed by a reboot where the GPU cannot be reset", async () => {
    const driver = driverOf({ models: [a100], resettable: false });
    const { uuid } = await gpuAt(driver, 0);
    await driver.setMigMode(uuid, true);
    await refused(driver.resetGpu(uuid), "not-supported");
    assert.deepEqual((await gpuAt(driver, 0)).mig, { current: false, pending: true });
    driver.reboot();
    assert.deepEqual((await gpuAt(driver, 0)).mig, on);
  });

  for (const one of [a100, h100]) {
    test(`is not changed while a process runs on ${one.id}`, async () => {
      const driver = driverOf({ models: [one] });
      const { uuid } = await gpuAt(driver, 0);
      const { pid } = driver.startProcess({ device: uuid, command: "train", memoryMiB: 100 });
      await refused(driver.setMigMode(uuid, true), "in-use");
      await refused(driver.resetGpu(uuid), "in-use");
      assert.deepEqual((await gpuAt(driver, 0)).mig, off);
      driver.endProcess(pid);
      await driver.setMigMode(uuid, true);
    });
  }

  test("does not exist on a GPU that cannot do MIG", async () => {
    const driver = driverOf({ models: [t4] });
    const { uuid, mig } = await gpuAt(driver, 0);
    assert.equal(mig, undefined);
    await refused(driver.setMigMode(uuid, true), "not-supported");
    await refused(driver.createGpuInstance(uuid, 19, { start: 0, size: 1 }), "not-supported");
  });
});

describe("driver version", () => {
  const rows = [
    { version: "580.95.05", id: "a100-sxm4-40gb", want: 7 },
    { version: "515.43.04", id: "a100-sxm4-40gb", want: 6 },
    { version: "450.80.02", id: "a100-sxm4-40gb", want: 5 },
    { version: "525.85.12", id: "h100-sxm5-80gb", want: 7 },
    { version: "525.60.13", id: "h100-sxm5-80gb", want: 0 },
  ];
  for (const { version, id, want } of rows) {
    test(`${version} knows ${want} profiles of ${id}`, async () => {
      const driver = driverOf({ models: [model(id)], driverVersion: version });
      const { profiles, mig } = await gpuAt(driver, 0);
      assert.equal(profiles.length, want);
      assert.equal(mig === undefined, want === 0);
    });
  }

  test("of the default knows every profile of every model", async () => {
    const driver = driverOf({ models: catalogue() });
    assert.deepEqual(
      (await driver.list()).map(({ profiles }) => profiles.length),
      catalogue().map(({ mig }) => mig?.profiles.length ?? 0),
    );
  });
});

describe("instances", () => {
  // Ids as seen on cards: 7g 0; 3g and 4g 1, 2; 2g 3 to 6; 1g 7 to 14; RTX PRO 6000 2g 1, 2 and 1g 3 to 6.
  const rows = [
    { id: "a100-sxm4-80gb", name: "7g.80gb", ids: [0] },
    { id: "a100-sxm4-80gb", name: "4g.40gb", ids: [1] },
    { id: "a100-sxm4-80gb", name: "3g.40gb", ids: [1, 2] },
    { id: "a100-sxm4-80gb", name: "2g.20gb", ids: [3, 4, 5] },
    { id: "a100-sxm4-80gb", name: "1g.20gb", ids: [3, 4, 5, 6] },
    { id: "a100-sxm4-80gb", name: "1g.10gb", ids: [7, 8, 9, 10, 11, 12, 13] },
    { id: "a30-24gb", name: "1g.6gb", ids: [3, 4, 5, 6] },
    { id: "a30-24gb", name: "2g.12gb", ids: [1, 2] },
    { id: "rtx-pro-6000-blackwell-server", name: "2g.48gb", ids: [1, 2] },
    { id: "rtx-pro-6000-blackwell-server", name: "1g.24gb", ids: [3, 4, 5, 6] },
  ];
  for (const { id, name, ids } of rows) {
    test(`of ${name} on ${id} have the ids ${ids.join(", ")} by start`, async () => {
      const driver = driverOf({ models: [model(id)] });
      const seen = [];
      for (const start of profile(model(id), name).starts) {
        const { uuid, instance, device } = await cut(driver, name, start);
        seen.push(instance.id);
        await driver.destroyComputeInstance(uuid, instance.id, device.id);
        await driver.destroyGpuInstance(uuid, instance.id);
      }
      assert.deepEqual(seen, ids);
    });
  }

  test("do not stand where a profile with all media engines forbids them", async () => {
    const driver = driverOf({ models: [model("rtx-pro-6000-blackwell-server")] });
    const { uuid } = await cut(driver, "1g.24gb+me.all", 0);
    await refused(driver.createGpuInstance(uuid, 14, { start: 3, size: 3 }), "insufficient-resources");
    await driver.createGpuInstance(uuid, 67, { start: 3, size: 3 });
  });

  test("leave gaps in the MIG indices, which the next one fills", async () => {
    const driver = driverOf({ models: [a100] });
    const first = await cut(driver, "1g.10gb", 0);
    const second = await cut(driver, "1g.10gb", 1);
    await driver.destroyComputeInstance(first.uuid, first.instance.id, first.device.id);
    assert.equal((await gpuAt(driver, 0)).instances[1]?.computeInstances[0]?.migIndex, 1);
    assert.equal(second.device.migIndex, 1);
    assert.equal((await cut(driver, "3g.40gb", 4)).device.migIndex, 0);
  });

  // Widths and starts of compute instances in a GPU instance of seven compute slices (NVIDIA go-nvml tables).
  const computeRows = [
    { name: "two 3c and no 1c at the lowest start they leave", widths: [3, 3, 1], starts: [0, 4, 3] },
    { name: "4c beside 2c at its third start", widths: [4, 2], starts: [0, 4] },
    { name: "no second 4c", widths: [4, 4], starts: [0, undefined] },
    { name: "nothing beside 7c", widths: [7, 1], starts: [0, undefined] },
    { name: "no 4c once a 1c holds its only start", widths: [1, 4, 2], starts: [0, undefined, 2] },
  ];
  for (const { name, widths, starts } of computeRows) {
    test(`of 7g hold ${name}`, async () => {
      const driver = driverOf({ models: [a100] });
      const { uuid, instance, device } = await cut(driver, "7g.80gb", 0);
      await driver.destroyComputeInstance(uuid, instance.id, device.id);
      const profiles = instance.profile.computeInstanceProfiles;
      const seen = [];
      for (const width of widths) {
        const id = profiles.find(({ computeSlices }) => computeSlices === width)?.smiProfileId ?? -1;
        const made = await driver.createComputeInstance(uuid, instance.id, id).catch((error: unknown) => {
          assert.ok(error instanceof DriverError && error.nvmlCode === "insufficient-resources");
        });
        seen.push(made?.placement.start);
      }
      assert.deepEqual(seen, starts);
    });
  }

  test("have UUIDs that depend on the node's name, the GPU and the place alone", async () => {
    const uuids = async (seed: string): Promise<readonly string[]> => {
      const driver = new SimulatedDriver({ seed, models: [a100] });
      const { uuid, device } = await cut(driver, "2g.20gb", 2);
      return [uuid, device.uuid];
    };
    assert.deepEqual(await uuids("node-a"), await uuids("node-a"));
    const [gpu, mig] = await uuids("node-b");
    assert.notEqual(gpu, (await uuids("node-a"))[0]);
    assert.notEqual(mig, (await uuids("node-a"))[1]);
    assert.match(gpu ?? "", /^GPU-.{8}-.{4}-5.{3}-[89ab].{3}-.{12}$/);
  });

  test("with a running process keep their compute instance, those beside it do not matter", async () => {
    const driver = driverOf({ models: [h100] });
    const busy = await cut(driver, "1g.10gb", 0);
    const idle = await cut(driver, "1g.10gb", 1);
    const { pid } = driver.startProcess({ device: busy.device.uuid, command: "serve", memoryMiB: 10 });
    await refused(driver.destroyComputeInstance(busy.uuid, busy.instance.id, busy.device.id), "in-use");
    await driver.destroyComputeInstance(idle.uuid, idle.instance.id, idle.device.id);
    await refused(driver.setMigMode(busy.uuid, false), "in-use");
    driver.endProcess(pid);
    await driver.destroyComputeInstance(busy.uuid, busy.instance.id, busy.device.id);
  });
});

test("says that it is simulated", () => assert.equal(driverOf({ models: [] }).simulated, true));
