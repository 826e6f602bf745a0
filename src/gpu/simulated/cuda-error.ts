/**
 * What a process sees when CUDA refuses it: errors of the process, not of the driver calls of the agent.
 */
import { TrancheError } from "../../base/index.ts";

/** Somebody who has memory in the place where an allocation failed. */
export interface MemoryHolder {
  readonly pid: number;
  readonly command: string;
  readonly memoryMiB: number;
}

export interface OutOfMemoryDetails {
  /** UUID of the GPU or MIG device that the process used. */
  readonly device: string;
  readonly requestedMiB: number;
  readonly freeMiB: number;
  /** Memory of the whole GPU, or of the GPU instance that the MIG device lies in. */
  readonly capacityMiB: number;
  /** What MPS lets the process have; `undefined` when it sets no limit. */
  readonly limitMiB: number | undefined;
  /** Everybody with memory there, the process that asks included; largest first. */
  readonly holders: readonly MemoryHolder[];
}

/** cudaErrorMemoryAllocation: the asked memory is more than what is left, whoever holds the rest. */
export class CudaOutOfMemoryError extends TrancheError implements OutOfMemoryDetails {
  readonly device: string;
  readonly requestedMiB: number;
  readonly freeMiB: number;
  readonly capacityMiB: number;
  readonly limitMiB: number | undefined;
  readonly holders: readonly MemoryHolder[];

  constructor(details: OutOfMemoryDetails) {
    const { device, requestedMiB, freeMiB, capacityMiB, limitMiB, holders } = details;
    const held = holders.map(({ pid, command, memoryMiB }) => `${memoryMiB} MiB by ${command} (pid ${pid})`);
    const limit = limitMiB === undefined ? "" : `, with an MPS limit of ${limitMiB} MiB`;
    const holding = held.length === 0 ? "" : `; held: ${held.join(", ")}`;
    super(
      "cuda-out-of-memory",
      `CUDA out of memory on ${device}: asked for ${requestedMiB} MiB, ${freeMiB} of ${capacityMiB} MiB are free${limit}${holding}`,
    );
    this.name = "CudaOutOfMemoryError";
    this.device = device;
    this.requestedMiB = requestedMiB;
    this.freeMiB = freeMiB;
    this.capacityMiB = capacityMiB;
    this.limitMiB = limitMiB;
    this.holders = holders;
  }
}

/** cudaErrorNoDevice: the UUID names no device that can run work. */
export class CudaNoDeviceError extends TrancheError {
  readonly device: string;

  constructor(device: string, reason: string) {
    super("cuda-no-device", `no CUDA-capable device is detected: ${device} ${reason}`);
    this.name = "CudaNoDeviceError";
    this.device = device;
  }
}
