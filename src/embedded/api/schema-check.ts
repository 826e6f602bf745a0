/**
 * Checks objects against the schema of their definition, and says what is wrong in the words of the real server
 * (kube-openapi, pkg/validation/errors; apiextensions-apiserver, pkg/apiserver/validation).
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { Cause } from "./errors.ts";
import { isList, isObject, type Json, type JsonObject, objectAt } from "./json.ts";

/** The faults of an object; none when it fits. */
export type SchemaCheck = (object: JsonObject) => readonly Cause[];

/** Formats that are checked; the API server takes every other format as a hint. */
const formats: Readonly<Record<string, RegExp>> = {
  "date-time": /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/,
  date: /^\d{4}-\d{2}-\d{2}$/,
  ipv4: /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/,
  uuid: /^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/,
  byte: /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  email: /^[^@\s]+@[^@\s]+$/,
};

/** Makes the check of a schema; it is compiled when first used. Throws what ajv throws for a schema that is none. */
export function schemaCheck(schema: JsonObject): SchemaCheck {
  let validate: ValidateFunction | undefined;
  return (object) => {
    validate ??= compile(schema);
    if (validate(object)) return [];
    const faults = (validate.errors ?? []).filter((error) => !isInsideChoice(error)).map(causeOf);
    return faults.filter((one, index) => faults.findIndex((other) => sameCause(other, one)) === index);
  };
}

function compile(schema: JsonObject): ValidateFunction {
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false, logger: false, unicodeRegExp: false, formats });
  return ajv.compile(checkable(schema));
}

