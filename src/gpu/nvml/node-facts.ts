/**
 * What driver and kernel tell of a node beside its GPUs: CUDA version, PCI classes, NVLink fabric, hypervisor.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { GpuFabric, NodeFacts, VgpuHost } from "../driver.ts";
import { success } from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";
import { textIn } from "./struct.ts";
import { gpuFabricInfo } from "./structs.ts";

/** A GPU and where the kernel lists it below sys/bus/pci/devices. */
export interface SeatedGpu {
  readonly gpu: OpenGpu;
  readonly busId: string;
}

/** Reads all of it; `root` is where the host's file system is. */
export async function nodeFactsOf(session: Session, seated: readonly SeatedGpu[], root: string): Promise<NodeFacts> {
  const pciClasses = new Map<string, string>();
  const fabrics = new Map<string, GpuFabric>();
  const hosts: (VgpuHost | "none" | undefined)[] = [];
  for (const { gpu, busId } of seated) {
    const device = join(root, "sys/bus/pci/devices", busId);
    const pciClass = /^0x([0-9a-f]{6})\s*$/.exec(
      (await maybeRead(join(device, "class")))?.toString("latin1") ?? "",
    )?.[1];
    if (pciClass !== undefined) pciClasses.set(gpu.uuid, pciClass);
    const fabric = fabricOf(session, gpu);
    if (fabric !== undefined) fabrics.set(gpu.uuid, fabric);
    hosts.push(vgpuHostIn(await maybeRead(join(device, "config"))));
  }
  return { cudaVersion: cudaVersion(session), pciClasses, fabrics, vgpuHost: oneHost(hosts) };
}

/** NVML writes 1000 * major + 10 * minor. */
function cudaVersion(session: Session): string | undefined {
  const out = Buffer.alloc(4);
  if (session.try("nvmlSystemGetCudaDriverVersion", undefined, out) !== success) return undefined;
  const version = out.readInt32LE();
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

/** NVML_GPU_FABRIC_STATE_COMPLETED */
const fabricCompleted = 3;

function fabricOf(session: Session, gpu: OpenGpu): GpuFabric | undefined {
  if (!session.has("nvmlDeviceGetGpuFabricInfo")) return undefined;
  const info = gpuFabricInfo.allocate();
  return session.try("nvmlDeviceGetGpuFabricInfo", gpu.uuid, gpu.handle, info) === success ? fabricIn(info) : undefined;
}

/** The fabric in an nvmlGpuFabricInfo_t; `undefined` until the GPU has been let into one. */
export function fabricIn(info: Buffer): GpuFabric | undefined {
  const isIn = gpuFabricInfo.u8(info, "state") === fabricCompleted && gpuFabricInfo.u32(info, "status") === success;
  const cluster = info.toString("hex", 0, 16);
  if (!isIn || /^0+$/.test(cluster)) return undefined;
  const clusterUuid = cluster.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return { clusterUuid, cliqueId: gpuFabricInfo.u32(info, "cliqueId") };
}

/** A guest sits on one hypervisor; where one GPU's configuration cannot be read nobody knows. */
function oneHost(hosts: readonly (VgpuHost | "none" | undefined)[]): VgpuHost | "none" | undefined {
  if (hosts.includes(undefined)) return undefined;
  return hosts.find((host) => host !== "none") ?? "none";
}

/** Only privileged readers get more than the first 64 bytes. */
const configBytes = 256;
const statusAt = 0x06;
const hasCapabilities = 0x10;
const firstCapabilityAt = 0x34;
const vendorSpecific = 0x09;

/**
 * The hypervisor's driver in a PCI configuration space: a vendor-specific capability (PCI Local Bus Specification 3.0,
 * 6.7) with the letters `VF` and then records, of which number 0 has version and branch in ten bytes each (NVIDIA
 * k8s-device-plugin, internal/vgpu). `undefined` when the space could not be read whole or the record is missing.
 */
export function vgpuHostIn(config: Buffer | undefined): VgpuHost | "none" | undefined {
  if (config === undefined || config.length < configBytes) return undefined;
  if ((config.readUInt16LE(statusAt) & hasCapabilities) === 0) return "none";
  const seen = new Set<number>();
  // The two low bits of a pointer are reserved; a list that bites its own tail ends there.
  for (let at = config.readUInt8(firstCapabilityAt) & 0xfc; at !== 0 && !seen.has(at); ) {
    seen.add(at);
    const capability = config.subarray(at, at + config.readUInt8(at + 2));
    const isVgpu = config.readUInt8(at) === vendorSpecific && capability.toString("latin1", 3, 5) === "VF";
    if (isVgpu) return hostInRecords(capability.subarray(5));
    at = config.readUInt8(at + 1) & 0xfc;
  }
  return "none";
}

/** Each record is its number, its length and its bytes; the length counts all three. */
function hostInRecords(records: Buffer): VgpuHost | undefined {
  let at = 0;
  while (at + 2 < records.length && records.readUInt8(at) !== 0) {
    const length = records.readUInt8(at + 1);
    if (length === 0) return undefined;
    at += length;
  }
  if (at + 22 > records.length) return undefined;
  const driverVersion = textIn(records.subarray(at + 2, at + 12));
  return { driverVersion, driverBranch: textIn(records.subarray(at + 12, at + 22)) };
}

async function maybeRead(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch {
    return undefined;
  }
}
