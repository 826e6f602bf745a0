/** What a GPU is: the catalogue of models, MIG geometry, the driver port and the simulated driver. */
export {
  catalogue,
  type FoundModel,
  findModel,
  instanceMemoryMiB,
  type ModelEvidence,
  modelById,
  modelOf,
} from "./catalogue.ts";
export {
  type ComputeInstance,
  DriverError,
  type Gpu,
  type GpuDriver,
  type GpuInstance,
  type GpuLink,
  type GpuProcess,
  type MigMode,
  type NvmlCode,
  type PciAddress,
  type XidEvent,
} from "./driver.ts";
export { fits, freePlacements, type LayoutFault, layoutFault, placedName, remainingCapacity } from "./geometry.ts";
export {
  containsCounts,
  distinctCounts,
  geometryWith,
  maximalLayouts,
  mostInstances,
  type ProfileCounts,
  placementsFor,
  profileCounts,
  validLayouts,
} from "./geometry-layouts.ts";
export { bitCount, countsKey, type LayoutSpace, layoutOf, layoutSpace, maskOf } from "./geometry-space.ts";
export type {
  ComputeInstanceProfile,
  Confidence,
  Engines,
  Exclusion,
  GpuModel,
  Layout,
  MigGeometry,
  MigProfile,
  PlacedProfile,
  Placement,
} from "./model.ts";
