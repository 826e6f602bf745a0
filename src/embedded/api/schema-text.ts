/**
 * The notation in which this server describes its types, and what it means as an OpenAPI schema.
 *
 * A field is one text: its type, then what it is for. Types are `string`, `integer`, `boolean`, `number`, `object` (open),
 * `Time`, `Quantity`, `IntOrString`, or the name of another described type; `X[]` is a list, `{X}` a map; `!` behind it
 * says that the field must be there.
 */
import type { JsonObject } from "./json.ts";

/** One described type. */
export interface TypeText {
  readonly about: string;
  /** Field name to `type description`. */
  readonly fields: Readonly<Record<string, string>>;
}

/** Types by their name. */
export type TypeTable = Readonly<Record<string, TypeText>>;

const scalars: Readonly<Record<string, JsonObject>> = {
  string: { type: "string" },
  integer: { type: "integer", format: "int64" },
  number: { type: "number", format: "double" },
  boolean: { type: "boolean" },
  object: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  Time: { type: "string", format: "date-time" },
  Quantity: { type: "string", format: "quantity" },
  IntOrString: { type: "string", format: "int-or-string", "x-kubernetes-int-or-string": true },
};

/** What a schema refers to, and how. */
export interface References {
  /** The reference to a described type, for example `#/components/schemas/io.k8s.api.PodSpec`. */
  refTo(name: string): string;
}

/** The schema of a described type. */
export function schemaOfText({ about, fields }: TypeText, references: References): JsonObject {
  const entries = Object.entries(fields).map(([name, text]) => [name, parseField(text)] as const);
  const required = entries.filter(([, field]) => field.required).map(([name]) => name);
  const properties = entries.map(([name, { type, description }]) => {
    const schema = schemaOfType(type, references);
    return [name, "$ref" in schema ? { description, allOf: [schema] } : { ...schema, description }] as const;
  });
  return {
    type: "object",
    description: about,
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
  };
}

interface FieldText {
  readonly type: string;
  readonly required: boolean;
  readonly description: string;
}

function parseField(text: string): FieldText {
  const [word = "", ...rest] = text.split(" ");
  return { type: word.replace(/!$/, ""), required: word.endsWith("!"), description: rest.join(" ") };
}

function schemaOfType(type: string, references: References): JsonObject {
  if (type.endsWith("[]")) return { type: "array", items: schemaOfType(type.slice(0, -2), references) };
  if (type.startsWith("{"))
    return { type: "object", additionalProperties: schemaOfType(type.slice(1, -1), references) };
  return scalars[type] ?? { $ref: references.refTo(type) };
}

/** The described types that a type names in its fields, in order. */
export function namedTypes({ fields }: TypeText): readonly string[] {
  return Object.values(fields)
    .map((text) => parseField(text).type.replaceAll(/[{}[\]]/g, ""))
    .filter((name) => !Object.hasOwn(scalars, name));
}
