/** A node's offer as the agent makes it, for benchmarks to measure what is done with it. */
import type { Gpu } from "../src/gpu/index.ts";
import { type Offer, offers, type SharingSettings } from "../src/sharing/index.ts";

/** NVIDIA's defaults. */
export const settings: SharingSettings = {
  migStrategy: "none",
  deviceListStrategy: ["envvar"],
  deviceIdStrategy: "uuid",
  passDeviceSpecs: false,
  cdiAnnotationPrefix: "cdi.k8s.io/",
  nvidiaDevRoot: "/",
  gdrcopyEnabled: false,
  gdsEnabled: false,
  mofedEnabled: false,
  mpsRoot: "",
  sharedDevicesAllocationPolicy: "distributed",
};

function gpus(count: number): readonly Gpu[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    uuid: `GPU-00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    name: "Tesla T4",
    modelId: undefined,
    minor: index,
    pci: { busId: "", deviceId: "", vendorId: "", subsystemDeviceId: "", subsystemVendorId: "" },
    numaNode: 0,
    memoryMiB: 15360,
    computeCapability: "7.5",
    mig: undefined,
    instances: [],
    profiles: [],
  }));
}

/** What `gpuCount` GPUs offer with `replicas` shares each; 1 leaves them whole. */
export function offerOf(gpuCount: number, replicas: number): Offer {
  const name = "nvidia.com/gpu";
  const place = { file: "bench", line: 1, column: 1 };
  const entry = { name, rename: undefined, devices: { kind: "all" }, replicas, place } as const;
  const made = offers({
    gpus: gpus(gpuCount),
    config: {
      flags: {},
      resources: { gpus: [], mig: [] },
      sharing: {
        strategy: replicas === 1 ? "none" : "time-slicing",
        renameByDefault: false,
        failRequestsGreaterThanOne: false,
        resources: replicas === 1 ? [] : [entry],
      },
    },
    settings,
    nodeName: "bench",
  });
  const [offer] = made.offers;
  if (offer === undefined) throw new Error("no offer to measure");
  return offer;
}
