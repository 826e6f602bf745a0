/**
 * The structs of the NVML calls that the driver makes (NVIDIA nvml.h, CUDA 12.4 to 13.3; all have one layout there).
 *
 * Sizes, offsets and tags follow from the fields; the tests hold them against measured figures and, where one is at
 * hand, against the real header.
 */
import { Struct } from "./struct.ts";

export const pciInfo = new Struct("nvmlPciInfo_t", [
  ["busIdLegacy", { text: 16 }],
  ["domain", "u32"],
  ["bus", "u32"],
  ["device", "u32"],
  ["pciDeviceId", "u32"],
  ["pciSubSystemId", "u32"],
  ["busId", { text: 32 }],
]);

/** `used` holds the reserved part as well. */
export const memoryInfo = new Struct("nvmlMemory_t", [
  ["total", "u64"],
  ["free", "u64"],
  ["used", "u64"],
]);

export const memoryInfoV2 = new Struct(
  "nvmlMemory_v2_t",
  [
    ["version", "u32"],
    ["total", "u64"],
    ["reserved", "u64"],
    ["free", "u64"],
    ["used", "u64"],
  ],
  2,
);

/** nvmlProcessInfo_t of the calls `_v2` and `_v3`; see `processes.ts` for drivers that write other sizes. */
export const processInfo = new Struct("nvmlProcessInfo_t", [
  ["pid", "u32"],
  ["usedGpuMemory", "u64"],
  ["gpuInstanceId", "u32"],
  ["computeInstanceId", "u32"],
]);

export const eventData = new Struct("nvmlEventData_t", [
  ["device", "pointer"],
  ["eventType", "u64"],
  ["eventData", "u64"],
  ["gpuInstanceId", "u32"],
  ["computeInstanceId", "u32"],
]);

/** The struct of the call without a version; `clusterUuid` is 16 bytes, not a text. */
export const gpuFabricInfo = new Struct("nvmlGpuFabricInfo_t", [
  ["clusterUuid", { text: 16 }],
  ["status", "u32"],
  ["cliqueId", "u32"],
  ["state", "u8"],
]);

export const placement = new Struct("nvmlGpuInstancePlacement_t", [
  ["start", "u32"],
  ["size", "u32"],
]);

export const gpuInstanceInfo = new Struct("nvmlGpuInstanceInfo_t", [
  ["device", "pointer"],
  ["id", "u32"],
  ["profileId", "u32"],
  ["start", "u32"],
  ["size", "u32"],
]);

/** `device` is in practice the handle of the MIG device. */
export const computeInstanceInfo = new Struct("nvmlComputeInstanceInfo_t", [
  ["device", "pointer"],
  ["gpuInstance", "pointer"],
  ["id", "u32"],
  ["profileId", "u32"],
  ["start", "u32"],
  ["size", "u32"],
]);

export type GpuInstanceProfileField =
  | "version"
  | "id"
  | "isP2pSupported"
  | "sliceCount"
  | "instanceCount"
  | "multiprocessorCount"
  | "copyEngineCount"
  | "decoderCount"
  | "encoderCount"
  | "jpegCount"
  | "ofaCount"
  | "memorySizeMB"
  | "name"
  | "capabilities";

const engineFields = [
  ["copyEngineCount", "u32"],
  ["decoderCount", "u32"],
  ["encoderCount", "u32"],
  ["jpegCount", "u32"],
  ["ofaCount", "u32"],
] as const;

export const gpuInstanceProfile = new Struct<GpuInstanceProfileField>("nvmlGpuInstanceProfileInfo_t", [
  ["id", "u32"],
  ["isP2pSupported", "u32"],
  ["sliceCount", "u32"],
  ["instanceCount", "u32"],
  ["multiprocessorCount", "u32"],
  ...engineFields,
  ["memorySizeMB", "u64"],
]);

export const gpuInstanceProfileV2 = new Struct<GpuInstanceProfileField>(
  "nvmlGpuInstanceProfileInfo_v2_t",
  [
    ["version", "u32"],
    ["id", "u32"],
    ["isP2pSupported", "u32"],
    ["sliceCount", "u32"],
    ["instanceCount", "u32"],
    ["multiprocessorCount", "u32"],
    ...engineFields,
    ["memorySizeMB", "u64"],
    ["name", { text: 96 }],
  ],
  2,
);

/** Has no `isP2pSupported`, so it is as large as version 2 and its fields stand elsewhere. */
export const gpuInstanceProfileV3 = new Struct<GpuInstanceProfileField>(
  "nvmlGpuInstanceProfileInfo_v3_t",
  [
    ["version", "u32"],
    ["id", "u32"],
    ["sliceCount", "u32"],
    ["instanceCount", "u32"],
    ["multiprocessorCount", "u32"],
    ...engineFields,
    ["memorySizeMB", "u64"],
    ["name", { text: 96 }],
    ["capabilities", "u32"],
  ],
  3,
);

export type ComputeInstanceProfileField =
  | "version"
  | "id"
  | "sliceCount"
  | "instanceCount"
  | "multiprocessorCount"
  | "sharedCopyEngineCount"
  | "sharedDecoderCount"
  | "sharedEncoderCount"
  | "sharedJpegCount"
  | "sharedOfaCount"
  | "name"
  | "capabilities";

const computeFields = [
  ["id", "u32"],
  ["sliceCount", "u32"],
  ["instanceCount", "u32"],
  ["multiprocessorCount", "u32"],
  ["sharedCopyEngineCount", "u32"],
  ["sharedDecoderCount", "u32"],
  ["sharedEncoderCount", "u32"],
  ["sharedJpegCount", "u32"],
  ["sharedOfaCount", "u32"],
] as const;

export const computeInstanceProfile = new Struct<ComputeInstanceProfileField>(
  "nvmlComputeInstanceProfileInfo_t",
  computeFields,
);

export const computeInstanceProfileV2 = new Struct<ComputeInstanceProfileField>(
  "nvmlComputeInstanceProfileInfo_v2_t",
  [["version", "u32"], ...computeFields, ["name", { text: 96 }]],
  2,
);

export const computeInstanceProfileV3 = new Struct<ComputeInstanceProfileField>(
  "nvmlComputeInstanceProfileInfo_v3_t",
  [["version", "u32"], ...computeFields, ["name", { text: 96 }], ["capabilities", "u32"]],
  3,
);

/** All of them, for the check against the header. */
export const structs: readonly Struct<string>[] = [
  pciInfo,
  memoryInfo,
  memoryInfoV2,
  processInfo,
  eventData,
  gpuFabricInfo,
  placement,
  gpuInstanceInfo,
  computeInstanceInfo,
  gpuInstanceProfile,
  gpuInstanceProfileV2,
  gpuInstanceProfileV3,
  computeInstanceProfile,
  computeInstanceProfileV2,
  computeInstanceProfileV3,
];
