/**
 * What a pod asks of its node: its requests, resource by resource.
 */
import { type Container, type Pod, parseQuantity } from "../../kube/index.ts";
import { isSidecar } from "./pod-plan.ts";

/**
 * A pod's requests: app containers and sidecars together, or the largest moment of the init phase if that is more
 * (Kubernetes `resourcehelper.PodRequests`). A limit without a request counts as the request.
 */
export function podRequests(pod: Pod): ReadonlyMap<string, number> {
  const lasting = new Map<string, number>();
  const peak = new Map<string, number>();
  for (const container of pod.spec.initContainers ?? []) {
    const own = containerRequests(container);
    if (isSidecar(container)) add(lasting, own);
    // At this moment the sidecars started so far run beside the init container.
    const moment = new Map(lasting);
    if (!isSidecar(container)) add(moment, own);
    for (const [resource, amount] of moment) peak.set(resource, Math.max(amount, peak.get(resource) ?? 0));
  }
  for (const container of pod.spec.containers) add(lasting, containerRequests(container));
  for (const [resource, amount] of peak) lasting.set(resource, Math.max(amount, lasting.get(resource) ?? 0));
  add(lasting, amounts(pod.spec.overhead));
  return lasting;
}

function containerRequests(container: Container): Map<string, number> {
  return new Map([...amounts(container.resources?.limits), ...amounts(container.resources?.requests)]);
}

function amounts(list: Readonly<Record<string, string>> | undefined): Map<string, number> {
  return new Map(Object.entries(list ?? {}).map(([resource, text]) => [resource, parseQuantity(text) ?? 0]));
}

function add(sum: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [resource, amount] of more) sum.set(resource, (sum.get(resource) ?? 0) + amount);
}
