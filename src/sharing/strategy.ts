/**
 * Which of a node's devices a MIG strategy offers, and under which resource name.
 *
 * The names and rules are NVIDIA's (k8s-device-plugin internal/rm/rm.go and device_map.go). Where NVIDIA's plugin ends
 * itself over a layout, this offers what can still be told apart and says what it left out.
 */
import { type Finding, finding } from "../base/index.ts";
import type { MigStrategy, NamedResource } from "../config/index.ts";
import { isPartOfInstance } from "./isolation.ts";
import type { NodeDevice, NodeDevices } from "./node-device.ts";
import { firstMatch, gpuResource, migResource } from "./pattern.ts";
import { devicesText, gpuSubject, nodeSubject } from "./subject.ts";

/** Resource name to its devices in device order. */
export type NamedDevices = ReadonlyMap<string, readonly NodeDevice[]>;

export interface StrategyRequest {
  readonly strategy: MigStrategy;
  readonly patterns: { readonly gpus: readonly NamedResource[]; readonly mig: readonly NamedResource[] };
  readonly nodeName: string;
}

/** Names what `request.strategy` offers of `devices`; the findings say what is left out and why. */
export function nameDevices(
  devices: NodeDevices,
  request: StrategyRequest,
): { readonly named: NamedDevices; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const migDevices = offeredMigDevices(devices, request, findings);
  const named = new Map<string, NodeDevice[]>();
  const put = (resource: string, one: NodeDevice): void => {
    const list = named.get(resource);
    if (list === undefined) named.set(resource, [one]);
    else list.push(one);
  };
  const unmatched = new Map<string, NodeDevice[]>();
  const narrow: NodeDevice[] = [];
  for (const one of [...devices.whole, ...migDevices]) {
    const { text, patterns, fallback } = naming(one, request);
    const match = firstMatch(patterns, text);
    const resource = match?.name ?? fallback;
    if (resource === undefined) {
      narrow.push(one);
      continue;
    }
    put(resource, one);
    if (match === undefined && patterns.length > 0) unmatched.set(text, [...(unmatched.get(text) ?? []), one]);
  }
  if (narrow.length > 0) findings.push(notOfferedFinding(narrow, request));
  for (const [text, list] of unmatched) findings.push(unmatchedFinding(text, list, request));
  return { named, findings };
}

function offeredMigDevices(devices: NodeDevices, request: StrategyRequest, findings: Finding[]): readonly NodeDevice[] {
  switch (request.strategy) {
    case "none":
      for (const { gpu } of devices.cut) findings.push(cutGpuFinding(gpu.index, request.nodeName));
      return [];
    case "single":
      findings.push(...emptyFindings(devices, request.nodeName));
      return singleDevices(devices, request.nodeName, findings);
    case "mixed":
      findings.push(...emptyFindings(devices, request.nodeName));
      return devices.cut.flatMap((one) => one.devices);
  }
}

/**
 * The MIG devices that `single` can offer: all, if every GPU is cut and every device is alike, else none.
 *
 * With one name for all, a pod that asks for it must get the same thing wherever it lands. Beside whole GPUs the MIG
 * devices give way, since a pod on a node without MIG means a whole GPU by that name; among unlike MIG devices no
 * choice is the meant one.
 */
