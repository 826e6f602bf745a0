/**
 * What MPS can share, and between how many clients.
 *
 * Sources: NVIDIA k8s-device-plugin cmd/mps-control-daemon/mps and its validation in cmd/nvidia-device-plugin/main.go.
 */
import type { NodeDevice } from "./node-device.ts";

/** Most clients one MPS server takes on Volta and later (docs.nvidia.com/deploy/mps). */
export const mpsClientLimit = 48;

/** Where the files of the daemon of a GPU are on the host, below the MPS root. */
export function mpsDirectory(mpsRoot: string, gpuUuid: string): string {
  return `${mpsRoot.replace(/\/+$/, "")}/${gpuUuid}`;
}

/**
 * Why `one` cannot be shared by MPS, as a sentence; `undefined` when it can.
 *
 * Before Volta (7.0) the control daemon has no memory and thread limits, so clients would share without any. NVIDIA's
 * plugin draws the line of its client limit at 7.5 while naming it Volta; V100 (7.0) takes 48 clients all the same.
 */
export function mpsObstacle(one: NodeDevice, mpsRoot: string): string | undefined {
  if (mpsRoot === "") return "MPS needs a root directory and none is set";
  if (one.mig !== undefined) return "MPS is not supported on MIG devices";
  const major = Number.parseInt(one.gpu.computeCapability, 10);
  if (major < 7) return `MPS has limits from compute capability 7.0 on, not for ${one.gpu.computeCapability}`;
  return undefined;
}
