/**
 * Whether the schema of a definition is structural (KEP-1152; apiextensions-apiserver, pkg/apiserver/schema/validation.go).
 */
import type { Cause } from "./errors.ts";
import { isList, isObject, type Json, type JsonObject, objectAt } from "./json.ts";
import { invalidValue, requiredValue } from "./metadata-validation.ts";
import { patternFault } from "./schema-check.ts";

const types = ["array", "boolean", "integer", "number", "object", "string"];

/** The faults of a schema that stands at `field` of its definition. */
export function schemaFaults(schema: JsonObject, field: string): readonly Cause[] {
  const type = schema["type"];
  const root = type === undefined || type === "object" ? [] : [invalidValue(`${field}.type`, type, 'must be "object"')];
  return [...root, ...partFaults(schema, field)];
}

function partFaults(schema: JsonObject, field: string): readonly Cause[] {
  return [...typeFaults(schema, field), ...keywordFaults(schema, field), ...childFaults(schema, field)];
}

function typeFaults(schema: JsonObject, field: string): readonly Cause[] {
  const { type } = schema;
  if (schema["x-kubernetes-int-or-string"] === true) {
    return type === undefined
      ? []
      : [forbiddenField(`${field}.type`, "must be empty if x-kubernetes-int-or-string is true")];
  }
  if (type === undefined || type === "") {
    if (schema["x-kubernetes-preserve-unknown-fields"] === true) return [];
    return [requiredValue(`${field}.type`, "must not be empty for specified object fields")];
  }
  if (typeof type === "string" && types.includes(type)) return [];
  const supported = types.map((one) => JSON.stringify(one)).join(", ");
  const message = `Unsupported value: ${JSON.stringify(type)}: supported values: ${supported}`;
  return [{ reason: "FieldValueNotSupported", message, field: `${field}.type` }];
}

function keywordFaults(schema: JsonObject, field: string): readonly Cause[] {
  const faults: Cause[] = [];
  if (schema["$ref"] !== undefined) faults.push(forbiddenField(`${field}.$ref`, "$ref is not supported"));
  if (schema["uniqueItems"] === true) {
    faults.push(
      forbiddenField(
        `${field}.uniqueItems`,
        "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
      ),
    );
  }
  const pattern = schema["pattern"];
  const why = typeof pattern === "string" ? patternFault(pattern) : undefined;
  if (why !== undefined)
    faults.push(invalidValue(`${field}.pattern`, pattern, `must be a valid regular expression, but isn't: ${why}`));
  const extra = schema["additionalProperties"];
  if (extra === false)
    faults.push(forbiddenField(`${field}.additionalProperties`, "additionalProperties cannot be set to false"));
  if (extra !== undefined && schema["properties"] !== undefined) {
    faults.push(
      forbiddenField(`${field}.additionalProperties`, "additionalProperties and properties are mutual exclusive"),
    );
  }
  if (schema["type"] === "array" && !isObject(schema["items"])) {
    faults.push(requiredValue(`${field}.items`, "must be specified"));
  }
  return faults;
}

function childFaults(schema: JsonObject, field: string): readonly Cause[] {
  const faults: Cause[] = [];
  const visit = (part: Json | undefined, path: string): void => {
    if (isObject(part)) faults.push(...partFaults(part, path));
  };
  for (const [key, part] of Object.entries(objectAt(schema, "properties"))) visit(part, `${field}.properties[${key}]`);
  visit(schema["additionalProperties"], `${field}.additionalProperties`);
  const items = schema["items"];
  if (isList(items)) faults.push(forbiddenField(`${field}.items`, "items must be a schema object and not an array"));
  visit(items, `${field}.items`);
  return faults;
}

function forbiddenField(field: string, why: string): Cause {
  return { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field };
}
