/**
 * What every `GpuDriver` must do, with hardware behind it or not.
 *
 * The suite cuts and resets the GPU it is given, so that must be idle. Without a MIG-capable GPU only the calls that
 * look are checked.
 *
 * Differences that must be, and that nobody may rely on:
 * - Where a GPU needs a reset to leave MIG mode, its instances go when the mode is set (NVML refuses to set it while
 *   they stand) or at the reset (simulated).
 * - XID events come from when the call is made (simulated), or from when the GPUs are registered, shortly after (NVML).
 * - `DriverError.call` is a method of the port (simulated) or the NVML symbol that was refused.
 * - Memory, multiprocessors and engines of a profile are `undefined` where the catalogue knows none (simulated); NVML
 *   always tells them.
 * - Libraries before driver 525 choose themselves where a compute instance starts.
 */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { DriverError, type Gpu, type GpuDriver, type MigProfile, type NvmlCode } from "../../src/gpu/index.ts";

export interface DriverUnderTest {
  readonly driver: GpuDriver;
  /** A MIG-capable, idle GPU that may be cut and reset; `undefined` where there is none. */
  readonly gpuUuid: string | undefined;
  /**
   * Starts a process on the GPU or one of its MIG devices, by UUID; answers with what ends it. `undefined` where a test
   * cannot start any.
   */
  readonly startProcess?: (device: string, started: StartedProcess) => Promise<() => Promise<void>>;
  /** Raises an XID error on the GPU; `undefined` where a test cannot. */
  readonly raiseXid?: (xid: number) => Promise<void>;
  /** Resolves when whoever asked for XID events gets those raised from now on. */
  readonly listening?: () => Promise<unknown>;
  /** Gives the GPU back. */
  close(): Promise<void>;
}

export interface StartedProcess {
  readonly command: string;
  readonly memoryMiB: number;
}

const nowhere = "GPU-00000000-0000-5000-8000-000000000000";

/** Declares the suite for the driver that `makeDriver` makes anew for each test. */
export function driverContract(name: string, makeDriver: () => Promise<DriverUnderTest>): void {
  const onDriver = (behaviour: string, body: (driver: GpuDriver) => Promise<void>): void => {
    test(behaviour, async () => {
      const { driver, close } = await makeDriver();
      try {
        await body(driver);
      } finally {
        await close();
      }
    });
  };
  const onMigGpu = (behaviour: string, body: (cutter: Cutter) => Promise<void>): void => {
    test(behaviour, async (context: TestContext) => {
      const { driver, gpuUuid, close } = await makeDriver();
      try {
        if (gpuUuid === undefined) context.skip("no GPU to cut");
        else await body(await Cutter.onCleared(driver, gpuUuid));
      } finally {
        await close();
      }
    });
  };
  describe(`driver contract: ${name}`, () => {
    lookingTests(onDriver);
    modeTests(onMigGpu);
    gpuInstanceTests(onMigGpu);
    computeInstanceTests(onMigGpu);
    busyTests(makeDriver);
  });
}

type OnDriver = (behaviour: string, body: (driver: GpuDriver) => Promise<void>) => void;
type OnMigGpu = (behaviour: string, body: (cutter: Cutter) => Promise<void>) => void;

