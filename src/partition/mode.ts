/**
 * MIG mode: what it takes to turn it on or off on one GPU.
 *
 * On Ampere a new mode stays pending until the GPU is reset or the node reboots; from Hopper on it applies at once
 * (NVML nvmlDeviceSetMigMode; NVIDIA open-gpu-kernel-modules, property RESETLESS_MIG_SUPPORTED). Either way the whole
 * GPU has to be idle, and no other GPU is concerned.
 */
import type { Gpu, MigMode } from "../gpu/index.ts";
import type { PartitionPlan, Step } from "./types.ts";

/** The way to a mode: nothing to do, a pending change to take back, or a change. */
export type ModeRoute =
  | { readonly kind: "stays" }
  | { readonly kind: "take-back"; readonly steps: readonly Step[] }
  | { readonly kind: "change"; readonly steps: readonly Step[]; readonly needs: PartitionPlan["needs"] };

/** How to get from the GPU's mode to `enabled`. A change that is pending already needs only its reset. */
export function modeRoute(gpu: Gpu, mode: MigMode, { enabled, resettable }: ModeWish): ModeRoute {
  const set: Step = { kind: "set-mig-mode", enabled };
  if (mode.current === enabled) {
    return mode.pending === enabled ? { kind: "stays" } : { kind: "take-back", steps: [set] };
  }
  const steps = mode.pending === enabled ? [] : [set];
  if (modeAppliesAtOnce(gpu) && mode.pending !== enabled) return { kind: "change", steps, needs: "nothing" };
  if (!resettable) return { kind: "change", steps, needs: "reboot" };
  return { kind: "change", steps: [...steps, { kind: "reset-gpu" }], needs: "reset" };
}

export interface ModeWish {
  readonly enabled: boolean;
  readonly resettable: boolean;
}

/** Hopper (compute capability 9.0) and later switch without a reset. */
function modeAppliesAtOnce({ computeCapability }: Gpu): boolean {
  return Number.parseInt(computeCapability, 10) >= 9;
}
