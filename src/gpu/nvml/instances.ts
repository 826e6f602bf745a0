/**
 * The instances that stand on a GPU, read anew each time: their ids and handles are reused by the driver.
 */

import { instanceMemoryMiB } from "../catalogue.ts";
import type { ComputeInstance, GpuInstance } from "../driver.ts";
import type { MigProfile } from "../model.ts";
import type { GpuFacts, LearntProfile } from "./facts.ts";
import type { Argument } from "./native.ts";
import { callError, invalidArgument, noPermission, notFound, notSupported, success } from "./return-codes.ts";
import {
  type ComputeInstanceHandle,
  computeInstanceHandle,
  type DeviceHandle,
  deviceHandle,
  type GpuInstanceHandle,
  gpuInstanceHandle,
  type OpenGpu,
  type Session,
} from "./session.ts";
import { textIn } from "./struct.ts";
import { computeInstanceInfo, gpuInstanceInfo } from "./structs.ts";
import type { SymbolName } from "./symbols.ts";

/** The lists of handles have no size probe: the memory must hold as many as there can ever be. */
const handleRoom = 16;

/** Instances by ascending placement; `undefined` when this process may not read them. */
export function instancesOf(session: Session, gpu: OpenGpu, facts: GpuFacts): readonly GpuInstance[] | undefined {
  const found: GpuInstance[] = [];
  for (const { smiProfileId, maxInstances } of facts.profiles) {
    const symbol = "nvmlDeviceGetGpuInstances";
    const room = Buffer.alloc(8 * Math.max(handleRoom, maxInstances));
    const count = Buffer.alloc(4);
    const result = session.try(symbol, gpu.uuid, gpu.handle, smiProfileId, room, count);
    if (result === noPermission) return undefined;
    // Profiles that the catalogue only assumes may be unknown to the library, and none of them stands then.
    if (result === notSupported || (result === invalidArgument && !facts.profilesTold)) continue;
    if (result !== success) throw callError(symbol, gpu.uuid, result);
    for (let index = 0; index < count.readUInt32LE(); index++) {
      const instance = gpuInstanceOf(session, gpu, facts, gpuInstanceHandle(room, index));
      if (instance !== undefined) found.push(instance);
    }
  }
  return found.toSorted((a, b) => a.placement.start - b.placement.start);
}

/** The GPU instance behind a handle; `undefined` when it has gone or its profile is not known. */
export function gpuInstanceOf(
  session: Session,
  gpu: OpenGpu,
  facts: GpuFacts,
  handle: GpuInstanceHandle,
): GpuInstance | undefined {
  const info = gpuInstanceInfo.allocate();
  if (!answered(session, gpu, "nvmlGpuInstanceGetInfo", handle, info)) return undefined;
  const learnt = facts.withComputeProfiles(session, gpuInstanceInfo.u32(info, "profileId"), handle);
  if (learnt === undefined) return undefined;
  const { profile } = learnt;
  return {
    id: gpuInstanceInfo.u32(info, "id"),
    profile,
    placement: { start: gpuInstanceInfo.u32(info, "start"), size: gpuInstanceInfo.u32(info, "size") },
    memoryMiB: instanceMemoryMiB(profile),
    computeInstances: computeInstancesOf(session, gpu, handle, learnt),
  };
}

/** The compute instance behind a handle, `undefined` when it has gone. */
export function computeInstanceOf(
  session: Session,
  gpu: OpenGpu,
  { handle, profile }: { readonly handle: ComputeInstanceHandle; readonly profile: MigProfile },
): ComputeInstance | undefined {
  const info = computeInstanceInfo.allocate();
  if (!answered(session, gpu, "nvmlComputeInstanceGetInfo_v2", handle, info)) return undefined;
  const profileId = computeInstanceInfo.u32(info, "profileId");
  const id = computeInstanceInfo.u32(info, "id");
  const device = migDeviceOf(session, gpu, { info, computeInstanceId: id });
  if (device === undefined) return undefined;
  const size = computeInstanceInfo.u32(info, "size");
  const own = profile.computeInstanceProfiles.find(({ smiProfileId }) => smiProfileId === profileId);
  return {
    id,
    profile: own?.name ?? (size === profile.computeSlices ? profile.name : `${size}c.${profile.name}`),
    uuid: device.uuid,
    migIndex: device.index,
    placement: { start: computeInstanceInfo.u32(info, "start"), size },
  };
}

