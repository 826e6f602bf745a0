/**
 * Creating and changing objects, by the rules common to all types (apiserver, pkg/registry/generic/registry/store.go).
 */
import { apiVersionOf } from "../../kube/index.ts";
import { admitted } from "./admission.ts";
import { Version } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { alreadyExists, badRequest, type Cause, conflict, invalid, notFound, staleObject } from "./errors.ts";
import { type Part, type Writer, withManagedFields, withOwners } from "./field-owners.ts";
import { withKnownFields } from "./field-validation.ts";
import {
  type Json,
  type JsonObject,
  listAt,
  numberAt,
  objectAt,
  sameJson,
  textAt,
  valueAt,
  withField,
  without,
  withPath,
} from "./json.ts";
import { metadataFaults } from "./metadata-validation.ts";
import { assertKind, assertNamespaceOpen, startObject } from "./new-object.ts";
import { collectionKey } from "./registry.ts";
import { rulesOf } from "./rules.ts";
import { assertShape } from "./shapes.ts";
import type { ApiType } from "./types.ts";

/** One object, or the place for one. */
export interface Target {
  readonly type: ApiType;
  /** Empty for cluster-scoped types. */
  readonly namespace: string;
  readonly name: string;
}

export interface WriteOptions {
  /** Does everything but store. */
  readonly dryRun: boolean;
  /** Who the fields that change belong to from now on; without one, as for the server's own writes, nobody new. */
  readonly writer?: Writer;
}

/** Stores a new object; throws 400, 403, 404 for the namespace, 409 or 422. `target.name` is not looked at. */
export function createObject(context: ApiContext, target: Target, body: JsonObject, options: WriteOptions): Version {
  const { type, namespace } = target;
  const stored = storedTarget(context, target);
  if (type.view !== undefined && stored !== target) {
    return createObject(context, stored, type.view.store(assertKind(type, body)), options);
  }
  assertShape(type, body);
  const known = withKnownFields(context.unknownFields, type, body);
  const named = startObject(context, { ...target, name: textAt(body, "metadata", "name") }, assertKind(type, known));
  const name = textAt(named, "metadata", "name");
  assertNamespaceOpen(context, target, name);
  const { defaults, prepareCreate, faults, statusAtCreate } = rulesOf(type);
  const bare = type.subresources.includes("status") && statusAtCreate !== true ? without(named, "status") : named;
  const filled = defaults?.(bare) ?? bare;
  const write = { type, part: "main", old: undefined, object: filled, proposed: body } as const;
  const owned = withOwners(context, options.writer, write);
  const prepared = prepareCreate?.(owned, context) ?? owned;
  const approved = admitted(context, {
    operation: "CREATE",
    target,
    subresource: "",
    object: prepared,
    oldObject: undefined,
    dryRun: options.dryRun,
    refill: (one) => refilled(type, one),
    check: (one) => assertValid(target, one, [...metadataFaults(type, one), ...(faults?.(one, undefined) ?? [])]),
  });
  const object = withBooksOf(owned, approved);
  const key = collectionKey(type);
  const finalName = textAt(object, "metadata", "name");
  if (context.store.collection(key).find(namespace, finalName) !== undefined) throw alreadyExists(type, finalName);
  return options.dryRun ? new Version(object, 0) : context.store.create(key, object);
}

/** The same object as the type that it is stored as; the target itself for all types but views. */
export function storedTarget({ registry }: ApiContext, target: Target): Target {
  const { view } = target.type;
  const type = view === undefined ? undefined : registry.find(view.group, view.version, view.plural);
  return type === undefined ? target : { ...target, type };
}

/** An object that a webhook patched, in its type's form again; throws 400. */
function refilled(type: ApiType, object: JsonObject): JsonObject {
  assertShape(type, object);
  return rulesOf(type).defaults?.(object) ?? object;
}

function assertValid(target: Target, object: JsonObject, causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid(target.type, textAt(object, "metadata", "name"), causes);
}

/** Who owns what is not for webhooks to say. */
function withBooksOf(owned: JsonObject, object: JsonObject): JsonObject {
  const books = listAt(owned, "metadata", "managedFields");
  return listAt(object, "metadata", "managedFields") === books ? object : withManagedFields(object, books);
}

export interface UpdateOptions extends WriteOptions {
  readonly part: Part;
}

/** The stored object; throws 404. */
export function findObject({ store }: ApiContext, { type, namespace, name }: Target): Version {
  const found = store.collection(collectionKey(type)).find(namespace, name);
  if (found === undefined) throw notFound(type, name);
  return found;
}

/**
 * Stores what `change` makes of the object; throws 404, 400, 409 or 422.
 *
 * A change that changes nothing stores nothing. An object that waits for its finalizers goes with the last of them.
 */
