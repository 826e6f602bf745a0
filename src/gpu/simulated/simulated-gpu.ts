/**
 * One simulated GPU: its MIG mode, its instances, its processes, and what reset, reboot and loss do to them.
 *
 * The MIG mode follows the generation. On Ampere it is stored on the card: a change is pending until a reset or reboot
 * and survives both. On Hopper and later it applies at once and is gone when the driver is loaded anew (NVIDIA MIG User
 * Guide, "Enable MIG Mode"). Instances survive neither reset nor reboot on any generation.
 */

import { DriverError, type Gpu, type MigMode, type NvmlCode } from "../driver.ts";
import { geometryOfDriver } from "../driver-geometry.ts";
import type { GpuModel, MigGeometry } from "../model.ts";
import type { DriverMethod } from "./call-ledger.ts";
import { CudaNoDeviceError } from "./cuda-error.ts";
import { GpuMemory, type Seating } from "./gpu-memory.ts";
import { InstanceTree } from "./instance-tree.ts";
import { numaNodeOf, pciAddressOf, type Seat } from "./topology.ts";

export interface SimulatedGpuOptions {
  readonly model: GpuModel;
  readonly uuid: string;
  readonly index: number;
  /** GPUs of the node. */
  readonly gpuCount: number;
  readonly driverVersion: string;
}

export class SimulatedGpu {
  readonly uuid: string;
  readonly memory = new GpuMemory();
  readonly #options: SimulatedGpuOptions;
  readonly #geometry: MigGeometry | undefined;
  readonly #tree: InstanceTree | undefined;
  #mode: MigMode = { current: false, pending: false };
  #lost = false;

  constructor(options: SimulatedGpuOptions) {
    this.uuid = options.uuid;
    this.#options = options;
    this.#geometry = geometryOfDriver(options.model, options.driverVersion);
    this.#tree = this.#geometry === undefined ? undefined : new InstanceTree(options.uuid, this.#geometry);
  }

  /** Whether it fell off the bus. */
  get lost(): boolean {
    return this.#lost;
  }

  get seat(): Seat {
    return { model: this.#options.model, index: this.#options.index, migOn: this.#mode.current };
  }

  /** The GPU as it is now; later changes do not alter the answer. */
  snapshot(): Gpu {
    const { model, index, gpuCount } = this.#options;
    return {
      index,
      uuid: this.uuid,
      name: model.nvmlName,
      modelId: model.id,
      minor: index,
      pci: pciAddressOf(model, index),
      numaNode: numaNodeOf(index, gpuCount),
      memoryMiB: model.memoryMiB,
      computeCapability: model.computeCapability,
      mig: this.#tree === undefined ? undefined : this.#mode,
      instances: this.#tree?.instances ?? [],
      profiles: this.#geometry?.profiles ?? [],
    };
  }

  setMigMode(enabled: boolean): MigMode {
    const tree = this.#capable("setMigMode");
    const pending = { current: this.#mode.current, pending: enabled };
    if (this.#mode.current === enabled && this.#mode.pending === enabled) return this.#mode;
    if (this.memory.busy) throw this.#refusal("setMigMode", "in-use", "has running processes");
    if (this.#needsReset) {
      this.#mode = pending;
    } else {
      this.#mode = { current: enabled, pending: enabled };
      tree.clear();
    }
    return this.#mode;
  }

  reset(): void {
    if (this.memory.busy) throw this.#refusal("resetGpu", "in-use", "has running processes");
    this.#mode = { current: this.#mode.pending, pending: this.#mode.pending };
    this.#tree?.clear();
  }

  /** The instances; throws `DriverError` not-supported unless MIG is on. */
  instances(call: DriverMethod): InstanceTree {
    const tree = this.#capable(call);
    if (!this.#mode.current) throw this.#refusal(call, "not-supported", "has MIG off");
    return tree;
  }

  destroyComputeInstance(gpuInstanceId: number, computeInstanceId: number): void {
    const call = "destroyComputeInstance";
    const tree = this.instances(call);
    const user = this.memory.processes.find(
      (one) => one.gpuInstanceId === gpuInstanceId && one.computeInstanceId === computeInstanceId,
    );
    if (user !== undefined) {
      const message = `compute instance ${gpuInstanceId}/${computeInstanceId} is used by ${user.command} (pid ${user.pid})`;
      throw this.#refusal(call, "in-use", message);
    }
    tree.destroyComputeInstance(gpuInstanceId, computeInstanceId);
  }

  /** Where a process on `device` runs, `undefined` when the device is not on this GPU; throws `CudaNoDeviceError`. */
  seatingOn(device: string): Seating | undefined {
    if (device === this.uuid) {
      if (this.#lost) throw new CudaNoDeviceError(device, "has fallen off the bus");
      if (this.#mode.current) throw new CudaNoDeviceError(device, "is in MIG mode, only its MIG devices can be used");
      const capacityMiB = this.#options.model.memoryMiB;
      return { device, capacityMiB, gpuInstanceId: undefined, computeInstanceId: undefined };
    }
    const found = this.#tree?.find(device);
    if (found === undefined) return undefined;
    if (this.#lost) throw new CudaNoDeviceError(device, "is on a GPU that has fallen off the bus");
    const { gpuInstance, computeInstance } = found;
    return {
      device,
      capacityMiB: gpuInstance.memoryMiB,
      gpuInstanceId: gpuInstance.id,
      computeInstanceId: computeInstance.id,
    };
  }

  /** Falls off the bus: processes die, and every call is refused until the node reboots. */
  lose(): void {
    this.#lost = true;
    this.memory.endAll("gpu-lost");
  }

  reboot(): void {
    this.#lost = false;
    this.memory.endAll("reboot");
    this.#tree?.clear();
    const enabled = this.#needsReset && this.#mode.pending;
    this.#mode = { current: enabled, pending: enabled };
  }

  /** Throws `DriverError` gpu-is-lost when it is not on the bus. */
  assertPresent(call: DriverMethod): void {
    if (this.#lost) throw this.#refusal(call, "gpu-is-lost", "has fallen off the bus");
  }

  /** GA100 alone cannot switch without a reset (NVIDIA open-gpu-kernel-modules, `RESETLESS_MIG_SUPPORTED`). */
  get #needsReset(): boolean {
    return this.#options.model.architecture === "Ampere";
  }

  #capable(call: DriverMethod): InstanceTree {
    if (this.#tree === undefined) throw this.#refusal(call, "not-supported", "cannot do MIG");
    return this.#tree;
  }

  #refusal(call: DriverMethod, code: NvmlCode, message: string): DriverError {
    return new DriverError(call, this.uuid, code, `${call}: ${this.uuid}: ${message} (${code})`);
  }
}
