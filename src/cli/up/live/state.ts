/**
 * What the live view shows, as values: a part of the cluster that fits on a screen, and counts of the rest.
 */
import type { Finding } from "../../../base/index.ts";
import type { ReportGpu, ReportPod } from "../../../insight/index.ts";

/** Some of many: `items` begin with number `offset` of `total`. */
export interface Part<T> {
  readonly total: number;
  readonly offset: number;
  readonly items: readonly T[];
}

export interface LiveGpu extends ReportGpu {
  /** What processes hold of its memory. */
  readonly usedMiB: number;
  /** Into how many memory slices MIG divides it; 0 when it cannot. */
  readonly memorySlices: number;
  /** Codes of the findings about this GPU that are errors or warnings, the gravest first. */
  readonly troubles: readonly Finding[];
}

export interface LiveNode {
  readonly name: string;
  /** What the API tells of it beside being ready: `NotReady`, `cordoned`, `1 nvidia.com/gpu unhealthy`. */
  readonly notes: readonly string[];
  /** `name: state` of the mig-parted config in force. */
  readonly migConfig: string | undefined;
  /** `undefined` until its agent has told. */
  readonly gpus: readonly LiveGpu[] | undefined;
}

export interface LivePod extends ReportPod {
  /** Milliseconds since the Unix epoch. */
  readonly createdMs: number;
}

/** A line about what happened, with its time. */
export interface LogEntry {
  readonly atMs: number;
  readonly text: string;
}

export interface LiveState {
  /** `2 nodes, 2 GPUs (simulated); 8 of 8 pods running.` */
  readonly summary: string;
  readonly server: string;
  readonly kubeconfigPath: string;
  readonly nodes: Part<LiveNode>;
  readonly pods: Part<LivePod>;
  readonly findings: readonly Finding[];
  /** The newest last. */
  readonly log: readonly LogEntry[];
  readonly nowMs: number;
  /** Which part the arrow keys move; `undefined` where there are no keys. */
  readonly focus: "nodes" | "pods" | undefined;
}

/** Of a terminal, in cells. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}
