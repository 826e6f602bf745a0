/** Small nodes in the notation people use: `3g.40gb@4` is an instance, `3g.40gb@4(1c.3g.40gb)` says its compute instances. */
import assert from "node:assert/strict";
import type { Place } from "../../src/base/index.ts";
import type {
  DeviceChoice,
  DevicePluginConfig,
  DeviceRef,
  NamedResource,
  SharedResource,
  SharingConfig,
} from "../../src/config/index.ts";
import { type ComputeInstance, type Gpu, type GpuInstance, type GpuModel, modelById } from "../../src/gpu/index.ts";
import { type Device, type NodeOffers, type Offer, offers, type SharingSettings } from "../../src/sharing/index.ts";

export const place: Place = { file: "config.yaml", line: 1, column: 1 };

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
  mpsRoot: "/run/nvidia/mps",
  sharedDevicesAllocationPolicy: "distributed",
};

/** A GPU of an A100-80GB or another model; `layout` undefined leaves MIG off, an empty one turns it on. */
export function gpu(index: number, layout?: string, modelId = "a100-sxm4-80gb"): Gpu {
  const model = modelById(modelId);
  assert.ok(model !== undefined, modelId);
  const isOn = layout !== undefined;
  return {
    index,
    uuid: `GPU-${index}`,
    name: model.nvmlName,
    modelId,
    minor: index,
    pci: { busId: "", deviceId: "", vendorId: "", subsystemDeviceId: "", subsystemVendorId: "" },
    numaNode: index % 2,
    memoryMiB: model.memoryMiB,
    computeCapability: model.computeCapability,
    mig: model.mig === undefined ? undefined : { current: isOn, pending: isOn },
    instances: (layout ?? "")
      .split(" ")
      .filter((text) => text !== "")
      .map((text, at) => gpuInstance(model, index, text, at + 1)),
    profiles: model.mig?.profiles ?? [],
  };
}

function gpuInstance(model: GpuModel, gpuIndex: number, text: string, id: number): GpuInstance {
  const { name, start, computes } = /^(?<name>[^@]+)@(?<start>\d+)(\((?<computes>.*)\))?$/.exec(text)?.groups ?? {};
  const profile = model.mig?.profiles.find((one) => one.name === name);
  assert.ok(profile !== undefined && name !== undefined, `${model.id} has no ${text}`);
  const names = computes === undefined ? [name] : computes.split(",").filter((one) => one !== "");
  let computeStart = 0;
  const computeInstances = names.map((own, at): ComputeInstance => {
    const size = own === name ? profile.computeSlices : Number.parseInt(own, 10);
    const placement = { start: computeStart, size };
    computeStart += size;
    const migIndex = id - 1 + at;
    return { id: at, profile: own, uuid: `MIG-${gpuIndex}-${start}-${at}`, migIndex, placement };
  });
  const placement = { start: Number(start), size: profile.memorySlices };
  return { id, profile, placement, memoryMiB: profile.memoryMiB ?? profile.memoryMiBShare, computeInstances };
}

/** `count` GPUs without MIG. */
export function gpus(count: number, modelId?: string): readonly Gpu[] {
  return Array.from({ length: count }, (_, index) => gpu(index, undefined, modelId));
}

/** `gpu x4`, `gpu x4 as fast`, `gpu[0,1:2,GPU-3] x4`, `gpu[2 of] x4` for two devices; names without `nvidia.com/`. */
export function shared(text: string): SharedResource {
  const { name, list, replicas, rename } =
    /^(?<name>[^[ ]+)(\[(?<list>[^\]]*)\])? x(?<replicas>\d+)( as (?<rename>\S+))?$/.exec(text)?.groups ?? {};
  assert.ok(name !== undefined && replicas !== undefined, text);
  return {
    name: `nvidia.com/${name}`,
    rename: rename === undefined ? undefined : `nvidia.com/${rename}`,
    devices: deviceChoice(list),
    replicas: Number(replicas),
    place,
  };
}

function deviceChoice(list: string | undefined): DeviceChoice {
  if (list === undefined) return { kind: "all" };
  if (list.endsWith(" of")) return { kind: "count", count: Number.parseInt(list, 10) };
  return {
    kind: "list",
    devices: list
      .split(",")
      .filter((one) => one !== "")
      .map(deviceRef),
  };
}

function deviceRef(text: string): DeviceRef {
  if (/^\d+$/.test(text)) return { kind: "gpu-index", gpu: Number(text) };
  const [first, second] = text.split(":");
  if (second !== undefined) return { kind: "mig-index", gpu: Number(first), mig: Number(second) };
  return { kind: "uuid", uuid: text };
}

/** `*A100* = a100`. */
export function pattern(text: string): NamedResource {
  const [glob = "", name = ""] = text.split(" = ");
  return { pattern: glob, name: `nvidia.com/${name}`, place };
}

export interface ConfigParts {
  readonly sharing?: Partial<SharingConfig>;
  /** Entries of `timeSlicing`, or of what `sharing.strategy` says, in the notation of `shared`. */
  readonly share?: readonly string[];
  readonly gpuNames?: readonly string[];
  readonly migNames?: readonly string[];
}

export function config(parts: ConfigParts = {}): DevicePluginConfig {
  const { sharing = {}, share = [], gpuNames = [], migNames = [] } = parts;
  return {
    flags: {},
    resources: { gpus: gpuNames.map(pattern), mig: migNames.map(pattern) },
    sharing: {
      strategy: share.length === 0 ? "none" : "time-slicing",
      renameByDefault: false,
      failRequestsGreaterThanOne: false,
      resources: share.map(shared),
      ...sharing,
    },
  };
}

export interface NodeParts extends ConfigParts {
  readonly gpus: readonly Gpu[];
  readonly settings?: Partial<SharingSettings>;
  readonly migMinors?: ReadonlyMap<string, number>;
}

/** What node `n` offers. */
export function nodeOffers(parts: NodeParts): NodeOffers {
  return offers({
    gpus: parts.gpus,
    config: config(parts),
    settings: { ...settings, ...parts.settings },
    nodeName: "n",
    ...(parts.migMinors === undefined ? {} : { migMinors: parts.migMinors }),
  });
}

/** The only offer of a node. */
export function onlyOffer(parts: NodeParts): Offer {
  const [offer, ...more] = nodeOffers(parts).offers;
  assert.ok(offer !== undefined && more.length === 0);
  return offer;
}

/** `nvidia.com/gpu: 8, nvidia.com/mig-1g.10gb: 14`. */
export function capacityText(offered: readonly Offer[]): string {
  return offered.map(({ resource, devices }) => `${resource}: ${devices.length}`).join(", ");
}

export function idsOf(devices: readonly Device[]): readonly string[] {
  return devices.map(({ id }) => id);
}
