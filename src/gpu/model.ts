/**
 * What a GPU model is: the words for models, MIG profiles, placements and layouts.
 *
 * Facts about real models come from the catalogue (`catalogue.ts`), rules about layouts from `geometry.ts`.
 */

/** How far a figure can be trusted: read off a real card, from NVIDIA's text or source, copied from a sibling, or not known. */
export type Confidence = "captured" | "documented" | "sibling" | "unknown";

/** How far the facts about a whole model can be trusted: names and PCI ids, memory and SMs, layout, figures per instance. */
export interface ModelConfidence {
  readonly identity: ModelConfidenceWord;
  readonly base: ModelConfidenceWord;
  readonly geometry: ModelConfidenceWord;
  readonly figures: ModelConfidenceWord;
}

/** `derived` is copied from a sibling model. */
export type ModelConfidenceWord = "high" | "medium" | "low" | "derived" | "partly captured" | "unknown";

/** Numbers of engines; `undefined` where no source tells. */
export interface Engines {
  readonly copy: number | undefined;
  readonly decoder: number | undefined;
  readonly encoder: number | undefined;
  readonly jpeg: number | undefined;
  readonly ofa: number | undefined;
}

/** A run of memory slices: it covers `start` to `start + size - 1`. */
export interface Placement {
  readonly start: number;
  readonly size: number;
}

/** A way to cut a compute instance out of a GPU instance; starts and size count compute slices of that instance. */
export interface ComputeInstanceProfile {
  /** `3g.40gb` when it takes the whole GPU instance, `1c.3g.40gb` when it is narrower. */
  readonly name: string;
  readonly nvmlProfileId: number;
  readonly smiProfileId: number;
  readonly computeSlices: number;
  readonly maxInstances: number;
  readonly multiprocessors: number | undefined;
  readonly starts: readonly number[];
  readonly size: number;
}

/** A GPU instance profile of one model. A name means nothing without the model. */
export interface MigProfile {
  /** As NVIDIA writes it, for example `1g.10gb+me`. */
  readonly name: string;
  /** The `NVML_GPU_INSTANCE_PROFILE_*` constant, argument of the NVML profile-info calls only. */
  readonly nvmlProfileId: number;
  /** The number `nvidia-smi mig -lgip` shows; argument of NVML's create, capacity and placement calls. */
  readonly smiProfileId: number;
  readonly computeSlices: number;
  /** Also the size of its placements. */
  readonly memorySlices: number;
  /** What NVML reports for one instance; `undefined` where no source tells. */
  readonly memoryMiB: number | undefined;
  /** The card's memory by arithmetic share: an upper bound, the stand-in where `memoryMiB` is unknown. */
  readonly memoryMiBShare: number;
  /** Other values of `memoryMiB` seen with other drivers, boards or hypervisors. */
  readonly observedMemoryMiB?: readonly number[];
  /** Names that other drivers gave the same profile, for example `7g.79gb`. */
  readonly otherNames?: readonly string[];
  /** The first driver branch that has it, for example `R525`, where it came after the model's first one. */
  readonly sinceDriver?: string | undefined;
  readonly multiprocessors: number | undefined;
  readonly engines: Engines;
  readonly maxInstances: number;
  /** `me`, `me.all`, `gfx`, or `-me` for the profile without media engines. */
  readonly attributes: readonly string[];
  /** Allowed starts, in memory slices, ascending. */
  readonly starts: readonly number[];
  /** From narrow to wide; the last one takes the whole GPU instance. */
  readonly computeInstanceProfiles: readonly ComputeInstanceProfile[];
  readonly confidence: Readonly<Record<"placements" | "memory" | "multiprocessors" | "engines" | "ci", Confidence>>;
}

/** A rule that forbids mixes of profiles which the engine sums also forbid; it is stated for explanations. */
export type Exclusion =
  | { readonly rule: "at-most-one-in-total"; readonly profiles: readonly string[]; readonly reason: string }
  | {
      readonly rule: "only-alongside";
      readonly profiles: readonly string[];
      readonly alongside: readonly string[];
      readonly reason: string;
    };

/** How a MIG-capable model can be cut. */
export interface MigGeometry {
  /** Name of the slice layout, for example `mem8-compute7`. */
  readonly name: string;
  readonly memorySlices: number;
  readonly computeSlices: number;
  /** SMs that can be used while MIG is on; `undefined` where no source tells. */
  readonly multiprocessors?: number | undefined;
  readonly engineTotals: Engines;
  /** Id of a model whose engine numbers are the best guess where this one's are unknown. */
  readonly engineFallbackModelId?: string | undefined;
  readonly exclusions: readonly Exclusion[];
  readonly profiles: readonly MigProfile[];
}

export interface GpuModel {
  /** Stable key of the catalogue, for example `a100-sxm4-80gb`. */
  readonly id: string;
  /** As NVML and nvidia-smi report it, for example `NVIDIA A100-SXM4-80GB`. */
  readonly nvmlName: string;
  readonly otherNvmlNames: readonly string[];
  /** As NVIDIA sells it, for example `NVIDIA A100 80GB SXM4`. */
  readonly marketingName: string;
  /** Id of the model whose layout and figures this one shares, when it is another product name for them. */
  readonly aliasOf: string | undefined;
  readonly architecture: string;
  /** For example `8.0`. */
  readonly computeCapability: string;
  /** Hexadecimal, upper case, vendor 10DE. */
  readonly pciDeviceIds: readonly string[];
  readonly pciSubsystemIds: readonly string[];
  /** What NVML reports for the whole card. */
  readonly memoryMiB: number;
  readonly multiprocessors: number | undefined;
  /** Peak of the data sheet, in GB/s; `undefined` where no source tells. */
  readonly memoryBandwidthGBPerSecond: number | undefined;
  /** Whether the product can be linked at all: by switch, by bridge or to its CPU. */
  readonly nvlink: boolean;
  /** How, where it is not the usual way of its board. */
  readonly nvlinkNote: string | undefined;
  /** The first driver that can do MIG on it. */
  readonly minDriverForMig: string | undefined;
  /** `undefined` when the model cannot be cut. */
  readonly mig: MigGeometry | undefined;
  readonly confidence: ModelConfidence;
  /** What a reader should know beside the figures, in sentences. */
  readonly notes: readonly string[];
}

/** A profile at a start: where an instance could stand. */
export interface PlacedProfile {
  readonly profile: MigProfile;
  readonly start: number;
}

/** Which instances at which placements one GPU has or shall have. */
export type Layout = readonly PlacedProfile[];
