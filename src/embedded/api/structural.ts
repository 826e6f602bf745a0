/**
 * What a structural schema does to an object before it is checked: unknown fields go, defaults come, nulls that nobody
 * allowed go (apiextensions-apiserver, pkg/apiserver/schema/pruning and …/defaulting; KEP-1152 structural schemas).
 */
import { isList, isObject, type Json, type JsonObject, objectAt, withField } from "./json.ts";

/** An object without its unknown fields, and where these stood, as `spec.tasks[0].colour`. */
export interface Pruned {
  readonly object: JsonObject;
  readonly unknown: readonly string[];
}

/** What every object has, whatever its schema says; `metadata` has rules of its own. */
const objectFields = ["apiVersion", "kind", "metadata"];

/** Takes away the fields that the schema of a whole object does not know. */
export function prune(object: JsonObject, schema: JsonObject): Pruned {
  const unknown: string[] = [];
  return { object: pruneObject(object, schema, { path: "", isRoot: true, unknown }), unknown };
}

interface PruneState {
  readonly path: string;
  /** Whether this is an object with metadata: the resource itself or one embedded in it. */
  readonly isRoot: boolean;
  readonly unknown: string[];
}

function pruneValue(value: Json, schema: JsonObject, state: PruneState): Json {
  if (isList(value)) {
    const items = schema["items"];
    if (!isObject(items)) return value;
    return value.map((item, index) => pruneValue(item, items, { ...state, path: `${state.path}[${index}]` }));
  }
  if (!isObject(value)) return value;
  return pruneObject(value, schema, { ...state, isRoot: schema["x-kubernetes-embedded-resource"] === true });
}

function pruneObject(object: JsonObject, schema: JsonObject, { path, isRoot, unknown }: PruneState): JsonObject {
  const properties = objectAt(schema, "properties");
  const extra = schema["additionalProperties"];
  const keepsUnknown = schema["x-kubernetes-preserve-unknown-fields"] === true || extra === true;
  const kept = Object.entries(object).flatMap(([key, value]): [string, Json][] => {
    if (isRoot && objectFields.includes(key)) return [[key, value]];
    const own = Object.hasOwn(properties, key) ? properties[key] : extra;
    const below = path === "" ? key : `${path}.${key}`;
    if (isObject(own)) return [[key, pruneValue(value, own, { path: below, isRoot: false, unknown })]];
    if (keepsUnknown) return [[key, value]];
    unknown.push(below);
    return [];
  });
  return Object.fromEntries(kept);
}

/** Fills in the defaults of a schema, and drops nulls where the schema does not allow them. */
export function withDefaults(object: JsonObject, schema: JsonObject): JsonObject {
  const filled = defaulted(object, schema);
  return isObject(filled) ? filled : object;
}

function defaulted(value: Json, schema: JsonObject): Json {
  if (isList(value)) {
    const items = schema["items"];
    return isObject(items) ? value.map((item) => defaulted(item, items)) : value;
  }
  if (!isObject(value)) return value;
  let filled = value;
  for (const [key, own] of Object.entries(objectAt(schema, "properties"))) {
    if (isObject(own)) filled = withDefault(filled, key, own);
  }
  const extra = schema["additionalProperties"];
  if (!isObject(extra)) return filled;
  const known = objectAt(schema, "properties");
  for (const [key, item] of Object.entries(filled)) {
    if (!Object.hasOwn(known, key)) filled = withField(filled, key, defaulted(item, extra));
  }
  return filled;
}

function withDefault(object: JsonObject, key: string, schema: JsonObject): JsonObject {
  const given = Object.hasOwn(object, key) ? object[key] : undefined;
  const isMissing = given === undefined || (given === null && schema["nullable"] !== true);
  const value = isMissing ? schema["default"] : given;
  if (value === undefined) return isMissing && given === null ? withField(object, key, undefined) : object;
  const filled = defaulted(value, schema);
  return filled === given ? object : withField(object, key, filled);
}
