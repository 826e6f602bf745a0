/**
 * PATCH with an apply patch: what it makes of an object and of the books of who owns what (KEP-555 server-side apply;
 * apimachinery, pkg/util/managedfields/internal; structured-merge-diff, merge/update.go).
 */
import { apiVersionOf } from "../../kube/index.ts";
import { applyFaults } from "./apply-faults.ts";
import { type ApiContext, timestamp } from "./context.ts";
import { ApiError, badRequest } from "./errors.ts";
import { managedEntries, type Part, trackedPart, type Writer, withManagedFields } from "./field-owners.ts";
import { difference, emptySet, type FieldSet, isEmptySet, union } from "./field-set.ts";
import { compareFields, fieldSetOf } from "./field-set-of.ts";
import { isObject, type JsonObject, objectAt, parsedJson, textAt, valueAt, without, withPath } from "./json.ts";
import {
  afterUpdate,
  applyConflict,
  type Conflict,
  conflictsWith,
  isSameManager,
  type ManagedEntry,
  managedFieldsOf,
  withoutFields,
} from "./managed-fields.ts";
import { type FieldSchema, fieldSchemaOf, startingObject } from "./managed-fields-schema.ts";
import { mergeApplied, withoutDropped } from "./server-side-apply-merge.ts";
import type { ApiType } from "./types.ts";

/** What is applied, by whom. */
export interface Application {
  readonly type: ApiType;
  readonly config: JsonObject;
  readonly writer: Writer;
  readonly part: Part;
  /** Takes fields from their owners where it would be refused. */
  readonly force: boolean;
}

/**
 * The object that an application makes of the live one, its books among it; `live` is `undefined` where there is none.
 *
 * Throws 409 when others own what it would change, 400 for books in the body, 500, as the real server does, for what
 * cannot be merged.
 */
export function applied(context: ApiContext, live: JsonObject | undefined, application: Application): JsonObject {
  const { type, config, writer, force } = application;
  const schema = fieldSchemaOf(context, type);
  assertApplicable(application, schema);
  const result = merged(context, live, { ...application, schema });
  const isKubectl = writer.manager === "kubectl";
  const conflicts = isKubectl ? notMigrated(result.conflicts, { type, live, schema }) : result.conflicts;
  if (conflicts.length > 0 && !force) throw applyConflict(conflicts);
  return isKubectl ? withLastApplied(result.object, config) : result.object;
}

function assertApplicable({ type, config }: Application, schema: FieldSchema): void {
  const { group, version, kind } = type;
  const [apiVersion, given] = [textAt(config, "apiVersion"), textAt(config, "kind")];
  if (apiVersion !== apiVersionOf(type) || given !== kind) {
    throw mergeFault(`invalid object type: ${kindText(apiVersion, given)}`);
  }
  const books = valueAt(config, "metadata", "managedFields");
  if (books !== undefined && books !== null) throw badRequest("metadata.managedFields must be nil");
  const faults = applyFaults(type, config, schema);
  if (faults.length === 0) return;
  const what = `${textAt(config, "metadata", "namespace")}/${textAt(config, "metadata", "name")}`;
  const text = faults.length === 1 ? (faults[0] ?? "") : `errors:\n${faults.map((one) => `  ${one}`).join("\n")}`;
  throw mergeFault(`failed to create typed patch object (${what}; ${group}/${version}, Kind=${kind}): ${text}`);
}

function kindText(apiVersion: string, kind: string): string {
  return `${apiVersion.includes("/") ? apiVersion : `/${apiVersion}`}, Kind=${kind}`;
}

function mergeFault(message: string): ApiError {
  return new ApiError(500, "", message);
}

interface Merged {
  readonly object: JsonObject;
  /** What others own of what changes; they lose it. */
  readonly conflicts: readonly Conflict[];
}

