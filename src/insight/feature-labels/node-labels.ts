/**
 * Labels that tell of a node as a whole: versions, machine, mode, fabric, hypervisor (NVIDIA k8s-device-plugin
 * internal/lm/{nvml,machine-type,fabric,vgpu}.go).
 */
import type { GpuFabric, NodeFacts } from "../../gpu/index.ts";
import { sanitised } from "./label-text.ts";

export type LabelEntries = readonly (readonly [key: string, value: string])[];

/** `nvidia.com/cuda.*`; nothing of a driver whose version is not `X.Y` or `X.Y.Z`. */
export function versionLabels(driverVersion: string, cudaVersion: string | undefined): LabelEntries {
  const parts = driverVersion.split(".");
  const [major = "", minor = "", revision = ""] = parts;
  const driver: LabelEntries = [
    ["nvidia.com/cuda.driver-version.full", driverVersion],
    ["nvidia.com/cuda.driver-version.major", major],
    ["nvidia.com/cuda.driver-version.minor", minor],
    ["nvidia.com/cuda.driver-version.revision", revision],
    ["nvidia.com/cuda.driver.major", major],
    ["nvidia.com/cuda.driver.minor", minor],
    ["nvidia.com/cuda.driver.rev", revision],
  ];
  return [...(parts.length === 2 || parts.length === 3 ? driver : []), ...runtimeLabels(cudaVersion)];
}

function runtimeLabels(cudaVersion: string | undefined): LabelEntries {
  if (cudaVersion === undefined) return [];
  const [major = "", minor = ""] = cudaVersion.split(".");
  return [
    ["nvidia.com/cuda.runtime-version.full", cudaVersion],
    ["nvidia.com/cuda.runtime-version.major", major],
    ["nvidia.com/cuda.runtime-version.minor", minor],
    ["nvidia.com/cuda.runtime.major", major],
    ["nvidia.com/cuda.runtime.minor", minor],
  ];
}

/** `nvidia.com/gpu.machine` for the text of the machine type file; `undefined` when it cannot be read. */
export function machineLabel(machineType: string | undefined): LabelEntries {
  return [["nvidia.com/gpu.machine", machineType === undefined ? "unknown" : sanitised(machineType.trim())]];
}

const modes: ReadonlyMap<string, string> = new Map([
  ["030200", "compute"],
  ["030000", "graphics"],
]);

/** `nvidia.com/gpu.mode`: what these GPUs are by their PCI class, if all of which it is known are the same. */
export function modeLabel(gpuUuids: readonly string[], { pciClasses }: NodeFacts): LabelEntries {
  const classes = new Set(gpuUuids.map((uuid) => pciClasses.get(uuid)).filter((one) => one !== undefined));
  const [only] = classes;
  return [
    ["nvidia.com/gpu.mode", (classes.size === 1 && only !== undefined ? modes.get(only) : undefined) ?? "unknown"],
  ];
}

/** `nvidia.com/gpu.clique`, if the GPUs that are attached to a fabric agree on one. */
export function cliqueLabel(gpuUuids: readonly string[], { fabrics }: NodeFacts): LabelEntries {
  const attached = gpuUuids.map((uuid) => fabrics.get(uuid)).filter((fabric) => fabric !== undefined);
  const names = new Set(attached.map(({ clusterUuid, cliqueId }: GpuFabric) => `${clusterUuid}.${cliqueId}`));
  const [only] = names;
  return names.size === 1 && only !== undefined ? [["nvidia.com/gpu.clique", only]] : [];
}

/** `nvidia.com/vgpu.*`; nothing while nobody knows. */
export function vgpuLabels({ vgpuHost }: NodeFacts): LabelEntries {
  if (vgpuHost === undefined) return [];
  if (vgpuHost === "none") return [["nvidia.com/vgpu.present", "false"]];
  return [
    ["nvidia.com/vgpu.present", "true"],
    ["nvidia.com/vgpu.host-driver-version", vgpuHost.driverVersion],
    ["nvidia.com/vgpu.host-driver-branch", vgpuHost.driverBranch],
  ];
}
