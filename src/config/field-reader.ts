/**
 * Reads fields of a document with the types Go's JSON decoder would want, and reports those of another type.
 *
 * A missing field and `null` both read as `undefined`, as Go leaves a pointer field alone.
 */
import { type Finding, type FindingCode, finding, type Outcome, type Place, type Subject } from "../base/index.ts";
import { closestWords } from "./closest.ts";
import type { FieldPath } from "./places.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a parser carries along: where fields stand, and what it has found so far. */
export interface FieldReader {
  readonly findings: readonly Finding[];
  report(code: FindingCode, place: Place, message: string, remedy: string): void;
  placeOf(path: FieldPath): Place;
  keyPlaceOf(path: FieldPath): Place;
}

/** Where the fields of one document stand. */
export interface FieldPlaces {
  placeOf(path: FieldPath): Place;
  keyPlaceOf(path: FieldPath): Place;
}

/** A reader without findings yet; `earlier` are those of reading the text. */
export function fieldReader(subject: Subject, places: FieldPlaces, earlier: readonly Finding[] = []): FieldReader {
  const findings: Finding[] = [...earlier];
  return {
    findings,
    report: (code, place, message, remedy) => {
      findings.push(finding(code, subject, message, { place, remedy }));
    },
    placeOf: (path) => places.placeOf(path),
    keyPlaceOf: (path) => places.keyPlaceOf(path),
  };
}

/** The value with its findings, or the findings alone when one of them is an error. */
export function outcome<T>(value: T, findings: readonly Finding[]): Outcome<T> {
  return hasErrors(findings) ? { ok: false, findings } : { ok: true, value, findings };
}

export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((one) => one.severity === "error");
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** JSON's word for the type of a value, as Go's decoder says it. */
export function jsonType(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

export function readString(reader: FieldReader, path: FieldPath, value: unknown): string | undefined {
  if (isAbsent(value) || typeof value === "string") return value ?? undefined;
  return mistyped(reader, path, value, { type: "string", remedy: textRemedy(value) });
}

/** What to do about a value that should be text. */
export function textRemedy(value: unknown): string {
  if (typeof value === "number") return "put the number in quotes";
  return typeof value === "boolean" ? `put the word in quotes, YAML reads it as ${value}` : "write text";
}

export function readBoolean(reader: FieldReader, path: FieldPath, value: unknown): boolean | undefined {
  if (isAbsent(value) || typeof value === "boolean") return value ?? undefined;
  return mistyped(reader, path, value, { type: "bool", remedy: "write true or false without quotes" });
}

/** Whole numbers only; `4.0` is one in JSON. */
export function readInteger(reader: FieldReader, path: FieldPath, value: unknown): number | undefined {
  if (isAbsent(value) || isInteger(value)) return value ?? undefined;
  return mistyped(reader, path, value, { type: "int", remedy: "write a whole number without quotes" });
}

export function readObject(reader: FieldReader, path: FieldPath, value: unknown): JsonObject | undefined {
  if (isAbsent(value) || isObject(value)) return value ?? undefined;
  return mistyped(reader, path, value, { type: "object", remedy: "write a mapping of `key: value` lines" });
}

export function readList(reader: FieldReader, path: FieldPath, value: unknown): readonly unknown[] | undefined {
  if (isAbsent(value) || Array.isArray(value)) return value ?? undefined;
  return mistyped(reader, path, value, { type: "array", remedy: "write a list, one `- item` per line" });
}

export function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Reports a value of the wrong type in the words of Go's decoder, which people search for. */
export function mistyped(
  reader: FieldReader,
  path: FieldPath,
  value: unknown,
  wanted: { readonly type: string; readonly remedy: string },
): undefined {
  const where = path.length === 0 ? "the document" : `'${fieldName(path)}'`;
  const message = `cannot unmarshal ${jsonType(value)} into ${where} of type ${wanted.type}`;
  reader.report("bad-value", reader.placeOf(path), message, wanted.remedy);
  return undefined;
}

/** `resources[0].name` for people. */
export function fieldName(path: FieldPath): string {
  return path.reduce<string>(
    (name, step) => (typeof step === "number" ? `${name}[${step}]` : name === "" ? step : `${name}.${step}`),
    "",
  );
}

/** ` did you mean …` with the closest known words, or the list of all known ones. */
export function suggestion(word: string, known: readonly string[]): string {
  const close = closestWords(word, known);
  return close.length > 0 ? `did you mean ${orList(close)}?` : `known here: ${known.join(", ")}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function orList(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
