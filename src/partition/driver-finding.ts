/**
 * Failed driver calls as findings: which step, which call, which GPU, which NVML code, and what to do about it.
 */
import { errorText, type Finding, finding } from "../base/index.ts";
import { DriverError, type NvmlCode } from "../gpu/index.ts";
import { gpuSubject } from "./plan-draft.ts";

const remedies: Readonly<Record<NvmlCode, string>> = {
  "invalid-argument": "report it with the driver version; the driver did not accept a placement from its own list",
  "not-supported": "check that the driver is recent enough for this GPU and that the GPU can be reset on this machine",
  "no-permission": "run as root, or give access to the capability file /proc/driver/nvidia/capabilities/mig/config",
  "not-found": "something else changes the GPU at the same time; stop NVIDIA's MIG manager and nvidia-smi scripts",
  "insufficient-resources": "something else changes the GPU at the same time; stop NVIDIA's MIG manager and scripts",
  "in-use": "a process uses it: see nvidia-smi, and stop monitoring agents that keep the GPU open; it is tried again",
  "reset-required": "reset the GPU or reboot the node",
  "gpu-is-lost": "drain and reboot the node; the GPU has fallen off the bus",
  "driver-not-loaded": "load the NVIDIA driver",
  unknown: "see the kernel log (dmesg) for NVRM messages; it is tried again",
};

/** A call that failed while doing `what`, in the words of a step. */
export function driverFinding(
  gpu: { readonly gpuIndex: number; readonly gpuUuid: string },
  what: string,
  error: unknown,
): Finding {
  const known = error instanceof DriverError ? error : undefined;
  const nvmlCode = known?.nvmlCode ?? "unknown";
  return finding(
    "driver-call-failed",
    gpuSubject({ index: gpu.gpuIndex }),
    `GPU ${gpu.gpuIndex}: cannot ${what}: ${errorText(error)}`,
    {
      evidence: { call: known?.call, gpuUuid: gpu.gpuUuid, nvmlCode },
      remedy: remedies[nvmlCode],
    },
  );
}
