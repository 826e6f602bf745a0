/**
 * The words of a change: what one GPU keeps, loses and gains, in which steps, and who is in the way.
 */
import type { Finding } from "../base/index.ts";
import type { MigProfile, Placement } from "../gpu/index.ts";

/** A GPU instance in a plan, with the names of its compute instances. */
export interface PlannedInstance {
  readonly profile: MigProfile;
  readonly placement: Placement;
  /** Names of its MIG devices, `3g.40gb` or `1c.3g.40gb`: those it ends with, or had if it is destroyed; ascending start. */
  readonly computeInstances: readonly string[];
}

/** One driver call. Instances are named by placement, since ids exist only once they are created. */
export type Step =
  | { readonly kind: "set-mig-mode"; readonly enabled: boolean }
  | { readonly kind: "reset-gpu" }
  | {
      readonly kind: "destroy-compute-instance" | "create-compute-instance";
      /** MIG device name. */
      readonly name: string;
      /** Placement of the GPU instance. */
      readonly instance: Placement;
      /** For a destroy: start of the compute instance, in compute slices. */
      readonly computeStart: number | undefined;
    }
  | {
      readonly kind: "destroy-gpu-instance" | "create-gpu-instance";
      readonly profile: MigProfile;
      readonly instance: Placement;
    };

/** A device that must stay for now and the pods that hold it. */
export interface Blocker {
  /**
   * `3g.40gb@4` for a MIG device, with `/2` behind it for the compute slice at which one narrower than its GPU
   * instance starts; `GPU` for a whole GPU.
   */
  readonly what: string;
  readonly deviceUuid: string;
  /** `namespace/name` of each pod. */
  readonly pods: readonly string[];
}

/** Ordered steps from the current layout of one GPU to the wanted one, or as near to it as holders allow. */
export interface PartitionPlan {
  /** Same content, same id. */
  readonly id: string;
  readonly gpuUuid: string;
  readonly gpuIndex: number;
  /** The MIG mode that current, or before a reboot pending, has when the steps are done; false where there is no MIG. */
  readonly migEnabled: boolean;
  /** Stay where they are, perhaps with other compute instances. */
  readonly kept: readonly PlannedInstance[];
  readonly destroyed: readonly PlannedInstance[];
  readonly created: readonly PlannedInstance[];
  readonly steps: readonly Step[];
  /** MIG UUIDs (or the GPU's own UUID) that go away with this plan: withdraw these from the kubelet first. */
  readonly withdrawn: readonly string[];
  /** Whether the GPU is reset, or the node must reboot because the GPU cannot be reset. */
  readonly needs: "nothing" | "reset" | "reboot";
  /** Whether the wanted layout stands when the steps are done. */
  readonly complete: boolean;
  /** Wanted MIG devices that cannot be created while the blockers stay, name to count. */
  readonly missing: ReadonlyMap<string, number>;
  readonly blockers: readonly Blocker[];
  readonly findings: readonly Finding[];
}

/** How an execution ended. */
export type Execution =
  | { readonly result: "done" }
  /** A step failed, or was refused, and the GPU has its old layout again. */
  | { readonly result: "rolled-back"; readonly findings: readonly Finding[] }
  /** A step failed and so did the way back; the findings say exactly what is left. */
  | { readonly result: "left-over"; readonly findings: readonly Finding[] };
