/**
 * What the server decides of an object before anything else is looked at: its kind, its name, its metadata.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { apiVersionOf } from "../../kube/index.ts";
import { type ApiContext, timestamp } from "./context.ts";
import { badRequest, forbidden, notFound } from "./errors.ts";
import { type JsonObject, objectAt, textAt, without } from "./json.ts";
import type { GroupVersionKind } from "./types.ts";
import type { Target } from "./writes.ts";

/** A new object with the metadata that the server decides; throws 400 for what a client cannot decide. */
export function startObject(context: ApiContext, { type, namespace }: Target, body: JsonObject): JsonObject {
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
export function assertKind(type: GroupVersionKind, body: JsonObject): JsonObject {
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

/** Throws 404 when the namespace of a new object is not there, 403 when it is on its way out. */
export function assertNamespaceOpen(context: ApiContext, { type, namespace }: Target, name: string): void {
  if (!type.namespaced) return;
  const found = context.store.collection("namespaces.").find("", namespace);
  if (found === undefined) throw notFound({ group: "", plural: "namespaces", kind: "Namespace" }, namespace);
  if (textAt(found.object, "metadata", "deletionTimestamp") === "") return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const message = `namespace ${namespace} is being terminated`;
  const causes = [{ reason: "NamespaceTerminating", message, field: "metadata.namespace" }];
  throw forbidden(type, name, why, { causes });
}
