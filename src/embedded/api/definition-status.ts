/**
 * Whether the names of a definition are free, and the conditions that say so (apiextensions-apiserver,
 * pkg/controller/status/naming_controller.go).
 */
import { type ApiContext, timestamp } from "./context.ts";
import { type Json, type JsonObject, listAt, objectAt, textAt } from "./json.ts";

/** Where definitions are kept. */
export const definitionsKey = "customresourcedefinitions.apiextensions.k8s.io";

interface NameConflict {
  readonly reason: string;
  readonly message: string;
}

/** The status of a new definition. One whose names another definition of its group holds is not established. */
export function definitionStatus(definition: JsonObject, context: ApiContext): JsonObject {
  const lastTransitionTime = timestamp(context.clock);
  const condition = (type: string, isTrue: string, { reason, message }: NameConflict): Json => ({
    type,
    status: isTrue,
    lastTransitionTime,
    reason,
    message,
  });
  const conflict = nameConflict(definition, context);
  const stored = listAt(definition, "spec", "versions").filter((one) => objectAt(one)["storage"] === true);
  const storedVersions = stored.map((one) => textAt(one, "name"));
  if (conflict !== undefined) {
    const refused = { reason: "NotAccepted", message: "not all names are accepted" };
    const conditions = [condition("NamesAccepted", "False", conflict), condition("Established", "False", refused)];
    return { conditions, acceptedNames: { plural: "", kind: "" }, storedVersions };
  }
  const accepted = { reason: "NoConflicts", message: "no conflicts found" };
  const established = { reason: "InitialNamesAccepted", message: "the initial names have been accepted" };
  return {
    conditions: [condition("NamesAccepted", "True", accepted), condition("Established", "True", established)],
    acceptedNames: objectAt(definition, "spec", "names"),
    storedVersions,
  };
}

/** Whether the types of a stored definition are served. */
export function isEstablished(definition: JsonObject): boolean {
  return listAt(definition, "status", "conditions").some(
    (one) => textAt(one, "type") === "Established" && textAt(one, "status") === "True",
  );
}

function nameConflict(definition: JsonObject, { store }: ApiContext): NameConflict | undefined {
  const spec = objectAt(definition, "spec");
  const others = store
    .collection(definitionsKey)
    .list()
    .filter(({ name, object }) => {
      const isOther = name !== textAt(definition, "metadata", "name");
      return isOther && textAt(object, "spec", "group") === textAt(spec, "group") && isEstablished(object);
    })
    .map(({ object }) => objectAt(object, "spec", "names"));
  const names = objectAt(spec, "names");
  const taken = new Set(others.flatMap(resourceNames));
  const kinds = new Set(others.flatMap((one) => [textAt(one, "kind"), textAt(one, "listKind")]));
  const checks: readonly (readonly [string, readonly string[], ReadonlySet<string>])[] = [
    ["PluralConflict", [textAt(names, "plural")], taken],
    ["SingularConflict", [textAt(names, "singular")], taken],
    ["ShortNamesConflict", listAt(names, "shortNames").map(String), taken],
    ["KindConflict", [textAt(names, "kind")], kinds],
    ["ListKindConflict", [textAt(names, "listKind")], kinds],
  ];
  for (const [reason, wanted, held] of checks) {
    const name = wanted.find((one) => held.has(one));
    if (name !== undefined) return { reason, message: `${JSON.stringify(name)} is already in use` };
  }
  return undefined;
}

/** What clients may call a resource by, in its group. */
function resourceNames(names: JsonObject): readonly string[] {
  return [textAt(names, "plural"), textAt(names, "singular"), ...listAt(names, "shortNames").map(String)];
}
