/**
 * PATCH in its four forms.
 */
import { parseAppliedObject, parseBody, parseObjectBody } from "./body.ts";
import type { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { type ApiError, badRequest, invalid, unsupportedMediaType } from "./errors.ts";
import type { Writer } from "./field-owners.ts";
import { strictFault, type UnknownFields } from "./field-validation.ts";
import { isList, isObject, type Json, type JsonObject, objectAt, textAt } from "./json.ts";
import { jsonPatch } from "./json-patch.ts";
import { mergePatch } from "./merge-patch.ts";
import { invalidValue } from "./metadata-validation.ts";
import { collectionKey } from "./registry.ts";
import { applied } from "./server-side-apply.ts";
import { strategicMerge } from "./strategic-merge.ts";
import type { ApiType } from "./types.ts";
import { applyType } from "./write-options.ts";
import { createObject, storedTarget, type Target, type UpdateOptions, updateObject } from "./writes.ts";

export interface PatchRequest extends UpdateOptions {
  readonly mediaType: string;
  readonly body: string;
  readonly writer: Writer;
  /** Of an apply patch: takes fields from their owners. */
  readonly force: boolean;
}

const jsonPatchType = "application/json-patch+json";
const mergePatchType = "application/merge-patch+json";
const strategicType = "application/strategic-merge-patch+json";

interface Patched {
  readonly version: Version;
  /** Whether it brought the object into being, which only an apply patch may do. */
  readonly created: boolean;
}

/** Applies a patch; throws what the write throws, and 409 for an apply patch that others' fields stand against. */
export function patchObject(context: ApiContext, target: Target, request: PatchRequest): Patched {
  if (request.mediaType === applyType) return applyPatch(refusing(context, refusedApplication), target, request);
  const change = patchFunction(target.type, request);
  const refused = (faults: readonly string[], patched: JsonObject): ApiError => refusedPatch(request, patched, faults);
  return { version: updateObject(refusing(context, refused), target, change, request), created: false };
}

type Refusal = NonNullable<UnknownFields["refusal"]>;

/** The context with another refusal of unknown and repeated fields: a patch is not refused in the words of an object. */
function refusing(context: ApiContext, refusal: Refusal): ApiContext {
  const { unknownFields } = context;
  return unknownFields === undefined ? context : { ...context, unknownFields: { ...unknownFields, refusal } };
}

function refusedApplication(faults: readonly string[]): ApiError {
  return badRequest(`error strict decoding YAML: ${faults.join(", ")}`);
}

function refusedPatch({ mediaType, body }: PatchRequest, patched: JsonObject, faults: readonly string[]): ApiError {
  const shown = mediaType === strategicType ? goText(parseObjectBody(body)) : JSON.stringify(patched);
  return invalid({ group: "", plural: "", kind: "" }, "", [invalidValue("patch", shown, strictFault(faults))]);
}

/** A value as Go prints it (`%+v`), keys in order. */
function goText(value: Json): string {
  if (isList(value)) return `[${value.map(goText).join(" ")}]`;
  if (!isObject(value)) return value === null ? "<nil>" : String(value);
  const keys = Object.keys(value).sort();
  return `map[${keys.map((key) => `${key}:${goText(value[key] ?? null)}`).join(" ")}]`;
}

/** Books of fields are kept of objects as they are stored, so what is applied to a view is applied to its object. */
function applyPatch(context: ApiContext, asked: Target, request: PatchRequest): Patched {
  const target = storedTarget(context, asked);
  const { type, namespace, name } = target;
  const given = parseAppliedObject(request.body);
  const config = asked.type.view?.store(given) ?? given;
  const { part, force } = request;
  const writer: Writer = { ...request.writer, operation: "Apply" };
  const application = { type, config: placed(config, target), part, force, writer };
  const options = { ...request, writer };
  const isThere = context.store.collection(collectionKey(type)).find(namespace, name) !== undefined;
  if (isThere || part === "status") {
    const change = (old: JsonObject): JsonObject => applied(context, old, application);
    return { version: updateObject(context, target, change, options), created: false };
  }
  return { version: createObject(context, target, applied(context, undefined, application), options), created: true };
}

/** A configuration that leaves out where it belongs means the place on the URL. */
function placed(config: JsonObject, { namespace, name }: Target): JsonObject {
  const metadata = objectAt(config, "metadata");
  const own = textAt(metadata, "name") || name;
  if (own !== name) {
    throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
  }
  const place = namespace === "" || textAt(metadata, "namespace") !== "" ? {} : { namespace };
  return { ...config, metadata: { ...metadata, name, ...place } };
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
