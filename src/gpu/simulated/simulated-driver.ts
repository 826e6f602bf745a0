/**
 * A GPU driver without hardware: the `GpuDriver` port over GPUs that exist in memory only and obey the rules of MIG.
 *
 * Beside the port it has what happens on a node without anybody calling the driver: processes come, allocate and go,
 * GPUs raise XID errors and fall off the bus, the node reboots, calls fail.
 */
import { TrancheError } from "../../base/index.ts";
import {
  type ComputeInstance,
  DriverError,
  type Gpu,
  type GpuDriver,
  type GpuInstance,
  type GpuLink,
  type GpuProcess,
  type MigMode,
  type NodeFacts,
  type XidEvent,
} from "../driver.ts";
import { simulatedGpuUuid } from "../mig-uuid.ts";
import type { GpuModel, Placement } from "../model.ts";
import { XidFeed } from "../xid-feed.ts";
import { CallLedger, type DriverMethod, type InjectedFault } from "./call-ledger.ts";
import { CudaNoDeviceError } from "./cuda-error.ts";
import { cudaVersionOf } from "./cuda-version.ts";
import type { SimulatedProcess } from "./gpu-memory.ts";
import { SimulatedGpu } from "./simulated-gpu.ts";
import { SimulatedMps } from "./simulated-mps.ts";
import { linkBetween, pciClassOf } from "./topology.ts";

export interface SimulatedDriverOptions {
  /** Tells the UUIDs of one node from those of another; usually the node's name. */
  readonly seed: string;
  /** The model of each GPU, in index order. */
  readonly models: readonly GpuModel[];
  /** Default 580.95.05, which knows every model and profile of the catalogue. */
  readonly driverVersion?: string;
  /** False where only a reboot can reset a GPU, as in a virtual machine with GPU passthrough. Default true. */
  readonly resettable?: boolean;
}

/** A GPU as it sits in the machine, whatever the driver says of it. */
export interface SimulatedBoard {
  readonly index: number;
  readonly uuid: string;
  /** The product name NVML reports. */
  readonly name: string;
  /** Whether it fell off the bus. */
  readonly lost: boolean;
}

/** What changed: on one GPU, or, after a reboot, on all of them (`gpuUuid` is `undefined`). */
export interface SimulatedChange {
  readonly kind: "mig-mode" | "instances" | "processes" | "gpu-lost" | "reboot";
  readonly gpuUuid: string | undefined;
}

export interface ProcessRequest {
  /** UUID of a GPU or a MIG device. */
  readonly device: string;
  readonly command: string;
  /** What it allocates at its start. */
  readonly memoryMiB: number;
  /** By which it reaches an MPS control daemon, if it shall. */
  readonly mps?: MpsClient | undefined;
}

/** What makes a process an MPS client. */
export interface MpsClient {
  /** The host's directory of the daemon's pipe. */
  readonly pipeDirectory: string;
  /** A limit of its own, which counts where it is lower than the daemon's. */
  readonly memoryMiB: number | undefined;
}

/** An XID error to raise; the ids of the instances are left out when it concerns the whole GPU. */
export interface XidRequest {
  readonly gpuUuid: string;
  readonly xid: number;
  readonly gpuInstanceId?: number;
  readonly computeInstanceId?: number;
}

/** "GPU has fallen off the bus" (NVIDIA XID errors). */
const xidOffTheBus = 79;

/** A driver of simulated GPUs. Each call runs to its end in one go, so two at a time never see half a change. */
export class SimulatedDriver implements GpuDriver {
  readonly driverVersion: string;
  readonly simulated = true;
  /** The MPS control daemons of the node. */
  readonly mps = new SimulatedMps(() => {
    this.#lastPid += 1;
    return this.#lastPid;
  });
  readonly #gpus: readonly SimulatedGpu[];
  readonly #resettable: boolean;
  readonly #ledger = new CallLedger();
  readonly #xids = new XidFeed();
  readonly #listeners = new Set<(change: SimulatedChange) => void>();
  #lastPid = 1000;

