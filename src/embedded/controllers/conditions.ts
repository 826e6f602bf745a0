/**
 * Lists of conditions (kubernetes, pkg/controller/deployment/util, `SetDeploymentCondition`).
 */
import type { Condition } from "../../kube/index.ts";

/** The list with the condition set. One that says the same already stays; a time of transition stays while the status does. */
export function withCondition<T extends Condition>(conditions: readonly T[] | undefined, next: T): readonly T[] {
  const all = conditions ?? [];
  const current = all.find(({ type }) => type === next.type);
  if (current?.status === next.status && current.reason === next.reason) return all;
  const keeps = current?.status === next.status && current.lastTransitionTime !== undefined;
  const timed = keeps ? { ...next, lastTransitionTime: current.lastTransitionTime } : next;
  return [...withoutCondition(all, next.type), timed];
}

/** The list without the condition of this type. */
export function withoutCondition<T extends Condition>(
  conditions: readonly T[] | undefined,
  type: string,
): readonly T[] {
  return (conditions ?? []).filter((one) => one.type !== type);
}
