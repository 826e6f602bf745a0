/**
 * What a new cluster holds: its namespaces and priority classes.
 */
import type { ApiContext } from "./context.ts";
import { namespacesKey, permanentNamespaces } from "./namespaces.ts";
import { systemPriorityClasses } from "./priority.ts";
import { createObject } from "./writes.ts";

/** Creates them. */
export function seedObjects(context: ApiContext): void {
  const { registry } = context;
  for (const type of registry.all().filter((one) => one.plural === "namespaces" || one.plural === "priorityclasses")) {
    const isNamespace = `${type.plural}.${type.group}` === namespacesKey;
    const objects = isNamespace ? permanentNamespaces.map((name) => ({ metadata: { name } })) : systemPriorityClasses;
    for (const one of objects) createObject(context, { type, namespace: "", name: "" }, one, { dryRun: false });
  }
}
