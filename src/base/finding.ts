/**
 * Findings: everything a user can cause or must know, as values with one shape everywhere.
 *
 * The command line, events, the report and later the dashboard show the same findings in the same words.
 */
import { type FindingCode, findingCodes, type Severity } from "./finding-codes.ts";

/** A position in a text file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a finding is about. `name` reads as people write it: `ml/train-0`, `node-a`, `node-a GPU 0`. */
export interface Subject {
  readonly kind: "cluster" | "node" | "gpu" | "pod" | "resource" | "config" | "file" | "command";
  readonly name: string;
}

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly subject: Subject;
  /** Names the object and what was seen; lower case, no full stop. */
  readonly message: string;
  /** Facts behind the message, for programs. */
  readonly evidence: Readonly<Record<string, unknown>>;
  /** What to do; an empty string when nothing needs doing. */
  readonly remedy: string;
  /** Where in a file it was seen, if in one. */
  readonly place?: Place;
}

export interface FindingDetails {
  readonly remedy?: string;
  readonly place?: Place | undefined;
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/** Makes a finding; its severity comes from the table of codes. */
export function finding(code: FindingCode, subject: Subject, message: string, details: FindingDetails = {}): Finding {
  const { remedy = "", place, evidence = {} } = details;
  const common = { code, severity: findingCodes[code].severity, subject, message, evidence, remedy };
  return place === undefined ? common : { ...common, place };
}

/** `file:line:column`. */
export function placeText(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}

/** One line for people: `place: severity code: message; remedy`. */
export function findingLine(one: Finding): string {
  const where = one.place === undefined ? one.subject.name : placeText(one.place);
  const remedy = one.remedy === "" ? "" : `; ${one.remedy}`;
  return `${where}: ${one.severity} ${one.code}: ${one.message}${remedy}`;
}

/** A value with the findings met on the way, or only the findings that stood in the way. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly findings: readonly Finding[] }
  | { readonly ok: false; readonly findings: readonly Finding[] };
