/**
 * The sentences about the health of GPUs, the same in events, findings and report.
 */
import type { Gpu } from "../../gpu/index.ts";
import type { HealthChange, Illness } from "./health-book.ts";
import { QUIET_MS, xidMeaning } from "./xid-table.ts";

/** `GPU 0 (GPU-…)`, or `GPU 0 1g.10gb@0 (MIG-…)` for some of its MIG devices. */
export function placeName(
  gpuUuid: string,
  gpu: Gpu | undefined,
  devices: ReadonlySet<string> | undefined = undefined,
): string {
  if (gpu === undefined) return `GPU ${gpuUuid}`;
  if (devices === undefined) return `GPU ${gpu.index} (${gpuUuid})`;
  const names = gpu.instances.flatMap(({ placement, computeInstances }) =>
    computeInstances
      .filter(({ uuid }) => devices.has(uuid))
      .map(({ profile, uuid }) => `${profile}@${placement.start} (${uuid})`),
  );
  return `GPU ${gpu.index} ${names.join(", ")}`;
}

/** What was seen: `XID 79, GPU has fallen off the bus`. */
export function illnessText({ xid }: Illness): string {
  return xid === undefined ? "the driver no longer lists it" : `XID ${xid}, ${xidMeaning(xid).text}`;
}

/** Why it is well again: `after XID 94: it did not come again for 10 minutes`. */
export function recoveryText({ xids, why }: Extract<HealthChange, { kind: "well" }>): string {
  return xids.length === 0 ? `: ${why}` : ` after XID ${xids.join(", ")}: ${why}`;
}

/** What to do about it. */
export function illnessRemedy({ xid }: Illness, gpu: Gpu | undefined): string {
  const index = gpu?.index ?? "INDEX";
  if (xid === undefined) return "check it with nvidia-smi; a reboot of the node may bring it back";
  switch (xidMeaning(xid).recovery) {
    case "quiet":
      return `see to the program that raised it; the device is offered again after ${QUIET_MS / 60_000} minutes without this error`;
    case "reset":
      return `when its pods have ended, reset it with nvidia-smi --gpu-reset -i ${index} and restart the agent, or reboot the node`;
    case "reboot":
      return "reboot the node; if that does not bring it back, have the GPU checked";
  }
}
