/** What an agent reads of its machine for containers, over a tree of files as a driver leaves it. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import type { FileRoots } from "../../src/agent/container-side.ts";
import { ContainerSide } from "../../src/agent/container-side.ts";
import { hostFilesReader } from "../../src/agent/index.ts";
import { silentLogger } from "../../src/base/index.ts";
import { type Gpu, migCapabilityMinors, modelById } from "../../src/gpu/index.ts";
import { noHostFiles } from "../../src/sharing/index.ts";
import { driverOver, mockNode } from "../gpu/nvml-support.ts";
import { cdiSettings, specsOf } from "../sharing/cdi-support.ts";
import { gpu, nodeOffers } from "../sharing/fixtures.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const version = "580.95.05";
const roots: FileRoots = {
  nvidiaDriverRoot: "/",
  nvidiaDevRoot: "/",
  containerDriverRoot: "/driver-root-of-no-container",
};
const card: Gpu = { ...gpu(0), pci: { ...gpu(0).pci, busId: "0000:07:00.0" } };

/** A machine with these files; one that ends with a slash is a directory. */
async function machine(t: TestContext, files: readonly string[], minors = ""): Promise<string> {
  const root = await temporaryDirectory(t);
  for (const file of files) {
    await mkdir(file.endsWith("/") ? join(root, file) : join(root, dirname(file)), { recursive: true });
    if (!file.endsWith("/")) await writeFile(join(root, file), "");
  }
  if (minors !== "") {
    await mkdir(join(root, "proc/driver/nvidia-caps"), { recursive: true });
    await writeFile(join(root, "proc/driver/nvidia-caps/mig-minors"), minors);
  }
  return root;
}

const devices = [
  "dev/nvidiactl",
  "dev/nvidia0",
  "dev/nvidia-uvm",
  "dev/nvidia-fs0",
  "dev/gdrdrv",
  "dev/sda",
  "dev/nvidia-caps/nvidia-cap1",
  "dev/infiniband/uverbs0",
  "dev/infiniband/umad0",
  "dev/infiniband/rdma_cm",
  "dev/nvidia-caps-imex-channels/channel0",
];

test("device files, libraries of this driver, programs and sockets are found, others are not", async (t) => {
  const root = await machine(
    t,
    [
      ...devices,
      `usr/lib/x86_64-linux-gnu/libcuda.so.${version}`,
      "usr/lib/x86_64-linux-gnu/libcuda.so.550.1",
      "usr/lib/x86_64-linux-gnu/libc.so.6",
      `usr/lib64/vdpau/libvdpau_nvidia.so.${version}`,
      "usr/bin/nvidia-smi",
      "usr/bin/bash",
      `lib/firmware/nvidia/${version}/gsp_ga10x.bin`,
      "run/nvidia-persistenced/socket",
      "run/udev/",
      "sys/bus/pci/devices/0000:07:00.0/drm/card1/",
      "sys/bus/pci/devices/0000:07:00.0/drm/renderD128/",
      "sys/bus/pci/devices/0000:07:00.0/drm/controlD65/",
    ],
    "config 1\ngpu0/gi1/access 12\nnonsense\n",
  );
  const found = await hostFilesReader({ root, driverVersion: version })(roots, [card]);
  assert.deepEqual(
    { ...found, deviceNodes: [...found.deviceNodes].sort() },
    {
      deviceNodes: [
        "/dev/gdrdrv",
        "/dev/infiniband/rdma_cm",
        "/dev/infiniband/uverbs0",
        "/dev/nvidia-caps-imex-channels/channel0",
        "/dev/nvidia-fs0",
        "/dev/nvidia-uvm",
        "/dev/nvidia0",
        "/dev/nvidiactl",
      ],
      migMinors: new Map([
        ["config", 1],
        ["gpu0/gi1/access", 12],
      ]),
      drmNodes: new Map([["0000:07:00.0", ["/dev/dri/card1", "/dev/dri/renderD128"]]]),
      libraries: [`/usr/lib/x86_64-linux-gnu/libcuda.so.${version}`, `/usr/lib64/vdpau/libvdpau_nvidia.so.${version}`],
      programs: ["/usr/bin/nvidia-smi", `/lib/firmware/nvidia/${version}/gsp_ga10x.bin`],
      sockets: ["/run/nvidia-persistenced/socket"],
      storageFiles: ["/run/udev"],
    },
  );
});

