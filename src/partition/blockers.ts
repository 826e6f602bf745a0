/**
 * Who is in the way of a change, as blockers and findings.
 */
import { type Finding, finding } from "../base/index.ts";
import type { ComputeInstance, Gpu } from "../gpu/index.ts";
import { gpuSubject } from "./plan-draft.ts";
import { deviceName, type Holders } from "./situation.ts";
import type { Blocker } from "./types.ts";

/** Everything held on the GPU: what is in the way of changing its mode or resetting it. */
export function gpuBlockers(gpu: Gpu, holders: Holders): readonly Blocker[] {
  const devices = gpu.instances.flatMap((instance) =>
    instance.computeInstances.flatMap((device) => {
      const pods = holders.get(device.uuid) ?? [];
      return pods.length === 0 ? [] : [{ what: deviceName(instance, device), deviceUuid: device.uuid, pods }];
    }),
  );
  return [...wholeGpu(gpu, holders), ...devices];
}

/** Blockers for the devices in `held`; a pod that holds the GPU as a whole is one blocker for all of them. */
export function blockersOf(
  gpu: Gpu,
  held: readonly { readonly device: Pick<ComputeInstance, "uuid"> }[],
  holders: Holders,
): readonly Blocker[] {
  if (held.length === 0) return [];
  const uuids = new Set(held.map(({ device }) => device.uuid));
  return gpuBlockers(gpu, holders).filter(({ deviceUuid }) => deviceUuid === gpu.uuid || uuids.has(deviceUuid));
}

/** The finding that goes with a blocker; `reason` says what waits for it. */
export function inUse(gpu: Gpu, { what, deviceUuid, pods }: Blocker, reason: string): Finding {
  const whole = deviceUuid === gpu.uuid;
  const name = whole ? `GPU ${gpu.index}` : `GPU ${gpu.index} ${what}`;
  return finding(
    whole ? "gpu-in-use" : "slice-in-use",
    gpuSubject(gpu),
    `${name} is held by ${podsText(pods)}; ${reason}`,
    {
      evidence: { deviceUuid, pods },
      remedy: `the change goes on by itself when it is free; delete the ${pods.length === 1 ? "pod" : "pods"} to have it now`,
    },
  );
}

/** `pod ml/a`, `pods ml/a, ml/b`. */
export function podsText(pods: readonly string[]): string {
  return `${pods.length === 1 ? "pod" : "pods"} ${pods.join(", ")}`;
}

function wholeGpu(gpu: Gpu, holders: Holders): readonly Blocker[] {
  const pods = holders.get(gpu.uuid) ?? [];
  return pods.length === 0 ? [] : [{ what: "GPU", deviceUuid: gpu.uuid, pods }];
}
