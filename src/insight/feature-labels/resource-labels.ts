/**
 * Labels that tell of the resources of a node: `nvidia.com/gpu.*` and, under MIG strategy mixed, `nvidia.com/mig-*.*`
 * (NVIDIA k8s-device-plugin internal/lm/{mig-strategy,resource}.go).
 *
 * Keys have the names that resources have without any renaming, whatever the sharing config calls them.
 */
import type { DevicePluginConfig, MigStrategy } from "../../config/index.ts";
import type { Gpu } from "../../gpu/index.ts";
import { firstMatch, gpuResource, migResource, type NodeDevice, type NodeDevices } from "../../sharing/index.ts";
import { familyOf, productName } from "./label-text.ts";
import type { LabelEntries } from "./node-labels.ts";

/** How one resource is shared. */
interface Share {
  readonly replicas: number;
  readonly strategy: "none" | "time-slicing" | "mps";
  /** Whether the resource's own name says that it is shared. */
  readonly isRenamed: boolean;
}

/** No config shares what the node does not offer as a whole. */
const notOffered: Share = { replicas: 0, strategy: "none", isRenamed: false };

/** GPUs of the node by product name, in index order: those that `nvidia.com/gpu.*` can tell of come first. */
export function modelGroups({ whole, cut }: NodeDevices): readonly (readonly Gpu[])[] {
  const wholeGpus = whole.map(({ gpu }) => gpu);
  const offered = new Set(wholeGpus.map(({ name }) => name));
  const groups = [...Map.groupBy([...wholeGpus, ...cut.map(({ gpu }) => gpu)], ({ name }) => name).values()];
  const rank = (group: readonly Gpu[]): number => (offered.has(group[0]?.name ?? "") ? 0 : 1);
  const firstIndex = (group: readonly Gpu[]): number => Math.min(...group.map(({ index }) => index));
  return groups.toSorted((a, b) => rank(a) - rank(b) || b.length - a.length || firstIndex(a) - firstIndex(b));
}

/** Of the model that there are most of, whole GPUs before cut ones. */
export function gpuLabels(devices: NodeDevices, config: DevicePluginConfig): LabelEntries {
  const [group = []] = modelGroups(devices);
  const [gpu] = group;
  if (gpu === undefined) return [];
  const isOffered = devices.whole.some((one) => one.gpu.name === gpu.name);
  const share = isOffered ? gpuShare(gpu, config) : notOffered;
  const [major = 0, minor = 0] = gpu.computeCapability.split(".").map(Number);
  return [
    ...baseLabels(gpuResource, { model: gpu.name, suffixes: [], count: group.length, share }),
    ...(gpu.memoryMiB === 0 ? [] : [[`${gpuResource}.memory`, String(gpu.memoryMiB)] as const]),
    ...(major === 0 ? [] : architectureLabels(major, minor)),
  ];
}

function architectureLabels(major: number, minor: number): LabelEntries {
  return [
    [`${gpuResource}.family`, familyOf(major, minor)],
    [`${gpuResource}.compute.major`, String(major)],
    [`${gpuResource}.compute.minor`, String(minor)],
  ];
}

/** What a MIG strategy adds to `gpuLabels`, or puts in place of them. */
export function migLabels(devices: NodeDevices, config: DevicePluginConfig, strategy: MigStrategy): LabelEntries {
  const profiles = Map.groupBy(
    devices.cut.flatMap((one) => one.devices),
    ({ device }) => device.migProfile ?? "",
  );
  switch (strategy) {
    case "none":
      return [];
    case "single":
      return singleLabels(devices, config, profiles);
    case "mixed":
      return [...profiles].flatMap(([profile, list]) => profileLabels(migResource(profile), list, config));
  }
}

type Profiles = ReadonlyMap<string, readonly NodeDevice[]>;

/** Every GPU is cut, and all into the same: then `nvidia.com/gpu` is that slice. A node of anything else is marked. */
function singleLabels(devices: NodeDevices, config: DevicePluginConfig, profiles: Profiles): LabelEntries {
  const [first] = devices.cut;
  if (first === undefined) return [];
  const [list] = [...profiles.values()];
  const isEmpty = devices.cut.some((one) => one.devices.length === 0);
  if (!isEmpty && devices.whole.length === 0 && profiles.size === 1 && list !== undefined) {
    return profileLabels(gpuResource, list, config);
  }
  return [
    [`${gpuResource}.product`, productName(first.gpu.name, ["MIG", "INVALID"])],
    [`${gpuResource}.count`, "0"],
    [`${gpuResource}.replicas`, "0"],
    [`${gpuResource}.sharing-strategy`, ""],
    [`${gpuResource}.memory`, "0"],
  ];
}

/** `list` has one profile; its first device stands for all. */
function profileLabels(resource: string, list: readonly NodeDevice[], config: DevicePluginConfig): LabelEntries {
  const [one] = list;
  if (one?.mig === undefined) return [];
  const { instance, compute } = one.mig;
  const share = migShare(resource, compute.profile, config);
  const suffixes = ["MIG", compute.profile.replaceAll("+", ".")];
  const width = instance.profile.computeInstanceProfiles.find(({ name }) => name === compute.profile);
  const { copy, decoder, encoder, jpeg, ofa } = instance.profile.engines;
  // What nvmlDeviceGetAttributes_v2 tells of a MIG device; figures that no source tells are left out.
  const figures: readonly (readonly [string, number | undefined])[] = [
    ["memory", instance.memoryMiB],
    ["multiprocessors", width?.multiprocessors],
    ["slices.gi", instance.profile.computeSlices],
    ["slices.ci", compute.placement.size],
    ["engines.copy", copy],
    ["engines.decoder", decoder],
    ["engines.encoder", encoder],
    ["engines.jpeg", jpeg],
    ["engines.ofa", ofa],
  ];
  return [
    ...baseLabels(resource, { model: one.gpu.name, suffixes, count: list.length, share }),
    ...figures.flatMap(([name, value]) =>
      value === undefined ? [] : [[`${resource}.${name}`, String(value)] as const],
    ),
  ];
}

interface Base {
  readonly model: string;
  readonly suffixes: readonly string[];
  readonly count: number;
  readonly share: Share;
}

function baseLabels(resource: string, { model, suffixes, count, share }: Base): LabelEntries {
  const isMarked = share.strategy !== "none" && !share.isRenamed;
  return [
    [`${resource}.product`, productName(model, isMarked ? [...suffixes, "SHARED"] : suffixes)],
    [`${resource}.count`, String(count)],
    [`${resource}.replicas`, String(share.replicas)],
    [`${resource}.sharing-strategy`, share.strategy],
  ];
}

/** A pattern of `resources` may have given the GPU another name, by which the sharing config then calls it. */
function gpuShare(gpu: Gpu, config: DevicePluginConfig): Share {
  return shareOf(firstMatch(config.resources.gpus, gpu.name)?.name ?? gpuResource, config);
}

function migShare(resource: string, profile: string, config: DevicePluginConfig): Share {
  return shareOf(firstMatch(config.resources.mig, profile)?.name ?? resource, config);
}

/** The first entry that names the resource counts, as in NVIDIA's feature discovery. */
function shareOf(resource: string, { sharing }: DevicePluginConfig): Share {
  const entry = sharing.resources.find(({ name }) => name === resource);
  if (entry === undefined) return { replicas: 1, strategy: "none", isRenamed: false };
  const isRenamed = entry.rename !== undefined || sharing.renameByDefault;
  return { replicas: entry.replicas, strategy: sharing.strategy, isRenamed };
}
