/**
 * What the phase of a pod means (core/v1 `PodPhase`).
 */
import type { Pod } from "./types.ts";

/** Whether the pod has ended, will not run again and holds nothing any more (kubernetes, pkg/api/v1/pod/util.go). */
export function hasEnded({ status }: Pick<Pod, "status">): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}
