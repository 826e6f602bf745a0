/**
 * The functions of libnvidia-ml that the driver calls, by the exact names the library exports.
 *
 * nvml.h renames calls by macro: what C code writes as `nvmlDeviceGetCount` is the symbol `nvmlDeviceGetCount_v2`. The
 * library still exports the plain names too, and those are the first versions with other structs or other meaning, so
 * none of them is here (but calls that never had a second version).
 */

/** Handles and structs are pointers; every function answers an `nvmlReturn_t`. */
export type ArgumentType = "pointer" | "uint32_t" | "uint64_t";

export interface NvmlSymbol {
  readonly arguments: readonly ArgumentType[];
  /** Where it came with a later driver branch than 460: that branch, and what is done without it. */
  readonly since?: { readonly branch: number; readonly without: string };
  /** The symbol that is called instead where the library has it. */
  readonly olderThan?: string;
}

const pointer = "pointer";
const u32 = "uint32_t";
const u64 = "uint64_t";

function symbol(...types: readonly ArgumentType[]): NvmlSymbol {
  return { arguments: types };
}

/** A symbol that only drivers from `branch` on have. */
function newer(branch: number, without: string, ...types: readonly ArgumentType[]): NvmlSymbol {
  return { arguments: types, since: { branch, without } };
}

/** A symbol that is called only where the library lacks the newer one. */
function older(newerName: string, ...types: readonly ArgumentType[]): NvmlSymbol {
  return { arguments: types, olderThan: newerName };
}

