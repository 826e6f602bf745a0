/**
 * How far the holders of a device are kept apart, stated per device and never assumed.
 */
import type { Device, Isolation, Offer } from "./types.ts";

/** Between the id of a device and the number of a replica of it (NVIDIA k8s-device-plugin internal/rm/devices.go). */
export const replicaMark = "::";

/** Whether `id` is one of several shares of a device. */
export function isReplica(id: string): boolean {
  return id.includes(replicaMark);
}

/** Whether a MIG device name tells of a compute instance narrower than its GPU instance, such as `1c.3g.40gb`. */
export function isPartOfInstance(profile: string): boolean {
  return /^\d+c\./.test(profile);
}

/**
 * What separates a holder of `device` from others on the same GPU.
 *
 * Sharing decides before MIG does: two pods on replicas of one MIG device are as little separated as on a whole GPU.
 */
export function isolationOf({ sharing, devices }: Pick<Offer, "sharing" | "devices">, device: Device): Isolation {
  // A pod that got the whole device before it was shared goes on under its id.
  const isShared = isReplica(device.id) || devices.some((one) => one !== device && one.uuid === device.uuid);
  if (isShared) return sharing === "mps" ? "limited" : "none";
  if (device.migProfile === undefined) return "exclusive";
  return isPartOfInstance(device.migProfile) ? "limited" : "hardware";
}