export function updateObject(
  context: ApiContext,
  target: Target,
  change: (old: JsonObject) => JsonObject,
  options: UpdateOptions,
): Version {
  const { type } = target;
  const { view } = type;
  const stored = storedTarget(context, target);
  if (view !== undefined && stored !== target) {
    const changeStored = (old: JsonObject): JsonObject => view.store(assertKind(type, change(view.show(old))));
    return updateObject(context, stored, changeStored, options);
  }
  const old = findObject(context, target);
  const changed = assertKind(type, { ...change(servedAs(type, old.object)) });
  assertShape(type, changed);
  const proposed = withKnownFields(context.unknownFields, type, changed);
  assertSameObject(target, proposed, old);
  const merged = mergeParts(type, proposed, { old: old.object, part: options.part });
  const { defaults, faults } = rulesOf(type);
  const check = (one: JsonObject): void => {
    const own = options.part === "status" && type.definition === undefined ? [] : (faults?.(one, old.object) ?? []);
    assertValid(target, one, [...metadataFaults(type, one), ...finalizerFaults(one, old.object), ...own]);
  };
  const defaulted = defaults?.(merged) ?? merged;
  const write = { type, part: options.part, old: old.object, object: defaulted, proposed };
  const owned = withOwners(context, options.writer, write);
  const approved = admitted(context, {
    operation: "UPDATE",
    target,
    subresource: options.part === "status" ? "status" : "",
    object: owned,
    oldObject: old.object,
    dryRun: options.dryRun,
    refill: (one) => refilled(type, one),
    check,
  });
  const filled = withBooksOf(owned, approved);
  if (sameJson(filled, old.object)) return old;
  const counted = withGeneration(type, filled, old.object);
  if (options.dryRun) return new Version(counted, old.revision);
  const key = collectionKey(type);
  return isFinished(counted) ? context.store.remove(key, counted, old) : context.store.replace(key, counted, old);
}

/** An object in the version it is asked for; versions of a custom type differ in name only. */
function servedAs(type: ApiType, object: JsonObject): JsonObject {
  const apiVersion = apiVersionOf(type);
  return object["apiVersion"] === apiVersion ? object : { ...object, apiVersion };
}

function assertSameObject({ type, namespace, name }: Target, proposed: JsonObject, old: Version): void {
  const metadata = objectAt(proposed, "metadata");
  const given = { name: textAt(metadata, "name"), namespace: textAt(metadata, "namespace") };
  if (given.name !== name) {
    throw badRequest(`the name of the object (${given.name}) does not match the name on the URL (${name})`);
  }
  if (given.namespace !== "" && given.namespace !== namespace) {
    throw badRequest(
      `the namespace of the object (${given.namespace}) does not match the namespace on the URL (${namespace})`,
    );
  }
  const uid = textAt(metadata, "uid");
  if (uid !== "" && uid !== old.uid) {
    throw conflict(type, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.uid}`);
  }
  const resourceVersion = textAt(metadata, "resourceVersion");
  if (resourceVersion !== "" && resourceVersion !== "0" && resourceVersion !== String(old.revision)) {
    throw staleObject(type, name);
  }
}

/** Metadata that clients cannot change. */
const serverMetadata = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "generateName",
  "namespace",
  "resourceVersion",
  "selfLink",
  "managedFields",
];

interface Parts {
  readonly old: JsonObject;
  readonly part: Part;
}

function mergeParts(type: ApiType, proposed: JsonObject, { old, part }: Parts): JsonObject {
  if (part === "status") return withField(old, "status", proposed["status"]);
  let metadata = objectAt(proposed, "metadata");
  for (const key of serverMetadata) metadata = withField(metadata, key, valueAt(old, "metadata", key));
  const status: Json | undefined = type.subresources.includes("status") ? old["status"] : proposed["status"];
  return withField({ ...proposed, apiVersion: old["apiVersion"] ?? "", metadata }, "status", status);
}

function finalizerFaults(object: JsonObject, old: JsonObject): readonly Cause[] {
  if (textAt(old, "metadata", "deletionTimestamp") === "") return [];
  const before = listAt(old, "metadata", "finalizers");
  const added = listAt(object, "metadata", "finalizers").filter((one) => !before.includes(one));
  if (added.length === 0) return [];
  const names = added.map((one) => JSON.stringify(one)).join(", ");
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${names}}`;
  return [{ reason: "FieldValueForbidden", message, field: "metadata.finalizers" }];
}

function withGeneration(type: ApiType, object: JsonObject, old: JsonObject): JsonObject {
  if (!type.counted) return object;
  const wanted = (one: JsonObject): JsonObject => without(one, "metadata", "status");
  if (sameJson(wanted(object), wanted(old))) return object;
  return withPath(object, ["metadata", "generation"], (numberAt(old, "metadata", "generation") ?? 0) + 1);
}

/**
 * Whether nothing holds back an object whose deletion has begun: no finalizer, no grace period left to wait for.
 * Namespaces end by another rule (`namespaces.ts`).
 */
export function isFinished(object: JsonObject): boolean {
  const metadata = objectAt(object, "metadata");
  const isNamespace = object["kind"] === "Namespace" && object["apiVersion"] === "v1";
  return (
    !isNamespace &&
    textAt(metadata, "deletionTimestamp") !== "" &&
    (numberAt(metadata, "deletionGracePeriodSeconds") ?? 0) === 0 &&
    listAt(metadata, "finalizers").length === 0
  );
}
