/** The simulated driver: what happens on a node without anybody calling the driver, and where its GPUs sit. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CudaNoDeviceError, CudaOutOfMemoryError, type SimulatedChange, type XidEvent } from "../../src/gpu/index.ts";
import { model } from "./models.ts";
import { cut, driverOf, gpuAt, refused } from "./simulated-support.ts";

const a100 = model("a100-sxm4-80gb");
const h100 = model("h100-sxm5-80gb");
const t4 = model("t4-16gb");

describe("processes", () => {
  test("fail with out-of-memory when the card is full, whoever filled it", async () => {
    const driver = driverOf({ models: [t4] });
    const { uuid } = await gpuAt(driver, 0);
    const first = driver.startProcess({ device: uuid, command: "ml/a", memoryMiB: 12288 });
    assert.throws(
      () => driver.startProcess({ device: uuid, command: "ml/b", memoryMiB: 12288 }),
      (error) => {
        assert.ok(error instanceof CudaOutOfMemoryError);
        const { device, requestedMiB, freeMiB, capacityMiB, holders } = error;
        assert.deepEqual(
          { device, requestedMiB, freeMiB, capacityMiB, holders },
          {
            device: uuid,
            requestedMiB: 12288,
            freeMiB: 3072,
            capacityMiB: 15360,
            holders: [{ pid: first.pid, command: "ml/a", memoryMiB: 12288 }],
          },
        );
        return true;
      },
    );
    assert.equal((await driver.processes(uuid)).length, 1);
  });

  test("run when what is left is exactly enough", async () => {
    const driver = driverOf({ models: [t4] });
    const { uuid, memoryMiB } = await gpuAt(driver, 0);
    driver.startProcess({ device: uuid, command: "a", memoryMiB: memoryMiB - 1 });
    driver.startProcess({ device: uuid, command: "b", memoryMiB: 1 });
    assert.throws(() => driver.startProcess({ device: uuid, command: "c", memoryMiB: 1 }), CudaOutOfMemoryError);
  });

  test("that grow too far keep what they have", async () => {
    const driver = driverOf({ models: [t4] });
    const { uuid } = await gpuAt(driver, 0);
    const { pid } = driver.startProcess({ device: uuid, command: "a", memoryMiB: 10000 });
    driver.growProcess(pid, 5000);
    assert.throws(() => driver.growProcess(pid, 500), CudaOutOfMemoryError);
    assert.equal((await driver.processes(uuid))[0]?.memoryMiB, 15000);
  });

  test("in one GPU instance share its memory across compute instances, others have their own", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid, instance, device } = await cut(driver, "2g.20gb", 0);
    await driver.destroyComputeInstance(uuid, instance.id, device.id);
    const left = await driver.createComputeInstance(uuid, instance.id, 0);
    const right = await driver.createComputeInstance(uuid, instance.id, 0);
    const other = await cut(driver, "3g.40gb", 4);
    assert.equal(left.profile, "1c.2g.20gb");
    const { pid } = driver.startProcess({ device: left.uuid, command: "a", memoryMiB: 19968 });
    assert.throws(() => driver.startProcess({ device: right.uuid, command: "b", memoryMiB: 1 }), CudaOutOfMemoryError);
    driver.startProcess({ device: other.device.uuid, command: "c", memoryMiB: 40192 });
    assert.deepEqual((await driver.processes(uuid))[0], {
      pid,
      command: "a",
      memoryMiB: 19968,
      gpuInstanceId: instance.id,
      computeInstanceId: left.id,
    });
  });

  test("find no device on a GPU in MIG mode, nor where no device is", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid, instance, device } = await cut(driver, "3g.40gb", 4);
    const start = (on: string) => () => driver.startProcess({ device: on, command: "a", memoryMiB: 1 });
    assert.throws(start(uuid), CudaNoDeviceError);
    await driver.destroyComputeInstance(uuid, instance.id, device.id);
    assert.throws(start(device.uuid), CudaNoDeviceError);
  });

  test("tell why they are gone", async () => {
    const driver = driverOf({ models: [t4, t4] });
    const devices = (await driver.list()).map(({ uuid }) => uuid);
    const [ended, lost] = devices.map((device) => driver.startProcess({ device, command: "a", memoryMiB: 1 }));
    const rebooted = driver.startProcess({ device: devices[0] ?? "", command: "b", memoryMiB: 1 });
    driver.endProcess(ended?.pid ?? -1);
    driver.raiseXid({ gpuUuid: devices[1] ?? "", xid: 79 });
    driver.reboot();
    assert.deepEqual(await Promise.all([ended?.gone, lost?.gone, rebooted.gone]), ["ended", "gpu-lost", "reboot"]);
    assert.deepEqual(await driver.processes(devices[1] ?? ""), []);
  });

  for (const memoryMiB of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`cannot hold ${memoryMiB} MiB`, async () => {
      const driver = driverOf({ models: [t4] });
      const { uuid } = await gpuAt(driver, 0);
      assert.throws(() => driver.startProcess({ device: uuid, command: "a", memoryMiB }), { code: "bad-memory" });
    });
  }
});

describe("XID errors", () => {
  test("reach everybody who listens, from then on, in order", async () => {
    const driver = driverOf({ models: [a100] });
    const { uuid } = await gpuAt(driver, 0);
    driver.raiseXid({ gpuUuid: uuid, xid: 31 });
    const ending = new AbortController();
    const streams = [driver.xidEvents(ending.signal), driver.xidEvents(ending.signal)];
    driver.raiseXid({ gpuUuid: uuid, xid: 48 });
    driver.raiseXid({ gpuUuid: uuid, xid: 94, gpuInstanceId: 2, computeInstanceId: 0 });
    const whole = { gpuUuid: uuid, xid: 48, gpuInstanceId: undefined, computeInstanceId: undefined };
    const part = { gpuUuid: uuid, xid: 94, gpuInstanceId: 2, computeInstanceId: 0 };
    for (const stream of streams) {
      const seen: XidEvent[] = [];
      for await (const event of stream) {
        seen.push(event);
        if (seen.length === 2) break;
      }
      assert.deepEqual(seen, [whole, part]);
    }
    ending.abort();
  });

  test("wake several reads that wait at once", async () => {
    const driver = driverOf({ models: [t4] });
    const { uuid } = await gpuAt(driver, 0);
    const ending = new AbortController();
    const reader = driver.xidEvents(ending.signal)[Symbol.asyncIterator]();
    const reads = [reader.next(), reader.next(), reader.next()];
    driver.raiseXid({ gpuUuid: uuid, xid: 1 });
    driver.raiseXid({ gpuUuid: uuid, xid: 2 });
    const events = await Promise.all(reads.slice(0, 2));
    ending.abort();
    const last = await reads[2];
    assert.deepEqual(
      [...events, last].map((read) => (read?.done === false ? read.value.xid : "done")),
      [1, 2, "done"],
    );
  });

  test("of number 79 take the GPU off the bus until the reboot, the others stay", async () => {
    const driver = driverOf({ models: [a100, t4] });
    const { uuid, device } = await cut(driver, "3g.40gb", 0);
    const { uuid: other } = await gpuAt(driver, 1);
    driver.startProcess({ device: device.uuid, command: "a", memoryMiB: 1 });
    driver.raiseXid({ gpuUuid: uuid, xid: 79 });
    assert.deepEqual(
      (await driver.list()).map(({ index }) => index),
      [1],
    );
    await refused(driver.processes(uuid), "gpu-is-lost");
    await refused(driver.resetGpu(uuid), "gpu-is-lost");
    await refused(driver.link(other, uuid), "gpu-is-lost");
    const start = () => driver.startProcess({ device: device.uuid, command: "b", memoryMiB: 1 });
    assert.throws(start, CudaNoDeviceError);
    driver.reboot();
    assert.deepEqual((await gpuAt(driver, 0)).instances, []);
  });
});

describe("injected faults", () => {
  test("fail the chosen call on the chosen GPU, as often as asked, without effect", async () => {
    const driver = driverOf({ models: [h100, h100] });
    const [one, other] = (await driver.list()).map(({ uuid }) => uuid);
    assert.ok(one !== undefined && other !== undefined);
    driver.failCall({ call: "setMigMode", gpuUuid: one, afterCalls: 1, times: 2, nvmlCode: "unknown" });
    await driver.setMigMode(other, true);
    await driver.setMigMode(one, true);
    await refused(driver.setMigMode(one, false), "unknown");
    await refused(driver.setMigMode(one, false), "unknown");
    assert.equal((await gpuAt(driver, 0)).mig?.current, true);
    await driver.setMigMode(one, false);
    assert.equal(driver.calls().get("setMigMode"), 5);
  });

  test("can be taken away", async () => {
    const driver = driverOf({ models: [t4] });
    const disarm = driver.failCall({ call: "list", times: Number.POSITIVE_INFINITY, nvmlCode: "driver-not-loaded" });
    await refused(driver.list(), "driver-not-loaded");
    disarm();
    await driver.list();
  });
});

test("a driver that is not loaded refuses every call and every new process; what runs goes on", async () => {
  const driver = driverOf({ models: [a100, t4] });
  const { uuid } = await gpuAt(driver, 1);
  const { pid } = driver.startProcess({ device: uuid, command: "a", memoryMiB: 1024 });
  const before = await driver.list();
  driver.unload();
  await refused(driver.list(), "driver-not-loaded");
  await refused(driver.processes(uuid), "driver-not-loaded");
  await refused(driver.setMigMode(uuid, true), "driver-not-loaded");
  assert.throws(() => driver.xidEvents(new AbortController().signal), { nvmlCode: "driver-not-loaded" });
  assert.throws(() => driver.startProcess({ device: uuid, command: "b", memoryMiB: 1 }), CudaNoDeviceError);
  driver.load();
  assert.deepEqual(await driver.list(), before);
  assert.deepEqual(
    (await driver.processes(uuid)).map((one) => one.pid),
    [pid],
  );
});

test("tells listeners of changes once they are made, until they leave", async () => {
  const driver = driverOf({ models: [h100] });
  const { uuid } = await gpuAt(driver, 0);
  const seen: SimulatedChange["kind"][] = [];
  const leave = driver.onChange(({ kind }) => seen.push(kind));
  await driver.setMigMode(uuid, true);
  const { id } = await driver.createGpuInstance(uuid, 0, { start: 0, size: 8 });
  const { uuid: device } = await driver.createComputeInstance(uuid, id, 4);
  driver.startProcess({ device, command: "a", memoryMiB: 1 });
  driver.raiseXid({ gpuUuid: uuid, xid: 79 });
  driver.reboot();
  leave();
  await driver.setMigMode(uuid, true);
  assert.deepEqual(seen, ["mig-mode", "instances", "instances", "processes", "gpu-lost", "reboot"]);
});

describe("topology", () => {
  const nvlinks = async (id: string, count: number): Promise<string> => {
    const driver = driverOf({ models: Array.from({ length: count }, () => model(id)) });
    const gpus = await driver.list();
    const first = gpus[0] ?? assert.fail("no GPU");
    const links = await Promise.all(gpus.slice(1).map(({ uuid }) => driver.link(first.uuid, uuid)));
    return links.map(({ ancestor, nvlinks: direct }) => `${ancestor}/${direct}`).join(" ");
  };
  const rows = [
    { name: "PCIe cards without NVLink", id: "l4-24gb", count: 3, want: "single/0 node/0" },
    { name: "PCIe cards bridged in pairs", id: "a30-24gb", count: 4, want: "single/4 node/0 node/0" },
    { name: "four SXM boards meshed directly", id: "a100-sxm4-80gb", count: 4, want: "single/4 node/4 node/4" },
    {
      name: "eight SXM boards behind NVSwitch on two sockets",
      id: "h100-sxm5-80gb",
      count: 8,
      want: "single/0 node/0 node/0 system/0 system/0 system/0 system/0",
    },
    {
      name: "eight V100 in a cube",
      id: "v100-sxm2-32gb",
      count: 8,
      want: "single/1 node/1 node/2 system/2 system/0 system/0 system/0",
    },
  ];
  for (const { name, id, count, want } of rows) {
    test(`has ${name}`, async () => assert.equal(await nvlinks(id, count), want));
  }

  test("has no NVLink to a GPU in MIG mode, and no link of a GPU to itself", async () => {
    const driver = driverOf({ models: [h100, h100] });
    const [one = "", other = ""] = (await driver.list()).map(({ uuid }) => uuid);
    assert.equal((await driver.link(one, other)).nvlinks, 18);
    await driver.setMigMode(other, true);
    assert.equal((await driver.link(one, other)).nvlinks, 0);
    await refused(driver.link(one, one), "invalid-argument");
  });
});
