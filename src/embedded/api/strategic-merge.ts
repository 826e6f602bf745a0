/**
 * Strategic merge patch: lists of named things merge by name, and directives in the patch say what else to do
 * (apimachinery, pkg/util/strategicpatch; contributors' guide, "Strategic Merge Patch").
 */
import { badRequest } from "./errors.ts";
import { isList, isObject, type Json, type JsonList, type JsonObject, sameJson, withField, without } from "./json.ts";

/**
 * The merge key of lists by field name (`patchMergeKey` in k8s.io/api). Fields not listed here replace as a whole, as
 * `taints`, `tolerations` and `containerStatuses` do on a real server: merging them would keep what a client removed.
 */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  env: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  imagePullSecrets: "name",
  resourceClaims: "name",
  schedulingGates: "name",
  hostAliases: "ip",
  podIPs: "ip",
  hostIPs: "ip",
  topologySpreadConstraints: "topologyKey",
  conditions: "type",
  addresses: "type",
  ownerReferences: "uid",
  secrets: "name",
};

/** Lists of plain values that merge as sets. */
const mergedSets: ReadonlySet<string> = new Set(["finalizers", "podCIDRs"]);

const orderPrefix = "$setElementOrder/";
const deletePrefix = "$deleteFromPrimitiveList/";

/** Applies a strategic merge patch; throws 400 for a directive or an entry that cannot be understood. */
export function strategicMerge(target: Json | undefined, patch: JsonObject, parentField = ""): JsonObject {
  const directive = patch["$patch"];
  if (directive === "replace") return cleaned(without(patch, "$patch"));
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") {
    throw badRequest(`Unknown patch type found: ${JSON.stringify(directive)}`);
  }
  let result = retained(isObject(target) ? target : {}, patch["$retainKeys"]);
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$patch" || key === "$retainKeys" || key.startsWith(orderPrefix)) continue;
    if (key.startsWith(deletePrefix)) {
      const field = key.slice(deletePrefix.length);
      result = withField(result, field, removed(ownField(result, field), value));
    } else {
      result = withField(result, key, mergedField(result, key, { value, parentField }));
    }
  }
  return ordered(result, patch, parentField);
}

interface FieldPatch {
  readonly value: Json;
  /** The field that holds the patched object or its list, since `ports` merge differently by place. */
  readonly parentField: string;
}

function mergedField(target: JsonObject, key: string, { value, parentField }: FieldPatch): Json | undefined {
  if (value === null) return undefined;
  const old = ownField(target, key);
  if (isObject(value)) return strategicMerge(old, value, key);
  if (!isList(value)) return value;
  if (mergedSets.has(key)) return union(old, value);
  const mergeKey = mergeKeyOf(key, parentField);
  return mergeKey === undefined
    ? value.map(cleanedValue)
    : mergedList(isList(old) ? old : [], value, { key, mergeKey });
}

function mergeKeyOf(field: string, parentField: string): string | undefined {
  if (field !== "ports") return Object.hasOwn(mergeKeys, field) ? mergeKeys[field] : undefined;
  if (parentField === "spec") return "port";
  return /ontainers$/.test(parentField) ? "containerPort" : undefined;
}

interface ListField {
  readonly key: string;
  readonly mergeKey: string;
}

function mergedList(old: JsonList, patch: JsonList, { key, mergeKey }: ListField): JsonList {
  const replaces = patch.some((entry) => isObject(entry) && entry["$patch"] === "replace" && !hasKey(entry, mergeKey));
  let result: Json[] = replaces ? [] : [...old];
  for (const entry of patch) {
    if (!isObject(entry)) throw badRequest(`an entry of ${key} in the patch is not an object`);
    if (!hasKey(entry, mergeKey)) {
      if (entry["$patch"] === "replace") continue;
      throw badRequest(`map: ${JSON.stringify(entry)} does not contain declared merge key: ${mergeKey}`);
    }
    const index = result.findIndex((one) => isObject(one) && sameJson(one[mergeKey], entry[mergeKey]));
    if (entry["$patch"] === "delete") result = index < 0 ? result : result.toSpliced(index, 1);
    else if (index < 0) result.push(strategicMerge(undefined, entry, key));
    else result[index] = strategicMerge(result[index], entry, key);
  }
  return result;
}

function hasKey(entry: JsonObject, mergeKey: string): boolean {
  return Object.hasOwn(entry, mergeKey);
}

function union(old: Json | undefined, added: JsonList): JsonList {
  const before = isList(old) ? old : [];
  return [...before, ...added.filter((one) => !before.some((other) => sameJson(one, other)))];
}

function removed(old: Json | undefined, gone: Json): Json | undefined {
  if (!isList(old) || !isList(gone)) return old;
  return old.filter((one) => !gone.some((other) => sameJson(one, other)));
}

/** `$retainKeys` drops every field of the target that it does not list. */
function retained(target: JsonObject, keys: Json | undefined): JsonObject {
  if (!isList(keys)) return target;
  return Object.fromEntries(Object.entries(target).filter(([key]) => keys.includes(key)));
}

/** Puts lists into the order that `$setElementOrder/…` gives; entries it does not name keep their places behind. */
function ordered(result: JsonObject, patch: JsonObject, parentField: string): JsonObject {
  let sorted = result;
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(orderPrefix) || !isList(order)) continue;
    const field = key.slice(orderPrefix.length);
    const list = ownField(sorted, field);
    if (isList(list)) sorted = withField(sorted, field, inOrder(list, order, mergeKeyOf(field, parentField)));
  }
  return sorted;
}

function inOrder(list: JsonList, order: JsonList, mergeKey: string | undefined): JsonList {
  const idOf = (entry: Json | undefined): Json | undefined =>
    mergeKey !== undefined && isObject(entry) ? entry[mergeKey] : entry;
  const rankOf = (entry: Json): number => {
    const rank = order.findIndex((one) => sameJson(idOf(one), idOf(entry)));
    return rank < 0 ? order.length : rank;
  };
  return [...list].sort((a, b) => rankOf(a) - rankOf(b));
}

/** What replaces or is new must not carry directives or nulls into the object. */
function cleaned(value: JsonObject): JsonObject {
  const entries = Object.entries(value).filter(([key, one]) => one !== null && !key.startsWith("$"));
  return Object.fromEntries(entries.map(([key, one]) => [key, cleanedValue(one)]));
}

function cleanedValue(value: Json): Json {
  return isObject(value) ? cleaned(value) : value;
}

function ownField(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
