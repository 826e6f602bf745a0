/**
 * A driver around another one that watches every change and makes chosen ones fail.
 */
import {
  DriverError,
  type Gpu,
  type GpuDriver,
  type GpuInstance,
  type MigMode,
  type NodeFacts,
  type Placement,
} from "../../../src/gpu/index.ts";

/** Which changing calls fail, counted from 0, and whether a failing call has its effect all the same. */
export interface Failures {
  readonly first: number;
  /** How many in a row; `Infinity` for all from `first` on. */
  readonly count: number;
  readonly afterEffect: boolean;
}

export class FailingDriver implements GpuDriver {
  readonly driverVersion: string;
  readonly simulated = true;
  readonly #inner: GpuDriver;
  readonly #failures: Failures;
  readonly #onChange: (gpu: Gpu) => void;
  /** Changing calls so far. */
  changes = 0;

  constructor(inner: GpuDriver, failures: Failures, onChange: (gpu: Gpu) => void = () => {}) {
    this.driverVersion = inner.driverVersion;
    this.#inner = inner;
    this.#failures = failures;
    this.#onChange = onChange;
  }

  list(): Promise<readonly Gpu[]> {
    return this.#inner.list();
  }

  nodeFacts(): Promise<NodeFacts> {
    return this.#inner.nodeFacts();
  }

  gpu(gpuUuid: string): Promise<Gpu | undefined> {
    return this.#inner.gpu(gpuUuid);
  }

  processes(gpuUuid: string): ReturnType<GpuDriver["processes"]> {
    return this.#inner.processes(gpuUuid);
  }

  link(gpuUuid: string, otherGpuUuid: string): ReturnType<GpuDriver["link"]> {
    return this.#inner.link(gpuUuid, otherGpuUuid);
  }

  setMigMode(gpuUuid: string, enabled: boolean): Promise<MigMode> {
    return this.#change("setMigMode", gpuUuid, () => this.#inner.setMigMode(gpuUuid, enabled));
  }

  resetGpu(gpuUuid: string): Promise<void> {
    return this.#change("resetGpu", gpuUuid, () => this.#inner.resetGpu(gpuUuid));
  }

  createGpuInstance(gpuUuid: string, smiProfileId: number, placement: Placement): Promise<GpuInstance> {
    return this.#change("createGpuInstance", gpuUuid, () =>
      this.#inner.createGpuInstance(gpuUuid, smiProfileId, placement),
    );
  }

  destroyGpuInstance(gpuUuid: string, gpuInstanceId: number): Promise<void> {
    return this.#change("destroyGpuInstance", gpuUuid, () => this.#inner.destroyGpuInstance(gpuUuid, gpuInstanceId));
  }

  createComputeInstance(
    gpuUuid: string,
    gpuInstanceId: number,
    smiProfileId: number,
  ): ReturnType<GpuDriver["createComputeInstance"]> {
    return this.#change("createComputeInstance", gpuUuid, () =>
      this.#inner.createComputeInstance(gpuUuid, gpuInstanceId, smiProfileId),
    );
  }

  destroyComputeInstance(gpuUuid: string, gpuInstanceId: number, computeInstanceId: number): Promise<void> {
    return this.#change("destroyComputeInstance", gpuUuid, () =>
      this.#inner.destroyComputeInstance(gpuUuid, gpuInstanceId, computeInstanceId),
    );
  }

  xidEvents(signal: AbortSignal): ReturnType<GpuDriver["xidEvents"]> {
    return this.#inner.xidEvents(signal);
  }

  async #change<T>(call: string, gpuUuid: string, effect: () => Promise<T>): Promise<T> {
    const { first, count, afterEffect } = this.#failures;
    const fails = this.changes >= first && this.changes < first + count;
    this.changes += 1;
    if (fails && !afterEffect) throw new DriverError(call, gpuUuid, "unknown", `${call} failed`);
    const value = await effect();
    for (const gpu of await this.#inner.list()) this.#onChange(gpu);
    if (fails) throw new DriverError(call, gpuUuid, "unknown", `${call} failed after it took effect`);
    return value;
  }
}