function singleDevices(devices: NodeDevices, nodeName: string, findings: Finding[]): readonly NodeDevice[] {
  const all = devices.cut.flatMap((one) => one.devices);
  const kinds = new Map<string, NodeDevice[]>();
  for (const one of all) {
    const kind = kindOf(one);
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  const partly = devices.whole.length > 0 && devices.cut.length > 0;
  if (partly) findings.push(partlyCutFinding(devices, nodeName));
  if (kinds.size > 1) findings.push(unlikeFinding([...kinds.values()], nodeName));
  return partly || kinds.size > 1 ? [] : all;
}

/** Equal for devices that NVML gives equal attributes: nvmlDeviceAttributes_t, which NVIDIA compares under single. */
function kindOf({ mig, device }: NodeDevice): string {
  if (mig === undefined) return device.index;
  const { instance, compute } = mig;
  const profile = instance.profile.computeInstanceProfiles.find((one) => one.name === compute.profile);
  const { copy, decoder, encoder, jpeg, ofa } = instance.profile.engines;
  return JSON.stringify([
    compute.profile,
    instance.profile.computeSlices,
    profile?.computeSlices,
    profile?.multiprocessors,
    instance.memoryMiB,
    [copy, decoder, encoder, jpeg, ofa],
  ]);
}

interface Naming {
  readonly text: string;
  readonly patterns: readonly NamedResource[];
  /** The name where no pattern decides; `undefined` where NVIDIA has none. */
  readonly fallback: string | undefined;
}

function naming({ gpu, mig }: NodeDevice, { patterns, strategy }: StrategyRequest): Naming {
  if (mig === undefined) return { text: gpu.name, patterns: patterns.gpus, fallback: gpuResource };
  const text = mig.compute.profile;
  if (strategy !== "mixed") return { text, patterns: patterns.mig, fallback: gpuResource };
  return { text, patterns: patterns.mig, fallback: isPartOfInstance(text) ? undefined : migResource(text) };
}

function cutGpuFinding(gpuIndex: number, nodeName: string): Finding {
  return finding(
    "mig-gpu-not-offered",
    gpuSubject(nodeName, gpuIndex),
    `GPU ${gpuIndex} of ${nodeName} is in MIG mode and MIG strategy none offers whole GPUs only; it is not offered, since no pod could use it`,
    { remedy: "set the MIG strategy to mixed or single, or turn MIG off on this GPU" },
  );
}

function emptyFindings({ cut }: NodeDevices, nodeName: string): readonly Finding[] {
  return cut
    .filter(({ devices }) => devices.length === 0)
    .map(({ gpu }) =>
      finding(
        "mig-gpu-empty",
        gpuSubject(nodeName, gpu.index),
        `GPU ${gpu.index} of ${nodeName} is in MIG mode and has no MIG device; it offers nothing`,
        { remedy: "choose a MIG config that creates devices on it, or turn MIG off on this GPU" },
      ),
    );
}

function partlyCutFinding({ whole, cut }: NodeDevices, nodeName: string): Finding {
  const cutIndexes = cut.map(({ gpu }) => gpu.index);
  return finding(
    "single-strategy-conflict",
    nodeSubject(nodeName),
    `MIG is on for GPU ${cutIndexes.join(", ")} and off for ${devicesText(whole)} of ${nodeName}; MIG strategy single has one name for both, so only the whole GPUs are offered`,
    {
      remedy: "set the MIG strategy to mixed, or choose a MIG config that cuts every GPU or none",
      evidence: { migGpus: cutIndexes, wholeGpus: whole.map(({ gpu }) => gpu.index) },
    },
  );
}

function unlikeFinding(kinds: readonly (readonly NodeDevice[])[], nodeName: string): Finding {
  const groups = kinds.map((list) => {
    const { device, mig } = list[0] ?? {};
    return {
      profile: device?.migProfile,
      memoryMiB: device?.memoryMiB,
      gpuName: list[0]?.gpu.name,
      attributes: mig?.instance.profile.attributes,
      count: list.length,
    };
  });
  const text = groups.map(({ count, profile, gpuName }) => `${count} of ${profile} on ${gpuName}`).join("; ");
  return finding(
    "single-strategy-conflict",
    nodeSubject(nodeName),
    `the MIG devices of ${nodeName} are not alike (${text}); MIG strategy single has one name for all, so none of them is offered`,
    {
      remedy: "set the MIG strategy to mixed, or choose a MIG config that makes all devices the same",
      evidence: { kinds: groups },
    },
  );
}

function notOfferedFinding(devices: readonly NodeDevice[], { nodeName }: StrategyRequest): Finding {
  return finding(
    "compute-instance-not-offered",
    nodeSubject(nodeName),
    `MIG strategy mixed has no resource name for a compute instance narrower than its GPU instance; not offered: ${devicesText(devices)} of ${nodeName}`,
    {
      remedy:
        "give each GPU instance one compute instance of its full width, or name the profile under resources.mig of the device plugin's config",
      evidence: { devices: devices.map(({ device }) => device.id) },
    },
  );
}

function unmatchedFinding(text: string, devices: readonly NodeDevice[], request: StrategyRequest): Finding {
  const isMig = devices[0]?.mig !== undefined;
  const list = isMig ? "resources.mig" : "resources.gpus";
  const patterns = isMig ? request.patterns.mig : request.patterns.gpus;
  return finding(
    "resource-pattern-unmatched",
    nodeSubject(request.nodeName),
    `no pattern of ${list} matches "${text}" (${devicesText(devices)} of ${request.nodeName}); the default name is kept`,
    {
      remedy: `add an entry with pattern "${text}" or "*" to ${list}`,
      place: patterns[0]?.place,
      evidence: { patterns: patterns.map(({ pattern }) => pattern) },
    },
  );
}
