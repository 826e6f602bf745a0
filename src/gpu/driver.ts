/**
 * The port to the GPU driver of one node: what NVML can tell and do, in the field's words.
 *
 * Two implementations pass one contract suite: `simulated/` and, over libnvidia-ml, `nvml/`. Calls are named after
 * the NVML calls they stand for. Ids in arguments are as `nvidia-smi` shows them (`smiProfileId`).
 */
import { TrancheError } from "../base/index.ts";
import type { MigProfile, Placement } from "./model.ts";

/** A compute instance as it stands in a GPU instance; pods get these as MIG devices. */
export interface ComputeInstance {
  readonly id: number;
  /** `3g.40gb` or, narrower than its GPU instance, `1c.3g.40gb`. */
  readonly profile: string;
  /** `MIG-…`; the same place on the same GPU gets the same UUID again. */
  readonly uuid: string;
  /** NVML's MIG device index on this GPU; can have gaps. */
  readonly migIndex: number;
  /** In compute slices of the GPU instance. */
  readonly placement: Placement;
}

/** A GPU instance as it stands on a GPU. */
export interface GpuInstance {
  /**
   * The driver's number for it; not a counter. On chips since GA100 it numbers a binary tree over the memory slices
   * (NVIDIA open-gpu-kernel-modules, kmigmgr_ga100.c, `kmigmgrSwizzIdToSpan_GA100`), but boards differ in its order.
   */
  readonly id: number;
  readonly profile: MigProfile;
  readonly placement: Placement;
  /** What the driver reports, or the profile's share where it tells nothing. */
  readonly memoryMiB: number;
  readonly computeInstances: readonly ComputeInstance[];
}

/** `pending` differs from `current` while a reset is due. */
export interface MigMode {
  readonly current: boolean;
  readonly pending: boolean;
}

export interface PciAddress {
  /** `0000:07:00.0`, lower case. */
  readonly busId: string;
  /** Hexadecimal, upper case: device, vendor, subsystem device, subsystem vendor. */
  readonly deviceId: string;
  readonly vendorId: string;
  readonly subsystemDeviceId: string;
  readonly subsystemVendorId: string;
}

/** A physical GPU as the driver reports it now. */
export interface Gpu {
  readonly index: number;
  /** `GPU-…`. */
  readonly uuid: string;
  /** The product name NVML reports. */
  readonly name: string;
  /** The catalogue's id of the model, `undefined` when the catalogue does not know it. */
  readonly modelId: string | undefined;
  /** Minor number of `/dev/nvidia<minor>`. */
  readonly minor: number;
  readonly pci: PciAddress;
  readonly numaNode: number | undefined;
  readonly memoryMiB: number;
  readonly computeCapability: string;
  /** `undefined` when the GPU cannot do MIG. */
  readonly mig: MigMode | undefined;
  /** Empty unless MIG is on; ascending by placement. */
  readonly instances: readonly GpuInstance[];
  /** What this GPU can be cut into; empty when it cannot do MIG. */
  readonly profiles: readonly MigProfile[];
  /** Why `instances` is empty although some may stand there: the driver does not let this process see them. */
  readonly instancesUnread?: string;
}

/** A process with memory on a GPU; on a MIG GPU the instance ids tell where. */
export interface GpuProcess {
  readonly pid: number;
  readonly command: string;
  readonly memoryMiB: number;
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
}

/** A link between two GPUs of a node: NVML's common ancestor and the number of direct NVLinks. */
export interface GpuLink {
  readonly ancestor: "internal" | "single" | "multiple" | "hostbridge" | "node" | "system";
  readonly nvlinks: number;
}

/** An XID error event. Instance ids are `undefined` when it concerns the whole GPU. */
export interface XidEvent {
  readonly gpuUuid: string;
  readonly xid: number;
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
}

/** The NVLink fabric that a GPU belongs to: which cluster, and which clique of GPUs in it can reach each other. */
export interface GpuFabric {
  /** Lower case, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`. */
  readonly clusterUuid: string;
  readonly cliqueId: number;
}

/** The hypervisor's driver below a vGPU guest, for example `460.16` of branch `r460_00`. */
export interface VgpuHost {
  readonly driverVersion: string;
  readonly driverBranch: string;
}

/** What driver and machine tell of a node beside the state of its GPUs; changes rarely. */
export interface NodeFacts {
  /** The newest CUDA version the driver supports, `12.4`; `undefined` when it does not tell. */
  readonly cudaVersion: string | undefined;
  /** PCI class code by GPU UUID, `030200` for a 3D controller; GPUs of which the kernel tells none are left out. */
  readonly pciClasses: ReadonlyMap<string, string>;
  /** By UUID of each GPU that is attached to a fabric. */
  readonly fabrics: ReadonlyMap<string, GpuFabric>;
  /** `none` on a node without vGPU, `undefined` when the PCI configuration space cannot be read. */
  readonly vgpuHost: VgpuHost | "none" | undefined;
}

