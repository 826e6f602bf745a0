import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type AllocateAnswer,
  allocate,
  controlNodes,
  type Offer,
  type SharingSettings,
} from "../../src/sharing/index.ts";
import { gpu, gpus, nodeOffers, onlyOffer, settings } from "./fixtures.ts";

const shares = onlyOffer({ gpus: gpus(2), share: ["gpu x4"] });
const limited = onlyOffer({ gpus: gpus(2), share: ["gpu x4"], sharing: { failRequestsGreaterThanOne: true } });
const mps = onlyOffer({ gpus: gpus(2), share: ["gpu[0] x4"], sharing: { strategy: "mps" } });
const oneEach = onlyOffer({
  gpus: gpus(1),
  share: ["gpu x4"],
  sharing: { strategy: "mps", failRequestsGreaterThanOne: true },
});
const slice = onlyOffer({
  gpus: [gpu(3, "1g.10gb@0 3g.40gb@4(3g.40gb)")],
  settings: { migStrategy: "mixed" },
  migNames: ["* = any"],
});
const twice = ["GPU-1::1", "GPU-0::3", "GPU-1::3"];

interface Row {
  readonly name: string;
  readonly offer?: Offer;
  readonly ids?: readonly string[];
  readonly set?: Partial<SharingSettings>;
  readonly cdiExtras?: ReadonlySet<"gds" | "gdrcopy" | "mofed">;
  readonly imexChannels?: readonly number[];
  readonly want: Partial<AllocateAnswer>;
}

function answer({ offer = shares, ids = twice, set = {}, ...more }: Omit<Row, "name" | "want">): AllocateAnswer {
  return allocate({
    offer,
    ids,
    settings: { ...settings, ...set },
    presentControlNodes: new Set(["/dev/nvidiactl", "/dev/nvidia-modeset"]),
    randomUuid: () => "8b1c",
    ...more,
  });
}

const nothing: AllocateAnswer = { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices: [] };
const gpuNames = ["k8s.device-plugin.nvidia.com/gpu=GPU-1", "k8s.device-plugin.nvidia.com/gpu=GPU-0"];
const extraNames = ["gdrcopy", "gds", "mofed"].map((extra) => `k8s.device-plugin.nvidia.com/${extra}=all`);
const extras = { gdrcopyEnabled: true, gdsEnabled: true, mofedEnabled: true };
const extraEnvs = { NVIDIA_GDRCOPY: "enabled", NVIDIA_GDS: "enabled", NVIDIA_MOFED: "enabled" };
const volume = { hostPath: "/dev/null", readOnly: false };
const volumes = ["GPU-1", "GPU-0"].map((id) => ({
  containerPath: `/var/run/nvidia-container-devices/${id}`,
  ...volume,
}));
const mpsMounts = [
  { containerPath: "/mps/nvidia.com/gpu/pipe", hostPath: "/run/nvidia/mps/GPU-0/pipe", readOnly: false },
  { containerPath: "/dev/shm", hostPath: "/run/nvidia/mps/shm", readOnly: false },
];
const annotations = { "cdi.k8s.io/nvidia-device-plugin_8b1c": gpuNames.join(",") };

function node(path: string, root = ""): AllocateAnswer["devices"][number] {
  return { containerPath: path, hostPath: `${root}${path}`, permissions: "rw" };
}

