/**
 * The `scale` subresource: how many replicas, whatever the type of the object (autoscaling/v1 Scale; kubernetes,
 * pkg/registry/apps/deployment/storage; apiextensions-apiserver, pkg/registry/customresource/etcd.go).
 */
import { parseLabelSelector, selectorText } from "../../kube/index.ts";
import type { ApiContext } from "./context.ts";
import type { ScaleFields } from "./custom-version.ts";
import { badRequest, internalError, invalid } from "./errors.ts";
import { type Json, type JsonObject, numberAt, objectAt, valueAt, withPath } from "./json.ts";
import { invalidValue } from "./metadata-validation.ts";
import { admittedBody, ownWrites, scaleKind, subresourceBody } from "./subresources.ts";
import type { ApiType } from "./types.ts";
import { findObject, type Target, updateObject, type WriteOptions } from "./writes.ts";

const builtInFields: ScaleFields = {
  wanted: ["spec", "replicas"],
  present: ["status", "replicas"],
  selector: ["spec", "selector"],
};

function fieldsOf({ definition }: ApiType): ScaleFields {
  return definition?.scale ?? builtInFields;
}

/** The Scale of a stored object; throws 404, or 500 when the object does not say how many replicas it wants. */
export function readScale(context: ApiContext, target: Target): JsonObject {
  const { object } = findObject(context, target);
  const fields = fieldsOf(target.type);
  if (numberAt(object, ...fields.wanted) === undefined) {
    throw internalError(`the spec replicas field "${pathText(fields.wanted)}" does not exist`);
  }
  return scaleOf(fields, object);
}

/** Stores the replicas that `change` makes of the Scale; throws 404, 400, 409 or 422. */
export function updateScale(
  context: ApiContext,
  target: Target,
  change: (scale: JsonObject) => JsonObject,
  options: WriteOptions,
): JsonObject {
  const fields = fieldsOf(target.type);
  const old = scaleOf(fields, findObject(context, target).object);
  const scale = admittedBody(context, {
    operation: "UPDATE",
    target,
    subresource: "scale",
    kind: scaleKind,
    object: subresourceBody(scaleKind, target.name, change(old)),
    oldObject: old,
    dryRun: options.dryRun,
  });
  const replicas = wantedReplicas(target, scale);
  const { uid = "", resourceVersion = "" } = objectAt(scale, "metadata");
  // A Scale has the uid and version of its object, so that a stale one is refused where all stale writes are.
  const update = (object: JsonObject): JsonObject => {
    const identity = { ...objectAt(object, "metadata"), uid, resourceVersion };
    return { ...withPath(object, fields.wanted, replicas), metadata: identity };
  };
  const { object } = updateObject(ownWrites(context), target, update, { ...options, part: "main" });
  return scaleOf(fields, object);
}

function wantedReplicas({ type, name }: Target, scale: JsonObject): number {
  const replicas = valueAt(scale, "spec", "replicas") ?? missingReplicas(type);
  if (typeof replicas !== "number" || !Number.isInteger(replicas)) {
    throw badRequest(
      `Scale in version "autoscaling/v1" cannot be handled as a Scale: spec.replicas: ${JSON.stringify(replicas)} is no whole number`,
    );
  }
  if (replicas >= 0) return replicas;
  const fault = invalidValue("spec.replicas", replicas, "must be greater than or equal to 0");
  throw invalid({ ...scaleKind, plural: "scales" }, name, [fault]);
}

/** What a Scale without replicas asks for: none, but of custom types it asks for nothing that could be stored. */
function missingReplicas({ definition }: ApiType): number {
  if (definition?.scale === undefined) return 0;
  throw badRequest(`the spec replicas field "${pathText(definition.scale.wanted)}" cannot be empty`);
}

function scaleOf({ wanted, present, selector }: ScaleFields, object: JsonObject): JsonObject {
  const { name = "", namespace, uid = "", resourceVersion = "", creationTimestamp = "" } = objectAt(object, "metadata");
  const place = namespace === undefined ? {} : { namespace };
  const selected = selector === undefined ? "" : textOfSelector(valueAt(object, ...selector));
  const replicas = numberAt(object, ...wanted);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...place, uid, resourceVersion, creationTimestamp },
    spec: replicas === undefined ? {} : { replicas },
    status: { replicas: numberAt(object, ...present) ?? 0, ...(selected === "" ? {} : { selector: selected }) },
  };
}

function textOfSelector(value: Json | undefined): string {
  return typeof value === "string" ? value : selectorText(parseLabelSelector(value) ?? []);
}

function pathText(keys: readonly string[]): string {
  return keys.map((key) => `.${key}`).join("");
}