/** NVML's return codes as far as callers tell them apart. */
export type NvmlCode =
  | "invalid-argument"
  | "not-supported"
  | "no-permission"
  | "not-found"
  | "insufficient-resources"
  | "in-use"
  | "reset-required"
  | "gpu-is-lost"
  | "driver-not-loaded"
  | "unknown";

/** What usually helps; who knows more about a failed call gives a remedy of its own. */
const remedies: Readonly<Record<NvmlCode, string>> = {
  "invalid-argument": "report it with the driver version; the driver did not accept a placement from its own list",
  "not-supported": "check that the driver is recent enough for this GPU and that the GPU can be reset on this machine",
  "no-permission": "run as root, or give access to the capability file /proc/driver/nvidia/capabilities/mig/config",
  "not-found": "something else changes the GPU at the same time; stop NVIDIA's MIG manager and nvidia-smi scripts",
  "insufficient-resources": "something else changes the GPU at the same time; stop NVIDIA's MIG manager and scripts",
  "in-use": "a process uses it: see nvidia-smi, and stop monitoring agents that keep the GPU open; it is tried again",
  "reset-required": "reset the GPU or reboot the node",
  "gpu-is-lost": "drain and reboot the node; the GPU has fallen off the bus",
  "driver-not-loaded": "load the NVIDIA driver",
  unknown: "see the kernel log (dmesg) for NVRM messages; it is tried again",
};

/** A driver call that failed: which call, on which GPU, with which NVML code, and what to do. */
export class DriverError extends TrancheError {
  readonly call: string;
  readonly gpuUuid: string | undefined;
  readonly nvmlCode: NvmlCode;
  readonly remedy: string;

  constructor(call: string, gpuUuid: string | undefined, nvmlCode: NvmlCode, message: string, remedy?: string) {
    super("driver-call", message, { retryable: nvmlCode === "in-use" });
    this.name = "DriverError";
    this.call = call;
    this.gpuUuid = gpuUuid;
    this.nvmlCode = nvmlCode;
    this.remedy = remedy ?? remedies[nvmlCode];
  }
}

/** Every method throws `DriverError` when the driver refuses. */
export interface GpuDriver {
  readonly driverVersion: string;
  /** True when no figure it tells is a measured one. */
  readonly simulated: boolean;
  /** All GPUs in index order, as they are now. */
  list(): Promise<readonly Gpu[]>;
  /** One GPU as it is now, without a look at the others; `undefined` when `list` would leave it out. */
  gpu(gpuUuid: string): Promise<Gpu | undefined>;
  /** What there is to tell of the node beside its GPUs; what cannot be read is left out of it. */
  nodeFacts(): Promise<NodeFacts>;
  /** Processes with memory on the GPU, whole or cut. */
  processes(gpuUuid: string): Promise<readonly GpuProcess[]>;
  /** The link between two different GPUs of the node. */
  link(gpuUuid: string, otherGpuUuid: string): Promise<GpuLink>;
  /**
   * nvmlDeviceSetMigMode. On Hopper and later it applies at once, on Ampere it stays pending until a reset. Refused
   * with `in-use` when processes are on the GPU. Turning it off takes the instances away.
   */
  setMigMode(gpuUuid: string, enabled: boolean): Promise<MigMode>;
  /** Resets exactly this GPU: pending MIG mode applies, instances vanish. Refused with `in-use` while processes run. */
  resetGpu(gpuUuid: string): Promise<void>;
  /** nvmlDeviceCreateGpuInstanceWithPlacement; the instance has no compute instance yet. */
  createGpuInstance(gpuUuid: string, smiProfileId: number, placement: Placement): Promise<GpuInstance>;
  /** nvmlGpuInstanceDestroy; refused with `in-use` while compute instances stand in it. */
  destroyGpuInstance(gpuUuid: string, gpuInstanceId: number): Promise<void>;
  /** nvmlGpuInstanceCreateComputeInstance at the first free start. */
  createComputeInstance(gpuUuid: string, gpuInstanceId: number, smiProfileId: number): Promise<ComputeInstance>;
  /** nvmlComputeInstanceDestroy; refused with `in-use` while a process runs on it. */
  destroyComputeInstance(gpuUuid: string, gpuInstanceId: number, computeInstanceId: number): Promise<void>;
  /** XID events from now on, until the signal fires. */
  xidEvents(signal: AbortSignal): AsyncIterable<XidEvent>;
}
