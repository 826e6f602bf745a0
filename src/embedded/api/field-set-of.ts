/**
 * Which fields an object names, and which ones a write changed (structured-merge-diff, typed/tofieldset.go and
 * typed/compare.go).
 */
import { emptySet, type FieldSet, nodeOf } from "./field-set.ts";
import { isList, isObject, type Json, type JsonList, type JsonObject, sameJson } from "./json.ts";
import type { FieldSchema, KeyedList, ListRule } from "./managed-fields-schema.ts";

/** The element of a set that stands for an entry of a list; `undefined` when the entry lacks a key. */
export function entryElement(entry: Json, rule: "set" | KeyedList): string | undefined {
  if (rule === "set") return isObject(entry) || isList(entry) ? undefined : `v:${JSON.stringify(entry)}`;
  if (!isObject(entry)) return undefined;
  let text = "";
  for (const key of rule.keys) {
    const value = (Object.hasOwn(entry, key) ? entry[key] : undefined) ?? rule.defaults[key];
    if (value === undefined || isObject(value) || isList(value)) return undefined;
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  return `k:{${text}}`;
}

/** The entries of a list by element; `undefined` when the list counts as one value: its rule says so, or two are alike. */
export function entriesOf(list: JsonList, rule: ListRule): ReadonlyMap<string, Json> | undefined {
  if (rule === "atomic") return undefined;
  const entries = new Map<string, Json>();
  for (const entry of list) {
    const element = entryElement(entry, rule);
    if (element === undefined || entries.has(element)) return undefined;
    entries.set(element, entry);
  }
  return entries;
}

/** The parts of a value by element; `undefined` when it is owned as a whole. Null has no parts. */
function partsOf(value: Json, schema: FieldSchema): ReadonlyMap<string, Json> | undefined {
  if (isList(value)) return entriesOf(value, schema.lists);
  if (!isObject(value) || schema.objects === "atomic") return undefined;
  return new Map(Object.entries(value).map(([key, part]) => [`f:${key}`, part]));
}

function partSchema(schema: FieldSchema, element: string): FieldSchema {
  return element.startsWith("f:") ? schema.field(element.slice(2)) : schema.items;
}

/** The fields that an applied object names. */
export function fieldSetOf(object: JsonObject, schema: FieldSchema): FieldSet {
  const parts = partsOf(object, schema) ?? [];
  const result: Record<string, FieldSet> = {};
  for (const [element, part] of parts) {
    const node = namedNode(part, partSchema(schema, element), ownership(schema, element));
    if (node !== undefined) result[element] = node;
  }
  return result;
}

/** Entries of lists and maps are named for themselves, fields of a structure through what is in them. */
function ownership(schema: FieldSchema, element: string): "member" | "path" {
  return element.startsWith("f:") && schema.declares(element.slice(2)) ? "path" : "member";
}

function namedNode(value: Json, schema: FieldSchema, membership: "member" | "path"): FieldSet | undefined {
  const parts = partsOf(value, schema);
  if (parts === undefined || (parts.size === 0 && isObject(value))) return emptySet;
  const children: Record<string, FieldSet> = {};
  for (const [element, part] of parts) {
    const node = namedNode(part, partSchema(schema, element), ownership(schema, element));
    if (node !== undefined) children[element] = node;
  }
  return nodeOf(children, membership);
}

/** A value with everything in it. */
function wholeNode(value: Json, schema: FieldSchema): FieldSet {
  const parts = partsOf(value, schema);
  if (parts === undefined || parts.size === 0) return emptySet;
  const children: Record<string, FieldSet> = { ".": emptySet };
  for (const [element, part] of parts) children[element] = wholeNode(part, partSchema(schema, element));
  return children;
}

/** What a write did to the fields of an object. */
export interface Comparison {
  /** Added, or given another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

interface NodeComparison {
  readonly changed: FieldSet | undefined;
  readonly removed: FieldSet | undefined;
}

const nothing: NodeComparison = { changed: undefined, removed: undefined };

/** Compares two states of an object. */
export function compareFields(before: JsonObject, after: JsonObject, schema: FieldSchema): Comparison {
  const { changed, removed } = compareNodes(before, after, schema);
  return { changed: changed ?? emptySet, removed: removed ?? emptySet };
}

function compareNodes(before: Json | undefined, after: Json | undefined, schema: FieldSchema): NodeComparison {
  if (before === after) return nothing;
  if (before === undefined) return { ...nothing, changed: after === undefined ? undefined : wholeNode(after, schema) };
  if (after === undefined) return { ...nothing, removed: wholeNode(before, schema) };
  if (isObject(before) && isObject(after) && schema.objects === "granular")
    return compareObjects(before, after, schema);
  // Most lists of most writes are as before, and to see that is cheaper than to tell their entries apart.
  if (isList(before) && sameJson(before, after)) return nothing;
  const old = before === null ? emptyParts : partsOf(before, schema);
  const now = after === null ? emptyParts : partsOf(after, schema);
  if (old === undefined || now === undefined || (old.size === 0 && now.size === 0)) {
    return sameJson(before, after) ? nothing : replacedNode(old, schema, now === undefined);
  }
  return compareParts(old, now, schema);
}

const emptyParts: ReadonlyMap<string, Json> = new Map();

type Parts = ReadonlyMap<string, Json>;

/** A value that is one piece now takes the place of what had parts: those are gone. */
function replacedNode(old: Parts | undefined, schema: FieldSchema, isWhole: boolean): NodeComparison {
  if (!isWhole || old === undefined || old.size === 0) return { ...nothing, changed: emptySet };
  return { changed: emptySet, removed: compareParts(old, emptyParts, schema).removed };
}

/** As `compareParts` of the fields of both, without the elements of those that are the same. */
function compareObjects(before: JsonObject, after: JsonObject, schema: FieldSchema): NodeComparison {
  const changed: Record<string, FieldSet> = {};
  const removed: Record<string, FieldSet> = {};
  const note = (key: string, old: Json | undefined, now: Json | undefined): void => {
    if (old === now) return;
    const found = compareNodes(old, now, schema.field(key));
    if (found.changed !== undefined) changed[`f:${key}`] = found.changed;
    if (found.removed !== undefined) removed[`f:${key}`] = found.removed;
  };
  let isEmpty = true;
  for (const key of Object.keys(after)) {
    isEmpty = false;
    note(key, Object.hasOwn(before, key) ? before[key] : undefined, after[key]);
  }
  for (const key of Object.keys(before)) {
    isEmpty = false;
    if (!Object.hasOwn(after, key)) note(key, before[key], undefined);
  }
  return isEmpty ? nothing : { changed: nodeOf(changed, "path"), removed: nodeOf(removed, "path") };
}

function compareParts(old: Parts, now: Parts, schema: FieldSchema): NodeComparison {
  const changed: Record<string, FieldSet> = {};
  const removed: Record<string, FieldSet> = {};
  const note = (element: string, before: Json | undefined, after: Json | undefined): void => {
    if (before === after) return;
    const found = compareNodes(before, after, partSchema(schema, element));
    if (found.changed !== undefined) changed[element] = found.changed;
    if (found.removed !== undefined) removed[element] = found.removed;
  };
  for (const [element, after] of now) note(element, old.get(element), after);
  for (const [element, before] of old) if (!now.has(element)) note(element, before, undefined);
  return { changed: nodeOf(changed, "path"), removed: nodeOf(removed, "path") };
}
