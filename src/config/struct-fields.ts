/**
 * Takes objects apart as Go's JSON decoder does: plain structs match keys in any case, hand-written decoders of
 * NVIDIA only in the exact one. Keys that match nothing, which both ignore, are reported.
 */
import { type FieldReader, isObject, type JsonObject, readObject, suggestion } from "./field-reader.ts";
import type { FieldPath } from "./places.ts";

/** A field as it stands in the file. */
export interface Field {
  readonly value: unknown;
  readonly path: FieldPath;
}

export interface KnownFields {
  readonly names: readonly string[];
  /** Where a field belongs that people tend to write here; asked with its name in lower case. */
  readonly elsewhere?: ReadonlyMap<string, string>;
}

/** The fields of a plain struct by their proper names; keys match in any case, the last one in byte order counts. */
export function structFields(
  reader: FieldReader,
  path: FieldPath,
  value: unknown,
  known: KnownFields,
): ReadonlyMap<string, Field> {
  const object = readObject(reader, path, value) ?? {};
  const fields = new Map<string, Field>();
  // Go decodes what sigs.k8s.io/yaml wrote as JSON, and that has its keys in byte order.
  for (const key of Object.keys(object).toSorted()) {
    const name = known.names.find((one) => one.toLowerCase() === key.toLowerCase());
    if (name === undefined) reportIgnored(reader, [...path, key], known);
    else {
      const before = fields.get(name);
      if (before !== undefined) reportRepeated(reader, [...path, key], String(before.path.at(-1)));
      fields.set(name, { value: object[key], path: [...path, key] });
    }
  }
  return fields;
}

/** The fields of an object whose keys must be written exactly; `undefined` when the value is no object. */
export function exactFields(
  reader: FieldReader,
  path: FieldPath,
  value: unknown,
  known: KnownFields,
): JsonObject | undefined {
  if (value === null) return {};
  const object = readObject(reader, path, value);
  if (!isObject(object)) return undefined;
  for (const key of Object.keys(object)) {
    if (!known.names.includes(key)) reportIgnored(reader, [...path, key], known);
  }
  return object;
}

function reportIgnored(reader: FieldReader, path: FieldPath, known: KnownFields): void {
  const key = String(path.at(-1));
  const sameLetters = known.names.find((name) => name.toLowerCase() === key.toLowerCase());
  const belongs = known.elsewhere?.get(key.toLowerCase());
  const remedy =
    sameLetters !== undefined
      ? `write "${sameLetters}": upper and lower case count here`
      : belongs !== undefined
        ? `move it to ${belongs}`
        : suggestion(key, known.names);
  reader.report("ignored-key", reader.keyPlaceOf(path), `key "${key}" is not known here and has no effect`, remedy);
}

/** The one that counts is not the one further down but the last in byte order. */
function reportRepeated(reader: FieldReader, path: FieldPath, before: string): void {
  const key = String(path.at(-1));
  const message = `keys "${before}" and "${key}" are the same here; "${key}" counts`;
  reader.report("duplicate-key", reader.keyPlaceOf(path), message, `remove "${before}"`);
}
