/**
 * What of a GPU does not change while its handle is good: name, addresses, memory, model, profiles.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { modelOf } from "../catalogue.ts";
import type { PciAddress } from "../driver.ts";
import { profilesOfDriver } from "../driver-geometry.ts";
import type { GpuModel, MigProfile } from "../model.ts";
import { toldComputeProfiles } from "./compute-profiles.ts";
import { profilesOf } from "./mig-profiles.ts";
import { callError, gpuIsLost, success } from "./return-codes.ts";
import type { GpuInstanceHandle, OpenGpu, Session } from "./session.ts";
import { memoryInfo, memoryInfoV2, pciInfo } from "./structs.ts";

const mib = 1024n * 1024n;

export class GpuFacts {
  readonly uuid: string;
  readonly name: string;
  readonly pci: PciAddress;
  readonly minor: number;
  readonly numaNode: number | undefined;
  readonly computeCapability: string;
  readonly memoryMiB: number;
  readonly model: GpuModel | undefined;
  /** Whether the hardware told the profiles; else they are what the catalogue says of this driver. */
  readonly profilesTold: boolean;
  #profiles: readonly MigProfile[];
  readonly #computeIds = new Map<number, readonly number[]>();

  constructor(session: Session, gpu: OpenGpu, { root, driverVersion, migCapable }: FactsRequest) {
    this.uuid = gpu.uuid;
    this.name = session.text("nvmlDeviceGetName", gpu.uuid, gpu.handle);
    this.pci = pciAddress(session, gpu);
    this.minor = session.number("nvmlDeviceGetMinorNumber", gpu.uuid, gpu.handle);
    this.numaNode = numaNode(root, this.pci.busId);
    this.computeCapability = computeCapability(session, gpu);
    this.model = modelOf({
      name: this.name,
      pciDeviceId: this.pci.deviceId,
      pciSubsystemId: this.pci.subsystemDeviceId,
    });
    this.memoryMiB = totalMemoryMiB(session, gpu) ?? this.model?.memoryMiB ?? 0;
    const told = migCapable ? profilesOf(session, gpu, { model: this.model, cardMiB: this.memoryMiB }) : [];
    this.profilesTold = told.length > 0;
    const assumed = migCapable && this.model !== undefined ? profilesOfDriver(this.model, driverVersion) : [];
    this.#profiles = this.profilesTold ? told : assumed;
  }

  /** The same list object while nothing new is learnt, so that what is computed from it can be kept. */
  get profiles(): readonly MigProfile[] {
    return this.#profiles;
  }

  /** The profile with this id, its compute instance profiles read off a GPU instance of it once. */
  withComputeProfiles(session: Session, smiProfileId: number, instance: GpuInstanceHandle): LearntProfile | undefined {
    const profile = this.#profiles.find((one) => one.smiProfileId === smiProfileId);
    if (profile === undefined) return undefined;
    const known = this.#computeIds.get(smiProfileId);
    if (known !== undefined) return { profile, computeIds: known };
    const told = toldComputeProfiles(session, this.uuid, instance, profile);
    if (told === undefined) {
      return { profile, computeIds: profile.computeInstanceProfiles.map((one) => one.smiProfileId) };
    }
    const { profiles, ids } = told;
    this.#computeIds.set(smiProfileId, ids);
    if (sameComputeProfiles(profiles, profile.computeInstanceProfiles)) return { profile, computeIds: ids };
    const learnt = { ...profile, computeInstanceProfiles: profiles };
    this.#profiles = this.#profiles.map((one) => (one === profile ? learnt : one));
    return { profile: learnt, computeIds: ids };
  }
}

/** A profile, and the ids that compute instances in it can have. */
export interface LearntProfile {
  readonly profile: MigProfile;
  readonly computeIds: readonly number[];
}

export interface FactsRequest {
  /** Where the host's file system is. */
  readonly root: string;
  readonly driverVersion: string;
  readonly migCapable: boolean;
}

function sameComputeProfiles(
  a: MigProfile["computeInstanceProfiles"],
  b: MigProfile["computeInstanceProfiles"],
): boolean {
  return (
    a.length === b.length &&
    a.every((one, index) => {
      const other = b[index];
      return (
        one.name === other?.name &&
        one.smiProfileId === other.smiProfileId &&
        one.maxInstances === other.maxInstances &&
        one.starts.join() === other.starts.join() &&
        (other.multiprocessors === undefined || one.multiprocessors === other.multiprocessors)
      );
    })
  );
}

/** NVML writes 8 digits of domain and upper case, sysfs and /proc 4 and lower case; the ids have the vendor low. */
function pciAddress(session: Session, gpu: OpenGpu): PciAddress {
  const info = pciInfo.allocate();
  session.call("nvmlDeviceGetPciInfo_v3", gpu.uuid, gpu.handle, info);
  const id = pciInfo.u32(info, "pciDeviceId");
  const subsystem = pciInfo.u32(info, "pciSubSystemId");
  return {
    busId: sysfsBusId(pciInfo.text(info, "busId")),
    deviceId: hex4(id >>> 16),
    vendorId: hex4(id & 0xffff),
    subsystemDeviceId: hex4(subsystem >>> 16),
    subsystemVendorId: hex4(subsystem & 0xffff),
  };
}

/** `0000:3b:00.0` for `00000000:3B:00.0`; `10000:81:00.0` for a domain above FFFF. */
export function sysfsBusId(busId: string): string {
  return busId.toLowerCase().replace(/^0{1,4}(?=[0-9a-f]{4,}:)/, "");
}

function hex4(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, "0");
}

/** `undefined` where the kernel knows none (-1) or does not list the device. */
function numaNode(root: string, busId: string): number | undefined {
  try {
    const node = Number.parseInt(readFileSync(join(root, "sys/bus/pci/devices", busId, "numa_node"), "utf8"), 10);
    return node >= 0 ? node : undefined;
  } catch {
    return undefined;
  }
}

function computeCapability(session: Session, gpu: OpenGpu): string {
  const major = Buffer.alloc(4);
  const minor = Buffer.alloc(4);
  session.call("nvmlDeviceGetCudaComputeCapability", gpu.uuid, gpu.handle, major, minor);
  return `${major.readInt32LE()}.${minor.readInt32LE()}`;
}

/** `undefined` where this process may not know: on a GPU in MIG mode only a privileged one may. */
function totalMemoryMiB(session: Session, gpu: OpenGpu): number | undefined {
  if (session.has("nvmlDeviceGetMemoryInfo_v2")) {
    const info = memoryInfoV2.allocate();
    if (session.try("nvmlDeviceGetMemoryInfo_v2", gpu.uuid, gpu.handle, info) === success) {
      return Number(memoryInfoV2.u64(info, "total") / mib);
    }
  }
  const info = memoryInfo.allocate();
  const result = session.try("nvmlDeviceGetMemoryInfo", gpu.uuid, gpu.handle, info);
  if (result === success) return Number(memoryInfo.u64(info, "total") / mib);
  if (result === gpuIsLost) throw callError("nvmlDeviceGetMemoryInfo", gpu.uuid, result);
  return undefined;
}
