/**
 * The words of sharing: what a node offers to the kubelet and what a container gets.
 */
import type { AllocationPolicy, DeviceIdStrategy, DeviceListStrategy, MigStrategy } from "../config/index.ts";

/** A device the kubelet may hand out: a whole GPU, a MIG device, or one replica of either. */
export interface Device {
  /** As the kubelet sees it: `GPU-…`, `MIG-…`, and `…::<n>` for a replica. */
  readonly id: string;
  /** The id without `::<n>`. */
  readonly uuid: string;
  /** The physical GPU. */
  readonly gpuUuid: string;
  readonly gpuIndex: number;
  /** `0` for a GPU, `0:2` for a MIG device. */
  readonly index: string;
  /** MIG device name; `undefined` for a whole GPU. */
  readonly migProfile: string | undefined;
  readonly memoryMiB: number;
  /** NUMA node of the GPU, when known. */
  readonly numaNode: number | undefined;
  /** Device nodes a container needs for it, for example `/dev/nvidia0`. */
  readonly paths: readonly string[];
}

/** A resource name and the devices behind it. */
export interface Offer {
  /** For example `nvidia.com/mig-1g.10gb`. */
  readonly resource: string;
  readonly devices: readonly Device[];
  readonly sharing: "none" | "time-slicing" | "mps";
  /** Whether a container may ask for one replica only. */
  readonly failRequestsGreaterThanOne: boolean;
}

/**
 * What keeps the holders of a device apart.
 *
 * `exclusive`: a whole GPU has one holder. `hardware`: a MIG device of its own, with its own memory and compute slices.
 * `limited`: limits without walls, as for MPS clients, and for compute instances that share their GPU instance's memory.
 * `none`: time slices; a holder can take all memory and any error can end the others.
 */
export type Isolation = "exclusive" | "hardware" | "limited" | "none";

/** Flags after file, environment and defaults are merged, as far as offers and answers depend on them. */
export interface SharingSettings {
  readonly migStrategy: MigStrategy;
  readonly deviceListStrategy: readonly DeviceListStrategy[];
  readonly deviceIdStrategy: DeviceIdStrategy;
  readonly passDeviceSpecs: boolean;
  readonly cdiAnnotationPrefix: string;
  readonly nvidiaDevRoot: string;
  readonly gdrcopyEnabled: boolean;
  readonly gdsEnabled: boolean;
  readonly mofedEnabled: boolean;
  readonly mpsRoot: string;
  readonly sharedDevicesAllocationPolicy: AllocationPolicy;
}

/** What a container gets, in the shape of the device plugin API's ContainerAllocateResponse (v1beta1). */
export interface AllocateAnswer {
  readonly envs: Readonly<Record<string, string>>;
  readonly mounts: readonly { readonly containerPath: string; readonly hostPath: string; readonly readOnly: boolean }[];
  readonly devices: readonly {
    readonly containerPath: string;
    readonly hostPath: string;
    readonly permissions: string;
  }[];
  readonly annotations: Readonly<Record<string, string>>;
  /** Fully qualified CDI names. */
  readonly cdiDevices: readonly string[];
}

/** How strongly a pair of GPUs of a node is linked: PCIe plus NVLink points, as NVIDIA go-gpuallocator counts them. */
export type PairScore = (gpuUuid: string, otherGpuUuid: string) => number;