function merged(
  context: ApiContext,
  live: JsonObject | undefined,
  { type, config, writer, part, schema }: Application & { readonly schema: FieldSchema },
): Merged {
  const time = timestamp(context.clock);
  const by = { ...writer, operation: "Apply", apiVersion: apiVersionOf(type) } as const;
  const tracked = (one: JsonObject): JsonObject => trackedPart(type, part, one);
  const entries = booksBefore(live, (one) => {
    const first = { ...by, manager: "before-first-apply", operation: "Update", time } as const;
    return afterUpdate([], first, compareFields(tracked(startingObject(type)), tracked(one), schema));
  });
  const own = entries.find((one) => isSameManager(one, by));
  const others = entries.filter((one) => one !== own);
  const fields = namedFields(tracked(config), schema);
  const owned = others.reduce((all, one) => union(all, one.fields), fields);
  const last = own?.fields ?? emptySet;
  const object = withoutDropped(mergeApplied(live ?? {}, config, schema), { last, owned }, schema);
  const { changed, removed } = compareFields(tracked(live ?? {}), tracked(object), schema);
  const isSame = own !== undefined && isEmptySet(changed) && isEmptySet(removed) && sameSet(own.fields, fields);
  const mine = isEmptySet(fields) ? [] : [{ ...by, time: isSame ? own.time : time, fields }];
  const books = [...withoutFields(others, union(changed, removed)), ...mine];
  return {
    object: withManagedFields(object, managedFieldsOf(books)),
    conflicts: conflictsWith(others, changed),
  };
}

/** The fields of a configuration; metadata of which nothing is left to own is no field. */
function namedFields(config: JsonObject, schema: FieldSchema): FieldSet {
  const isBare = Object.keys(objectAt(config, "metadata")).length === 0;
  return fieldSetOf(isBare ? without(config, "metadata") : config, schema);
}

/** Of an object that nobody kept books of, everything belongs to whoever made it. */
function booksBefore(
  live: JsonObject | undefined,
  first: (live: JsonObject) => readonly ManagedEntry[],
): readonly ManagedEntry[] {
  const entries = managedEntries(live);
  return entries.length === 0 && live !== undefined ? first(live) : entries;
}

function sameSet(a: FieldSet, b: FieldSet): boolean {
  return isEmptySet(difference(a, b)) && isEmptySet(difference(b, a));
}

/** Where `kubectl apply` keeps what it applied from the client's side. */
const lastAppliedNote = "kubectl.kubernetes.io/last-applied-configuration";

interface Migration {
  readonly type: ApiType;
  readonly live: JsonObject | undefined;
  readonly schema: FieldSchema;
}

/** The conflicts without fields that kubectl itself applied before, from the client's side, and that still are so. */
function notMigrated(conflicts: readonly Conflict[], { type, live, schema }: Migration): readonly Conflict[] {
  const last = lastApplied(live);
  if (conflicts.length === 0 || last === undefined || textAt(last, "apiVersion") !== apiVersionOf(type)) {
    return conflicts;
  }
  const { changed, removed } = compareFields(last, live ?? {}, schema);
  const own = difference(fieldSetOf(last, schema), union(changed, removed));
  const rest = conflicts.map(({ owner, fields }) => ({ owner, fields: difference(fields, own) }));
  // Only if none is left may it go on; what is left names the fields to decide about.
  return rest.filter(({ fields }) => !isEmptySet(fields));
}

function lastApplied(object: JsonObject | undefined): JsonObject | undefined {
  const value = parsedJson(textAt(object, "metadata", "annotations", lastAppliedNote));
  return isObject(value) ? value : undefined;
}

/** Keeps kubectl's note true where there is one, so that applying from the client's side stays possible. */
function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const path = ["metadata", "annotations", lastAppliedNote];
  if (textAt(object, ...path) === "") return object;
  const annotations = valueAt(config, "metadata", "annotations");
  const others = isObject(annotations) ? without(annotations, lastAppliedNote) : undefined;
  const plain = isObject(annotations) ? withPath(config, ["metadata", "annotations"], others) : config;
  return withPath(object, path, `${JSON.stringify(plain)}\n`);
}
