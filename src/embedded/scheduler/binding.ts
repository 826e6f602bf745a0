/**
 * Binding a pod to a node, through the `binding` subresource as kube-scheduler does.
 */
import type { Clock } from "../../base/index.ts";
import { BackOff, type Binding, type KubeApi, KubeError, type Pod, resources } from "../../kube/index.ts";
import { uidOf } from "./pod-facts.ts";

/** Asks the API to put the pod on the node. */
export async function bindPod(api: KubeApi, pod: Pod, node: string): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) };
  const target = { apiVersion: "v1", kind: "Node", name: node } as const;
  const binding: Binding = { apiVersion: "v1", kind: "Binding", metadata, target };
  await api.createSubresource(resources.pods, pod.metadata, "binding", binding);
}

export interface BoundCheck {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
}

/**
 * Whether a pod has a node although binding it failed with `error`. A binding whose answer was lost may have been made,
 * and giving its share to another pod before the watch tells would give it twice: so the server is asked until it answers,
 * and when the signal fires first the pod counts as bound.
 */
export async function isBoundAfterAll(pod: Pod, error: unknown, check: BoundCheck): Promise<boolean> {
  if (!(error instanceof KubeError) || !error.retryable) return false;
  const { api, clock, random, signal } = check;
  const backOff = new BackOff(random);
  while (!signal.aborted) {
    try {
      const now = await api.get<Pod>(resources.pods, pod.metadata, signal);
      return uidOf(now) === uidOf(pod) && (now.spec.nodeName ?? "") !== "";
    } catch (again) {
      if (!(again instanceof KubeError) || !again.retryable) return false;
      await clock.sleep(backOff.afterTry(0, again.retryAfterMs), signal).catch(() => {});
    }
  }
  return true;
}
