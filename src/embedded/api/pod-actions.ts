/**
 * What can be asked of a pod beside reading, writing and evicting it: binding, its log.
 */
import type { Version } from "./collection.ts";
import { type ApiContext, type LogOptions, timestamp } from "./context.ts";
import { ApiError, badRequest, conflict, internalError, invalid } from "./errors.ts";
import { type Json, type JsonObject, listAt, objectAt, textAt, withPath } from "./json.ts";
import { requiredValue } from "./metadata-validation.ts";
import { collectionKey } from "./registry.ts";
import { admittedBody, bindingKind, subresourceBody } from "./subresources.ts";
import { findObject, type Target, type WriteOptions } from "./writes.ts";

/** What the API answers to a POST that has no object to give back. */
export const createdStatus: JsonObject = {
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  code: 201,
};

/**
 * Assigns a pod to a node, once: 409 when it is assigned already, on its way out or held back by a scheduling gate
 * (kubernetes, pkg/registry/core/pod/storage/storage.go, assignPod).
 */
export function bindPod(context: ApiContext, target: Target, body: JsonObject, options: WriteOptions): JsonObject {
  const { type, name } = target;
  const { dryRun } = options;
  const binding = admittedBody(context, {
    operation: "CREATE",
    target,
    subresource: "binding",
    kind: bindingKind,
    object: subresourceBody(bindingKind, name, body),
    oldObject: undefined,
    dryRun,
  });
  if (textAt(binding, "target", "name") === "") {
    throw invalid({ ...type, kind: "Binding" }, name, [requiredValue("target.name")]);
  }
  const old = findObject(context, target);
  const obstacle = bindingObstacle(old, binding);
  if (obstacle !== undefined) throw conflict({ ...type, plural: "pods/binding" }, name, obstacle);
  if (!dryRun) context.store.replace(collectionKey(type), boundPod(context, old.object, binding), old);
  return createdStatus;
}

function bindingObstacle({ name, uid, object }: Version, binding: JsonObject): string | undefined {
  const wanted = textAt(binding, "metadata", "uid");
  if (wanted !== "" && wanted !== uid) {
    return `Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${uid}`;
  }
  if (textAt(object, "metadata", "deletionTimestamp") !== "") {
    return `pod ${name} is being deleted, cannot be assigned to a host`;
  }
  const holder = textAt(object, "spec", "nodeName");
  if (holder !== "") return `pod ${name} is already assigned to node ${JSON.stringify(holder)}`;
  const isGated = listAt(object, "spec", "schedulingGates").length > 0;
  return isGated ? `pod ${name} has non-empty .spec.schedulingGates` : undefined;
}

function boundPod(context: ApiContext, pod: JsonObject, binding: JsonObject): JsonObject {
  const assigned = withPath(pod, ["spec", "nodeName"], textAt(binding, "target", "name"));
  const notes = objectAt(binding, "metadata", "annotations");
  const annotations = { ...objectAt(pod, "metadata", "annotations"), ...notes };
  const annotated =
    Object.keys(notes).length === 0 ? assigned : withPath(assigned, ["metadata", "annotations"], annotations);
  const others = listAt(pod, "status", "conditions").filter((one) => textAt(one, "type") !== "PodScheduled");
  const scheduled: Json = {
    type: "PodScheduled",
    status: "True",
    lastProbeTime: null,
    lastTransitionTime: timestamp(context.clock),
  };
  return withPath(annotated, ["status", "conditions"], [...others, scheduled]);
}

/** The log of one container, which may be left out where there is only one; throws 400, 404, or 500 without a kubelet. */
export async function podLog(
  context: ApiContext,
  target: Target,
  wanted: LogOptions & { readonly container: string },
): Promise<string> {
  const { object } = findObject(context, target);
  const container = chosenContainer(target.name, objectAt(object, "spec"), wanted.container);
  if (textAt(object, "spec", "nodeName") === "") {
    throw badRequest(`pod ${target.name} does not have a host assigned`);
  }
  if (context.readLogs === undefined) throw internalError("no kubelet answers for logs");
  try {
    return await context.readLogs(target.namespace, target.name, container, wanted);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw internalError(error instanceof Error ? error.message : String(error));
  }
}

function chosenContainer(pod: string, spec: JsonObject, wanted: string): string {
  const names = listAt(spec, "containers").map((one) => textAt(one, "name"));
  const known = [...names, ...listAt(spec, "initContainers").map((one) => textAt(one, "name"))];
  if (wanted === "") {
    const [only = ""] = names;
    if (names.length === 1) return only;
    throw badRequest(`a container name must be specified for pod ${pod}, choose one of: [${names.join(" ")}]`);
  }
  if (!known.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${pod}`);
  return wanted;
}