  constructor({ seed, models, driverVersion = "580.95.05", resettable = true }: SimulatedDriverOptions) {
    this.driverVersion = driverVersion;
    this.#resettable = resettable;
    this.#gpus = models.map((model, index) => {
      return new SimulatedGpu({
        model,
        uuid: simulatedGpuUuid(seed, index),
        index,
        gpuCount: models.length,
        driverVersion,
      });
    });
  }

  async list(): Promise<readonly Gpu[]> {
    this.#ledger.note("list", undefined);
    return this.#gpus.filter((gpu) => !gpu.lost).map((gpu) => gpu.snapshot());
  }

  async gpu(gpuUuid: string): Promise<Gpu | undefined> {
    this.#ledger.note("gpu", gpuUuid);
    return this.#gpus.find((gpu) => gpu.uuid === gpuUuid && !gpu.lost)?.snapshot();
  }

  async nodeFacts(): Promise<NodeFacts> {
    this.#ledger.note("nodeFacts", undefined);
    return {
      cudaVersion: cudaVersionOf(this.driverVersion),
      pciClasses: new Map(this.#gpus.map((gpu) => [gpu.uuid, pciClassOf(gpu.seat.model)])),
      fabrics: new Map(),
      vgpuHost: "none",
    };
  }

  async processes(gpuUuid: string): Promise<readonly GpuProcess[]> {
    return this.#begin("processes", gpuUuid).memory.processes;
  }

  async link(gpuUuid: string, otherGpuUuid: string): Promise<GpuLink> {
    const gpu = this.#begin("link", gpuUuid);
    const other = this.#present("link", otherGpuUuid);
    if (gpu === other) {
      throw new DriverError("link", gpuUuid, "invalid-argument", `link: ${gpuUuid} has no link to itself`);
    }
    const seats = this.#gpus.map((one) => one.seat);
    return linkBetween(gpu.seat, other.seat, seats);
  }

  async setMigMode(gpuUuid: string, enabled: boolean): Promise<MigMode> {
    const mode = this.#begin("setMigMode", gpuUuid).setMigMode(enabled);
    this.#tell({ kind: "mig-mode", gpuUuid });
    return mode;
  }

  async resetGpu(gpuUuid: string): Promise<void> {
    const gpu = this.#begin("resetGpu", gpuUuid);
    if (!this.#resettable) {
      const message = `resetGpu: ${gpuUuid} cannot be reset from here, only by a reboot (not-supported)`;
      throw new DriverError("resetGpu", gpuUuid, "not-supported", message);
    }
    gpu.reset();
    this.#tell({ kind: "mig-mode", gpuUuid });
  }

  async createGpuInstance(gpuUuid: string, smiProfileId: number, placement: Placement): Promise<GpuInstance> {
    const call = "createGpuInstance";
    const created = this.#begin(call, gpuUuid).instances(call).createGpuInstance(smiProfileId, placement);
    this.#tell({ kind: "instances", gpuUuid });
    return created;
  }

  async destroyGpuInstance(gpuUuid: string, gpuInstanceId: number): Promise<void> {
    const call = "destroyGpuInstance";
    this.#begin(call, gpuUuid).instances(call).destroyGpuInstance(gpuInstanceId);
    this.#tell({ kind: "instances", gpuUuid });
  }

  async createComputeInstance(gpuUuid: string, gpuInstanceId: number, smiProfileId: number): Promise<ComputeInstance> {
    const call = "createComputeInstance";
    const created = this.#begin(call, gpuUuid).instances(call).createComputeInstance(gpuInstanceId, smiProfileId);
    this.#tell({ kind: "instances", gpuUuid });
    return created;
  }

  async destroyComputeInstance(gpuUuid: string, gpuInstanceId: number, computeInstanceId: number): Promise<void> {
    this.#begin("destroyComputeInstance", gpuUuid).destroyComputeInstance(gpuInstanceId, computeInstanceId);
    this.#tell({ kind: "instances", gpuUuid });
  }

  xidEvents(signal: AbortSignal): AsyncIterable<XidEvent> {
    this.#ledger.note("xidEvents", undefined);
    return this.#xids.subscribe(signal);
  }

  /**
   * Starts a process on a GPU or MIG device; several on one device share it.
   *
   * Throws `CudaOutOfMemoryError` when the memory is not free, whoever holds it, and `CudaNoDeviceError` when the UUID
   * names nothing that can run work now, such as a GPU in MIG mode.
   */
  startProcess({ device, command, memoryMiB, mps }: ProcessRequest): SimulatedProcess {
    assertMemory(memoryMiB);
    if (!this.#ledger.isLoaded) throw new CudaNoDeviceError(device, "cannot be used, the driver is not loaded");
    for (const gpu of this.#gpus) {
      const seating = gpu.seatingOn(device);
      if (seating === undefined) continue;
      const limitMiB = mps && this.#mpsLimit(mps, device);
      const process = gpu.memory.seat({ ...seating, limitMiB }, { pid: this.#lastPid + 1, command, memoryMiB });
      this.#lastPid += 1;
      if (mps !== undefined) this.mps.join(mps.pipeDirectory, process);
      this.#tell({ kind: "processes", gpuUuid: gpu.uuid });
      return process;
    }
    throw new CudaNoDeviceError(device, "does not exist");
  }

  /** Allocates `addedMiB` more for a process; throws `CudaOutOfMemoryError`, and then it keeps what it has. */
  growProcess(pid: number, addedMiB: number): void {
    assertMemory(addedMiB);
    const gpu = this.#gpus.find(({ memory }) => memory.has(pid));
    if (gpu === undefined) throw new TrancheError("no-such-process", `no process ${pid} runs on a simulated GPU`);
    gpu.memory.grow(pid, addedMiB);
    this.#tell({ kind: "processes", gpuUuid: gpu.uuid });
  }

  /** Ends a process and frees its memory; nothing happens when it is gone already. */
  endProcess(pid: number): void {
    const gpu = this.#gpus.find(({ memory }) => memory.has(pid));
    if (gpu === undefined) return;
    gpu.memory.end(pid);
    this.#tell({ kind: "processes", gpuUuid: gpu.uuid });
  }

  /** Reboots the node: processes and instances vanish, lost GPUs come back, MIG modes do what their generation does. */
  reboot(): void {
    for (const gpu of this.#gpus) gpu.reboot();
    this.mps.reboot();
    this.#tell({ kind: "reboot", gpuUuid: undefined });
  }

  /** Raises an XID error for everybody who listens. With XID 79 the GPU falls off the bus until the next reboot. */
  raiseXid({ gpuUuid, xid, gpuInstanceId, computeInstanceId }: XidRequest): void {
    const gpu = this.#gpus.find(({ uuid }) => uuid === gpuUuid);
    if (gpu === undefined) throw new TrancheError("no-such-gpu", `no simulated GPU ${gpuUuid}`);
    if (xid === xidOffTheBus) {
      gpu.lose();
      this.#tell({ kind: "gpu-lost", gpuUuid });
    }
    this.#xids.raise({ gpuUuid, xid, gpuInstanceId, computeInstanceId });
  }

  /** Every GPU of the machine, in index order. */
  get boards(): readonly SimulatedBoard[] {
    return this.#gpus.map((gpu, index) => ({ index, uuid: gpu.uuid, name: gpu.seat.model.nvmlName, lost: gpu.lost }));
  }

  /** Whether the driver is loaded; `unload` and `load` change it. */
  get loaded(): boolean {
    return this.#ledger.isLoaded;
  }

  /**
   * Behaves as if the driver were not loaded, until `load`: every call of the port is refused and no process can start.
   * Processes that run go on and instances stand, as when a new version of the driver is installed beside the running
   * one: nothing that uses a GPU lets its module be taken out (rmmod(8)), but nothing new gets through to it.
   */
  unload(): void {
    this.#ledger.isLoaded = false;
  }

  /** Answers again. */
  load(): void {
    this.#ledger.isLoaded = true;
  }

  /** Makes chosen calls fail; returns a function that takes the fault away. */
  failCall(fault: InjectedFault): () => void {
    return this.#ledger.arm(fault);
  }

  /** How often each method of the port was called, failed calls included. */
  calls(): ReadonlyMap<DriverMethod, number> {
    return this.#ledger.counts();
  }

  /** Calls `listener` after every change; returns a function that ends it. */
  onChange(listener: (change: SimulatedChange) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Its own limit counts only for who reaches a daemon (docs.nvidia.com/deploy/mps, environment variables). */
  #mpsLimit({ pipeDirectory, memoryMiB }: MpsClient, device: string): number | undefined {
    if (!this.mps.reaches(pipeDirectory, device)) return undefined;
    const limits = [memoryMiB, this.mps.limitMiB(pipeDirectory, device)].filter((one) => one !== undefined);
    return limits.length === 0 ? undefined : Math.min(...limits);
  }

  #begin(call: DriverMethod, gpuUuid: string): SimulatedGpu {
    this.#ledger.note(call, gpuUuid);
    return this.#present(call, gpuUuid);
  }

  #present(call: DriverMethod, gpuUuid: string): SimulatedGpu {
    const gpu = this.#gpus.find(({ uuid }) => uuid === gpuUuid);
    if (gpu === undefined) throw new DriverError(call, gpuUuid, "not-found", `${call}: no GPU ${gpuUuid} (not-found)`);
    gpu.assertPresent(call);
    return gpu;
  }

  #tell(change: SimulatedChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function assertMemory(memoryMiB: number): void {
  if (!Number.isFinite(memoryMiB) || memoryMiB < 0) {
    throw new TrancheError("bad-memory", `a process cannot hold ${memoryMiB} MiB`);
  }
}
