/**
 * Evicting a victim of preemption: marked, then deleted with its grace period (kube-scheduler, `prepareCandidate`).
 */
import { type Condition, hasStatus, type KubeApi, type Pod, resources } from "../../kube/index.ts";
import { defaultSchedulerName, uidOf } from "./pod-facts.ts";

/** Whom, and for whom. */
export interface Eviction {
  readonly victim: Pod;
  readonly preemptor: Pod;
  /** Now, as the API writes times. */
  readonly now: string;
}

/** Asks a pod to go. Returns whether it was this that did it: `false` when it has gone, or goes, already. */
export async function evictVictim(api: KubeApi, eviction: Eviction): Promise<boolean> {
  const { victim } = eviction;
  try {
    if (!(await markVictim(api, eviction))) return false;
    await api.delete(resources.pods, victim.metadata);
    return true;
  } catch (error) {
    if (hasStatus(error, 404)) return false;
    throw error;
  }
}

/** Says in the victim's status why it goes. Returns whether it is still there to go. */
async function markVictim(api: KubeApi, { victim, preemptor, now }: Eviction): Promise<boolean> {
  for (;;) {
    const pod = await api.get<Pod>(resources.pods, victim.metadata);
    if (uidOf(pod) !== uidOf(victim) || pod.metadata.deletionTimestamp !== undefined) return false;
    const name = preemptor.spec.schedulerName ?? defaultSchedulerName;
    const condition: Condition = {
      type: "DisruptionTarget",
      status: "True",
      reason: "PreemptionByScheduler",
      message: `${name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: now,
    };
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
    const { resourceVersion } = pod.metadata;
    const patch = { metadata: { resourceVersion }, status: { conditions: [...others, condition] } };
    try {
      await api.mergePatch(resources.pods, pod.metadata, patch, { subresource: "status" });
      return true;
    } catch (error) {
      // Somebody wrote meanwhile: read again.
      if (!hasStatus(error, 409)) throw error;
    }
  }
}
