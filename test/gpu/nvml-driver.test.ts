/** The NVML driver where it differs from a simple look-up: resets, holders, races with others, traps of the library. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { catalogue, DriverError, type NvmlDriver } from "../../src/gpu/index.ts";
import { loadLibrary } from "../../src/gpu/nvml/native.ts";
import { gpuInstanceHandle, Session } from "../../src/gpu/nvml/session.ts";
import type { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { fastClock } from "../support/fast-clock.ts";
import { until } from "../support/until.ts";
import { model, profile } from "./models.ts";
import { driverOver, mockNode, openNode } from "./nvml-support.ts";

const a100 = model("a100-sxm4-40gb");
const h100 = model("h100-sxm5-80gb");
const run = promisify(execFile);

const podUid = "0f6c2a34-7d1b-4e55-9f01-3c2b1a0d9e8f";
const containerId = "9a1b2c3d4e5f60718293a4b5c6d7e8f9a0b1c2d3e4f5061728394a5b6c7d8e9f";
const cgroup = `0::/kubepods.slice/kubepods-pod${podUid.replaceAll("-", "_")}.slice/cri-containerd-${containerId}.scope\n`;

test("the profiles of every MIG model are those of the catalogue, read off the hardware", async (t) => {
  const models = catalogue().filter(({ mig, aliasOf }) => mig !== undefined && aliasOf === undefined);
  for (const half of [models.slice(0, 12), models.slice(12)]) {
    const driver = await driverOver(t, await mockNode(t, { models: half, driverVersion: "610.10" }));
    for (const gpu of await driver.list()) {
      const known = half.find(({ id }) => id === gpu.modelId) ?? assert.fail(`GPU ${gpu.index} is ${gpu.modelId}`);
      const told = gpu.profiles.map(({ name, smiProfileId, nvmlProfileId, starts, maxInstances, memorySlices }) => {
        return { name, smiProfileId, nvmlProfileId, starts, maxInstances, memorySlices };
      });
      const listed = known.mig?.profiles.map(
        ({ name, smiProfileId, nvmlProfileId, starts, maxInstances, memorySlices }) => {
          return { name, smiProfileId, nvmlProfileId, starts, maxInstances, memorySlices };
        },
      );
      const byEnumerator = (a: { nvmlProfileId: number }, b: { nvmlProfileId: number }) =>
        a.nvmlProfileId - b.nvmlProfileId;
      assert.deepEqual(told.sort(byEnumerator), listed?.sort(byEnumerator), gpu.modelId);
    }
    assert.deepEqual(driver.findings(), []);
  }
});

test("addresses are those of sysfs, and NUMA nodes come from below the root", async (t) => {
  const driver = await driverOver(t, await mockNode(t, { models: Array.from({ length: 8 }, () => a100) }));
  const gpus = await driver.list();
  assert.deepEqual(
    gpus.map(({ pci, numaNode }) => `${pci.busId} ${numaNode}`),
    [
      "0000:07:00.0 0",
      "0000:0b:00.0 0",
      "0000:27:00.0 0",
      "0000:2b:00.0 0",
      "0000:47:00.0 1",
      "0000:4b:00.0 1",
      "0000:67:00.0 1",
      "0000:6b:00.0 1",
    ],
  );
  assert.deepEqual(gpus[0]?.pci, {
    busId: "0000:07:00.0",
    deviceId: "20B0",
    vendorId: "10DE",
    subsystemDeviceId: "0000",
    subsystemVendorId: "10DE",
  });
});

test("direct NVLinks are counted by where they lead, and none under MIG", async (t) => {
  const driver = await driverOver(t, await mockNode(t, { models: [a100, a100] }));
  const [one = "", other = ""] = (await driver.list()).map(({ uuid }) => uuid);
  assert.deepEqual(await driver.link(one, other), { ancestor: "single", nvlinks: 12 });
  await driver.setMigMode(one, true);
  await driver.resetGpu(one);
  assert.deepEqual(await driver.link(one, other), { ancestor: "single", nvlinks: 0 });
});

describe("a reset", () => {
  test("is of exactly the GPU named: other GPUs keep their instances", async (t) => {
    const node = await mockNode(t, { models: [a100, a100] });
    const driver = await driverOver(t, node);
    const [first = "", second = ""] = node.uuids;
    for (const uuid of node.uuids) await migOn(driver, uuid);
    const { smiProfileId } = profile(a100, "3g.20gb");
    for (const uuid of node.uuids) await driver.createGpuInstance(uuid, smiProfileId, { start: 4, size: 4 });
    await driver.resetGpu(first);
    const standing = (await driver.list()).map(({ instances }) => instances.length);
    assert.deepEqual(standing, [0, 1]);
    const resets = (await node.calls()).filter(({ symbol }) => symbol === "nvidia-smi").map(({ remark }) => remark);
    assert.deepEqual(resets, [first, second, first]);
  });

  test("names who has the device file open when nvidia-smi refuses", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    const driver = await driverOver(t, node);
    await node.openDeviceFile(4_100_001, "dcgm-exporter -f x", "/dev/nvidia0");
    await node.fail({ symbol: "nvidia-smi", code: 19 });
    const error = await failure(driver.resetGpu(node.uuids[0] ?? ""));
    assert.equal(error.nvmlCode, "in-use");
    assert.ok(error.retryable);
    assert.match(error.message, /dcgm-exporter -f x \(pid 4100001\)/);
    assert.match(error.remedy, /dcgm-exporter/);
    assert.equal((await driver.list()).length, 1);
  });

  for (const [code, nvmlCode] of [
    [3, "not-supported"],
    [4, "no-permission"],
    [999, "unknown"],
  ] as const) {
    test(`that nvidia-smi refuses with ${code} is ${nvmlCode}`, async (t) => {
      const node = await mockNode(t, { models: [a100] });
      const driver = await driverOver(t, node);
      await node.fail({ symbol: "nvidia-smi", code });
      assert.equal((await failure(driver.resetGpu(node.uuids[0] ?? ""))).nvmlCode, nvmlCode);
    });
  }

  test("without nvidia-smi is refused, in words that help", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    const opened = await openNode(node, { nvidiaSmi: "/nowhere/nvidia-smi" });
    assert.ok(opened.ok);
    t.after(() => opened.value.close());
    const error = await failure(opened.value.resetGpu(node.uuids[0] ?? ""));
    assert.equal(error.nvmlCode, "not-supported");
    assert.match(error.remedy, /where nvidia-smi is/);
  });

  test("lets XID events go on", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    const driver = await driverOver(t, node);
    const ending = new AbortController();
    t.after(() => ending.abort());
    const events = driver.xidEvents(ending.signal)[Symbol.asyncIterator]();
    const registered = (times: number) =>
      until(`registered ${times} times`, async () => (await countOf(node, "nvmlDeviceRegisterEvents")) === times);
    await registered(1);
    await driver.resetGpu(node.uuids[0] ?? "");
    await registered(2);
    await node.raiseXid(0, 63, { gi: 1, ci: 0 });
    assert.deepEqual((await events.next()).value, {
      gpuUuid: node.uuids[0],
      xid: 63,
      gpuInstanceId: 1,
      computeInstanceId: 0,
    });
  });

  test("after which the library does not come back at once is got over", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    const driver = await driverOver(t, node);
    const [uuid = ""] = node.uuids;
    await driver.setMigMode(uuid, true);
    await node.fail({ symbol: "nvmlInitWithFlags", times: 2, code: 9 });
    await driver.resetGpu(uuid);
    assert.equal((await failure(driver.list())).nvmlCode, "driver-not-loaded");
    // Many ask at once; a second use of the library beside the first would be in the way of the next reset.
    const lists = await Promise.all([driver.list(), driver.list(), driver.list()]);
    for (const [gpu] of lists) assert.deepEqual(gpu?.mig, { current: true, pending: true });
    await driver.resetGpu(uuid);
  });

  test("comes about although the library does not shut down at once", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    const driver = await driverOver(t, node);
    const [uuid = ""] = node.uuids;
    await driver.list();
    await node.fail({ symbol: "nvmlShutdown", code: 999 });
    await driver.resetGpu(uuid);
    await node.fail({ symbol: "nvmlShutdown", times: 2, code: 999 });
    assert.equal((await failure(driver.resetGpu(uuid))).call, "nvmlShutdown");
    await driver.resetGpu(uuid);
    assert.equal((await driver.list()).length, 1);
  });

  test("by somebody else is noticed", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const [uuid = ""] = node.uuids;
    const mine = await driverOver(t, node);
    await migOn(mine, uuid);
    // Another library on the same node: as a process of its own would, it changes the GPU behind our back.
    await mine.close();
    const driver = await driverOver(t, node);
    assert.equal((await driver.list())[0]?.mig?.current, true);
    await run(process.execPath, ["-e", switchOff, JSON.stringify({ ...pathsOf(node), uuid })]);
    assert.deepEqual(await driver.processes(uuid), []);
    assert.equal((await driver.list())[0]?.mig?.current, false);
  });
});

describe("a change of MIG mode", () => {
  test("that is accepted but not carried out is refused with who has the GPU open", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    await node.openDeviceFile(4_100_002, "nv-hostengine", "/dev/nvidia0");
    await node.activation(0, 19);
    const error = await failure(driver.setMigMode(node.uuids[0] ?? "", true));
    assert.equal(error.nvmlCode, "in-use");
    assert.match(error.message, /nv-hostengine \(pid 4100002\)/);
  });

  test("is refused with command, pod and container of whoever runs on the GPU", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    await node.startProcess({ gpu: 0, pid: 4_100_003, command: "python train.py", memoryMiB: 99, cgroup });
    const error = await failure(driver.setMigMode(node.uuids[0] ?? "", true));
    const who = `python train.py (pid 4100003, pod ${podUid}, container 9a1b2c3d4e5f)`;
    assert.ok(error.message.endsWith(`: used by ${who}`), error.message);
    assert.equal(await countOf(node, "nvmlDeviceSetMigMode"), 0);
    assert.partialDeepStrictEqual(await driver.holders(node.uuids[0] ?? ""), [{ podUid, containerId }]);
  });

  test("that is in force already makes no call", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    await migOn(driver, node.uuids[0] ?? "");
    await driver.setMigMode(node.uuids[0] ?? "", true);
    assert.equal(await countOf(node, "nvmlDeviceSetMigMode"), 1);
  });
});

describe("compute instances", () => {
  test("of the double-memory 1g on H100 have the profile that the hardware tells", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    const [uuid = ""] = node.uuids;
    await migOn(driver, uuid);
    const { smiProfileId } = profile(h100, "1g.20gb");
    const made = await driver.createGpuInstance(uuid, smiProfileId, { start: 6, size: 2 });
    const whole = made.profile.computeInstanceProfiles.at(-1);
    assert.partialDeepStrictEqual(whole, { name: "1g.20gb", smiProfileId: 7, nvmlProfileId: 7 });
    const device = await driver.createComputeInstance(uuid, made.id, 7);
    assert.equal(device.profile, "1g.20gb");
    assert.deepEqual(await driver.list(), await driver.list());
  });

  test("of a profile that only others use are seen", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    const [uuid = ""] = node.uuids;
    await migOn(driver, uuid);
    const { smiProfileId } = profile(h100, "1g.10gb");
    const made = await driver.createGpuInstance(uuid, smiProfileId, { start: 0, size: 1 });
    assert.equal(made.profile.computeInstanceProfiles.at(-1)?.smiProfileId, 0);
    // Through the library itself, as another tool would, with the REV1 profile that stands beside the plain one.
    const library = await loadLibrary([node.libraryPath]);
    assert.ok("functions" in library);
    const session = new Session(library);
    assert.equal(await session.initialise(), 0);
    const out = Buffer.alloc(8);
    const { handle } = await session.gpu("nvmlDeviceGetUUID", uuid);
    session.call("nvmlDeviceGetGpuInstanceById", uuid, handle, made.id, out);
    session.call("nvmlGpuInstanceCreateComputeInstance", uuid, gpuInstanceHandle(out), 7, Buffer.alloc(8));
    await session.shutDown();
    const [gpu] = await driver.list();
    assert.partialDeepStrictEqual(gpu?.instances[0]?.computeInstances, [
      { profile: "1g.10gb", placement: { start: 0 } },
    ]);
  });

  test("are placed by the numbers of the board, whichever way it counts its instances", async (t) => {
    const node = await mockNode(t, { models: [a100], reversedIds: true });
    const driver = await driverOver(t, node);
    const [uuid = ""] = node.uuids;
    await migOn(driver, uuid);
    const { smiProfileId } = profile(a100, "4g.20gb");
    const made = await driver.createGpuInstance(uuid, smiProfileId, { start: 0, size: 4 });
    assert.deepEqual({ id: made.id, placement: made.placement }, { id: 2, placement: { start: 0, size: 4 } });
    await driver.destroyGpuInstance(uuid, 2);
    assert.deepEqual((await driver.list())[0]?.instances, []);
  });
});

describe("processes", () => {
  for (const bytes of [16, 24, 32]) {
    test(`are read from lists with elements of ${bytes} bytes`, async (t) => {
      const node = await mockNode(t, { models: [h100] });
      const driver = await driverOver(t, node);
      await node.processSize(bytes);
      for (const pid of [4_110_003, 4_110_001, 4_110_002]) {
        await node.startProcess({ gpu: 0, pid, command: "train", memoryMiB: 2048 });
      }
      const processes = await driver.processes(node.uuids[0] ?? "");
      assert.deepEqual(
        processes.map(({ pid, memoryMiB, gpuInstanceId }) => ({ pid, memoryMiB, gpuInstanceId })),
        [4_110_001, 4_110_002, 4_110_003].map((pid) => ({ pid, memoryMiB: 2048, gpuInstanceId: undefined })),
      );
    });
  }

  test("of graphics and MPS are among them, and one without a memory figure holds 0", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    await node.startProcess({ gpu: 0, pid: 4_110_001, kind: "graphics", memoryMiB: undefined });
    await node.startProcess({ gpu: 0, pid: 4_110_002, kind: "mps", memoryMiB: 7 });
    // Without /proc of theirs the library tells their commands.
    assert.partialDeepStrictEqual(await driver.processes(node.uuids[0] ?? ""), [
      { pid: 4_110_001, memoryMiB: 0, command: "/usr/bin/from-nvml" },
      { pid: 4_110_002, memoryMiB: 7, command: "/usr/bin/from-nvml" },
    ]);
  });
});

test("an XID error of a lost GPU spoils the wait for no other GPU", async (t) => {
  const node = await mockNode(t, { models: [a100, h100] });
  const driver = await driverOver(t, node, { clock: fastClock(20) });
  const ending = new AbortController();
  t.after(() => ending.abort());
  const events = driver.xidEvents(ending.signal)[Symbol.asyncIterator]();
  const registered = (count: number) =>
    until("registered", async () => (await countOf(node, "nvmlDeviceRegisterEvents")) >= count);
  await registered(2);
  await node.lose(0);
  await registered(3);
  await node.raiseXid(1, 31);
  assert.partialDeepStrictEqual((await events.next()).value, { gpuUuid: node.uuids[1], xid: 31 });
});

test("XID errors of a GPU that comes back, or comes later, are seen again", async (t) => {
  const node = await mockNode(t, { models: [a100, h100] });
  const found = await node.lose(0);
  const driver = await driverOver(t, node, { clock: fastClock(20) });
  const ending = new AbortController();
  t.after(() => ending.abort());
  const events = driver.xidEvents(ending.signal)[Symbol.asyncIterator]();
  await until("one is followed", async () => (await countOf(node, "nvmlDeviceRegisterEvents")) === 1);
  await found();
  await driver.list();
  await until("all are followed", async () => (await countOf(node, "nvmlDeviceRegisterEvents")) === 3);
  await node.raiseXid(0, 48);
  assert.partialDeepStrictEqual((await events.next()).value, { gpuUuid: node.uuids[0], xid: 48 });
});

async function migOn(driver: NvmlDriver, uuid: string): Promise<void> {
  const mode = await driver.setMigMode(uuid, true);
  if (!mode.current) await driver.resetGpu(uuid);
}

async function countOf(node: MockNode, symbol: string): Promise<number> {
  return (await node.calls()).filter((call) => call.symbol === symbol).length;
}

function pathsOf({ libraryPath, root, nvidiaSmi }: MockNode) {
  return { libraryPath, root, nvidiaSmi };
}

/** A program that turns MIG off with a driver of its own. */
const switchOff = `
  const { uuid, ...paths } = JSON.parse(process.argv[1]);
  (async () => {
    const { openNvmlDriver } = await import(${JSON.stringify(new URL("../../src/gpu/index.ts", import.meta.url).href)});
    const { silentLogger, systemClock } = await import(${JSON.stringify(new URL("../../src/base/index.ts", import.meta.url).href)});
    const opened = await openNvmlDriver({ ...paths, log: silentLogger, clock: systemClock });
    await opened.value.setMigMode(uuid, false);
    await opened.value.close();
  })();
`;

async function failure(call: Promise<unknown>): Promise<DriverError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof DriverError) return error;
    throw error;
  }
  return assert.fail("the driver did not refuse");
}
