/**
 * What every cluster holds: its namespaces and priority classes.
 */
import type { ApiContext } from "./context.ts";
import { textAt } from "./json.ts";
import { namespacesKey, permanentNamespaces } from "./namespaces.ts";
import { systemPriorityClasses } from "./priority.ts";
import { collectionKey } from "./registry.ts";
import { createObject } from "./writes.ts";

/** Creates those that are not there yet. */
export function seedObjects(context: ApiContext): void {
  const { registry, store } = context;
  for (const type of registry.all().filter((one) => one.plural === "namespaces" || one.plural === "priorityclasses")) {
    const isNamespace = `${type.plural}.${type.group}` === namespacesKey;
    const objects = isNamespace ? permanentNamespaces.map((name) => ({ metadata: { name } })) : systemPriorityClasses;
    const there = store.collection(collectionKey(type));
    const missing = objects.filter((one) => there.find("", textAt(one, "metadata", "name")) === undefined);
    for (const one of missing) createObject(context, { type, namespace: "", name: "" }, one, { dryRun: false });
  }
}
