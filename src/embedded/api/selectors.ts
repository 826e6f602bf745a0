/**
 * Label and field selectors of lists and watches.
 */
import { matchesLabels, parseSelector } from "../../kube/index.ts";
import type { Version } from "./collection.ts";
import { badRequest } from "./errors.ts";
import { type Json, valueAt } from "./json.ts";
import { collectionKey } from "./registry.ts";
import type { ApiType } from "./types.ts";

/** Whether an object is among those asked for. */
export type Filter = (version: Version) => boolean;

/** What a list or watch picks out of a collection. */
export interface Selection {
  /** Undefined spans all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined takes everything. */
  readonly filter: Filter | undefined;
  /** A field that every object selected has with one value, if the selectors name one. */
  readonly pin: Pin | undefined;
}

/** A field and the only value it may have. */
export interface Pin {
  readonly field: string;
  readonly value: string;
  readonly read: (version: Version) => string;
}

/** Fields beside `metadata.name` and `metadata.namespace` that a type can be selected by, as the registry of each does. */
const selectableFields: Readonly<Record<string, readonly string[]>> = {
  "pods.": [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  "events.": [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  "nodes.": ["spec.unschedulable"],
  "namespaces.": ["status.phase"],
  "secrets.": ["type"],
  "jobs.batch": ["status.successful"],
  "replicasets.apps": ["status.replicas"],
};

/** What a missing field counts as where that is not the empty text. */
const missingValues: Readonly<Record<string, string>> = {
  "spec.unschedulable": "false",
  "spec.hostNetwork": "false",
  "status.successful": "0",
  "status.replicas": "0",
};

/** Reads both selectors; throws 400 for one that cannot be read or a field the type is not selected by. */
export function parseSelectors(
  type: ApiType,
  labelSelector: string,
  fieldSelector: string,
): Omit<Selection, "namespace"> {
  const byLabels = labelFilter(labelSelector);
  const fields = splitTerms(fieldSelector).map((term) => fieldTerm(type, term));
  const tests = [...fields.map(({ test }) => test), ...(byLabels === undefined ? [] : [byLabels])];
  const [first] = tests;
  const filter = tests.length <= 1 ? first : (version: Version) => tests.every((test) => test(version));
  return { filter, pin: fields.find(({ pin }) => pin !== undefined)?.pin };
}

function labelFilter(text: string): Filter | undefined {
  if (text === "") return undefined;
  const parsed = parseSelector(text);
  if (!parsed.ok) {
    const why = parsed.findings.map((one) => one.message).join(", ");
    throw badRequest(`unable to parse requirement: ${why}`);
  }
  const selector = parsed.value;
  return (version) => matchesLabels(selector, version.labels);
}

/** Splits at commas that no backslash precedes. */
function splitTerms(text: string): readonly string[] {
  return text.split(/(?<!\\),/).filter((term) => term !== "");
}

function fieldTerm(type: ApiType, term: string): { readonly test: Filter; readonly pin: Pin | undefined } {
  const [, field, operator, escaped] = /^([^=!]+)(==|=|!=)(.*)$/s.exec(term) ?? [];
  if (field === undefined || escaped === undefined) {
    throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  }
  const value = escaped.replaceAll(/\\(.)/gs, "$1");
  const read = fieldReader(type, field);
  if (operator === "!=") return { test: (version) => read(version) !== value, pin: undefined };
  return { test: (version) => read(version) === value, pin: { field, value, read } };
}

function fieldReader(type: ApiType, field: string): (version: Version) => string {
  if (field === "metadata.name") return (version) => version.name;
  if (field === "metadata.namespace") return (version) => version.namespace;
  if (selectableFields[collectionKey(type)]?.includes(field) !== true) {
    throw badRequest(`field label not supported: ${field}`);
  }
  const path = field === "source" ? ["source", "component"] : field.split(".");
  const missing = missingValues[field] ?? "";
  return (version) => fieldText(valueAt(version.object, ...path), missing);
}

function fieldText(value: Json | undefined, missing: string): string {
  return value === undefined || value === null || typeof value === "object" ? missing : String(value);
}
