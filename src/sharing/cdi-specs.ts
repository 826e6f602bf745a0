/**
 * Describes a node's devices for container runtimes: which CDI specs there shall be.
 *
 * Names, kinds and contents are those of NVIDIA k8s-device-plugin internal/cdi. Unlike there, a spec has what is
 * offered now, not what stood when the plugin started.
 */
import type { DeviceIdStrategy, DeviceListStrategy } from "../config/index.ts";
import type { Gpu } from "../gpu/index.ts";
import { type CdiSettings, commonEdits, type EditSources, fileEdits, gpuEdits } from "./cdi-edits.ts";
import {
  type CdiClass,
  type CdiDevice,
  type CdiEdits,
  type CdiExtra,
  type CdiSpec,
  cdiDeviceName,
  cdiKind,
  minimumCdiVersion,
} from "./cdi-types.ts";
import { type HostFiles, imexChannelPath } from "./host-files.ts";
import { capabilityNames, type NodeDevice, nodeDevices } from "./node-device.ts";

export interface CdiSpecsRequest {
  readonly gpus: readonly Gpu[];
  /** UUIDs of the devices that are offered. */
  readonly offered: ReadonlySet<string>;
  readonly settings: CdiSettings & {
    readonly deviceListStrategy: readonly DeviceListStrategy[];
    readonly deviceIdStrategy: DeviceIdStrategy;
    readonly gdrcopyEnabled: boolean;
    readonly gdsEnabled: boolean;
    readonly mofedEnabled: boolean;
  };
  readonly host: HostFiles;
  readonly driverVersion: string;
  /** IMEX channels that containers get. */
  readonly imexChannels: readonly number[];
}

/** The specs by class; without a CDI strategy, and where nothing is to be described, there is none. */
export type CdiSpecs = ReadonlyMap<CdiClass, CdiSpec>;

/** The specs for what is offered. A MIG device whose capability nodes are not known is left out: no container could use it. */
export function cdiSpecs(request: CdiSpecsRequest): CdiSpecs {
  if (!request.settings.deviceListStrategy.some(isCdi)) return new Map();
  const { settings, host } = request;
  const specs = new Map<CdiClass, CdiSpec>();
  const put = (cdiClass: CdiClass, devices: readonly CdiDevice[], common: CdiEdits = {}): void => {
    if (devices.length > 0) specs.set(cdiClass, spec(cdiClass, devices, common));
  };
  put("gpu", gpuDevices(request), commonEdits(request));
  put(
    "imex-channel",
    request.imexChannels.map((channel) => {
      return { name: String(channel), containerEdits: fileEdits([imexChannelPath(channel)], [], settings) };
    }),
  );
  for (const extra of presentExtras(host, settings)) {
    const mounts = extra === "gds" ? host.storageFiles : [];
    put(extra, [{ name: "all", containerEdits: fileEdits(extraNodes(extra, host), mounts, settings) }]);
  }
  return specs;
}

export function isCdi(strategy: DeviceListStrategy): boolean {
  return strategy === "cdi-annotations" || strategy === "cdi-cri";
}

/** The extras that are switched on, in the order in which containers get them. */
export function enabledExtras(flags: {
  readonly gdrcopyEnabled: boolean;
  readonly gdsEnabled: boolean;
  readonly mofedEnabled: boolean;
}): readonly CdiExtra[] {
  const enabled: CdiExtra[] = [];
  if (flags.gdrcopyEnabled) enabled.push("gdrcopy");
  if (flags.gdsEnabled) enabled.push("gds");
  if (flags.mofedEnabled) enabled.push("mofed");
  return enabled;
}

/** Of those, the ones that the node has devices of. */
export function presentExtras(
  host: HostFiles,
  flags: { readonly gdrcopyEnabled: boolean; readonly gdsEnabled: boolean; readonly mofedEnabled: boolean },
): readonly CdiExtra[] {
  return enabledExtras(flags).filter((extra) => extraNodes(extra, host).length > 0);
}

/** A spec with these devices, of the lowest version that knows its content. */
export function spec(cdiClass: CdiClass, devices: readonly CdiDevice[], common: CdiEdits): CdiSpec {
  const cdiVersion = minimumCdiVersion(devices, common);
  const head = { cdiVersion, kind: cdiKind(cdiClass), devices };
  return Object.keys(common).length === 0 ? head : { ...head, containerEdits: common };
}

function gpuDevices({ gpus, offered, ...sources }: CdiSpecsRequest): readonly CdiDevice[] {
  const { whole, cut } = nodeDevices(gpus, sources.host.migMinors);
  return [...whole, ...cut.flatMap((one) => one.devices)]
    .filter((one) => offered.has(one.device.uuid) && isUsable(one, sources.host))
    .map((one) => gpuDevice(one, sources));
}

function isUsable({ gpu, mig }: NodeDevice, { migMinors }: HostFiles): boolean {
  return mig === undefined || capabilityNames(gpu, mig.instance, mig.compute).every((name) => migMinors.has(name));
}

/** A MIG device draws nothing, but for the profiles with graphics; the others get no DRM devices. */
function gpuDevice(
  { device, gpu, mig }: NodeDevice,
  sources: EditSources & Pick<CdiSpecsRequest, "settings">,
): CdiDevice {
  const name = cdiDeviceName(sources.settings.deviceIdStrategy === "index" ? device.index : device.uuid);
  if (mig !== undefined && !mig.instance.profile.attributes.includes("gfx")) {
    return { name, containerEdits: fileEdits(device.paths, [], sources.settings) };
  }
  return { name, containerEdits: gpuEdits(gpu, device.paths, sources) };
}

function extraNodes(extra: CdiExtra, { deviceNodes }: HostFiles): readonly string[] {
  const patterns: Readonly<Record<CdiExtra, RegExp>> = {
    gdrcopy: /^\/dev\/gdrdrv$/,
    gds: /^\/dev\/nvidia-fs\d*$/,
    mofed: /^\/dev\/infiniband\/(uverbs\d+|rdma_cm)$/,
  };
  return [...deviceNodes].filter((path) => patterns[extra].test(path)).sort();
}
