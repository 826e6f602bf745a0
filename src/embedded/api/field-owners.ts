/**
 * Who owns what after a write: from two states of an object to the entries of its `metadata.managedFields`
 * (apimachinery, pkg/util/managedfields/internal).
 */
import { apiVersionOf } from "../../kube/index.ts";
import { type ApiContext, timestamp } from "./context.ts";
import { compareFields } from "./field-set-of.ts";
import { isList, isObject, type JsonList, type JsonObject, listAt, objectAt, valueAt, without } from "./json.ts";
import {
  afterUpdate,
  cappedUpdaters,
  type ManagedEntry,
  managedFieldsOf,
  parseManagedFields,
  storedManagedFields,
} from "./managed-fields.ts";
import { fieldSchemaOf, startingObject } from "./managed-fields-schema.ts";
import type { ApiType } from "./types.ts";

/** What a write is about: everything but the status, or the status alone; a type without the subresource is one. */
export type Part = "main" | "status";

/** Whose write it is. */
export interface Writer {
  readonly manager: string;
  /** An applier brings its entries with the object (`server-side-apply.ts`). */
  readonly operation: "Apply" | "Update";
  /** Empty for the object itself. */
  readonly subresource: string;
}

/** One write. */
export interface OwnedWrite {
  readonly type: ApiType;
  readonly part: Part;
  /** `undefined` for a creation. */
  readonly old: JsonObject | undefined;
  /** As it would be stored, defaults among it. */
  readonly object: JsonObject;
  /** As the client sent it, or as its patch left it. */
  readonly proposed: JsonObject;
}

/** The object with its books after a write; without a writer, as for the server's own writes, they stay as they are. */
export function withOwners(context: ApiContext, writer: Writer | undefined, write: OwnedWrite): JsonObject {
  if (writer === undefined) return write.object;
  const books = writer.operation === "Apply" ? managedList(write.proposed) : updatedList(context, writer, write);
  return withManagedFields(write.object, books);
}

/** The object with other books. */
export function withManagedFields(object: JsonObject, books: JsonList): JsonObject {
  const metadata = without(objectAt(object, "metadata"), "managedFields");
  return { ...object, metadata: books.length === 0 ? metadata : { ...metadata, managedFields: books } };
}

function managedList(object: JsonObject | undefined): JsonList {
  return listAt(object, "metadata", "managedFields");
}

function updatedList(context: ApiContext, writer: Writer, { type, part, old, object, proposed }: OwnedWrite): JsonList {
  const entries = writer.subresource === "" ? entriesBefore(old, proposed) : managedEntries(old);
  // Nothing is tracked of an object whose books were cleared, until somebody applies it.
  if (entries.length === 0 && old !== undefined) return [];
  const before = trackedPart(type, part, old ?? startingObject(type));
  const { manager, operation, subresource } = writer;
  const by = { manager, operation, subresource, apiVersion: apiVersionOf(type), time: timestamp(context.clock) };
  const change = compareFields(before, trackedPart(type, part, object), fieldSchemaOf(context, type));
  return managedFieldsOf(cappedUpdaters(afterUpdate(entries, by, change)));
}

/** The client's entries where it sent some; an empty list, or one empty entry, clears the books. */
function entriesBefore(old: JsonObject | undefined, proposed: JsonObject): readonly ManagedEntry[] {
  const sent = valueAt(proposed, "metadata", "managedFields");
  if (!isList(sent)) return managedEntries(old);
  const [first] = sent;
  if (first === undefined || (sent.length === 1 && isObject(first) && Object.keys(first).length === 0)) return [];
  return parseManagedFields(sent) ?? managedEntries(old);
}

/** The entries of a stored object. */
export function managedEntries(object: JsonObject | undefined): readonly ManagedEntry[] {
  return storedManagedFields(managedList(object));
}

/** Metadata that nobody owns. */
const unownedMetadata = [
  "name",
  "namespace",
  "uid",
  "creationTimestamp",
  "generation",
  "resourceVersion",
  "selfLink",
  "managedFields",
];

/** The fields of an object that a write to a part of it can own. */
export function trackedPart(type: ApiType, part: Part, object: JsonObject): JsonObject {
  if (part === "status") return object["status"] === undefined ? {} : { status: object["status"] };
  const metadata = without(objectAt(object, "metadata"), ...unownedMetadata);
  const rest = without(object, "apiVersion", "kind", ...(type.subresources.includes("status") ? ["status"] : []));
  return { ...rest, metadata };
}
