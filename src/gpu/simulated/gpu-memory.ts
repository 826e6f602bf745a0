/**
 * Processes and the memory they hold on one simulated GPU.
 *
 * Memory is shared by everybody in one *room*: the whole GPU, or one GPU instance with all its compute instances.
 * An allocation fails when the room is full, whoever filled it, or when the process has a limit of its own by MPS.
 */
import type { GpuProcess } from "../driver.ts";
import { CudaOutOfMemoryError } from "./cuda-error.ts";

/** Why a process is no longer there. */
export type ProcessEnd = "ended" | "gpu-lost" | "reboot";

/** A running process, as whoever started it sees it. */
export interface SimulatedProcess {
  readonly pid: number;
  readonly command: string;
  /** UUID of the GPU or MIG device it runs on. */
  readonly device: string;
  /** Resolves when it is gone, with the reason. */
  readonly gone: Promise<ProcessEnd>;
}

/** Where a process runs: on a device, in the memory of a whole GPU or of a GPU instance. */
export interface Seating {
  readonly device: string;
  readonly capacityMiB: number;
  /** Both `undefined` on a whole GPU. */
  readonly gpuInstanceId: number | undefined;
  readonly computeInstanceId: number | undefined;
  /** What MPS lets the process have; `undefined` for one that is no MPS client, or that has no limit. */
  readonly limitMiB?: number | undefined;
}

interface RunningProcess {
  readonly process: SimulatedProcess;
  readonly seating: Seating;
  memoryMiB: number;
  leave(reason: ProcessEnd): void;
}

export class GpuMemory {
  #running: readonly RunningProcess[] = [];

  get processes(): readonly GpuProcess[] {
    return this.#running.map(({ process, seating, memoryMiB }) => ({
      pid: process.pid,
      command: process.command,
      memoryMiB,
      gpuInstanceId: seating.gpuInstanceId,
      computeInstanceId: seating.computeInstanceId,
    }));
  }

  get busy(): boolean {
    return this.#running.length > 0;
  }

  has(pid: number): boolean {
    return this.#running.some(({ process }) => process.pid === pid);
  }

  /** Seats a process with `memoryMiB`; throws `CudaOutOfMemoryError`, and then it has never been there. */
  seat(
    seating: Seating,
    newcomer: { readonly pid: number; readonly command: string; readonly memoryMiB: number },
  ): SimulatedProcess {
    const { pid, command, memoryMiB } = newcomer;
    this.#assertFree(seating, memoryMiB, 0);
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    const process = { pid, command, device: seating.device, gone: promise };
    this.#running = [...this.#running, { process, seating, memoryMiB, leave: resolve }];
    return process;
  }

  /** Gives a process `addedMiB` more; throws `CudaOutOfMemoryError`, and then it keeps what it has. */
  grow(pid: number, addedMiB: number): void {
    const one = this.#running.find(({ process }) => process.pid === pid);
    if (one === undefined) return;
    this.#assertFree(one.seating, addedMiB, one.memoryMiB);
    one.memoryMiB += addedMiB;
  }

  /** Ends one process and frees its memory. */
  end(pid: number): void {
    for (const one of this.#running) if (one.process.pid === pid) one.leave("ended");
    this.#running = this.#running.filter(({ process }) => process.pid !== pid);
  }

  /** Ends every process. */
  endAll(reason: ProcessEnd): void {
    const ended = this.#running;
    this.#running = [];
    for (const one of ended) one.leave(reason);
  }

  #assertFree(seating: Seating, requestedMiB: number, ownMiB: number): void {
    const room = this.#running.filter((one) => one.seating.gpuInstanceId === seating.gpuInstanceId);
    const usedMiB = room.reduce((sum, one) => sum + one.memoryMiB, 0);
    const { limitMiB } = seating;
    const freeMiB = Math.min(
      seating.capacityMiB - usedMiB,
      limitMiB === undefined ? Number.POSITIVE_INFINITY : limitMiB - ownMiB,
    );
    if (requestedMiB <= freeMiB) return;
    const holders = room
      .map(({ process: { pid, command }, memoryMiB }) => ({ pid, command, memoryMiB }))
      .sort((a, b) => b.memoryMiB - a.memoryMiB);
    const { device, capacityMiB } = seating;
    throw new CudaOutOfMemoryError({ device, requestedMiB, freeMiB, capacityMiB, limitMiB, holders });
  }
}