/** Why a pattern cannot be used, `undefined` if it can. */
export function patternFault(pattern: string): string | undefined {
  try {
    new RegExp(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Keywords of OpenAPI v3 that mean the same in JSON schema and are taken over as they are. */
const sameKeywords = [
  "maximum",
  "minimum",
  "maxLength",
  "minLength",
  "pattern",
  "maxItems",
  "minItems",
  "uniqueItems",
  "multipleOf",
  "maxProperties",
  "minProperties",
  "required",
];

/** A structural schema as JSON schema. */
function checkable(schema: JsonObject): JsonObject {
  const made: Record<string, Json> = {};
  for (const key of sameKeywords) {
    const value = schema[key];
    if (value !== undefined) made[key] = value;
  }
  Object.assign(made, checkableType(schema), checkableBounds(schema), checkableParts(schema));
  const format = schema["format"];
  if (typeof format === "string" && Object.hasOwn(formats, format)) made["format"] = format;
  const allowed = schema["enum"];
  if (isList(allowed)) made["enum"] = schema["nullable"] === true ? [...allowed, null] : allowed;
  return made;
}

function checkableType(schema: JsonObject): JsonObject {
  const orNull = schema["nullable"] === true ? ["null"] : [];
  if (schema["x-kubernetes-int-or-string"] === true) return { type: ["integer", "string", ...orNull] };
  const type = schema["type"];
  return typeof type === "string" ? { type: orNull.length === 0 ? type : [type, ...orNull] } : {};
}

/** OpenAPI v3.0 says with a boolean that a bound is left out; JSON schema has a bound of another name. */
function checkableBounds(schema: JsonObject): JsonObject {
  const bounds: Record<string, Json> = {};
  for (const [bound, exclusive] of [
    ["minimum", "exclusiveMinimum"],
    ["maximum", "exclusiveMaximum"],
  ] as const) {
    const value = schema[bound];
    if (schema[exclusive] === true && typeof value === "number") bounds[exclusive] = value;
  }
  return bounds;
}

function checkableParts(schema: JsonObject): JsonObject {
  const parts: Record<string, Json> = {};
  for (const key of ["items", "additionalProperties", "not"]) {
    const part = schema[key];
    if (isObject(part)) parts[key] = checkable(part);
  }
  for (const key of ["allOf", "anyOf", "oneOf"]) {
    const list = schema[key];
    if (isList(list)) parts[key] = list.filter(isObject).map(checkable);
  }
  const properties = Object.entries(objectAt(schema, "properties"));
  const own = properties.filter((entry): entry is [string, JsonObject] => isObject(entry[1]));
  if (own.length > 0) parts["properties"] = Object.fromEntries(own.map(([key, part]) => [key, checkable(part)]));
  return parts;
}

/** Of a choice only the choice itself is told, not what each way of it lacks. */
function isInsideChoice({ schemaPath }: ErrorObject): boolean {
  return /\/(anyOf|oneOf)\/\d+\/|\/not\/./.test(schemaPath);
}

/** `/spec/tasks/0/name` as `spec.tasks[0].name`. */
function fieldOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((path, part) => {
      if (/^\d+$/.test(part)) return `${path}[${part}]`;
      return path === "" ? part : `${path}.${part}`;
    }, "");
}

function causeOf(error: ErrorObject): Cause {
  const { keyword, instancePath, params, data } = error;
  const field = fieldOf(instancePath);
  switch (keyword) {
    case "required": {
      const missing = String(params["missingProperty"]);
      return { reason: "FieldValueRequired", message: "Required value", field: joined(field, missing) };
    }
    case "type":
      return wrongType(field, typeNames(params["type"]), jsonTypeOf(data));
    case "format":
      return wrongValue(field, data, `must be of type ${params["format"]}: ${JSON.stringify(data)}`);
    case "enum": {
      const listed: unknown = params["allowedValues"];
      const allowed = (Array.isArray(listed) ? listed : []).filter((one) => one !== null);
      const supported = allowed.map((one) => JSON.stringify(one)).join(", ");
      const message = `Unsupported value: ${JSON.stringify(data)}: supported values: ${supported}`;
      return { reason: "FieldValueNotSupported", message, field };
    }
    case "maxLength":
      return { reason: "FieldValueTooLong", message: `Too long: may not be more than ${params["limit"]} bytes`, field };
    case "maxItems":
    case "maxProperties": {
      const seen = Array.isArray(data) ? data.length : Object.keys(Object(data)).length;
      const message = `Too many: ${seen}: must have at most ${params["limit"]} items`;
      return { reason: "FieldValueTooMany", message, field };
    }
    default:
      return keyword in choiceRules
        ? choiceFault(error, field)
        : wrongValue(field, data, (valueRules[keyword] ?? plainRule)(params, error));
  }
}

type Rule = (params: Readonly<Record<string, unknown>>, error: ErrorObject) => string;

const plainRule: Rule = (_, error) => error.message ?? "is invalid";

const valueRules: Readonly<Record<string, Rule>> = {
  minimum: ({ limit }) => `should be greater than or equal to ${limit}`,
  maximum: ({ limit }) => `should be less than or equal to ${limit}`,
  exclusiveMinimum: ({ limit }) => `should be greater than ${limit}`,
  exclusiveMaximum: ({ limit }) => `should be less than ${limit}`,
  minLength: ({ limit }) => `should be at least ${limit} chars long`,
  minItems: ({ limit }) => `should have at least ${limit} items`,
  minProperties: ({ limit }) => `should have at least ${limit} properties`,
  multipleOf: ({ multipleOf }) => `should be a multiple of ${multipleOf}`,
  pattern: ({ pattern }) => `should match '${pattern}'`,
  uniqueItems: () => "shouldn't contain duplicates",
};

const choiceRules: Readonly<Record<string, string>> = {
  anyOf: "must validate at least one schema (anyOf)",
  oneOf: "must validate one and only one schema (oneOf)",
  not: "must not validate the schema (not)",
};

function choiceFault({ keyword, params, data }: ErrorObject, field: string): Cause {
  const passing: unknown = params["passingSchemas"];
  const found =
    keyword !== "oneOf" ? "" : Array.isArray(passing) ? ". Found 2 valid alternatives" : ". Found none valid";
  const message = `Invalid value: ${JSON.stringify(data)}: ${JSON.stringify(field)} ${choiceRules[keyword]}${found}`;
  return { reason: "FieldValueInvalid", message, field };
}

function wrongValue(field: string, value: unknown, rule: string): Cause {
  const message = `Invalid value: ${JSON.stringify(value)}: ${field} in body ${rule}`;
  return { reason: "FieldValueInvalid", message, field };
}

function wrongType(field: string, wanted: string, seen: string): Cause {
  const message = `Invalid value: "${seen}": ${field} in body must be of type ${wanted}: "${seen}"`;
  return { reason: "FieldValueTypeInvalid", message, field };
}

function typeNames(type: unknown): string {
  const names = Array.isArray(type) ? type : [type];
  return names.filter((one) => one !== "null").join(",");
}

function jsonTypeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

function joined(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function sameCause(a: Cause, b: Cause): boolean {
  return a.field === b.field && a.message === b.message;
}
