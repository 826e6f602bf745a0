/**
 * Failed driver calls as findings: which step, which call, which GPU, which NVML code, and what to do about it.
 */
import { errorText, type Finding, finding } from "../base/index.ts";
import { DriverError } from "../gpu/index.ts";
import { gpuSubject } from "./plan-draft.ts";

/** A call that failed while doing `what`, in the words of a step. */
export function driverFinding(
  gpu: { readonly gpuIndex: number; readonly gpuUuid: string },
  what: string,
  error: unknown,
): Finding {
  const known = error instanceof DriverError ? error : undefined;
  return finding(
    "driver-call-failed",
    gpuSubject({ index: gpu.gpuIndex }),
    `GPU ${gpu.gpuIndex}: cannot ${what}: ${errorText(error)}`,
    {
      evidence: { call: known?.call, gpuUuid: gpu.gpuUuid, nvmlCode: known?.nvmlCode ?? "unknown" },
      remedy: known?.remedy ?? "see the log; it is tried again",
    },
  );
}
