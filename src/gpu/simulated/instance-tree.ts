/**
 * The GPU instances and compute instances of one simulated GPU, by the hardware's rules of placement.
 *
 * Knows nothing of modes and processes; `simulated-gpu.ts` asks those first. What it hands out is never changed
 * afterwards, so a list taken earlier stays as it was.
 */
import { instanceMemoryMiB } from "../catalogue.ts";
import { type ComputeInstance, DriverError, type GpuInstance, type NvmlCode } from "../driver.ts";
import { fits } from "../geometry.ts";
import { simulatedMigUuid } from "../mig-uuid.ts";
import type { ComputeInstanceProfile, MigGeometry, Placement } from "../model.ts";
import type { DriverMethod } from "./call-ledger.ts";

/** A compute instance with the GPU instance it lies in. */
export interface FoundInstance {
  readonly gpuInstance: GpuInstance;
  readonly computeInstance: ComputeInstance;
}

export class InstanceTree {
  readonly #gpuUuid: string;
  readonly #geometry: MigGeometry;
  #instances: readonly GpuInstance[] = [];

  constructor(gpuUuid: string, geometry: MigGeometry) {
    this.#gpuUuid = gpuUuid;
    this.#geometry = geometry;
  }

  /** By ascending placement. */
  get instances(): readonly GpuInstance[] {
    return this.#instances;
  }

  /** Takes every instance away, as a reset does. */
  clear(): void {
    this.#instances = [];
  }

  /** The compute instance with this MIG UUID, if it stands. */
  find(migUuid: string): FoundInstance | undefined {
    for (const gpuInstance of this.#instances) {
      const computeInstance = gpuInstance.computeInstances.find(({ uuid }) => uuid === migUuid);
      if (computeInstance !== undefined) return { gpuInstance, computeInstance };
    }
    return undefined;
  }

  /** Throws `DriverError`: not-supported, invalid-argument or insufficient-resources. */
  createGpuInstance(smiProfileId: number, placement: Placement): GpuInstance {
    const call = "createGpuInstance";
    const profile = this.#geometry.profiles.find((one) => one.smiProfileId === smiProfileId);
    if (profile === undefined) throw this.#refusal(call, "not-supported", `has no MIG profile with id ${smiProfileId}`);
    const { start, size } = placement;
    if (size !== profile.memorySlices || !profile.starts.includes(start)) {
      throw this.#refusal(call, "invalid-argument", `has no place ${start}:${size} for ${profile.name}`);
    }
    const layout = this.#instances.map((one) => ({ profile: one.profile, start: one.placement.start }));
    if (!fits(this.#geometry, layout, { profile, start })) {
      throw this.#refusal(call, "insufficient-resources", `has no room for ${profile.name}@${start}`);
    }
    const created: GpuInstance = {
      id: gpuInstanceIdAt(placement, this.#geometry.memorySlices),
      profile,
      placement: { start, size },
      memoryMiB: instanceMemoryMiB(profile),
      computeInstances: [],
    };
    this.#instances = [...this.#instances, created].sort((a, b) => a.placement.start - b.placement.start);
    return created;
  }

  /** Throws `DriverError`: not-found, or in-use while compute instances stand in it. */
  destroyGpuInstance(gpuInstanceId: number): void {
    const call = "destroyGpuInstance";
    const gone = this.#gpuInstance(call, gpuInstanceId);
    if (gone.computeInstances.length > 0) {
      const message = `GPU instance ${gpuInstanceId} has ${gone.computeInstances.length} compute instances`;
      throw this.#refusal(call, "in-use", message);
    }
    this.#instances = this.#instances.filter((one) => one !== gone);
  }

  /** Throws `DriverError`: not-found, not-supported or insufficient-resources. */
  createComputeInstance(gpuInstanceId: number, smiProfileId: number): ComputeInstance {
    const call = "createComputeInstance";
    const parent = this.#gpuInstance(call, gpuInstanceId);
    const profile = parent.profile.computeInstanceProfiles.find((one) => one.smiProfileId === smiProfileId);
    if (profile === undefined) {
      const message = `GPU instance ${gpuInstanceId} has no compute profile with id ${smiProfileId}`;
      throw this.#refusal(call, "not-supported", message);
    }
    const start = firstFreeStart(parent, profile);
    if (start === undefined) {
      const message = `GPU instance ${gpuInstanceId} has no room for ${profile.name}`;
      throw this.#refusal(call, "insufficient-resources", message);
    }
    const created: ComputeInstance = {
      id: lowestFree(parent.computeInstances.map(({ id }) => id)),
      profile: profile.name,
      uuid: simulatedMigUuid(this.#gpuUuid, gpuInstanceId, start),
      migIndex: lowestFree(this.#instances.flatMap((one) => one.computeInstances.map(({ migIndex }) => migIndex))),
      placement: { start, size: profile.size },
    };
    const children = [...parent.computeInstances, created];
    this.#replace(parent, {
      ...parent,
      computeInstances: children.sort((a, b) => a.placement.start - b.placement.start),
    });
    return created;
  }

  /** Throws `DriverError` not-found. */
  destroyComputeInstance(gpuInstanceId: number, computeInstanceId: number): void {
    const parent = this.#gpuInstance("destroyComputeInstance", gpuInstanceId);
    const computeInstances = parent.computeInstances.filter(({ id }) => id !== computeInstanceId);
    if (computeInstances.length === parent.computeInstances.length) {
      const message = `GPU instance ${gpuInstanceId} has no compute instance ${computeInstanceId}`;
      throw this.#refusal("destroyComputeInstance", "not-found", message);
    }
    this.#replace(parent, { ...parent, computeInstances });
  }

  #gpuInstance(call: DriverMethod, id: number): GpuInstance {
    const found = this.#instances.find((one) => one.id === id);
    if (found === undefined) throw this.#refusal(call, "not-found", `has no GPU instance ${id}`);
    return found;
  }

  #replace(old: GpuInstance, one: GpuInstance): void {
    this.#instances = this.#instances.map((each) => (each === old ? one : each));
  }

  #refusal(call: DriverMethod, code: NvmlCode, message: string): DriverError {
    return new DriverError(call, this.#gpuUuid, code, `${call}: ${this.#gpuUuid}: ${message} (${code})`);
  }
}

/**
 * The id the driver gives a GPU instance: a binary tree over the memory slices, 0 for the whole GPU, 1 and 2 for the
 * halves, 3 to 6 for the quarters, 7 to 14 for the eighths (NVIDIA open-gpu-kernel-modules, kmigmgr_ga100.c,
 * `kmigmgrSwizzIdToSpan_GA100`).
 */
export function gpuInstanceIdAt(placement: Placement, memorySlices: number): number {
  const parts = Math.round(memorySlices / placement.size);
  return parts - 1 + placement.start / placement.size;
}

/**
 * The lowest start of `profile` where nothing stands yet.
 *
 * Limits need no rule of their own: a profile has as many starts as it may have instances, and runs that do not
 * overlap cannot be wider than the GPU instance together.
 */
function firstFreeStart(parent: GpuInstance, profile: ComputeInstanceProfile): number | undefined {
  return profile.starts.find((start) =>
    parent.computeInstances.every(
      ({ placement }) => start + profile.size <= placement.start || placement.start + placement.size <= start,
    ),
  );
}

function lowestFree(taken: readonly number[]): number {
  let free = 0;
  while (taken.includes(free)) free += 1;
  return free;
}
