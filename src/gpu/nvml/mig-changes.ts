/**
 * Creating and destroying instances. Ids are looked up anew each time, and what was created is read back.
 */
import { type ComputeInstance, DriverError, type GpuInstance } from "../driver.ts";
import type { ComputeInstanceProfile, Placement } from "../model.ts";
import type { GpuFacts } from "./facts.ts";
import { computeInstanceOf, gpuInstanceOf } from "./instances.ts";
import {
  type ComputeInstanceHandle,
  computeInstanceHandle,
  type GpuInstanceHandle,
  gpuInstanceHandle,
  type OpenGpu,
  type Session,
} from "./session.ts";
import { placement as placementStruct } from "./structs.ts";

/** Where to change something. */
export interface ChangePlace {
  readonly session: Session;
  readonly gpu: OpenGpu;
  readonly facts: GpuFacts;
}

/** nvmlDeviceCreateGpuInstanceWithPlacement */
export async function createGpuInstance(
  { session, gpu, facts }: ChangePlace,
  smiProfileId: number,
  place: Placement,
): Promise<GpuInstance> {
  const call = "nvmlDeviceCreateGpuInstanceWithPlacement";
  if (facts.profiles.length > 0 && !facts.profiles.some((one) => one.smiProfileId === smiProfileId)) {
    const message = `${call}: ${gpu.uuid} has no MIG profile with id ${smiProfileId} (not-supported)`;
    throw new DriverError(call, gpu.uuid, "not-supported", message);
  }
  const out = Buffer.alloc(8);
  await session.callLong(call, gpu.uuid, gpu.handle, smiProfileId, placementMemory(place), out);
  const handle = gpuInstanceHandle(out);
  const made = gpuInstanceOf(session, gpu, facts, handle);
  if (made !== undefined) return made;
  await session.tryLong("nvmlGpuInstanceDestroy", gpu.uuid, handle);
  const message = `${call}: ${gpu.uuid}: the new GPU instance cannot be read, so it was taken away again`;
  throw new DriverError(call, gpu.uuid, "unknown", message);
}

/** nvmlGpuInstanceDestroy */
export async function destroyGpuInstance({ session, gpu }: ChangePlace, gpuInstanceId: number): Promise<void> {
  const handle = gpuInstanceById(session, gpu, gpuInstanceId);
  await session.callLong("nvmlGpuInstanceDestroy", gpu.uuid, handle);
}

/** nvmlGpuInstanceCreateComputeInstance, at the first free start where the library lets one say so (525 and later). */
export async function createComputeInstance(
  { session, gpu, facts }: ChangePlace,
  gpuInstanceId: number,
  smiProfileId: number,
): Promise<ComputeInstance> {
  const parent = gpuInstanceById(session, gpu, gpuInstanceId);
  const standing = gpuInstanceOf(session, gpu, facts, parent);
  const wanted = standing?.profile.computeInstanceProfiles.find((one) => one.smiProfileId === smiProfileId);
  const call = "nvmlGpuInstanceCreateComputeInstance";
  if (standing === undefined || wanted === undefined) {
    const message = `${call}: ${gpu.uuid}: GPU instance ${gpuInstanceId} has no compute profile with id ${smiProfileId} (not-supported)`;
    throw new DriverError(call, gpu.uuid, "not-supported", message);
  }
  const handle = await newComputeInstance(session, gpu.uuid, { parent, standing, wanted });
  const made = computeInstanceOf(session, gpu, { handle, profile: standing.profile });
  if (made !== undefined) return made;
  await session.tryLong("nvmlComputeInstanceDestroy", gpu.uuid, handle);
  const message = `${call}: ${gpu.uuid}: the new compute instance cannot be read, so it was taken away again`;
  throw new DriverError(call, gpu.uuid, "unknown", message);
}

/** nvmlComputeInstanceDestroy; its return code, since only the caller can tell who is in the way. */
export async function destroyComputeInstance(
  { session, gpu }: ChangePlace,
  gpuInstanceId: number,
  computeInstanceId: number,
): Promise<number> {
  const parent = gpuInstanceById(session, gpu, gpuInstanceId);
  const out = Buffer.alloc(8);
  session.call("nvmlGpuInstanceGetComputeInstanceById", gpu.uuid, parent, computeInstanceId, out);
  return session.tryLong("nvmlComputeInstanceDestroy", gpu.uuid, computeInstanceHandle(out));
}

async function newComputeInstance(
  session: Session,
  gpuUuid: string,
  { parent, standing, wanted }: NewComputeInstance,
): Promise<ComputeInstanceHandle> {
  const out = Buffer.alloc(8);
  const placed = "nvmlGpuInstanceCreateComputeInstanceWithPlacement";
  if (!session.has(placed)) {
    await session.callLong("nvmlGpuInstanceCreateComputeInstance", gpuUuid, parent, wanted.smiProfileId, out);
    return computeInstanceHandle(out);
  }
  // Without a free start the library is asked all the same, so that it says why not.
  const start = firstFreeStart(standing, wanted) ?? wanted.starts[0] ?? 0;
  const place = placementMemory({ start, size: wanted.size });
  await session.callLong(placed, gpuUuid, parent, wanted.smiProfileId, place, out);
  return computeInstanceHandle(out);
}

interface NewComputeInstance {
  readonly parent: GpuInstanceHandle;
  readonly standing: GpuInstance;
  readonly wanted: ComputeInstanceProfile;
}

function firstFreeStart(
  { computeInstances }: GpuInstance,
  { starts, size }: ComputeInstanceProfile,
): number | undefined {
  return starts.find((start) =>
    computeInstances.every(
      ({ placement }) => start + size <= placement.start || placement.start + placement.size <= start,
    ),
  );
}

function gpuInstanceById(session: Session, gpu: OpenGpu, id: number): GpuInstanceHandle {
  const out = Buffer.alloc(8);
  session.call("nvmlDeviceGetGpuInstanceById", gpu.uuid, gpu.handle, id, out);
  return gpuInstanceHandle(out);
}

function placementMemory({ start, size }: Placement): Buffer {
  const memory = placementStruct.allocate();
  memory.writeUInt32LE(start, placementStruct.offsets.get("start") ?? 0);
  memory.writeUInt32LE(size, placementStruct.offsets.get("size") ?? 4);
  return memory;
}
