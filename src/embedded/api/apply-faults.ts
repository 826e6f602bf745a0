/**
 * Why an applied object cannot be merged, in the words of structured-merge-diff (typed/validate.go, typed/helpers.go).
 */
import { elementText } from "./field-set.ts";
import { entryElement } from "./field-set-of.ts";
import { isList, isObject, type Json, type JsonList, type JsonObject } from "./json.ts";
import { type FieldSteps, unknownFields } from "./known-fields.ts";
import type { FieldSchema, KeyedList } from "./managed-fields-schema.ts";
import type { ApiType } from "./types.ts";

/** Each fault with its path; entries of lists have to be told apart, and fields to be known. */
export function applyFaults(type: ApiType, config: JsonObject, schema: FieldSchema): readonly string[] {
  const unknown = unknownFields(type, config).map((steps) => mergePath(config, steps, schema));
  const custom = (type.definition?.unknownFields(config) ?? []).map((path) => `.${path}`);
  const undeclared = [...unknown, ...custom].map((path) => `${path}: field not declared in schema`);
  return [...undeclared, ...valueFaults(config, schema, "")];
}

/** A path whose list entries are named by what tells them apart. */
function mergePath(config: JsonObject, steps: FieldSteps, root: FieldSchema): string {
  let value: Json | undefined = config;
  let schema = root;
  let path = "";
  for (const step of steps) {
    if (typeof step === "string") {
      path += `.${step}`;
      value = isObject(value) ? value[step] : undefined;
      schema = schema.field(step);
    } else {
      value = isList(value) ? value[step] : undefined;
      const element = schema.lists === "atomic" ? undefined : entryElement(value ?? null, schema.lists);
      path += element === undefined ? `[${step}]` : elementText(element);
      schema = schema.items;
    }
  }
  return path;
}

function valueFaults(value: Json, schema: FieldSchema, path: string): readonly string[] {
  if (isList(value)) return listFaults(value, schema, path);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, one]) => valueFaults(one, schema.field(key), `${path}.${key}`));
}

function listFaults(list: JsonList, schema: FieldSchema, path: string): readonly string[] {
  const rule = schema.lists;
  if (rule === "atomic") return list.flatMap((one, index) => valueFaults(one, schema.items, `${path}[${index}]`));
  const seen = new Set<string>();
  return list.flatMap((entry, index) => {
    const element = entryElement(entry, rule);
    if (element === undefined) return [`${path}: element ${index}: ${entryFault(entry, rule)}`];
    const text = elementText(element);
    if (seen.has(element)) return [`${path}: duplicate entries for key ${text}`];
    seen.add(element);
    return valueFaults(entry, schema.items, path + text);
  });
}

function entryFault(entry: Json, rule: "set" | KeyedList): string {
  if (rule === "set") return "associative list without keys has an element that's an invalid type";
  if (entry === null) return "associative list with keys may not have a null element";
  if (!isObject(entry)) return "associative list with keys may not have non-map elements";
  const missing = rule.keys.find((key) => (entry[key] ?? rule.defaults[key]) === undefined) ?? "";
  return `associative list with keys has an element that omits key field ${JSON.stringify(missing)} (and doesn't have default value)`;
}
