/**
 * UUIDs of simulated GPUs and MIG devices: nothing random, so the same place has the same UUID after every restart.
 *
 * The real driver makes MIG UUIDs the same way: a SHA-1 over chip, GPU, GPU instance id and engine (NVIDIA
 * open-gpu-kernel-modules, src/nvidia/src/kernel/gpu/gpu_uuid.c, `nvGenerateSmcUuid`).
 */
import { createHash } from "node:crypto";

/** Namespace of GPU UUIDs; any fixed UUID would do. */
const gpuNamespace = "6f1c2b0e-3d57-4a1e-9c8a-5d0f7a41b6e2";

/** The UUID of the GPU with this index among the GPUs that `seed` names, usually a node's name. */
export function simulatedGpuUuid(seed: string, index: number): string {
  return `GPU-${nameUuid(gpuNamespace, `${seed}/${index}`)}`;
}

/** The UUID of the compute instance that starts at `computeStart` in the GPU instance with this id. */
export function simulatedMigUuid(gpuUuid: string, gpuInstanceId: number, computeStart: number): string {
  return `MIG-${nameUuid(gpuUuid.replace(/^GPU-/, ""), `${gpuInstanceId}/${computeStart}`)}`;
}

/** A version 5 UUID (RFC 9562 §5.5). */
function nameUuid(namespace: string, name: string): string {
  const digest = createHash("sha1")
    .update(Buffer.from(namespace.replaceAll("-", ""), "hex"))
    .update(name)
    .digest();
  const bytes = digest.subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
