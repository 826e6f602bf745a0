/**
 * PATCH in its four forms.
 */
import { parseBody, parseObjectBody } from "./body.ts";
import type { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { ApiError, badRequest, unsupportedMediaType } from "./errors.ts";
import { isObject, type JsonObject, valueAt } from "./json.ts";
import { jsonPatch } from "./json-patch.ts";
import { mergePatch } from "./merge-patch.ts";
import { collectionKey } from "./registry.ts";
import { strategicMerge } from "./strategic-merge.ts";
import type { ApiType } from "./types.ts";
import { createObject, type Part, type Target, updateObject } from "./writes.ts";

export interface PatchRequest {
  readonly mediaType: string;
  readonly body: string;
  readonly part: Part;
  readonly fieldManager: string;
  readonly dryRun: boolean;
}

const jsonPatchType = "application/json-patch+json";
const mergePatchType = "application/merge-patch+json";
const strategicType = "application/strategic-merge-patch+json";
const applyType = "application/apply-patch+yaml";

/** Applies a patch; `created` when it brought the object into being, which only an apply patch may do. */
export function patchObject(
  context: ApiContext,
  target: Target,
  request: PatchRequest,
): { readonly version: Version; readonly created: boolean } {
  const { type, namespace, name } = target;
  if (request.mediaType === applyType) {
    const applied = appliedObject(request);
    const isThere = context.store.collection(collectionKey(type)).find(namespace, name) !== undefined;
    if (!isThere) {
      const named = { ...applied, metadata: { ...metadataOf(applied), name } };
      return { version: createObject(context, target, named, request), created: true };
    }
    const change = (old: JsonObject): JsonObject =>
      type.custom ? mergePatch(old, applied) : strategicMerge(old, applied);
    return { version: updateObject(context, target, change, request), created: false };
  }
  return { version: updateObject(context, target, patchFunction(type, request), request), created: false };
}

/** What a patch other than an apply patch makes of an object; throws 415 for a media type the type does not know. */
export function patchFunction(
  type: ApiType,
  { mediaType, body }: Pick<PatchRequest, "mediaType" | "body">,
): (old: JsonObject) => JsonObject {
  if (mediaType === mergePatchType) {
    const patch = parseObjectBody(body);
    return (old) => mergePatch(old, patch);
  }
  if (mediaType === strategicType && !type.custom) {
    const patch = parseObjectBody(body);
    return (old) => strategicMerge(old, patch);
  }
  if (mediaType === jsonPatchType) {
    const patch = parseBody(body);
    return (old) => {
      const patched = jsonPatch(old, patch);
      if (!isObject(patched)) throw badRequest("the patch leaves no object");
      return patched;
    };
  }
  throw unsupportedMediaType([jsonPatchType, mergePatchType, ...(type.custom ? [] : [strategicType]), applyType]);
}

/** The body of an apply patch; clients send JSON, which is YAML too. */
function appliedObject({ body, fieldManager }: PatchRequest): JsonObject {
  if (fieldManager === "") {
    const message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch';
    throw new ApiError(422, "Invalid", message);
  }
  const applied = parseObjectBody(body);
  const managed = valueAt(applied, "metadata", "managedFields");
  if (managed !== undefined && managed !== null) throw badRequest("metadata.managedFields must be nil");
  return applied;
}

function metadataOf(object: JsonObject): JsonObject {
  const metadata = object["metadata"];
  return isObject(metadata) ? metadata : {};
}
