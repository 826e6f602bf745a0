/**
 * What NVIDIA's XID errors mean, and when a GPU that raised one counts as healthy again.
 *
 * Meanings and actions are those of NVIDIA, "Analyzing Xid Errors with the Xid Catalog"
 * (docs.nvidia.com/deploy/xid-errors), column "Resolution Bucket (Immediate Action)". From the action follows the rule:
 *
 * | rule     | NVIDIA's immediate action                        | healthy again                                          |
 * |----------|--------------------------------------------------|--------------------------------------------------------|
 * | `quiet`  | RESTART_APP, IGNORE, WORKFLOW_XID_45             | after `QUIET_MS` without the same error in its place   |
 * | `reset`  | RESET_GPU, the workflows for ECC and NVLink, and  | after the agent has reset the GPU, or a reboot         |
 * |          | whatever this table does not have                |                                                        |
 * | `reboot` | RESTART_BM, RESTART_VM                           | after a reboot of the node                             |
 *
 * Beside that, a GPU that the driver did not list and lists again has been initialised anew and counts as healthy, and an
 * agent that starts knows of no error before its start.
 */

/** When a GPU counts as healthy again. */
export type Recovery = "quiet" | "reset" | "reboot";

export interface XidMeaning {
  /** NVIDIA's description of it. */
  readonly text: string;
  readonly recovery: Recovery;
}

/**
 * How long an error that only a program has to be restarted for must not come back. NVIDIA names no time. It is twice the
 * longest back-off between two starts of a container (kubelet, `MaxCrashLoopBackOff`, 5 minutes), so that a program which
 * raises the error at each of its starts has had the time to raise it again.
 */
export const QUIET_MS = 600_000;

const meanings: ReadonlyMap<number, XidMeaning> = new Map<number, XidMeaning>([
  [8, { text: "GPU stopped processing", recovery: "quiet" }],
  [11, { text: "invalid or corrupted push buffer stream", recovery: "quiet" }],
  [13, { text: "graphics engine exception", recovery: "quiet" }],
  [25, { text: "invalid or illegal push buffer stream", recovery: "quiet" }],
  [31, { text: "GPU memory page fault", recovery: "quiet" }],
  [32, { text: "invalid or corrupted push buffer stream", recovery: "quiet" }],
  [41, { text: "copy engine exception", recovery: "quiet" }],
  [43, { text: "GPU stopped processing", recovery: "quiet" }],
  [45, { text: "preemptive cleanup, due to previous errors", recovery: "quiet" }],
  [46, { text: "GPU stopped processing", recovery: "reset" }],
  [48, { text: "double bit ECC error", recovery: "reset" }],
  [62, { text: "internal micro-controller halt", recovery: "reset" }],
  [63, { text: "GPU memory remapping event", recovery: "quiet" }],
  [64, { text: "GPU memory remapping failure", recovery: "reset" }],
  [68, { text: "video decoder exception", recovery: "quiet" }],
  [74, { text: "NVLink error", recovery: "reset" }],
  [79, { text: "GPU has fallen off the bus", recovery: "reboot" }],
  [92, { text: "high single bit ECC error rate", recovery: "quiet" }],
  [94, { text: "contained memory error", recovery: "quiet" }],
  [95, { text: "uncontained memory error", recovery: "reset" }],
  [109, { text: "context switch timeout", recovery: "reset" }],
  [110, { text: "security fault", recovery: "reset" }],
  [119, { text: "GSP RPC timeout", recovery: "reset" }],
  [120, { text: "GSP error", recovery: "reset" }],
  [136, { text: "NVLink training failed", recovery: "reset" }],
  [137, { text: "NVLink privilege error", recovery: "quiet" }],
  [140, { text: "unrecovered ECC error", recovery: "reset" }],
  [143, { text: "GPU initialization error", recovery: "reset" }],
  [144, { text: "NVLink SAW error", recovery: "reset" }],
  [145, { text: "NVLink RLW error", recovery: "reset" }],
  [146, { text: "NVLink TLW error", recovery: "reset" }],
  [147, { text: "NVLink TREX error", recovery: "reset" }],
  [148, { text: "NVLink NVLPW_CTRL error", recovery: "reset" }],
  [149, { text: "NVLink NETIR error", recovery: "reset" }],
  [150, { text: "NVLink MSE error", recovery: "reset" }],
  [151, { text: "key rotation error", recovery: "reboot" }],
  [154, { text: "GPU recovery action changed", recovery: "reset" }],
  [155, { text: "NVLink software-defined error", recovery: "reset" }],
  [156, { text: "resource retirement event", recovery: "reset" }],
  [157, { text: "resource retirement failure", recovery: "quiet" }],
  [158, { text: "GPU fatal timeout", recovery: "reset" }],
]);

/** The XIDs that `xidMeaning` has a meaning for, ascending: those of the catalogue that one meets. */
export const knownXids: readonly number[] = [...meanings.keys()];

/** What the catalogue says of an XID; one it does not have needs a reset, to be on the safe side. */
export function xidMeaning(xid: number): XidMeaning {
  return meanings.get(xid) ?? { text: "not in the catalogue", recovery: "reset" };
}
