/**
 * Eviction: asking a pod to go, unless a disruption budget keeps it (policy/v1 Eviction).
 */
import { resources } from "./resources.ts";
import type { DeleteOptions, KubeApi, KubeObject, ObjectRef } from "./types.ts";

interface Eviction extends KubeObject {
  readonly deleteOptions: DeleteOptions;
}

/** Evicts a pod; throws `KubeError` with status 429 when its budget allows no disruption now. */
export async function evictPod(
  api: Pick<KubeApi, "createSubresource">,
  { namespace, name }: ObjectRef,
  deleteOptions: DeleteOptions = {},
): Promise<void> {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  const eviction: Eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata, deleteOptions };
  await api.createSubresource(resources.pods, { namespace, name }, "eviction", eviction);
}
