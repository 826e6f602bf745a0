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
      remedy: `the change goes on by itself when it is free; ${endText(pods)} to have it now`,
    },
  );
}

/** `pod ml/a`, `pods ml/a, ml/b`, `pod ml/a, process 4242 (python)`. */
export function podsText(holders: readonly string[]): string {
  const pods = holders.filter((one) => !isProcess(one));
  const word = pods.length === 1 ? "pod" : "pods";
  return [...(pods.length === 0 ? [] : [`${word} ${pods.join(", ")}`]), ...holders.filter(isProcess)].join(", ");
}

function endText(holders: readonly string[]): string {
  const pods = holders.filter((one) => !isProcess(one)).length;
  const processes = holders.length - pods;
  const parts = [
    ...(pods === 0 ? [] : [`delete the ${pods === 1 ? "pod" : "pods"}`]),
    ...(processes === 0 ? [] : [`end the ${processes === 1 ? "process" : "processes"}`]),
  ];
  return parts.join(" and ");
}

/** A pod is named `namespace/name`, a process by its number and command: `process 4242 (python)`. */
function isProcess(holder: string): boolean {
  return holder.startsWith("process ");
}

function wholeGpu(gpu: Gpu, holders: Holders): readonly Blocker[] {
  const pods = holders.get(gpu.uuid) ?? [];
  return pods.length === 0 ? [] : [{ what: "GPU", deviceUuid: gpu.uuid, pods }];
}
