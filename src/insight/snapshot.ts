/**
 * What a node's agent knows at one moment; everything that explains a node starts from it.
 */
import type { Finding } from "../base/index.ts";
import type { Gpu, GpuProcess } from "../gpu/index.ts";
import type { Allocation } from "../kubelet/index.ts";
import type { Offer } from "../sharing/index.ts";

export interface NodeSnapshot {
  readonly node: string;
  /** Whether the GPUs are simulated; no figure of such a node is a measured one. */
  readonly simulated: boolean;
  readonly gpus: readonly Gpu[];
  /** Processes by GPU UUID. */
  readonly processes: ReadonlyMap<string, readonly GpuProcess[]>;
  readonly offers: readonly Offer[];
  /** UUIDs of GPUs and MIG devices in `offers` that are unhealthy, so that no pod gets them. */
  readonly unhealthy: ReadonlySet<string>;
  readonly allocations: readonly Allocation[];
  /** The value of the node's mig.config label that the agent has acted upon last. */
  readonly migLabel: string | undefined;
  /** The mig-parted config in force and how far it got; `undefined` without a label or with MIG management off. */
  readonly migConfig: { readonly name: string; readonly state: MigConfigState } | undefined;
  /** The device-plugin config the node runs with; `undefined` for the defaults. */
  readonly pluginConfig: string | undefined;
  readonly findings: readonly Finding[];
}

/** The values of the label `nvidia.com/mig.config.state` (NVIDIA mig-parted, k8s-mig-manager). */
export type MigConfigState = "pending" | "rebooting" | "success" | "failed";
