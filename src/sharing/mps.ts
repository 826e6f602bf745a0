/**
 * What MPS can share, and between how many clients.
 *
 * Sources: NVIDIA k8s-device-plugin cmd/mps-control-daemon/mps and its validation in cmd/nvidia-device-plugin/main.go.
 */
import type { NodeDevice } from "./node-device.ts";

/** Most clients one MPS server takes on Volta and later (docs.nvidia.com/deploy/mps). */
const mostClients = 48;

/**
 * Most MPS clients of a device. On a MIG device there are fewer, in proportion to its compute instance (NVIDIA MIG User
 * Guide, CUDA concurrency mechanisms).
 */
export function mpsClientLimit({ gpu, mig }: NodeDevice): number {
  if (mig === undefined) return mostClients;
  const all = Math.max(...gpu.profiles.map(({ computeSlices }) => computeSlices), 1);
  const own = mig.compute.placement.size;
  return Math.max(1, Math.floor((mostClients * own) / all));
}

/** Where the files of the daemon of a device are on the host, below the MPS root. */
export function mpsDirectory(mpsRoot: string, deviceUuid: string): string {
  return `${mpsRoot.replace(/\/+$/, "")}/${deviceUuid}`;
}

/**
 * Why `one` cannot be shared by MPS, as a sentence; `undefined` when it can.
 *
 * Before Volta (7.0) the control daemon has no memory and thread limits, so clients would share without any. NVIDIA's
 * plugin draws the line of its client limit at 7.5 while naming it Volta; V100 (7.0) takes 48 clients all the same.
 */
export function mpsObstacle(one: NodeDevice, mpsRoot: string): string | undefined {
  if (mpsRoot === "") return "MPS needs a root directory and none is set";
  const major = Number.parseInt(one.gpu.computeCapability, 10);
  if (major < 7) return `MPS has limits from compute capability 7.0 on, not for ${one.gpu.computeCapability}`;
  return undefined;
}