// NVIDIA k8s-device-plugin internal/plugin/server.go.
const rows: readonly Row[] = [
  {
    name: "envvar: UUIDs, each once, in the order asked for",
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-0" } },
  },
  {
    name: "index: indexes, each once",
    set: { deviceIdStrategy: "index" },
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "1,0" } },
  },
  {
    name: "index of a MIG device",
    offer: slice,
    ids: ["MIG-3-4-0"],
    set: { deviceIdStrategy: "index" },
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "3:1" } },
  },
  {
    name: "volume-mounts: the directory and a mount for each device",
    set: { deviceListStrategy: ["volume-mounts"] },
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "/var/run/nvidia-container-devices" }, mounts: volumes },
  },
  {
    name: "envvar after volume-mounts: the directory still wins",
    set: { deviceListStrategy: ["volume-mounts", "envvar"] },
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "/var/run/nvidia-container-devices" }, mounts: volumes },
  },
  { name: "cdi-annotations", set: { deviceListStrategy: ["cdi-annotations"] }, want: { annotations } },
  {
    name: "cdi-annotations with another prefix",
    set: { deviceListStrategy: ["cdi-annotations"], cdiAnnotationPrefix: "nvidia.cdi.k8s.io/" },
    want: { annotations: { "nvidia.cdi.k8s.io/nvidia-device-plugin_8b1c": gpuNames.join(",") } },
  },
  { name: "cdi-cri", set: { deviceListStrategy: ["cdi-cri"] }, want: { cdiDevices: gpuNames } },
  {
    name: "cdi-cri of an old driver's MIG device, whose slashes no CDI name may have",
    offer: { ...slice, devices: slice.devices.map((one) => ({ ...one, id: "MIG-GPU-3/1/0", uuid: "MIG-GPU-3/1/0" })) },
    ids: ["MIG-GPU-3/1/0"],
    set: { deviceListStrategy: ["cdi-cri"] },
    want: { cdiDevices: ["k8s.device-plugin.nvidia.com/gpu=MIG-GPU-3_1_0"] },
  },
  {
    name: "cdi-cri by index",
    set: { deviceListStrategy: ["cdi-cri"], deviceIdStrategy: "index" },
    want: { cdiDevices: ["k8s.device-plugin.nvidia.com/gpu=1", "k8s.device-plugin.nvidia.com/gpu=0"] },
  },
  {
    name: "both CDI ways fill both, and CDI alone passes no device specs",
    set: { deviceListStrategy: ["cdi-cri", "cdi-annotations"], passDeviceSpecs: true },
    want: { annotations, cdiDevices: gpuNames },
  },
  {
    name: "CDI beside envvar gives both",
    set: { deviceListStrategy: ["cdi-cri", "envvar"] },
    want: { cdiDevices: gpuNames, envs: { NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-0" } },
  },
  {
    name: "extras are envs, and CDI devices after the GPUs",
    set: { deviceListStrategy: ["cdi-cri"], ...extras },
    want: { cdiDevices: [...gpuNames, ...extraNames], envs: extraEnvs },
  },
  {
    name: "extras without devices are no CDI devices",
    set: { deviceListStrategy: ["cdi-cri"], ...extras },
    cdiExtras: new Set(["gds"]),
    want: { cdiDevices: [...gpuNames, "k8s.device-plugin.nvidia.com/gds=all"], envs: extraEnvs },
  },
  {
    name: "extras with envvar are envs only",
    set: { gdsEnabled: true },
    want: { envs: { NVIDIA_GDS: "enabled", NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-0" } },
  },
  {
    name: "an IMEX channel with envvar is a variable",
    imexChannels: [0],
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-0", NVIDIA_IMEX_CHANNELS: "0" } },
  },
  {
    name: "an IMEX channel with volume mounts is a mount",
    imexChannels: [0],
    set: { deviceListStrategy: ["volume-mounts"] },
    want: {
      envs: { NVIDIA_VISIBLE_DEVICES: "/var/run/nvidia-container-devices" },
      mounts: [...volumes, { ...volume, containerPath: "/var/run/nvidia-container-devices/imex/0" }],
    },
  },
  {
    name: "an IMEX channel by CDI comes after the GPUs and before the extras",
    imexChannels: [0],
    set: { deviceListStrategy: ["cdi-cri"], gdsEnabled: true },
    want: {
      envs: { NVIDIA_GDS: "enabled" },
      cdiDevices: [...gpuNames, "k8s.device-plugin.nvidia.com/imex-channel=0", "k8s.device-plugin.nvidia.com/gds=all"],
    },
  },
  {
    name: "device specs end with the IMEX channel",
    imexChannels: [0],
    ids: ["GPU-0::0"],
    set: { passDeviceSpecs: true },
    want: {
      envs: { NVIDIA_VISIBLE_DEVICES: "GPU-0", NVIDIA_IMEX_CHANNELS: "0" },
      devices: [
        ...["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia0"].map((path) => node(path)),
        node("/dev/nvidia-caps-imex-channels/channel0"),
      ],
    },
  },
  {
    name: "no list strategy gives extras and nothing else",
    set: { deviceListStrategy: [], gdsEnabled: true, passDeviceSpecs: true },
    want: { envs: { NVIDIA_GDS: "enabled" } },
  },
  {
    name: "device specs: control nodes that exist, then each device once",
    set: { passDeviceSpecs: true },
    want: {
      envs: { NVIDIA_VISIBLE_DEVICES: "GPU-1,GPU-0" },
      devices: [node("/dev/nvidiactl"), node("/dev/nvidia-modeset"), node("/dev/nvidia1"), node("/dev/nvidia0")],
    },
  },
  {
    name: "device specs of two MIG devices of one GPU under another root",
    offer: slice,
    ids: ["MIG-3-0-0", "MIG-3-4-0"],
    set: { passDeviceSpecs: true, nvidiaDevRoot: "/run/nvidia/driver/" },
    want: {
      envs: { NVIDIA_VISIBLE_DEVICES: "MIG-3-0-0,MIG-3-4-0" },
      devices: ["/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia3"].map((path) =>
        node(path, "/run/nvidia/driver"),
      ),
    },
  },
  {
    name: "an MPS client gets the pipe and the shared memory, and its daemon limits it",
    offer: oneEach,
    ids: ["GPU-0::1"],
    want: {
      envs: { CUDA_MPS_PIPE_DIRECTORY: "/mps/nvidia.com/gpu/pipe", NVIDIA_VISIBLE_DEVICES: "GPU-0" },
      mounts: mpsMounts,
    },
  },
  {
    name: "an MPS client by CDI and volume mounts gets all of it",
    offer: oneEach,
    ids: ["GPU-0::1"],
    set: { deviceListStrategy: ["cdi-cri", "volume-mounts"] },
    want: {
      envs: {
        CUDA_MPS_PIPE_DIRECTORY: "/mps/nvidia.com/gpu/pipe",
        NVIDIA_VISIBLE_DEVICES: "/var/run/nvidia-container-devices",
      },
      mounts: [...mpsMounts, ...volumes.slice(1)],
      cdiDevices: gpuNames.slice(1),
    },
  },
  {
    name: "an MPS client with two of four shares may use half of the GPU",
    offer: mps,
    ids: ["GPU-0::1", "GPU-0::3"],
    want: {
      envs: {
        CUDA_MPS_PIPE_DIRECTORY: "/mps/nvidia.com/gpu/pipe",
        CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: "0=40960M",
        CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: "50",
        NVIDIA_VISIBLE_DEVICES: "GPU-0",
      },
      mounts: mpsMounts,
    },
  },
  {
    name: "an unshared device beside MPS shares is no MPS client",
    offer: mps,
    ids: ["GPU-1"],
    want: { envs: { NVIDIA_VISIBLE_DEVICES: "GPU-1" } },
  },
];
describe("a container gets", () => {
  for (const { name, want, ...request } of rows) {
    test(name, () => assert.deepEqual(answer(request), { ...nothing, ...want }));
  }
});

describe("refuses", () => {
  test("an unknown device with NVIDIA's words", () => {
    assert.throws(() => answer({ ids: ["GPU-0::0", "GPU-0::4"] }), {
      code: "unknown-device",
      message: 'invalid allocation request for "nvidia.com/gpu": invalid request: unknown device: GPU-0::4',
    });
  });

  test("MPS shares of two GPUs, since a client has one daemon and that has one GPU", () => {
    const offer = onlyOffer({ gpus: gpus(2), share: ["gpu x4"], sharing: { strategy: "mps" } });
    assert.throws(() => answer({ offer, ids: ["GPU-0::0", "GPU-1::0"] }), { code: "shares-of-several-gpus" });
    const some = answer({ offer, ids: ["GPU-0::0", "GPU-0::1"] });
    assert.equal(some.envs["NVIDIA_VISIBLE_DEVICES"], "GPU-0");
  });

  test("several shares where one is the most, and says what to ask for", () => {
    assert.throws(() => answer({ offer: limited, ids: ["GPU-0::0", "GPU-1::0"] }), {
      code: "shared-request-too-large",
      message:
        'invalid allocation request for "nvidia.com/gpu": invalid request: maximum request size for shared resources is 1; found 2; ask for one share, nvidia.com/gpu: 1, in each container: more shares give it no more compute',
    });
  });

  test("an unknown device before the number of shares", () => {
    assert.throws(() => answer({ offer: limited, ids: ["GPU-0::0", "GPU-9::0"] }), { code: "unknown-device" });
  });

  test("neither one share nor several unshared devices under that limit", () => {
    const { offers } = nodeOffers({
      gpus: gpus(3),
      share: ["gpu[0] x4"],
      sharing: { failRequestsGreaterThanOne: true },
    });
    const [offer] = offers;
    assert.ok(offer?.failRequestsGreaterThanOne);
    assert.equal(answer({ offer, ids: ["GPU-0::0"] }).envs["NVIDIA_VISIBLE_DEVICES"], "GPU-0");
    assert.equal(answer({ offer, ids: ["GPU-2", "GPU-1"] }).envs["NVIDIA_VISIBLE_DEVICES"], "GPU-2,GPU-1");
    assert.throws(() => answer({ offer, ids: ["GPU-0::0", "GPU-1"] }), { code: "shared-request-too-large" });
  });
});

test("every strategy names the same devices, and the order of strategies changes nothing", () => {
  const all = ["envvar", "volume-mounts", "cdi-annotations", "cdi-cri"] as const;
  const request = fc.record({
    strategies: fc.shuffledSubarray([...all]),
    ids: fc.uniqueArray(fc.constantFrom(...shares.devices.map(({ id }) => id)), { minLength: 1 }),
    deviceIdStrategy: fc.constantFrom("uuid" as const, "index" as const),
  });
  fc.assert(
    fc.property(request, ({ strategies, ids, deviceIdStrategy }) => {
      const uuids = [...new Set(ids.map((id) => id.split("::")[0] ?? ""))];
      const names = deviceIdStrategy === "uuid" ? uuids : uuids.map((uuid) => uuid.replace("GPU-", ""));
      const got = answer({ ids, set: { deviceListStrategy: strategies, deviceIdStrategy } });
      const cdi = names.map((name) => `k8s.device-plugin.nvidia.com/gpu=${name}`);
      assert.deepEqual(got.cdiDevices, strategies.includes("cdi-cri") ? cdi : []);
      assert.deepEqual(Object.values(got.annotations), strategies.includes("cdi-annotations") ? [cdi.join(",")] : []);
      assert.equal(got.mounts.length, strategies.includes("volume-mounts") ? names.length : 0);
      const sorted = all.filter((one) => strategies.includes(one));
      assert.deepEqual(answer({ ids, set: { deviceListStrategy: sorted, deviceIdStrategy } }), got);
    }),
  );
});

test("control nodes stand in NVIDIA's order", () => {
  assert.deepEqual(controlNodes, ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"]);
});
