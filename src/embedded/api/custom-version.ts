/**
 * One version of a custom type: what its definition says of its objects, ready to be used.
 */
import type { Cause } from "./errors.ts";
import { isObject, type Json, type JsonObject, listAt, numberAt, objectAt, textAt, valueAt } from "./json.ts";
import { parseJsonPath } from "./json-path.ts";
import { schemaCheck } from "./schema-check.ts";
import { prune, withDefaults } from "./structural.ts";
import { ageOf, type Column } from "./table.ts";

/** Where an object that can be scaled says how many replicas it has, as paths of keys. */
export interface ScaleFields {
  readonly wanted: readonly string[];
  readonly present: readonly string[];
  /** A `LabelSelector`, or the same as text; `undefined` when it does not tell which pods are its own. */
  readonly selector: readonly string[] | undefined;
}

export interface CustomVersion {
  /** OpenAPI v3, as in the definition. */
  readonly schema: JsonObject;
  /** The columns of `kubectl get`, the name first. */
  readonly columns: readonly Column[];
  /** `undefined` without a `scale` subresource. */
  readonly scale: ScaleFields | undefined;
  /** The object without unknown fields and with defaults. */
  fill(object: JsonObject): JsonObject;
  /** Where the object has fields that the schema does not know. */
  unknownFields(object: JsonObject): readonly string[];
  faults(object: JsonObject): readonly Cause[];
}

/** Reads an entry of `spec.versions` whose faults are known to be none. */
export function customVersion(version: JsonObject): CustomVersion {
  const schema = objectAt(version, "schema", "openAPIV3Schema");
  return {
    schema,
    columns: printerColumns(version),
    scale: scaleFields(valueAt(version, "subresources", "scale")),
    fill: (object) => withDefaults(prune(object, schema).object, schema),
    unknownFields: (object) => prune(object, schema).unknown,
    faults: schemaCheck(schema),
  };
}

function scaleFields(scale: Json | undefined): ScaleFields | undefined {
  if (!isObject(scale)) return undefined;
  const selector = textAt(scale, "labelSelectorPath");
  return {
    wanted: pathKeys(textAt(scale, "specReplicasPath")),
    present: pathKeys(textAt(scale, "statusReplicasPath")),
    selector: selector === "" ? undefined : pathKeys(selector),
  };
}

/** The keys of `.spec.replicas`. */
function pathKeys(path: string): readonly string[] {
  return path.split(".").slice(1);
}

const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  priority: 0,
  cell: (object) => textAt(object, "metadata", "name"),
};

const ageColumn: Column = {
  name: "Age",
  type: "date",
  priority: 0,
  cell: (object, nowMs) => ageOf(textAt(object, "metadata", "creationTimestamp"), nowMs),
};

/** Without columns of its own a type shows its age. */
function printerColumns(version: JsonObject): readonly Column[] {
  const own = listAt(version, "additionalPrinterColumns").map(printerColumn);
  return [nameColumn, ...(own.length === 0 ? [ageColumn] : own)];
}

const columnTypes = ["string", "integer", "number", "boolean", "date"] as const;

function printerColumn(entry: Json): Column {
  const type = columnTypes.find((one) => one === textAt(entry, "type")) ?? "string";
  const format = textAt(entry, "format");
  const description = textAt(entry, "description");
  const path = parseJsonPath(textAt(entry, "jsonPath")) ?? (() => []);
  return {
    name: textAt(entry, "name"),
    type,
    priority: (numberAt(entry, "priority") ?? 0) > 0 ? 1 : 0,
    ...(format === "" ? {} : { format }),
    ...(description === "" ? {} : { description }),
    cell: (object, nowMs) => cellOf(type, path(object), nowMs),
  };
}

/** A cell whose value is missing or of another type than its column stays empty (tableconvertor.go). */
function cellOf(type: Column["type"], values: readonly Json[], nowMs: number): Json {
  const [first = null] = values;
  if (first === null) return null;
  switch (type) {
    case "string":
      return values.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(" ");
    case "integer":
    case "number":
      return typeof first === "number" ? (type === "integer" ? Math.trunc(first) : first) : null;
    case "boolean":
      return typeof first === "boolean" ? first : null;
    case "date":
      return typeof first === "string" ? ageOf(first, nowMs) : null;
  }
}
