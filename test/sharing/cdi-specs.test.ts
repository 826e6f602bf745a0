/** What CDI specs say of devices: contents as NVIDIA's device plugin writes them (k8s-device-plugin internal/cdi). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { catalogue, type Gpu, type GpuInstance, maximalLayouts } from "../../src/gpu/index.ts";
import { type CdiClass, type CdiSpecsRequest, cdiKind } from "../../src/sharing/index.ts";
import { assertValidSpec, cdiSettings, richHost, specsOf } from "./cdi-support.ts";
import { gpu } from "./fixtures.ts";

const cut = gpu(3, "1g.10gb@0 3g.40gb@4");
const whole: Gpu = { ...gpu(0), pci: { ...gpu(0).pci, busId: "0000:07:00.0" } };

/** The spec of a class, which must be there and valid. */
function specOf(gpus: readonly Gpu[], cdiClass: CdiClass, request: Partial<CdiSpecsRequest> = {}) {
  const spec = specsOf(gpus, request).get(cdiClass) ?? assert.fail(`no spec of ${cdiClass}`);
  assertValidSpec(spec);
  return spec;
}

function withSettings(set: Partial<CdiSpecsRequest["settings"]>): Partial<CdiSpecsRequest> {
  return { settings: { ...cdiSettings, ...set } };
}

const paths = (nodes: readonly { readonly path: string; readonly hostPath?: string }[] = []) =>
  nodes.map(({ path, hostPath }) => (hostPath === undefined ? path : `${hostPath} as ${path}`));

/** The same as a driver before R470 names it. */
function withOldUuid(instance: GpuInstance): GpuInstance {
  return {
    ...instance,
    computeInstances: instance.computeInstances.map((one) => ({ ...one, uuid: `MIG-GPU-3/${instance.id}/${one.id}` })),
  };
}

describe("a device is described by", () => {
  const rows = [
    {
      name: "a whole GPU by its file, its DRM files and their links",
      gpus: [whole],
      want: ["GPU-0: /dev/nvidia0 /dev/dri/card1 /dev/dri/renderD128"],
    },
    {
      name: "a MIG device by its GPU's file and the files of both its instances",
      gpus: [cut],
      // gpu3/gi1 and gpu3/gi2: 3 + (3 × 15 + instance) × 9, then the compute instance.
      want: [
        "MIG-3-0-0: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap417 /dev/nvidia-caps/nvidia-cap418",
        "MIG-3-4-0: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap426 /dev/nvidia-caps/nvidia-cap427",
      ],
    },
    {
      name: "by index, if pods are told indexes",
      gpus: [gpu(1), cut],
      request: withSettings({ deviceIdStrategy: "index" }),
      want: [
        "1: /dev/nvidia1",
        "3:0: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap417 /dev/nvidia-caps/nvidia-cap418",
        "3:1: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap426 /dev/nvidia-caps/nvidia-cap427",
      ],
    },
    {
      name: "files below the dev root of the host",
      gpus: [gpu(1)],
      request: withSettings({ nvidiaDevRoot: "/run/nvidia/driver" }),
      want: ["GPU-1: /run/nvidia/driver/dev/nvidia1 as /dev/nvidia1"],
    },
    {
      name: "nothing but what is offered",
      gpus: [gpu(0), gpu(1), cut],
      request: { offered: new Set(["GPU-1", "MIG-3-4-0"]) },
      want: [
        "GPU-1: /dev/nvidia1",
        "MIG-3-4-0: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap426 /dev/nvidia-caps/nvidia-cap427",
      ],
    },
    {
      name: "without the slashes of an old driver's UUID",
      gpus: [{ ...cut, instances: cut.instances.slice(0, 1).map(withOldUuid) }],
      request: { offered: new Set(["MIG-GPU-3/1/0"]) },
      want: ["MIG-GPU-3_1_0: /dev/nvidia3 /dev/nvidia-caps/nvidia-cap417 /dev/nvidia-caps/nvidia-cap418"],
    },
    {
      name: "no MIG device whose capability files are not known",
      gpus: [gpu(1), cut],
      request: { host: { ...richHost, migMinors: new Map() } },
      want: ["GPU-1: /dev/nvidia1"],
    },
  ] satisfies { name: string; gpus: readonly Gpu[]; request?: Partial<CdiSpecsRequest>; want: readonly string[] }[];
  for (const { name, gpus, want, ...rest } of rows) {
    test(name, () => {
      const { devices } = specOf(gpus, "gpu", "request" in rest ? rest.request : {});
      assert.deepEqual(
        devices.map((one) => `${one.name}: ${paths(one.containerEdits.deviceNodes).join(" ")}`),
        want,
      );
    });
  }

  test("a link for each DRM file, made by the hook of the toolkit", () => {
    const [device] = specOf([whole], "gpu").devices;
    assert.deepEqual(device?.containerEdits.hooks, [
      {
        hookName: "createContainer",
        path: "/usr/bin/nvidia-ctk",
        args: [
          ...["nvidia-ctk", "hook", "create-symlinks"],
          ...["--link", "../card1::/dev/dri/by-path/pci-0000:07:00.0-card"],
          ...["--link", "../renderD128::/dev/dri/by-path/pci-0000:07:00.0-render"],
        ],
      },
    ]);
  });
});