export const nvmlSymbols = {
  nvmlInit_v2: older("nvmlInitWithFlags"),
  nvmlInitWithFlags: symbol(u32),
  nvmlShutdown: symbol(),
  nvmlSystemGetDriverVersion: symbol(pointer, u32),
  nvmlSystemGetCudaDriverVersion: symbol(pointer),
  nvmlSystemGetProcessName: symbol(u32, pointer, u32),
  nvmlDeviceGetCount_v2: symbol(pointer),
  nvmlDeviceGetHandleByIndex_v2: symbol(u32, pointer),
  nvmlDeviceGetUUID: symbol(pointer, pointer, u32),
  nvmlDeviceGetName: symbol(pointer, pointer, u32),
  nvmlDeviceGetIndex: symbol(pointer, pointer),
  nvmlDeviceGetMinorNumber: symbol(pointer, pointer),
  nvmlDeviceGetPciInfo_v3: symbol(pointer, pointer),
  nvmlDeviceGetCudaComputeCapability: symbol(pointer, pointer, pointer),
  nvmlDeviceGetMemoryInfo: older("nvmlDeviceGetMemoryInfo_v2", pointer, pointer),
  nvmlDeviceGetMemoryInfo_v2: newer(510, "memory is read by the older call", pointer, pointer),
  nvmlDeviceGetComputeRunningProcesses_v2: older("nvmlDeviceGetComputeRunningProcesses_v3", pointer, pointer, pointer),
  nvmlDeviceGetComputeRunningProcesses_v3: newer(510, "the older list is read", pointer, pointer, pointer),
  nvmlDeviceGetGraphicsRunningProcesses_v2: older(
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
    pointer,
    pointer,
    pointer,
  ),
  nvmlDeviceGetGraphicsRunningProcesses_v3: newer(510, "the older list is read", pointer, pointer, pointer),
  nvmlDeviceGetMPSComputeRunningProcesses_v2: older(
    "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    pointer,
    pointer,
    pointer,
  ),
  nvmlDeviceGetMPSComputeRunningProcesses_v3: newer(510, "the older list is read", pointer, pointer, pointer),
  nvmlDeviceGetTopologyCommonAncestor: symbol(pointer, pointer, pointer),
  nvmlDeviceGetNvLinkState: symbol(pointer, u32, pointer),
  nvmlDeviceGetNvLinkRemotePciInfo_v2: symbol(pointer, u32, pointer),
  nvmlDeviceGetGpuFabricInfo: newer(525, "no NVLink fabric is told", pointer, pointer),
  nvmlDeviceGetMigMode: symbol(pointer, pointer, pointer),
  nvmlDeviceSetMigMode: symbol(pointer, u32, pointer),
  nvmlDeviceGetMaxMigDeviceCount: symbol(pointer, pointer),
  nvmlDeviceGetMigDeviceHandleByIndex: symbol(pointer, u32, pointer),
  nvmlDeviceGetGpuInstanceId: symbol(pointer, pointer),
  nvmlDeviceGetComputeInstanceId: symbol(pointer, pointer),
  nvmlDeviceGetGpuInstanceProfileInfo: older("nvmlDeviceGetGpuInstanceProfileInfoV", pointer, u32, pointer),
  nvmlDeviceGetGpuInstanceProfileInfoV: newer(510, "profile names are computed", pointer, u32, pointer),
  nvmlDeviceGetGpuInstancePossiblePlacements_v2: newer(
    470,
    "placements come from the catalogue",
    pointer,
    u32,
    pointer,
    pointer,
  ),
  nvmlDeviceGetGpuInstances: symbol(pointer, u32, pointer, pointer),
  nvmlDeviceGetGpuInstanceById: symbol(pointer, u32, pointer),
  nvmlDeviceCreateGpuInstanceWithPlacement: symbol(pointer, u32, pointer, pointer),
  nvmlGpuInstanceDestroy: symbol(pointer),
  nvmlGpuInstanceGetInfo: symbol(pointer, pointer),
  nvmlGpuInstanceGetComputeInstanceProfileInfo: older(
    "nvmlGpuInstanceGetComputeInstanceProfileInfoV",
    pointer,
    u32,
    u32,
    pointer,
  ),
  nvmlGpuInstanceGetComputeInstanceProfileInfoV: newer(510, "the older call is made", pointer, u32, u32, pointer),
  nvmlGpuInstanceGetComputeInstancePossiblePlacements: newer(
    525,
    "starts of compute instances come from the catalogue",
    pointer,
    u32,
    pointer,
    pointer,
  ),
  nvmlGpuInstanceGetComputeInstances: symbol(pointer, u32, pointer, pointer),
  nvmlGpuInstanceGetComputeInstanceById: symbol(pointer, u32, pointer),
  nvmlGpuInstanceCreateComputeInstance: older(
    "nvmlGpuInstanceCreateComputeInstanceWithPlacement",
    pointer,
    u32,
    pointer,
  ),
  nvmlGpuInstanceCreateComputeInstanceWithPlacement: newer(
    525,
    "the library chooses where a compute instance starts",
    pointer,
    u32,
    pointer,
    pointer,
  ),
  nvmlComputeInstanceDestroy: symbol(pointer),
  nvmlComputeInstanceGetInfo_v2: symbol(pointer, pointer),
  nvmlEventSetCreate: symbol(pointer),
  nvmlEventSetFree: symbol(pointer),
  nvmlEventSetWait_v2: symbol(pointer, pointer, u32),
  nvmlDeviceRegisterEvents: symbol(pointer, u64, pointer),
} as const satisfies Readonly<Record<string, NvmlSymbol>>;

export type SymbolName = keyof typeof nvmlSymbols;

/** All of them. */
export function symbolNames(): readonly SymbolName[] {
  const isSymbol = (name: string): name is SymbolName => Object.hasOwn(nvmlSymbols, name);
  return Object.keys(nvmlSymbols).filter(isSymbol);
}

/** Those that a library lacks, but for older ones that are not needed beside newer ones. */
export function missingSymbols(has: (name: string) => boolean): readonly SymbolName[] {
  return symbolNames().filter((name) => {
    const { olderThan }: NvmlSymbol = nvmlSymbols[name];
    return !has(name) && (olderThan === undefined || !has(olderThan));
  });
}
