/**
 * JSON merge patch (RFC 7386).
 */
import { isObject, type Json, type JsonObject, withField } from "./json.ts";

/** Applies a merge patch: null removes, objects merge, everything else replaces. */
export function mergePatch(target: Json | undefined, patch: JsonObject): JsonObject {
  let result: JsonObject = isObject(target) ? target : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result = withField(result, key, undefined);
    else result = withField(result, key, isObject(value) ? mergePatch(ownField(result, key), value) : value);
  }
  return result;
}

function ownField(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
