/**
 * The MIG mode of a GPU, and how it is changed.
 */
import type { MigMode } from "../driver.ts";
import { instancesOf } from "./instances.ts";
import { type ChangePlace, destroyComputeInstance, destroyGpuInstance } from "./mig-changes.ts";
import { callError, notSupported, resetRequired, success } from "./return-codes.ts";
import type { OpenGpu, Session } from "./session.ts";
import { assertIdle, namingOpeners } from "./users.ts";

const call = "nvmlDeviceSetMigMode";

/** `undefined` when the GPU cannot do MIG. */
export function migModeOf(session: Session, gpu: OpenGpu): MigMode | undefined {
  const current = Buffer.alloc(4);
  const pending = Buffer.alloc(4);
  const symbol = "nvmlDeviceGetMigMode";
  const result = session.try(symbol, gpu.uuid, gpu.handle, current, pending);
  if (result === notSupported) return undefined;
  if (result !== success) throw callError(symbol, gpu.uuid, result);
  return { current: current.readUInt32LE() === 1, pending: pending.readUInt32LE() === 1 };
}

/** nvmlDeviceSetMigMode; the mode that is then read. */
export async function changeMigMode(place: ChangePlace, root: string, enabled: boolean): Promise<MigMode> {
  const { session, gpu, facts } = place;
  const mode = migModeOf(session, gpu);
  if (mode === undefined) throw callError(call, gpu.uuid, notSupported);
  if (mode.current === enabled && mode.pending === enabled) return mode;
  await assertIdle(call, { session, gpu, root });
  // NVML refuses to leave MIG mode while instances stand; the port says that they go.
  if (!enabled && mode.current) await destroyAll(place);
  const activation = Buffer.alloc(4);
  await session.callLong(call, gpu.uuid, gpu.handle, enabled ? 1 : 0, activation);
  session.forget(gpu.uuid);
  const after = migModeOf(session, await session.gpu(call, gpu.uuid));
  // Success alone says nothing, and an idle A100 often switches at once: what counts is the mode read afterwards.
  if (after?.pending === enabled) return after;
  const status = activation.readUInt32LE();
  throw await namingOpeners(callError(call, gpu.uuid, status === success ? resetRequired : status), root, facts.minor);
}

async function destroyAll(place: ChangePlace): Promise<void> {
  for (const { id, computeInstances } of instancesOf(place.session, place.gpu, place.facts) ?? []) {
    for (const device of computeInstances) {
      const result = await destroyComputeInstance(place, id, device.id);
      if (result !== success) throw callError("nvmlComputeInstanceDestroy", place.gpu.uuid, result);
    }
    await destroyGpuInstance(place, id);
  }
}
