/**
 * What controllers ask of a pod (kubernetes, pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go).
 */
import type { Pod } from "../../kube/index.ts";

/** Whether the pod has ended and will not run again. */
export function hasEnded({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Whether the pod counts: it has not ended and is not on its way out. */
export function isActive(pod: Pod): boolean {
  return !hasEnded(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** Whether all its containers are ready. */
export function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

/** When it became ready, in milliseconds; `undefined` while it is not or when nobody knows. */
export function readySinceMs(pod: Pod): number | undefined {
  const condition = readyCondition(pod);
  if (condition?.status !== "True" || condition.lastTransitionTime === undefined) return undefined;
  return Date.parse(condition.lastTransitionTime);
}

/** When it is available, or was since, if it stays ready; `undefined` while it is not ready. */
function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return Number.NEGATIVE_INFINITY;
  const sinceMs = readySinceMs(pod);
  return sinceMs === undefined ? undefined : sinceMs + minReadySeconds * 1000;
}

/** Whether it has been ready for so long at `nowMs`. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return (availableAtMs(pod, minReadySeconds) ?? Number.POSITIVE_INFINITY) <= nowMs;
}

/** How long until the next of the pods becomes available without anything else happening. */
export function nextAvailableInMs(pods: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  const waits = pods
    .map((pod) => (availableAtMs(pod, minReadySeconds) ?? Number.NEGATIVE_INFINITY) - nowMs)
    .filter((ms) => ms > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

function readyCondition({ status }: Pod) {
  return status?.conditions?.find(({ type }) => type === "Ready");
}
