/**
 * What a pod asks of its node, summed over its containers (Kubernetes component-helpers, resource/helpers.go
 * `PodRequests`).
 */
import { parseQuantity } from "./quantity.ts";
import type { Container, Pod, ResourceList } from "./types.ts";

/** Amounts by resource name: CPUs, bytes, devices. */
export type ResourceAmounts = ReadonlyMap<string, number>;

/**
 * A pod's requests: its containers and sidecars together, or the largest moment of the init phase if that is more, and
 * the overhead on top. A limit without a request counts as the request.
 */
export function podRequests(pod: Pod): ResourceAmounts {
  const lasting = new Map<string, number>();
  const peak = new Map<string, number>();
  for (const container of pod.spec.initContainers ?? []) {
    const own = containerRequests(container);
    // An init container runs beside the sidecars that started before it; a sidecar stays.
    if (isSidecar(container)) addAmounts(lasting, own);
    const moment = new Map(lasting);
    if (!isSidecar(container)) addAmounts(moment, own);
    raiseTo(peak, moment);
  }
  for (const container of pod.spec.containers) addAmounts(lasting, containerRequests(container));
  raiseTo(lasting, peak);
  addAmounts(lasting, amountsOf(pod.spec.overhead));
  return lasting;
}

/** Whether an init container keeps running beside the containers. */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** A list of quantities as numbers; what is no quantity counts as 0. */
export function amountsOf(list: ResourceList | undefined): Map<string, number> {
  return new Map(Object.entries(list ?? {}).map(([resource, text]) => [resource, parseQuantity(text) ?? 0]));
}

function containerRequests(container: Container): ResourceAmounts {
  return new Map([...amountsOf(container.resources?.limits), ...amountsOf(container.resources?.requests)]);
}

function addAmounts(sum: Map<string, number>, more: ResourceAmounts): void {
  for (const [resource, amount] of more) sum.set(resource, (sum.get(resource) ?? 0) + amount);
}

function raiseTo(amounts: Map<string, number>, least: ResourceAmounts): void {
  for (const [resource, amount] of least) amounts.set(resource, Math.max(amount, amounts.get(resource) ?? 0));
}
