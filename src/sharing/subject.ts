/** What this room's findings are about, and how they name devices. */
import type { Subject } from "../base/index.ts";
import type { NodeDevice } from "./node-device.ts";

export function nodeSubject(nodeName: string): Subject {
  return { kind: "node", name: nodeName };
}

export function gpuSubject(nodeName: string, gpuIndex: number): Subject {
  return { kind: "gpu", name: `${nodeName} GPU ${gpuIndex}` };
}

export function resourceSubject(nodeName: string, resource: string): Subject {
  return { kind: "resource", name: `${nodeName} ${resource}` };
}

/** `GPU 0` for a whole GPU, `GPU 0 3g.40gb@4` for a MIG device: profile and start of its GPU instance. */
export function deviceText({ device, mig }: NodeDevice): string {
  if (mig === undefined) return `GPU ${device.gpuIndex}`;
  return `GPU ${device.gpuIndex} ${mig.compute.profile}@${mig.instance.placement.start}`;
}

/** Devices in one line: the first few by name, the rest counted. */
export function devicesText(devices: readonly NodeDevice[]): string {
  const shown = devices.slice(0, 4).map(deviceText).join(", ");
  return devices.length <= 4 ? shown : `${shown} and ${devices.length - 4} more`;
}
