/**
 * What NVIDIA's three file formats say, as typed values: mig-parted files, device-plugin files, ClusterPolicy.
 *
 * A field that a file leaves out is `undefined` here; defaults belong to whoever merges file, environment and flags.
 */
import type { Place } from "../base/index.ts";

/** One named entry of a mig-parted file: which GPUs get which profiles (NVIDIA mig-parted api/spec/v1/spec.go). */
export interface MigConfig {
  readonly name: string;
  readonly entries: readonly MigConfigEntry[];
  readonly place: Place;
}

export interface MigConfigEntry {
  /** PCI filters as written, for example `0x20B510DE`; empty matches every GPU. */
  readonly deviceFilter: readonly string[];
  readonly devices: "all" | readonly number[];
  readonly migEnabled: boolean;
  /** MIG device name to count; both GPU instance names (`3g.40gb`) and compute instance names (`1c.3g.40gb`). */
  readonly migDevices: ReadonlyMap<string, number>;
  readonly place: Place;
  /** The place of a field of the entry: `["devices", 0]` of that item, `["mig-devices", "1g.10gb"]` of that name. */
  placeOf(path: readonly (string | number)[]): Place;
}

export interface MigPartedFile {
  readonly configs: ReadonlyMap<string, MigConfig>;
  /** Where the file begins. */
  readonly place: Place;
}

/** What one named config wants of one GPU, after walking its entries as mig-parted does. */
export interface WantedMig {
  readonly gpuUuid: string;
  readonly gpuIndex: number;
  readonly migEnabled: boolean;
  /** Canonical MIG device name to count, zero counts left out; empty when MIG is off or on without devices. */
  readonly counts: ReadonlyMap<string, number>;
  /** The entry that decided. */
  readonly place: Place;
}

export type MigStrategy = "none" | "single" | "mixed";
export type DeviceListStrategy = "envvar" | "volume-mounts" | "cdi-annotations" | "cdi-cri";
export type DeviceIdStrategy = "uuid" | "index";
export type AllocationPolicy = "distributed" | "packed";

/** `flags` of a device-plugin file (NVIDIA k8s-device-plugin api/config/v1/flags.go). */
export interface PluginFlags {
  readonly migStrategy?: MigStrategy;
  readonly failOnInitError?: boolean;
  readonly mpsRoot?: string;
  readonly nvidiaDriverRoot?: string;
  readonly nvidiaDevRoot?: string;
  readonly gdrcopyEnabled?: boolean;
  readonly gdsEnabled?: boolean;
  readonly mofedEnabled?: boolean;
  readonly deviceDiscoveryStrategy?: string;
  readonly passDeviceSpecs?: boolean;
  readonly deviceListStrategy?: readonly DeviceListStrategy[];
  readonly deviceIdStrategy?: DeviceIdStrategy;
  readonly cdiAnnotationPrefix?: string;
  readonly nvidiaCtkPath?: string;
  readonly containerDriverRoot?: string;
  readonly sharedDevicesAllocationPolicy?: AllocationPolicy;
  readonly gfd?: FeatureFlags;
}

/** What feature discovery alone reads of `flags`, in `flags.gfd` or beside it. */
export interface FeatureFlags {
  /** False: labels go through a file that Node Feature Discovery reads. */
  readonly useNodeFeatureApi?: boolean;
  readonly noTimestamp?: boolean;
  /** The file for Node Feature Discovery. */
  readonly outputFile?: string;
  /** The file that tells the machine's product name. */
  readonly machineTypeFile?: string;
}

/** The flags that apply once environment, file and built-in defaults are merged. */
export type EffectiveFlags = Required<Omit<PluginFlags, "gfd">>;

/** Which device a `devices` list names (NVIDIA k8s-device-plugin api/config/v1/replicas.go). */
export type DeviceRef =
  | { readonly kind: "gpu-index"; readonly gpu: number }
  | { readonly kind: "mig-index"; readonly gpu: number; readonly mig: number }
  | { readonly kind: "uuid"; readonly uuid: string };

/** `all`, a number of devices of the resource, or exactly these. */
export type DeviceChoice =
  | { readonly kind: "all" }
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "list"; readonly devices: readonly DeviceRef[] };

/** One entry of `sharing.<strategy>.resources`; the same name can occur several times with different devices. */
export interface SharedResource {
  /** With the `nvidia.com/` prefix. */
  readonly name: string;
  /** With the prefix; `undefined` when the file gives none. */
  readonly rename: string | undefined;
  readonly devices: DeviceChoice;
  /** 2 to 65,536. */
  readonly replicas: number;
  readonly place: Place;
}

export interface SharingConfig {
  readonly strategy: "none" | "time-slicing" | "mps";
  readonly renameByDefault: boolean;
  /** Unset is false for time-slicing and true for MPS, and already resolved here. */
  readonly failRequestsGreaterThanOne: boolean;
  readonly resources: readonly SharedResource[];
}

/** An entry of `resources.gpus` or `resources.mig`: the first pattern that matches names the resource. */
export interface NamedResource {
  /** `*` is the only wildcard, anchored at both ends. */
  readonly pattern: string;
  /** With the `nvidia.com/` prefix. */
  readonly name: string;
  readonly place: Place;
}

export interface DevicePluginConfig {
  readonly flags: PluginFlags;
  readonly resources: { readonly gpus: readonly NamedResource[]; readonly mig: readonly NamedResource[] };
  readonly sharing: SharingConfig;
  /** `undefined` reads as no channels. */
  readonly imex?: ImexConfig;
}

/** Channels to the memory of GPUs on other nodes that every container gets. */
export interface ImexConfig {
  /** `[]` or `[0]`. */
  readonly channelIds: readonly number[];
  /** Whether containers shall get no device where a channel is missing. */
  readonly required: boolean;
}

/** What Tranche reads of a ClusterPolicy (NVIDIA gpu-operator api/nvidia/v1/clusterpolicy_types.go). */
export interface ClusterPolicyConfig {
  readonly name: string;
  /** `undefined`: not set, the plugin's file or its default `none` decides. */
  readonly migStrategy: MigStrategy | undefined;
  readonly migManager: {
    readonly enabled: boolean;
    /** ConfigMap of mig-parted configs, `undefined` for those generated per node. */
    readonly configName: string | undefined;
    readonly configDefault: string | undefined;
  };
  readonly devicePlugin: {
    readonly enabled: boolean;
    /** ConfigMap of device-plugin configs; each key is a config. */
    readonly configName: string | undefined;
    readonly configDefault: string | undefined;
    /** Environment set in the policy, applied last. */
    readonly env: ReadonlyMap<string, string>;
    /** Host directory of MPS pipes and logs. */
    readonly mpsRoot: string;
  };
  /** Feature discovery: whether the node is labelled, and the environment set in the policy. */
  readonly gfd: { readonly enabled: boolean; readonly env: ReadonlyMap<string, string> };
  readonly cdiEnabled: boolean;
  readonly place: Place;
}

/** A Kubernetes manifest as read from a file: the object, and where it and its fields stand. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  /** The whole object as plain JSON. */
  readonly object: Readonly<Record<string, unknown>>;
  readonly place: Place;
  /** The place of the field at `path`, or of the closest field above it that exists; read from the text when asked. */
  placeOf(path: readonly (string | number)[]): Place;
  /** The place of a line and column, from 1, of the text that the string at `path` is. */
  placeInside(path: readonly (string | number)[], line: number, column: number): Place;
}
