/**
 * What an applied object makes of a stored one (structured-merge-diff, typed/merge.go and merge/update.go).
 */
import { type FieldSet, isEmptySet, isMember } from "./field-set.ts";
import { entriesOf, entryElement } from "./field-set-of.ts";
import { isList, isObject, type Json, type JsonList, type JsonObject, withField } from "./json.ts";
import type { FieldSchema } from "./managed-fields-schema.ts";

/** The stored object with everything that the applied one names; a null names a field and empties it. */
export function mergeApplied(live: JsonObject, applied: JsonObject, schema: FieldSchema): JsonObject {
  let result = live;
  for (const [key, value] of Object.entries(applied)) {
    const old = Object.hasOwn(live, key) ? live[key] : undefined;
    result = withField(result, key, value === null ? undefined : mergedValue(old, value, schema.field(key)));
  }
  return result;
}

function mergedValue(live: Json | undefined, applied: Json, schema: FieldSchema): Json {
  if (isObject(applied) && schema.objects === "granular") {
    return mergeApplied(isObject(live) ? live : {}, applied, schema);
  }
  return isList(applied) ? mergedList(isList(live) ? live : [], applied, schema) : applied;
}

/** Entries in the order of the applied list; the others keep their places before what followed them. */
function mergedList(live: JsonList, applied: JsonList, schema: FieldSchema): JsonList {
  const old = entriesOf(live, schema.lists);
  const now = entriesOf(applied, schema.lists);
  if (old === undefined || now === undefined) return applied;
  const rest = [...old];
  const takeOthers = (): readonly Json[] => {
    const end = rest.findIndex(([element]) => now.has(element));
    return rest.splice(0, end < 0 ? rest.length : end).map(([, entry]) => entry);
  };
  const result: Json[] = [];
  for (const [element, entry] of now) {
    result.push(...takeOthers(), mergedValue(old.get(element), entry, schema.items));
    if (old.has(element)) rest.shift();
  }
  return [...result, ...takeOthers()];
}

export interface Removal {
  /** What the applier named the last time. */
  readonly last: FieldSet;
  /** What anybody owns now, the applier's new fields among it. */
  readonly owned: FieldSet;
}

/** The object without what its applier named the last time and nobody owns now. */
export function withoutDropped(object: JsonObject, { last, owned }: Removal, schema: FieldSchema): JsonObject {
  let result = object;
  for (const [element, node] of Object.entries(last)) {
    const key = element.slice(2);
    if (!element.startsWith("f:") || !Object.hasOwn(object, key)) continue;
    const kept = owned[element];
    const value =
      kept === undefined ? undefined : prunedValue(object[key] ?? null, { last: node, owned: kept }, schema.field(key));
    result = withField(result, key, value);
  }
  return result;
}

function prunedValue(value: Json, removal: Removal, schema: FieldSchema): Json {
  if (isObject(value)) return withoutDropped(value, removal, schema);
  return isList(value) ? prunedList(value, removal, schema) : value;
}

function prunedList(list: JsonList, { last, owned }: Removal, schema: FieldSchema): JsonList {
  const rule = schema.lists;
  if (rule === "atomic" || isEmptySet(last)) return list;
  return list.flatMap((entry) => {
    const element = entryElement(entry, rule) ?? "";
    const node = last[element];
    if (node === undefined) return [entry];
    const kept = owned[element];
    if (isMember(node) && (kept === undefined || !isMember(kept))) return [];
    return [prunedValue(entry, { last: node, owned: kept ?? {} }, schema.items)];
  });
}
