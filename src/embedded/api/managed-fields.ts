/**
 * Who owns which fields of an object: the entries of `metadata.managedFields` (KEP-555; apimachinery,
 * pkg/util/managedfields).
 */
import { ApiError } from "./errors.ts";
import {
  difference,
  emptySet,
  type FieldSet,
  intersection,
  isEmptySet,
  memberPaths,
  parseFieldSet,
  storedFieldSet,
  union,
} from "./field-set.ts";
import type { Comparison } from "./field-set-of.ts";
import { isObject, type Json, type JsonList, type JsonObject, textAt, valueAt } from "./json.ts";

/** Who writes, how, and below which path; an applier is one manager whatever version it applies. */
export interface FieldManager {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  /** Empty for the object itself. */
  readonly subresource: string;
}

/** What one manager owns. */
export interface ManagedEntry extends FieldManager {
  /** Of the manager's last change, RFC 3339. */
  readonly time: string;
  readonly fields: FieldSet;
}

/** Reads a list of entries; `undefined` when one of them is none. */
export function parseManagedFields(list: JsonList): readonly ManagedEntry[] | undefined {
  const entries = list.map(parseEntry);
  return entries.includes(undefined) ? undefined : entries.filter((one) => one !== undefined);
}

/** The entries of a stored object, whose sets were checked when they came. */
export function storedManagedFields(list: JsonList): readonly ManagedEntry[] {
  return list.map((one) => entryOf(one, storedFieldSet(valueAt(one, "fieldsV1")))).filter((one) => one !== undefined);
}

function parseEntry(value: Json): ManagedEntry | undefined {
  return entryOf(value, isObject(value) ? parseFieldSet(value["fieldsV1"]) : undefined);
}

function entryOf(value: Json, fields: FieldSet | undefined): ManagedEntry | undefined {
  const operation = textAt(value, "operation");
  if (fields === undefined || (operation !== "Apply" && operation !== "Update")) return undefined;
  const [manager, apiVersion] = [textAt(value, "manager"), textAt(value, "apiVersion")];
  const [subresource, time] = [textAt(value, "subresource"), textAt(value, "time")];
  return { manager, operation, apiVersion, subresource, time, fields };
}

/** Entries as the API shows them, appliers first, then by time and name. */
export function managedFieldsOf(entries: readonly ManagedEntry[]): JsonList {
  return [...entries].sort(byOrder).map((entry): JsonObject => {
    const { manager, operation, apiVersion, time, fields, subresource } = entry;
    const below: JsonObject = subresource === "" ? {} : { subresource };
    const when: JsonObject = time === "" ? {} : { time };
    return { manager, operation, apiVersion, ...when, fieldsType: "FieldsV1", fieldsV1: jsonOf(fields), ...below };
  });
}

/** A set is JSON already. */
function jsonOf(set: FieldSet): JsonObject {
  return set;
}

function byOrder(a: ManagedEntry, b: ManagedEntry): number {
  const rank = (one: ManagedEntry): readonly string[] => [one.operation, one.time, one.manager, one.subresource];
  const right = rank(b);
  const at = rank(a).findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : (rank(a)[at] ?? "") < (right[at] ?? "") ? -1 : 1;
}

/** Whether two stand for one owner. */
export function isSameManager(a: FieldManager, b: FieldManager): boolean {
  if (a.manager !== b.manager || a.operation !== b.operation || a.subresource !== b.subresource) return false;
  return a.operation === "Apply" || a.apiVersion === b.apiVersion;
}

/** Who owns what after `by` changed an object by an update, which takes fields from their owners without asking. */
export function afterUpdate(
  entries: readonly ManagedEntry[],
  by: FieldManager & { readonly time: string },
  { changed, removed }: Comparison,
): readonly ManagedEntry[] {
  if (isEmptySet(changed) && isEmptySet(removed)) return entries;
  const own = entries.find((one) => isSameManager(one, by));
  const fields = union(difference(own?.fields ?? emptySet, removed), changed);
  const others = withoutFields(
    entries.filter((one) => one !== own),
    union(changed, removed),
  );
  if (isEmptySet(fields)) return others;
  // Who only removed something did not take anything, and keeps the time of its last change.
  return [...others, { ...by, time: isEmptySet(changed) ? (own?.time ?? by.time) : by.time, fields }];
}

/** How many updaters an object remembers one by one. */
const maxUpdaters = 10;
const ancient = "ancient-changes";

/** The entries with the oldest updaters, beyond ten, made one of their API version. */
export function cappedUpdaters(entries: readonly ManagedEntry[]): readonly ManagedEntry[] {
  const updaters = entries.filter(({ operation }) => operation === "Update").sort(byOrder);
  let count = updaters.length;
  if (count <= maxUpdaters) return entries;
  const buckets = new Map<string, ManagedEntry>();
  const kept = new Set(entries);
  for (const one of updaters) {
    if (count <= maxUpdaters) break;
    const bucket = buckets.get(one.apiVersion);
    kept.delete(one);
    if (bucket === undefined) buckets.set(one.apiVersion, one);
    else {
      const fields = union(bucket.fields, one.fields);
      buckets.set(one.apiVersion, { ...one, manager: ancient, subresource: "", fields });
      count -= 1;
    }
  }
  return [...kept, ...buckets.values()];
}

/** Entries that have lost some fields; those that own nothing any more are gone. */
export function withoutFields(entries: readonly ManagedEntry[], lost: FieldSet): readonly ManagedEntry[] {
  return entries.flatMap((entry) => {
    const fields = difference(entry.fields, lost);
    if (isEmptySet(fields)) return [];
    return [fields === entry.fields ? entry : { ...entry, fields }];
  });
}

/** Fields that a manager would lose to an applier. */
export interface Conflict {
  readonly owner: FieldManager;
  readonly fields: FieldSet;
}

/** What others own of the fields an applier is about to change. */
export function conflictsWith(entries: readonly ManagedEntry[], changed: FieldSet): readonly Conflict[] {
  const conflicts = entries.map((owner) => ({ owner, fields: intersection(owner.fields, changed) }));
  return conflicts.filter(({ fields }) => !isEmptySet(fields));
}

/** 409 that names every owner and field, in the words of the real server (managedfields/internal/conflict.go). */
export function applyConflict(conflicts: readonly Conflict[]): ApiError {
  const named = conflicts.map(({ owner, fields }) => ({ owner: ownerText(owner), paths: memberPaths(fields) }));
  const sorted = named.sort((a, b) => (a.owner < b.owner ? -1 : 1));
  const causes = sorted.flatMap(({ owner, paths }) =>
    paths.map((field) => ({ reason: "FieldManagerConflict", message: `conflict with ${owner}`, field })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only !== undefined
      ? `1 conflict: ${only.message}: ${only.field}`
      : `${causes.length} conflicts: ${sorted.map(({ owner, paths }) => conflictLines(owner, paths)).join("\n")}`;
  return new ApiError(409, "Conflict", `Apply failed with ${text}`, { causes });
}

function conflictLines(owner: string, paths: readonly string[]): string {
  return [`conflicts with ${owner}:`, ...paths.map((path) => `- ${path}`)].join("\n");
}

function ownerText({ manager, operation, apiVersion, subresource }: FieldManager): string {
  const below = subresource === "" ? "" : ` with subresource ${JSON.stringify(subresource)}`;
  return `${JSON.stringify(manager)}${below}${operation === "Update" ? ` using ${apiVersion}` : ""}`;
}
