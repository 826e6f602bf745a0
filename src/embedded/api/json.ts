/**
 * JSON values as the API server keeps them: never changed in place, so that versions can share their parts.
 */

export type Json = null | boolean | number | string | JsonList | JsonObject;
export interface JsonList extends ReadonlyArray<Json> {}
export interface JsonObject {
  readonly [key: string]: Json;
}

/** The value of a JSON text; `undefined` for what is none. */
export function parsedJson(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const emptyObject: JsonObject = {};
const emptyList: JsonList = [];

/** Whether a value is an object, neither null nor a list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list. */
export function isList(value: Json | undefined): value is JsonList {
  return Array.isArray(value);
}

/** The value at a path of keys; `undefined` where the path ends early. */
export function valueAt(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let here: Json | undefined = value;
  for (const key of path) {
    if (!isObject(here) || !Object.hasOwn(here, key)) return undefined;
    here = here[key];
  }
  return here;
}

/** The object at a path; an empty one where there is none. */
export function objectAt(value: Json | undefined, ...path: readonly string[]): JsonObject {
  const found = valueAt(value, ...path);
  return isObject(found) ? found : emptyObject;
}

/** The list at a path; an empty one where there is none. */
export function listAt(value: Json | undefined, ...path: readonly string[]): JsonList {
  const found = valueAt(value, ...path);
  return isList(found) ? found : emptyList;
}

/** The string at a path; an empty one where there is none. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = valueAt(value, ...path);
  return typeof found === "string" ? found : "";
}

/** The number at a path, if there is one. */
export function numberAt(value: Json | undefined, ...path: readonly string[]): number | undefined {
  const found = valueAt(value, ...path);
  return typeof found === "number" ? found : undefined;
}

/** A copy with one field set, or removed when `value` is `undefined`; safe for any key, also `__proto__`. */
export function withField(object: JsonObject, key: string, value: Json | undefined): JsonObject {
  if (value === undefined) return without(object, key);
  // Object.fromEntries defines the key as an own field whatever its name; an assignment would not.
  return key === "__proto__"
    ? Object.fromEntries([...Object.entries(object), [key, value]])
    : { ...object, [key]: value };
}

/** A copy with the value at a path set, or removed; objects on the way are made. */
export function withPath(object: JsonObject, path: readonly string[], value: Json | undefined): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return object;
  if (rest.length === 0) return withField(object, key, value);
  if (value === undefined && !isObject(object[key])) return object;
  return withField(object, key, withPath(objectAt(object, key), rest, value));
}

/** A copy without some fields. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  if (!keys.some((key) => Object.hasOwn(object, key))) return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** The fields of an object whose values are strings, as labels are. */
export function textFields(value: Json | undefined): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  const fields = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(fields);
}

/** Whether two values are the same, whatever the order of their keys. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isList(a)) return isList(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}