test("every container with a GPU gets the control devices, the driver's files and no GPU a second time", () => {
  const common = specOf([gpu(0)], "gpu", withSettings({ nvidiaDriverRoot: "/run/nvidia/driver" })).containerEdits;
  assert.deepEqual(common?.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
  assert.deepEqual(paths(common?.deviceNodes), [
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-modeset",
  ]);
  const plain = "ro,nosuid,nodev,rbind,rprivate";
  assert.deepEqual(
    common?.mounts?.map((one) => `${one.hostPath} ${one.containerPath} ${one.options?.join()}`),
    [
      ...richHost.libraries.map((path) => `/run/nvidia/driver${path} ${path} ${plain}`),
      ...richHost.programs.map((path) => `/run/nvidia/driver${path} ${path} ${plain}`),
      ...richHost.sockets.map((path) => `/run/nvidia/driver${path} ${path} ${plain},noexec`),
    ],
  );
});

const hookRows = [
  { name: "nvidia-ctk has its hooks below a word", path: "/usr/bin/nvidia-ctk", head: "nvidia-ctk hook" },
  { name: "nvidia-cdi-hook has nothing else", path: "/opt/bin/nvidia-cdi-hook", head: "nvidia-cdi-hook" },
];
for (const { name, path, head } of hookRows) {
  test(name, () => {
    const { hooks } = specOf([gpu(0)], "gpu", withSettings({ nvidiaCtkPath: path })).containerEdits ?? {};
    assert.deepEqual(
      hooks?.map((one) => one.args?.join(" ")),
      [
        `${head} create-symlinks --link libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so`,
        `${head} enable-cuda-compat --host-driver-version=580.95.05`,
        `${head} update-ldcache --folder /usr/lib/x86_64-linux-gnu`,
        `${head} disable-device-node-modification`,
      ],
    );
    assert.ok(hooks?.every((one) => one.path === path && one.hookName === "createContainer"));
  });
}

test("hooks that are left out are in no spec, and what stays is as it was", () => {
  const disabledHooks = new Set(["update-ldcache", "create-symlinks"]);
  const { containerEdits, devices } = specOf([whole], "gpu", withSettings({ disabledHooks }));
  assert.deepEqual(
    containerEdits?.hooks?.map((one) => one.args?.[2]),
    ["enable-cuda-compat", "disable-device-node-modification"],
  );
  assert.equal(devices[0]?.containerEdits.hooks, undefined);
});

describe("extra devices", () => {
  const rows = [
    { cdiClass: "gdrcopy", set: { gdrcopyEnabled: true }, want: "all: /dev/gdrdrv" },
    {
      cdiClass: "gds",
      set: { gdsEnabled: true },
      want: "all: /dev/nvidia-fs0 /dev/nvidia-fs1 /run/udev /etc/cufile.json",
    },
    { cdiClass: "mofed", set: { mofedEnabled: true }, want: "all: /dev/infiniband/rdma_cm /dev/infiniband/uverbs0" },
  ] as const;
  for (const { cdiClass, set, want } of rows) {
    test(`${cdiClass} has what the node has of it`, () => {
      const { kind, devices } = specOf([gpu(0)], cdiClass, withSettings(set));
      assert.equal(kind, cdiKind(cdiClass));
      const texts = devices.map(({ name, containerEdits: { deviceNodes, mounts = [] } }) =>
        [`${name}:`, ...paths(deviceNodes), ...mounts.map((one) => one.containerPath)].join(" "),
      );
      assert.deepEqual(texts, [want]);
    });

    test(`${cdiClass} has no spec on a node without, nor when it is off`, () => {
      const host = { ...richHost, deviceNodes: new Set<string>() };
      assert.deepEqual([...specsOf([gpu(0)], { ...withSettings(set), host }).keys()], ["gpu"]);
      assert.deepEqual([...specsOf([gpu(0)]).keys()], ["gpu"]);
    });
  }

  test("an IMEX channel is a device of its own kind", () => {
    const { devices } = specOf([gpu(0)], "imex-channel", { imexChannels: [0] });
    assert.deepEqual(devices, [
      { name: "0", containerEdits: { deviceNodes: [{ path: "/dev/nvidia-caps-imex-channels/channel0" }] } },
    ]);
  });
});

test("without a CDI strategy there is no spec, with one beside another there is", () => {
  assert.equal(specsOf([gpu(0)], withSettings({ deviceListStrategy: ["envvar", "volume-mounts"] })).size, 0);
  assert.equal(specsOf([gpu(0)], withSettings({ deviceListStrategy: ["envvar", "cdi-annotations"] })).size, 1);
});

test("specs of every model of the catalogue, whole and in every layout, are valid and name each device once", () => {
  for (const model of catalogue()) {
    specOf([gpu(0, undefined, model.id)], "gpu");
    const layouts = model.mig === undefined ? [] : maximalLayouts(model.mig);
    for (const layout of layouts) {
      const text = layout.map(({ profile, start }) => `${profile.name}@${start}`).join(" ");
      for (const deviceIdStrategy of ["uuid", "index"] as const) {
        const { devices } = specOf([gpu(0, text, model.id)], "gpu", withSettings({ deviceIdStrategy }));
        assert.equal(devices.length, layout.length, `${model.id} ${text}`);
      }
    }
  }
});
