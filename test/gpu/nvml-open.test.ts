/** Opening the NVML library: what is told when it, the driver or a GPU is not as it should be, and what works anyway. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { silentLogger, systemClock } from "../../src/base/index.ts";
import { DriverError, type GpuModel, type NvmlDriver, openNvmlDriver } from "../../src/gpu/index.ts";
import type { MockNode } from "../fixtures/mocknvml/mock-node.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { model, profile } from "./models.ts";
import { after470, driverOver, mockNode, openNode } from "./nvml-support.ts";
import { refused } from "./simulated-support.ts";

const a100 = model("a100-sxm4-40gb");
const h100 = model("h100-sxm5-80gb");
const t4 = model("t4-16gb");

test("importing the room loads no native code", async () => {
  const room = join(import.meta.dirname, "../../src/gpu/index.ts");
  const script = `await import(${JSON.stringify(room)});
    console.log(process.report.getReport().sharedObjects.filter((path) => path.includes("koffi")).length);`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(stdout.trim(), "0");
});

describe("without a usable library there is a finding", () => {
  const opened = (libraryPath: string) => openNvmlDriver({ libraryPath, log: silentLogger, clock: systemClock });

  test("when there is none", async (t) => {
    const path = join(await temporaryDirectory(t), "libnvidia-ml.so.1");
    const { ok, findings } = await opened(path);
    assert.equal(ok, false);
    assert.deepEqual(codes(findings), ["nvml-library-missing"]);
    assert.ok(findings[0]?.message.includes(path));
  });

  test("with every place below the root that was looked at", async (t) => {
    const root = await temporaryDirectory(t);
    const { ok, findings } = await openNvmlDriver({ root, log: silentLogger, clock: systemClock });
    // A machine with a driver has a library of its own that serves when the root has none.
    if (ok) return;
    assert.ok(findings[0]?.message.includes(join(root, "usr/lib64/libnvidia-ml.so.1")), findings[0]?.message);
    assert.ok(findings[0]?.message.includes(join(root, "run/nvidia/driver/usr/lib64")), findings[0]?.message);
  });

  test("when the file is something else", async (t) => {
    const path = join(await temporaryDirectory(t), "libnvidia-ml.so.1");
    await writeFile(path, "not a library\n");
    assert.deepEqual(codes((await opened(path)).findings), ["nvml-library-unusable"]);
  });

  test("when it is another library", async () => {
    const { findings } = await opened("libm.so.6");
    assert.deepEqual(codes(findings), ["nvml-library-unusable"]);
    assert.match(findings[0]?.message ?? "", /does not export nvmlInit_v2/);
  });
});

describe("without a usable driver there is a finding", () => {
  const rows = [
    { name: "when it is not loaded", result: 9, code: "nvidia-driver-not-loaded" },
    { name: "when library and kernel module differ", result: 18, code: "nvidia-driver-mismatch" },
    { name: "when this process may not use it", result: 4, code: "nvml-no-permission" },
    { name: "when it does not start for another reason", result: 999, code: "nvml-library-unusable" },
  ];
  for (const { name, result, code } of rows) {
    test(name, async (t) => {
      const node = await mockNode(t, { models: [a100] });
      const heal = await node.initCode(result);
      const failed = await openNode(node);
      assert.equal(failed.ok, false);
      assert.deepEqual(codes(failed.findings), [code]);
      assert.match(failed.findings[0]?.message ?? "", new RegExp(`NVML_ERROR_[A-Z_]+, ${result}\\)`));
      assert.notEqual(failed.findings[0]?.remedy, "");
      await heal();
      assert.equal((await (await driverOver(t, node)).list()).length, 1);
    });
  }

  test("that tells a kernel module which is there from one that is not", async (t) => {
    const node = await mockNode(t, { models: [a100] });
    await node.initCode(9);
    const message = async (root: string) => (await openNode(node, { root })).findings[0]?.message ?? "";
    assert.match(await message(node.root), /may still be starting/);
    assert.match(await message(await temporaryDirectory(t)), /no kernel module is loaded/);
  });
});

describe("a library of an older branch", () => {
  test("is told with what is done without its functions, and works", async (t) => {
    const node = await mockNode(t, { models: [a100], driverVersion: "470.256.02", hidden: after470 });
    const driver = await driverOver(t, node);
    const [finding] = driver.findings();
    assert.equal(finding?.code, "nvml-functions-missing");
    assert.deepEqual(finding.evidence["missing"], after470);
    const names = (await cutWhole(driver, node, "3g.20gb")).instances.map(({ profile: { name } }) => name);
    assert.deepEqual(names, ["3g.20gb"]);
  });

  test("names profiles by memory where it does not name them itself", async (t) => {
    const hidden = ["nvmlDeviceGetGpuInstanceProfileInfoV"];
    const strange = { ...a100, nvmlName: "NVIDIA A999", pciDeviceIds: ["FFF0"] };
    const driver = await driverOver(t, await mockNode(t, { models: [strange], driverVersion: "580.95.05", hidden }));
    const [gpu] = await driver.list();
    const names = (a100.mig?.profiles ?? []).map(({ name }) => name);
    assert.deepEqual(gpu?.profiles.map(({ name }) => name).sort(), names.toSorted());
  });

  test("that tells no profiles works with those of the catalogue, as far as it knows them", async (t) => {
    const hidden = ["nvmlDeviceGetGpuInstanceProfileInfoV", "nvmlDeviceGetGpuInstanceProfileInfo"];
    const fewer = withoutProfile(a100, "1g.5gb+me");
    const node = await mockNode(t, { models: [fewer], hidden });
    const driver = await driverOver(t, node);
    const { instances } = await cutWhole(driver, node, "3g.20gb");
    assert.equal(instances.length, 1);
    assert.deepEqual(codes(driver.findings()), ["nvml-functions-missing"]);
  });

  test("of 535, which knows the second version of the profile struct only, tells the same profiles", async (t) => {
    const driver = await driverOver(t, await mockNode(t, { models: [h100], driverVersion: "535.216.03" }));
    const [gpu] = await driver.list();
    const { uuid = "" } = gpu ?? {};
    await driver.setMigMode(uuid, true);
    const names = (h100.mig?.profiles ?? []).map(({ name }) => name);
    assert.deepEqual((await driver.list())[0]?.profiles.map(({ name }) => name).sort(), names.toSorted());
  });

  test("that cannot place instances refuses to create one, in words that help", async (t) => {
    const hidden = ["nvmlDeviceCreateGpuInstanceWithPlacement"];
    const node = await mockNode(t, { models: [h100], hidden });
    const driver = await driverOver(t, node);
    await assert.rejects(cutWhole(driver, node, "3g.40gb"), (error) => {
      assert.ok(error instanceof DriverError);
      assert.equal(error.nvmlCode, "not-supported");
      assert.match(error.remedy, /newer NVIDIA driver/);
      return true;
    });
  });
});

describe("a GPU that is not as it should be", () => {
  test("is left out when it has fallen off the bus, and the others work", async (t) => {
    const node = await mockNode(t, { models: [a100, h100] });
    const driver = await driverOver(t, node);
    assert.equal((await driver.list()).length, 2);
    await node.lose(0);
    assert.deepEqual(
      (await driver.list()).map(({ index }) => index),
      [1],
    );
    assert.deepEqual(codes(driver.findings()), ["gpu-lost"]);
    assert.ok(driver.findings()[0]?.message.includes(node.uuids[0] ?? "?"));
    await refused(driver.processes(node.uuids[0] ?? ""), "gpu-is-lost");
    assert.deepEqual(await driver.processes(node.uuids[1] ?? ""), []);
  });

  test("comes back when it answers again", async (t) => {
    const node = await mockNode(t, { models: [a100, h100] });
    const driver = await driverOver(t, node);
    const heal = await node.lose(0);
    assert.equal((await driver.list()).length, 1);
    await heal();
    assert.equal((await driver.list()).length, 2);
    assert.deepEqual(driver.findings(), []);
  });

  test("is left out when it cannot be opened", async (t) => {
    const node = await mockNode(t, { models: [a100, h100] });
    const driver = await driverOver(t, node);
    assert.equal((await driver.list()).length, 2);
    await node.close(1, 4);
    const fresh = await driverOver(t, node);
    assert.deepEqual(
      (await fresh.list()).map(({ index }) => index),
      [0],
    );
    assert.deepEqual(codes(fresh.findings()), ["gpu-unreadable"]);
    // A handle got before is still good.
    assert.equal((await driver.list()).length, 2);
  });

  test("is in the list although a call about it fails once", async (t) => {
    const node = await mockNode(t, { models: [a100, h100] });
    for (const symbol of ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetName"]) {
      const driver = await driverOver(t, node);
      await node.fail({ symbol, gpu: 0, code: 999 });
      assert.equal((await driver.list()).length, 2, symbol);
    }
  });

  test("is left out when a call about it fails, and is there again when it does not", async (t) => {
    const node = await mockNode(t, { models: [a100, h100] });
    const driver = await driverOver(t, node);
    await node.fail({ symbol: "nvmlDeviceGetPciInfo_v3", gpu: 1, times: 2, code: 14 });
    assert.deepEqual(
      (await driver.list()).map(({ index }) => index),
      [0],
    );
    assert.partialDeepStrictEqual(driver.findings(), [
      { code: "gpu-unreadable", evidence: { index: 1, call: "nvmlDeviceGetPciInfo_v3" } },
    ]);
    assert.equal((await driver.list()).length, 2);
    assert.deepEqual(driver.findings(), []);
  });

  test("unknown to the catalogue is read and cut by what the driver tells", async (t) => {
    const strange: GpuModel = { ...h100, nvmlName: "NVIDIA H999", pciDeviceIds: ["FFF1"] };
    const node = await mockNode(t, { models: [strange] });
    const driver = await driverOver(t, node);
    const [gpu] = await driver.list();
    assert.equal(gpu?.modelId, undefined);
    assert.deepEqual(codes(driver.findings()), ["gpu-not-in-catalogue"]);
    const starts = gpu?.profiles.map(({ name, starts: places }) => `${name}@${places}`).sort();
    assert.deepEqual(starts, h100.mig?.profiles.map(({ name, starts: places }) => `${name}@${places}`).sort());
    const { instances } = await cutWhole(driver, node, "3g.40gb");
    assert.deepEqual(
      instances.flatMap(({ computeInstances }) => computeInstances.map((one) => one.profile)),
      ["3g.40gb"],
    );
  });

  test("that is cut otherwise than the catalogue says is told, and counts", async (t) => {
    const changed = withProfile(h100, "1g.10gb", (one) => ({ ...one, starts: [0, 1, 2, 3], maxInstances: 4 }));
    const driver = await driverOver(t, await mockNode(t, { models: [changed] }));
    const [gpu] = await driver.list();
    assert.deepEqual(gpu?.profiles.find(({ name }) => name === "1g.10gb")?.starts, [0, 1, 2, 3]);
    const [finding] = driver.findings();
    assert.equal(finding?.code, "mig-profiles-disagree");
    assert.match(finding.message, /starts of 1g\.10gb: 0,1,2,3, catalogue 0,1,2,3,4,5,6; instances of 1g\.10gb: 4/);
  });

  test("without rights shows all but its instances, and says so", async (t) => {
    const node = await mockNode(t, { models: [h100] });
    const driver = await driverOver(t, node);
    const { instances } = await cutWhole(driver, node, "3g.40gb");
    const [device] = instances[0]?.computeInstances ?? [];
    const ids = { gpuInstanceId: instances[0]?.id ?? -1, computeInstanceId: device?.id ?? -1 };
    await node.startProcess({ gpu: 0, pid: 4_100_000, command: "train", memoryMiB: 10, ...ids });
    await node.unprivileged();
    const fresh = await driverOver(t, node);
    const [gpu] = await fresh.list();
    assert.deepEqual(
      { mig: gpu?.mig, memoryMiB: gpu?.memoryMiB, instances: gpu?.instances, unread: gpu?.instancesUnread },
      {
        mig: { current: true, pending: true },
        memoryMiB: h100.memoryMiB,
        instances: [],
        unread: "insufficient permissions",
      },
    );
    assert.deepEqual(codes(fresh.findings()), ["nvml-no-permission"]);
    // The lists of the GPU are closed, those of its MIG devices are not.
    assert.partialDeepStrictEqual(await fresh.processes(node.uuids[0] ?? ""), [{ pid: 4_100_000, ...ids }]);
    const { smiProfileId } = profile(h100, "1g.10gb");
    await refused(fresh.createGpuInstance(node.uuids[0] ?? "", smiProfileId, { start: 0, size: 1 }), "no-permission");
  });

  test("without MIG has neither mode nor profiles nor findings", async (t) => {
    const driver = await driverOver(t, await mockNode(t, { models: [t4] }));
    assert.partialDeepStrictEqual(await driver.list(), [{ modelId: "t4-16gb", mig: undefined, profiles: [] }]);
    assert.deepEqual(driver.findings(), []);
  });
});

/** Turns MIG on and cuts the first GPU once, with a compute instance over all of it. */
async function cutWhole(driver: NvmlDriver, node: MockNode, name: string) {
  const [uuid = ""] = node.uuids;
  const mode = await driver.setMigMode(uuid, true);
  if (!mode.current) await driver.resetGpu(uuid);
  const [before] = await driver.list();
  const wanted = before?.profiles.find((one) => one.name === name) ?? assert.fail(`no ${name}`);
  const place = { start: wanted.starts[0] ?? 0, size: wanted.memorySlices };
  const made = await driver.createGpuInstance(uuid, wanted.smiProfileId, place);
  const whole = made.profile.computeInstanceProfiles.at(-1)?.smiProfileId ?? -1;
  await driver.createComputeInstance(uuid, made.id, whole);
  return (await driver.list())[0] ?? assert.fail("no GPU");
}

type Profile = NonNullable<GpuModel["mig"]>["profiles"][number];

function withProfile(one: GpuModel, name: string, change: (profile: Profile) => Profile): GpuModel {
  if (one.mig === undefined) return one;
  const profiles = one.mig.profiles.map((each) => (each.name === name ? change(each) : each));
  return { ...one, mig: { ...one.mig, profiles } };
}

function withoutProfile(one: GpuModel, name: string): GpuModel {
  if (one.mig === undefined) return one;
  return { ...one, mig: { ...one.mig, profiles: one.mig.profiles.filter((each) => each.name !== name) } };
}

function codes(findings: readonly { readonly code: string }[]): readonly string[] {
  return findings.map(({ code }) => code);
}