function lookingTests(onDriver: OnDriver): void {
  onDriver("lists GPUs by ascending index, each with its own UUID, minor and bus id", async (driver) => {
    const gpus = await driver.list();
    const indices = gpus.map(({ index }) => index);
    assert.deepEqual(
      indices,
      indices.toSorted((a, b) => a - b),
    );
    for (const key of ["index", "uuid", "minor"] as const)
      assert.equal(new Set(gpus.map((gpu) => gpu[key])).size, gpus.length);
    for (const gpu of gpus) {
      assert.match(gpu.uuid, /^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.match(gpu.pci.busId, /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/);
      assert.match(gpu.pci.deviceId, /^[0-9A-F]{4}$/);
      assert.ok(gpu.memoryMiB > 0);
    }
  });

  onDriver("tells one GPU as the list does, and nothing of one that is not there", async (driver) => {
    for (const gpu of await driver.list()) assert.deepEqual(await driver.gpu(gpu.uuid), gpu);
    assert.equal(await driver.gpu(nowhere), undefined);
  });

  onDriver("tells the CUDA version, the PCI class of each GPU and no hypervisor", async (driver) => {
    const { cudaVersion, pciClasses, vgpuHost } = await driver.nodeFacts();
    assert.match(cudaVersion ?? "", /^[0-9]+\.[0-9]+$/);
    for (const { uuid } of await driver.list()) assert.match(pciClasses.get(uuid) ?? "", /^030[02]00$/);
    assert.equal(vgpuHost, "none");
  });

  onDriver("says that a GPU without profiles has no MIG mode, and the other way round", async (driver) => {
    for (const gpu of await driver.list()) assert.equal(gpu.profiles.length > 0, gpu.mig !== undefined);
  });

  onDriver("does not know a GPU that is not there", async (driver) => {
    await refused(driver.processes(nowhere), "not-found");
    await refused(driver.setMigMode(nowhere, true), "not-found");
    await refused(driver.createGpuInstance(nowhere, 0, { start: 0, size: 8 }), "not-found");
  });

  onDriver("tells the same link from both ends", async (driver) => {
    const [one, other] = await driver.list();
    if (one === undefined || other === undefined) return;
    assert.deepEqual(await driver.link(one.uuid, other.uuid), await driver.link(other.uuid, one.uuid));
  });

  onDriver("ends the stream of XID events when its signal fires", async (driver) => {
    const ending = new AbortController();
    const seen = collected(driver.xidEvents(ending.signal));
    ending.abort();
    assert.deepEqual(await seen, []);
    assert.deepEqual(await collected(driver.xidEvents(AbortSignal.abort())), []);
  });
}

function modeTests(onMigGpu: OnMigGpu): void {
  onMigGpu("cuts nothing while MIG is off", async (cutter) => {
    await cutter.switchMig(false);
    const profile = cutter.smallest();
    const place = { start: profile.starts[0] ?? 0, size: profile.memorySlices };
    await refused(cutter.driver.createGpuInstance(cutter.uuid, profile.smiProfileId, place), "not-supported");
  });

  onMigGpu("answers a mode change with the mode it then lists", async (cutter) => {
    for (const enabled of [false, true]) {
      const mode = await cutter.driver.setMigMode(cutter.uuid, enabled);
      assert.equal(mode.pending, enabled);
      assert.deepEqual((await cutter.gpu()).mig, mode);
      await cutter.switchMig(enabled);
    }
  });

  onMigGpu("makes no instances when MIG is turned on, and keeps none when it is turned off", async (cutter) => {
    assert.deepEqual((await cutter.gpu()).instances, []);
    await cutter.create(cutter.largest());
    await cutter.switchMig(false);
    assert.deepEqual((await cutter.gpu()).instances, []);
    await cutter.switchMig(true);
    assert.deepEqual((await cutter.gpu()).instances, []);
  });

  onMigGpu("loses the instances and keeps the mode at a reset", async (cutter) => {
    await cutter.create(cutter.smallest());
    await cutter.driver.resetGpu(cutter.uuid);
    const { mig, instances } = await cutter.gpu();
    assert.deepEqual({ mig, instances }, { mig: { current: true, pending: true }, instances: [] });
  });
}

function gpuInstanceTests(onMigGpu: OnMigGpu): void {
  onMigGpu("creates every profile at each of its starts", async (cutter) => {
    for (const profile of (await cutter.gpu()).profiles) {
      for (const start of profile.starts) {
        const { id, ...made } = await cutter.create(profile, start);
        assert.deepEqual(made.placement, { start, size: profile.memorySlices });
        assert.equal(made.profile.smiProfileId, profile.smiProfileId);
        assert.deepEqual(made.computeInstances, []);
        assert.ok(made.memoryMiB > 0);
        assert.deepEqual((await cutter.gpu()).instances, [{ id, ...made }]);
        await cutter.driver.destroyGpuInstance(cutter.uuid, id);
      }
    }
    assert.deepEqual((await cutter.gpu()).instances, []);
  });

  onMigGpu("refuses a place that is taken, as it does when nothing is left", async (cutter) => {
    await cutter.create(cutter.largest());
    for (const profile of (await cutter.gpu()).profiles) {
      await refused(cutter.create(profile), "insufficient-resources");
    }
  });

  onMigGpu(
    "refuses a start and a size that the profile does not have, and a profile the GPU does not have",
    async (cutter) => {
      const { smiProfileId, memorySlices } = cutter.smallest();
      const at = (start: number, size: number) =>
        cutter.driver.createGpuInstance(cutter.uuid, smiProfileId, { start, size });
      await refused(at(1000, memorySlices), "invalid-argument");
      await refused(at(0, memorySlices + 1), "invalid-argument");
      await refused(cutter.driver.createGpuInstance(cutter.uuid, 999, { start: 0, size: 1 }), "not-supported");
      assert.deepEqual((await cutter.gpu()).instances, []);
    },
  );

  onMigGpu("lists instances by ascending placement, whatever the order of creation", async (cutter) => {
    const profile = cutter.smallest();
    const starts = profile.starts.slice(0, profile.maxInstances);
    for (const start of starts.toReversed()) await cutter.create(profile, start);
    const { instances } = await cutter.gpu();
    assert.deepEqual(
      instances.map(({ placement }) => placement.start),
      starts,
    );
    assert.equal(new Set(instances.map(({ id }) => id)).size, starts.length);
  });

  onMigGpu("does not know an instance that is gone", async (cutter) => {
    const { id } = await cutter.create(cutter.smallest());
    await cutter.driver.destroyGpuInstance(cutter.uuid, id);
    await refused(cutter.driver.destroyGpuInstance(cutter.uuid, id), "not-found");
    await refused(cutter.driver.createComputeInstance(cutter.uuid, id, 0), "not-found");
  });

  onMigGpu("leaves a list taken earlier as it was", async (cutter) => {
    const before = await cutter.gpu();
    await cutter.createWhole(cutter.smallest());
    assert.deepEqual(before.instances, []);
  });
}

function computeInstanceTests(onMigGpu: OnMigGpu): void {
  onMigGpu("keeps a GPU instance while compute instances stand in it", async (cutter) => {
    const { instance, device } = await cutter.createWhole(cutter.smallest());
    await refused(cutter.driver.destroyGpuInstance(cutter.uuid, instance.id), "in-use");
    await cutter.driver.destroyComputeInstance(cutter.uuid, instance.id, device.id);
    await cutter.driver.destroyGpuInstance(cutter.uuid, instance.id);
    assert.deepEqual((await cutter.gpu()).instances, []);
  });

  onMigGpu("names a full-width compute instance like its GPU instance and lists it there", async (cutter) => {
    const { instance, device } = await cutter.createWhole(cutter.smallest());
    assert.equal(device.profile, instance.profile.name);
    assert.match(device.uuid, /^MIG-/);
    assert.deepEqual((await cutter.gpu()).instances[0]?.computeInstances, [device]);
  });

  onMigGpu(
    "fills a GPU instance with narrow compute instances, each with an index and UUID of its own",
    async (cutter) => {
      const instance = await cutter.create(cutter.largest());
      const narrow = instance.profile.computeInstanceProfiles[0];
      assert.ok(narrow !== undefined && narrow.computeSlices === 1);
      const create = () => cutter.driver.createComputeInstance(cutter.uuid, instance.id, narrow.smiProfileId);
      const devices = [];
      for (const start of narrow.starts) {
        const device = await create();
        assert.deepEqual(device.placement, { start, size: narrow.size });
        devices.push(device);
      }
      await refused(create(), "insufficient-resources");
      for (const key of ["id", "uuid", "migIndex"] as const) {
        assert.equal(new Set(devices.map((device) => device[key])).size, devices.length);
      }
    },
  );

  onMigGpu("gives the same place the same UUID again, and another place another", async (cutter) => {
    const profile = cutter.smallest();
    const uuids = [];
    for (const start of [0, 1, 0].map((at) => profile.starts[at] ?? 0)) {
      const { instance, device } = await cutter.createWhole(profile, start);
      uuids.push(device.uuid);
      await cutter.driver.destroyComputeInstance(cutter.uuid, instance.id, device.id);
      await cutter.driver.destroyGpuInstance(cutter.uuid, instance.id);
    }
    assert.equal(uuids[0], uuids[2]);
    assert.notEqual(uuids[0], uuids[1]);
  });

  onMigGpu("does not know a compute instance that is not there", async (cutter) => {
    const { id } = await cutter.create(cutter.smallest());
    await refused(cutter.driver.destroyComputeInstance(cutter.uuid, id, 0), "not-found");
    await refused(cutter.driver.createComputeInstance(cutter.uuid, id, 999), "not-supported");
  });
}

/** What processes on the GPU forbid, and what the driver tells of them. */
function busyTests(makeDriver: () => Promise<DriverUnderTest>): void {
  const onBusyGpu = (
    behaviour: string,
    body: (cutter: Cutter, start: NonNullable<DriverUnderTest["startProcess"]>) => Promise<void>,
  ): void => {
    test(behaviour, async (context: TestContext) => {
      const { driver, gpuUuid, startProcess, close } = await makeDriver();
      try {
        if (gpuUuid === undefined || startProcess === undefined) context.skip("no GPU to use");
        else await body(await Cutter.onCleared(driver, gpuUuid), startProcess);
      } finally {
        await close();
      }
    });
  };
  const train = { command: "python train.py", memoryMiB: 512 };

  onBusyGpu("tells the processes of a whole GPU and of an instance, with memory and place", async (cutter, start) => {
    await cutter.switchMig(false);
    const end = await start(cutter.uuid, train);
    const [whole] = await cutter.driver.processes(cutter.uuid);
    assert.partialDeepStrictEqual(whole, { ...train, gpuInstanceId: undefined, computeInstanceId: undefined });
    await end();
    assert.deepEqual(await cutter.driver.processes(cutter.uuid), []);
    await cutter.switchMig(true);
    const { instance, device } = await cutter.createWhole(cutter.smallest());
    await start(device.uuid, train);
    const [inside] = await cutter.driver.processes(cutter.uuid);
    const place = { gpuInstanceId: instance.id, computeInstanceId: device.id };
    assert.partialDeepStrictEqual(inside, { ...train, ...place });
  });

  onBusyGpu("changes neither mode nor instances of a GPU that is in use", async (cutter, start) => {
    const { device } = await cutter.createWhole(cutter.smallest());
    const end = await start(device.uuid, train);
    const before = await cutter.gpu();
    await refused(cutter.driver.setMigMode(cutter.uuid, false), "in-use");
    await refused(cutter.driver.resetGpu(cutter.uuid), "in-use");
    assert.deepEqual(await cutter.gpu(), before);
    await end();
    await cutter.switchMig(false);
  });

  onBusyGpu("destroys the neighbour of an instance in use, not the instance itself", async (cutter, start) => {
    const profile = cutter.smallest();
    const used = await cutter.createWhole(profile);
    const free = await cutter.createWhole(profile, profile.starts[1]);
    await start(used.device.uuid, train);
    await refused(cutter.driver.destroyComputeInstance(cutter.uuid, used.instance.id, used.device.id), "in-use");
    await cutter.driver.destroyComputeInstance(cutter.uuid, free.instance.id, free.device.id);
    await cutter.driver.destroyGpuInstance(cutter.uuid, free.instance.id);
    const { instances } = await cutter.gpu();
    assert.deepEqual(
      instances.map(({ computeInstances }) => computeInstances),
      [[used.device]],
    );
  });

  test("gives every listener the XID errors raised while it listens", async (context) => {
    const { driver, gpuUuid, raiseXid, listening, close } = await makeDriver();
    try {
      if (gpuUuid === undefined || raiseXid === undefined) {
        context.skip("no XID errors to raise");
        return;
      }
      const ending = new AbortController();
      const streams = [driver.xidEvents(ending.signal), driver.xidEvents(ending.signal)];
      const seen = streams.map(async (stream) => {
        for await (const event of stream) return event;
        return undefined;
      });
      await listening?.();
      await raiseXid(31);
      const wanted = { gpuUuid, xid: 31, gpuInstanceId: undefined, computeInstanceId: undefined };
      assert.deepEqual(await Promise.all(seen), [wanted, wanted]);
      ending.abort();
    } finally {
      await close();
    }
  });
}

/** Cuts one GPU, which begins with MIG on and no instances. */
class Cutter {
  readonly driver: GpuDriver;
  readonly uuid: string;
  #profiles: readonly MigProfile[] = [];

  private constructor(driver: GpuDriver, uuid: string) {
    this.driver = driver;
    this.uuid = uuid;
  }

  static async onCleared(driver: GpuDriver, uuid: string): Promise<Cutter> {
    const cutter = new Cutter(driver, uuid);
    await cutter.switchMig(false);
    await cutter.switchMig(true);
    cutter.#profiles = (await cutter.gpu()).profiles;
    return cutter;
  }

  async gpu(): Promise<Gpu> {
    const gpu = (await this.driver.list()).find(({ uuid }) => uuid === this.uuid);
    assert.ok(gpu !== undefined);
    return gpu;
  }

  async switchMig(enabled: boolean): Promise<void> {
    const mode = await this.driver.setMigMode(this.uuid, enabled);
    if (mode.current !== enabled) await this.driver.resetGpu(this.uuid);
    assert.deepEqual((await this.gpu()).mig, { current: enabled, pending: enabled });
  }

  smallest(): MigProfile {
    return this.#bySlices().at(0) ?? assert.fail("no profiles");
  }

  largest(): MigProfile {
    return this.#bySlices().at(-1) ?? assert.fail("no profiles");
  }

  create(profile: MigProfile, start = profile.starts[0] ?? 0) {
    return this.driver.createGpuInstance(this.uuid, profile.smiProfileId, { start, size: profile.memorySlices });
  }

  async createWhole(profile: MigProfile, start?: number) {
    const instance = await this.create(profile, start);
    const whole = instance.profile.computeInstanceProfiles.at(-1) ?? assert.fail("no compute profiles");
    const device = await this.driver.createComputeInstance(this.uuid, instance.id, whole.smiProfileId);
    return { instance, device };
  }

  /** Stable, so that the plain profiles come before their variants. */
  #bySlices(): readonly MigProfile[] {
    const plain = this.#profiles.filter(({ attributes }) => attributes.length === 0);
    return plain.toSorted((a, b) => a.memorySlices - b.memorySlices);
  }
}

async function collected<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function refused(call: Promise<unknown>, code: NvmlCode): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof DriverError, String(error));
    assert.equal(error.nvmlCode, code);
    return true;
  });
}