/** Runs `use` for every MIG device of a GPU that this process can open; indices have holes. */
export function eachMigDevice(
  session: Session,
  gpu: OpenGpu,
  use: (handle: DeviceHandle, index: number) => void,
): void {
  const most = session.number("nvmlDeviceGetMaxMigDeviceCount", gpu.uuid, gpu.handle);
  for (let index = 0; index < most; index++) {
    const out = Buffer.alloc(8);
    const symbol = "nvmlDeviceGetMigDeviceHandleByIndex";
    const result = session.try(symbol, gpu.uuid, gpu.handle, index, out);
    if (result === success) use(deviceHandle(out), index);
    else if (result !== notFound && result !== noPermission) throw callError(symbol, gpu.uuid, result);
  }
}

function computeInstancesOf(
  session: Session,
  gpu: OpenGpu,
  instance: GpuInstanceHandle,
  { profile, computeIds }: LearntProfile,
): readonly ComputeInstance[] {
  const found: ComputeInstance[] = [];
  for (const id of computeIds) {
    const symbol = "nvmlGpuInstanceGetComputeInstances";
    const room = Buffer.alloc(8 * handleRoom);
    const count = Buffer.alloc(4);
    if (!answered(session, gpu, symbol, instance, id, room, count)) continue;
    for (let index = 0; index < count.readUInt32LE(); index++) {
      const handle = computeInstanceHandle(room, index);
      const one = computeInstanceOf(session, gpu, { handle, profile });
      if (one !== undefined) found.push(one);
    }
  }
  return found.toSorted((a, b) => a.placement.start - b.placement.start);
}

/**
 * UUID and index of the MIG device of a compute instance. The info's `device` is its handle on the drivers seen; where
 * it is the GPU's, the MIG devices are searched for the pair of ids.
 */
function migDeviceOf(
  session: Session,
  gpu: OpenGpu,
  { info, computeInstanceId }: { readonly info: Buffer; readonly computeInstanceId: number },
): { readonly uuid: string; readonly index: number } | undefined {
  const direct = migDeviceAt(session, gpu, deviceHandle(info));
  if (direct !== undefined) return direct;
  const parent = gpuInstanceInfo.allocate();
  const handle = computeInstanceInfo.u64(info, "gpuInstance");
  if (!answered(session, gpu, "nvmlGpuInstanceGetInfo", handle, parent)) return undefined;
  const gpuInstanceId = gpuInstanceInfo.u32(parent, "id");
  let found: { readonly uuid: string; readonly index: number } | undefined;
  eachMigDevice(session, gpu, (device) => {
    if (
      session.number("nvmlDeviceGetGpuInstanceId", gpu.uuid, device) === gpuInstanceId &&
      session.number("nvmlDeviceGetComputeInstanceId", gpu.uuid, device) === computeInstanceId
    ) {
      found = migDeviceAt(session, gpu, device);
    }
  });
  return found;
}

function migDeviceAt(
  session: Session,
  gpu: OpenGpu,
  device: DeviceHandle,
): { readonly uuid: string; readonly index: number } | undefined {
  const text = Buffer.alloc(96);
  if (!answered(session, gpu, "nvmlDeviceGetUUID", device, text, text.length)) return undefined;
  const uuid = textIn(text);
  if (!uuid.startsWith("MIG-")) return undefined;
  const index = Buffer.alloc(4);
  if (!answered(session, gpu, "nvmlDeviceGetIndex", device, index)) return undefined;
  return { uuid, index: index.readUInt32LE() };
}

/**
 * Whether the call succeeded; false when what it asks about has gone, or is not for this process. Any other answer is
 * thrown: an instance that was only misread must never look like one that does not stand.
 */
function answered(session: Session, gpu: OpenGpu, symbol: SymbolName, ...args: readonly Argument[]): boolean {
  const result = session.try(symbol, gpu.uuid, ...args);
  if (result === success) return true;
  if ([notFound, invalidArgument, notSupported, noPermission].includes(result)) return false;
  throw callError(symbol, gpu.uuid, result);
}