test("a driver in a root of its own is looked for there, and in a container where that is mounted", async (t) => {
  const root = await machine(t, ["dev/sda", "run/nvidia/driver/usr/bin/nvidia-smi", "run/nvidia/driver/dev/nvidiactl"]);
  const below = { ...roots, nvidiaDriverRoot: "/run/nvidia/driver", nvidiaDevRoot: "/run/nvidia/driver" };
  const read = hostFilesReader({ root, driverVersion: version });
  const outside = await read(below, []);
  assert.deepEqual([outside.programs, [...outside.deviceNodes]], [["/usr/bin/nvidia-smi"], ["/dev/nvidiactl"]]);
  const mounted = { ...below, nvidiaDriverRoot: "/elsewhere", containerDriverRoot: join(root, "run/nvidia/driver") };
  const inside = await read(mounted, []);
  assert.deepEqual([inside.programs, [...inside.deviceNodes]], [["/usr/bin/nvidia-smi"], ["/dev/nvidiactl"]]);
});

test("a machine without a driver has nothing", async (t) => {
  const found = await hostFilesReader({ root: await machine(t, []), driverVersion: version })(roots, [card]);
  assert.deepEqual(found, noHostFiles);
});

test("a MIG device that NVML made is described by its GPU's file and its two capabilities", async (t) => {
  const h100 = modelById("h100-sxm5-80gb") ?? assert.fail("no model");
  const node = await mockNode(t, { models: [h100, h100] });
  const driver = await driverOver(t, node);
  const [, uuid = ""] = node.uuids;
  await driver.setMigMode(uuid, true);
  const profile = h100.mig?.profiles.find((one) => one.name === "3g.40gb") ?? assert.fail("no profile");
  const { id } = await driver.createGpuInstance(uuid, profile.smiProfileId, { start: 4, size: 4 });
  const made = await driver.createComputeInstance(uuid, id, 2);
  const found = await driver.list();
  const host = await hostFilesReader({ root: node.root, driverVersion: driver.driverVersion })(roots, found);
  const described = specsOf(found, { host, offered: new Set([made.uuid]) }).get("gpu")?.devices;
  assert.deepEqual(
    described?.map((one) => [one.name, one.containerEdits.deviceNodes?.map(({ path }) => path)]),
    [[made.uuid, ["/dev/nvidia1", ...[0, 1 + made.id].map((at) => `/dev/nvidia-caps/nvidia-cap${138 + 9 * id + at}`)]]],
  );
});

test("the capabilities of a simulated machine are numbered as the kernel does", async (t) => {
  const node = await mockNode(t, {
    models: ["h100-sxm5-80gb", "t4-16gb"].map((id) => modelById(id) ?? assert.fail(id)),
  });
  const { migMinors } = await hostFilesReader({ root: node.root, driverVersion: version })(roots, []);
  assert.deepEqual(migCapabilityMinors([0, 1]), migMinors);
});

const channels = [
  { name: "is there", file: true, required: true, want: { given: [0], unusable: 0, codes: [] } },
  {
    name: "is missing",
    file: false,
    required: false,
    want: { given: [], unusable: 0, codes: ["imex-channel-skipped"] },
  },
  {
    name: "is missing and required",
    file: false,
    required: true,
    want: { given: [], unusable: 2, codes: ["imex-channel-missing"] },
  },
];
for (const { name, file, required, want } of channels) {
  test(`an IMEX channel ${name}`, async (t) => {
    const root = await machine(t, file ? devices : ["dev/nvidiactl"]);
    const host = await hostFilesReader({ root, driverVersion: version })(roots, []);
    const holders = { holders: async () => new Map() };
    const cdiDirectory = join(root, "var/run/cdi");
    const side = new ContainerSide({
      node: "n",
      driver: { driverVersion: version },
      cdiDirectory,
      holders,
      log: silentLogger,
    });
    const [found, settings] = [[gpu(0), gpu(1)], cdiSettings];
    const { offers } = nodeOffers({ gpus: found });
    const imex = { channelIds: [0], required };
    const { facts, unusable, findings } = await side.prepare({ gpus: found, offers, settings, imex, host });
    assert.deepEqual(
      { given: facts.imexChannels, unusable: unusable.length, codes: findings.map(({ code }) => code) },
      want,
    );
  });
}
