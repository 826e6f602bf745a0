/**
 * Creating and changing objects, by the rules common to all types (apiserver, pkg/registry/generic/registry/store.go).
 */
import { randomBytes, randomUUID } from "node:crypto";
import { apiVersionOf } from "../../kube/index.ts";
import { admitted } from "./admission.ts";
import { Version } from "./collection.ts";
import { type ApiContext, timestamp } from "./context.ts";
import {
  alreadyExists,
  badRequest,
  type Cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  staleObject,
} from "./errors.ts";
import { noteUnknownFields } from "./field-validation.ts";
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
}

/** Stores a new object; throws 400, 403, 404 for the namespace, 409 or 422. `target.name` is not looked at. */
export function createObject(context: ApiContext, target: Target, body: JsonObject, options: WriteOptions): Version {
  const { type, namespace } = target;
  const stored = storedTarget(context, target);
  if (type.view !== undefined && stored !== target) {
    return createObject(context, stored, type.view.store(assertKind(type, body)), options);
  }
  assertShape(type, body);
  noteUnknownFields(context.unknownFields, type, body);
  const named = startObject(context, { ...target, name: textAt(body, "metadata", "name") }, assertKind(type, body));
  const name = textAt(named, "metadata", "name");
  assertNamespaceOpen(context, target, name);
  const { defaults, prepareCreate, faults, statusAtCreate } = rulesOf(type);
  const bare = type.subresources.includes("status") && statusAtCreate !== true ? without(named, "status") : named;
  const filled = defaults?.(bare) ?? bare;
  const prepared = prepareCreate?.(filled, context) ?? filled;
  const object = admitted(context, {
    operation: "CREATE",
    target,
    subresource: "",
    object: prepared,
    oldObject: undefined,
    dryRun: options.dryRun,
    refill: (one) => refilled(type, one),
    check: (one) => assertValid(target, one, [...metadataFaults(type, one), ...(faults?.(one, undefined) ?? [])]),
  });
  const key = collectionKey(type);
  const finalName = textAt(object, "metadata", "name");
  if (context.store.collection(key).find(namespace, finalName) !== undefined) throw alreadyExists(type, finalName);
  return options.dryRun ? new Version(object, 0) : context.store.create(key, object);
}

/** The same object as the type that it is stored as; the target itself for all types but views. */
function storedTarget({ registry }: ApiContext, target: Target): Target {
  const { view } = target.type;
  const type = view === undefined ? undefined : registry.find(view.group, view.version, view.plural);
  return type === undefined ? target : { ...target, type };
}

/** An object that a webhook patched, in its type's form again; throws 400. */
function refilled(type: ApiType, object: JsonObject): JsonObject {
  assertShape(type, object);
  return rulesOf(type).defaults?.(object) ?? object;
}

/** The object with the metadata that the server decides. */
function startObject(context: ApiContext, { type, namespace }: Target, body: JsonObject): JsonObject {
  const given = objectAt(body, "metadata");
  const own = textAt(given, "namespace");
  if (own !== "" && own !== namespace) {
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  }
  if (textAt(given, "resourceVersion") !== "") {
    throw badRequest("resourceVersion should not be set on objects to be created");
  }
  const prefix = textAt(given, "generateName");
  const name = textAt(given, "name") || (prefix === "" ? "" : prefix.slice(0, 58) + randomSuffix());
  const metadata: JsonObject = {
    ...without(given, "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields", "generation"),
    name,
    ...(namespace === "" ? {} : { namespace }),
    uid: randomUUID(),
    creationTimestamp: timestamp(context.clock),
    ...(type.counted ? { generation: 1 } : {}),
  };
  return { ...body, metadata: without(metadata, ...(namespace === "" ? ["namespace"] : []), "resourceVersion") };
}

/** The API's alphabet: no vowels, so that no words come out, and nothing that looks like another. */
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

function randomSuffix(): string {
  return [...randomBytes(5)].map((byte) => suffixAlphabet[byte % suffixAlphabet.length]).join("");
}

/** The body with its version and kind filled in; throws 400 when it is of another. */
function assertKind(type: ApiType, body: JsonObject): JsonObject {
  const wanted = { apiVersion: apiVersionOf(type), kind: type.kind };
  const given = { apiVersion: textAt(body, "apiVersion"), kind: textAt(body, "kind") };
  if (given.apiVersion !== "" && given.apiVersion !== wanted.apiVersion) {
    throw badRequest(
      `the API version in the data (${given.apiVersion}) does not match the expected API version (${wanted.apiVersion})`,
    );
  }
  if (given.kind !== "" && given.kind !== wanted.kind) {
    throw badRequest(`${given.kind} in the data does not match the expected kind ${wanted.kind}`);
  }
  return { ...body, ...wanted };
}

function assertNamespaceOpen(context: ApiContext, { type, namespace }: Target, name: string): void {
  if (!type.namespaced) return;
  const found = context.store.collection("namespaces.").find("", namespace);
  if (found === undefined) throw notFound({ group: "", plural: "namespaces", kind: "Namespace" }, namespace);
  if (textAt(found.object, "metadata", "deletionTimestamp") === "") return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const message = `namespace ${namespace} is being terminated`;
  const causes = [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }];
  throw forbidden(type, name, why, { causes });
}

function assertValid(target: Target, object: JsonObject, causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid(target.type, textAt(object, "metadata", "name"), causes);
}

/** What to change: everything but the status, or the status alone; a type without the subresource changes as a whole. */
export type Part = "main" | "status";

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
  const proposed = assertKind(type, { ...change(servedAs(type, old.object)) });
  assertShape(type, proposed);
  noteUnknownFields(context.unknownFields, type, proposed);
  assertSameObject(target, proposed, old);
  const merged = mergeParts(type, proposed, { old: old.object, part: options.part });
  const { defaults, faults } = rulesOf(type);
  const check = (one: JsonObject): void => {
    const own = options.part === "status" && type.definition === undefined ? [] : (faults?.(one, old.object) ?? []);
    assertValid(target, one, [...metadataFaults(type, one), ...finalizerFaults(one, old.object), ...own]);
  };
  const filled = admitted(context, {
    operation: "UPDATE",
    target,
    subresource: options.part === "status" ? "status" : "",
    object: defaults?.(merged) ?? merged,
    oldObject: old.object,
    dryRun: options.dryRun,
    refill: (one) => refilled(type, one),
    check,
  });
  if (sameJson(filled, old.object)) return old;
  const counted = withGeneration(type, filled, old.object);
  if (options.dryRun) return new Version(counted, old.revision);
  const key = collectionKey(type);
  return isFinished(counted) ? context.store.remove(key, counted, old) : context.store.replace(key, counted, old);
}

/** An object in the version it is asked for; versions of a custom type differ in name only. */
export function servedAs(type: ApiType, object: JsonObject): JsonObject {
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
