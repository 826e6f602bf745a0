/** Real GPUs: the driver port over NVML. */
export type { GpuHolder } from "./host-processes.ts";
export type { NvmlDriver } from "./nvml-driver.ts";
export { type NvmlDriverOptions, openNvmlDriver } from "./open.ts";
