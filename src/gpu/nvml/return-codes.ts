/**
 * What NVML's return codes say (nvml.h, `nvmlReturn_t`), as typed errors that name call, GPU and remedy.
 */
import { DriverError, type NvmlCode } from "../driver.ts";

export const success = 0;
export const invalidArgument = 2;
export const notSupported = 3;
export const noPermission = 4;
export const notFound = 6;
export const insufficientSize = 7;
export const driverNotLoaded = 9;
export const timedOut = 10;
export const gpuIsLost = 15;
export const resetRequired = 16;
export const versionMismatch = 18;
export const argumentVersionMismatch = 25;

interface Meaning {
  readonly name: string;
  readonly code: NvmlCode;
  readonly text: string;
}

const meanings: ReadonlyMap<number, Meaning> = new Map([
  [1, meaning("UNINITIALIZED", "unknown", "the library is not initialised")],
  [2, meaning("INVALID_ARGUMENT", "invalid-argument", "an argument is not valid")],
  [3, meaning("NOT_SUPPORTED", "not-supported", "not supported here")],
  [4, meaning("NO_PERMISSION", "no-permission", "insufficient permissions")],
  [5, meaning("ALREADY_INITIALIZED", "unknown", "initialised already")],
  [6, meaning("NOT_FOUND", "not-found", "not found")],
  [7, meaning("INSUFFICIENT_SIZE", "unknown", "the memory given is too small")],
  [8, meaning("INSUFFICIENT_POWER", "unknown", "the GPU's external power is not connected properly")],
  [9, meaning("DRIVER_NOT_LOADED", "driver-not-loaded", "the driver is not loaded")],
  [10, meaning("TIMEOUT", "unknown", "timed out")],
  [11, meaning("IRQ_ISSUE", "unknown", "the kernel has an interrupt problem with the GPU")],
  [12, meaning("LIBRARY_NOT_FOUND", "not-supported", "a library that the call needs is not there")],
  [13, meaning("FUNCTION_NOT_FOUND", "not-supported", "the driver does not have this function")],
  [14, meaning("CORRUPTED_INFOROM", "unknown", "the GPU's infoROM is corrupted")],
  [15, meaning("GPU_IS_LOST", "gpu-is-lost", "the GPU has fallen off the bus")],
  [16, meaning("RESET_REQUIRED", "reset-required", "the GPU must be reset")],
  [17, meaning("OPERATING_SYSTEM", "no-permission", "the operating system blocks access to the GPU")],
  [18, meaning("LIB_RM_VERSION_MISMATCH", "unknown", "library and kernel module are of different driver versions")],
  [19, meaning("IN_USE", "in-use", "in use by another client")],
  [20, meaning("MEMORY", "unknown", "out of memory")],
  [21, meaning("NO_DATA", "unknown", "no data")],
  [23, meaning("INSUFFICIENT_RESOURCES", "insufficient-resources", "no room, or the place is taken")],
  [25, meaning("ARGUMENT_VERSION_MISMATCH", "not-supported", "the library does not know this version of a struct")],
  [26, meaning("DEPRECATED", "not-supported", "the function was removed")],
  [27, meaning("NOT_READY", "in-use", "the system is not ready")],
  [28, meaning("GPU_NOT_FOUND", "not-found", "no supported GPU was found")],
  [29, meaning("INVALID_STATE", "in-use", "the GPU is not in the right state")],
  [30, meaning("RESET_TYPE_NOT_SUPPORTED", "not-supported", "this type of reset is not supported")],
]);

const unknown = meaning("UNKNOWN", "unknown", "an unknown error inside the driver");

/** `in use by another client (NVML_ERROR_IN_USE, 19)`. */
export function returnText(value: number): string {
  const { name, text } = meanings.get(value) ?? unknown;
  return `${text} (NVML_ERROR_${name}, ${value})`;
}

/** The code callers tell apart. */
export function nvmlCodeOf(value: number): NvmlCode {
  return (meanings.get(value) ?? unknown).code;
}

/** The error of a call that answered `value`; `gpuUuid` is that of its GPU, if it is about one. */
export function callError(call: string, gpuUuid: string | undefined, value: number): DriverError {
  const where = gpuUuid === undefined ? "" : ` on ${gpuUuid}`;
  return new DriverError(call, gpuUuid, nvmlCodeOf(value), `${call}${where}: ${returnText(value)}`);
}

function meaning(name: string, code: NvmlCode, text: string): Meaning {
  return { name, code, text };
}
