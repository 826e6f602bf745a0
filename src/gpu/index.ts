/** What a GPU is: the catalogue of models, MIG geometry, the driver port, and the drivers behind it. */
export {
  catalogue,
  incompleteModels,
  instanceMemoryMiB,
  type ModelEvidence,
  modelById,
  modelByNvmlName,
  modelOf,
} from "./catalogue.ts";
export type { IncompleteModel } from "./catalogue-data.ts";
export { type FoundModel, findModel, type ModelQuestion } from "./catalogue-search.ts";
export {
  type ComputeInstance,
  DriverError,
  type Gpu,
  type GpuDriver,
  type GpuFabric,
  type GpuInstance,
  type GpuLink,
  type GpuProcess,
  type MigMode,
  type NodeFacts,
  type NvmlCode,
  type PciAddress,
  type VgpuHost,
  type XidEvent,
} from "./driver.ts";
export { fits, freePlacements, type LayoutFault, layoutFault, placedName, remainingCapacity } from "./geometry.ts";
export {
  containsCounts,
  distinctCounts,
  geometryOfProfiles,
  geometryWith,
  maximalLayouts,
  mostInstances,
  type ProfileCounts,
  placementsFor,
  profileCounts,
  validLayouts,
} from "./geometry-layouts.ts";
export { bitCount, type LayoutSpace, layoutOf, layoutSpace, maskOf } from "./geometry-space.ts";
export { migCapabilityMinors } from "./mig-minors.ts";
export {
  canonicalMigProfileName,
  type MigNameParts,
  migDeviceName,
  migGigabytes,
  migProductName,
  parseMigProfileName,
  resourceNameOf,
} from "./mig-name.ts";
export type {
  ComputeInstanceProfile,
  Confidence,
  Engines,
  Exclusion,
  GpuModel,
  Layout,
  MigGeometry,
  MigProfile,
  ModelConfidence,
  ModelConfidenceWord,
  PlacedProfile,
  Placement,
} from "./model.ts";
export {
  type GpuHolder,
  type NvmlDriver,
  type NvmlDriverOptions,
  openNvmlDriver,
} from "./nvml/index.ts";
export type { DriverMethod, InjectedFault } from "./simulated/call-ledger.ts";
export { CudaNoDeviceError, CudaOutOfMemoryError, type MemoryHolder } from "./simulated/cuda-error.ts";
export type { ProcessEnd, SimulatedProcess } from "./simulated/gpu-memory.ts";
export {
  type MpsClient,
  type ProcessRequest,
  type SimulatedBoard,
  type SimulatedChange,
  SimulatedDriver,
  type SimulatedDriverOptions,
  type XidRequest,
} from "./simulated/simulated-driver.ts";
