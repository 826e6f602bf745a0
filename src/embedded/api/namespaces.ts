/**
 * The life of namespaces: the ones that are there from the start, and the end of one with all that is in it.
 */
import type { Version } from "./collection.ts";
import { type ApiContext, timestamp } from "./context.ts";
import { admitDeletion, assertPreconditions, type DeleteOptions, type Deletion, deleteObject } from "./deletion.ts";
import { forbidden } from "./errors.ts";
import { listAt, textAt, withPath } from "./json.ts";
import { collectionKey } from "./registry.ts";
import { ownWrites } from "./subresources.ts";
import type { ApiType } from "./types.ts";
import { findObject, type Target } from "./writes.ts";

/** Where namespaces are kept. */
export const namespacesKey = "namespaces.";

/** Namespaces every cluster has, which cannot be deleted. */
export const permanentNamespaces: readonly string[] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** Deletes an object as its type wants it; throws 404, 403, or 409 for a precondition that does not hold. */
export function endObject(context: ApiContext, target: Target, options: DeleteOptions): Deletion {
  const end = collectionKey(target.type) === namespacesKey ? endNamespace : deleteObject;
  return end(context, target, options);
}

/** Ends a namespace: nothing new comes in, all that is in it is deleted, and when nothing is left it is gone. */
function endNamespace(context: ApiContext, target: Target, options: DeleteOptions): Deletion {
  const { type, name } = target;
  const old = findObject(context, target);
  assertPreconditions(target, old, options);
  if (permanentNamespaces.includes(name)) throw forbidden(type, name, "this namespace may not be deleted");
  if (isEnding(old)) return { version: old, gone: false };
  admitDeletion(context, target, { old: old.object, options });
  if (options.dryRun) return { version: old, gone: false };
  const ended = withPath(old.object, ["status", "phase"], "Terminating");
  const marked = withPath(ended, ["metadata", "deletionTimestamp"], timestamp(context.clock));
  const version = context.store.replace(namespacesKey, marked, old);
  // Once a namespace ends, webhooks cannot keep what is in it.
  deleteContents(ownWrites(context), name);
  removeIfEmpty(context, name);
  return { version, gone: context.store.collection(namespacesKey).find("", name) === undefined };
}

function deleteContents(context: ApiContext, name: string): void {
  const anyGrace: DeleteOptions = {
    dryRun: false,
    gracePeriodSeconds: undefined,
    uid: undefined,
    resourceVersion: undefined,
    // Dependents are in the namespace too, and so is what would wait for them.
    propagation: "Background",
  };
  for (const inside of namespacedTypes(context)) {
    for (const one of context.store.collection(collectionKey(inside)).list(name)) {
      deleteObject(context, { type: inside, namespace: name, name: one.name }, anyGrace);
    }
  }
}

/** Completes the end of a namespace when the last object in it goes; takes up an end that an earlier run broke off. */
export function followNamespaces(context: ApiContext): void {
  for (const one of context.store.collection(namespacesKey).list()) {
    if (!isEnding(one)) continue;
    deleteContents(context, one.name);
    removeIfEmpty(context, one.name);
  }
  context.store.listen((collection, { type, current }) => {
    if (type === "DELETED" && current.namespace !== "") removeIfEmpty(context, current.namespace);
    if (type !== "MODIFIED" || collection !== namespacesKey || !isEnding(current)) return;
    // Its finalizers may be gone now. Others hear of this change first, and then of the end.
    queueMicrotask(() => removeIfEmpty(context, current.name));
  });
}

function isEnding({ object }: Version): boolean {
  return textAt(object, "metadata", "deletionTimestamp") !== "";
}

function removeIfEmpty(context: ApiContext, name: string): void {
  const found = context.store.collection(namespacesKey).find("", name);
  if (found === undefined || !isEnding(found)) return;
  if (listAt(found.object, "metadata", "finalizers").length > 0) return;
  const used = namespacedTypes(context).some((type) => context.store.collection(collectionKey(type)).count(name) > 0);
  if (!used) context.store.remove(namespacesKey, found.object, found);
}

function namespacedTypes({ registry }: ApiContext): readonly ApiType[] {
  return registry.all().filter((type) => type.namespaced);
}
