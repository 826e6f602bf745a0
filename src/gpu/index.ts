/** What a GPU is: the catalogue of models, MIG geometry, the driver port and the simulated driver. */
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
