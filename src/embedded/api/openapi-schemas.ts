/**
 * The schemas of types for an OpenAPI document: each type's own, and all that it refers to.
 */
import { type Json, type JsonObject, objectAt } from "./json.ts";
import { collectionKey } from "./registry.ts";
import { namedTypes, type References, schemaOfText, type TypeTable, type TypeText } from "./schema-text.ts";
import { nodeTypes } from "./schema-text-node.ts";
import { podTypes } from "./schema-text-pod.ts";
import { policyTypes } from "./schema-text-policy.ts";
import { rootTypes } from "./schema-text-roots.ts";
import { subresourceTypes } from "./schema-text-subresources.ts";
import { workloadTypes } from "./schema-text-workloads.ts";
import { subresourceFacts } from "./subresources.ts";
import type { ApiType, GroupVersionKind } from "./types.ts";

/** Types that are part of others, by name. */
const parts: TypeTable = { ...nodeTypes, ...podTypes, ...policyTypes, ...subresourceTypes, ...workloadTypes };

const partPrefix = "io.k8s.api.";

/** Definitions are named by their group turned around, as `com.nvidia.v1.ClusterPolicy`. */
export function schemaName({ group, version, kind }: ApiType): string {
  return [...(group === "" ? ["core"] : group.split(".").reverse()), version, kind].join(".");
}

/** The name of the schema of what a subresource takes. */
export function subresourceSchemaName({ kind }: GroupVersionKind): string {
  return partPrefix + kind;
}

/** The schemas by name, where references start with `root`, as `#/components/schemas/`. */
export function schemasOf(types: readonly ApiType[], root: string): JsonObject {
  const references: References = { refTo: (name) => `${root}${partPrefix}${name}` };
  const wanted = new Set(["ObjectMeta"]);
  for (const type of types) {
    collect(rootText(type), wanted);
    for (const one of type.subresources) {
      const { takes } = subresourceFacts[one];
      if (takes !== undefined) wanted.add(takes.kind);
    }
  }
  for (const name of wanted) collect(parts[name], wanted);
  const own = types.map((type): [string, Json] => [schemaName(type), rootSchema(type, references)]);
  const used = [...wanted].flatMap((name): [string, Json][] => {
    const text = parts[name];
    return text === undefined ? [] : [[partPrefix + name, schemaOfText(text, references)]];
  });
  return Object.fromEntries([...own, ...used]);
}

function rootText(type: ApiType): TypeText | undefined {
  if (type.definition !== undefined || type.view !== undefined) return undefined;
  const key = collectionKey(type);
  return Object.hasOwn(rootTypes, key) ? rootTypes[key] : undefined;
}

/** A set grows while it is walked, so what is added here is walked too. */
function collect(text: TypeText | undefined, wanted: Set<string>): void {
  for (const name of text === undefined ? [] : namedTypes(text)) wanted.add(name);
}

function rootSchema(type: ApiType, references: References): JsonObject {
  const text = rootText(type);
  const open: JsonObject = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const own = type.definition?.schema ?? (text === undefined ? open : schemaOfText(text, references));
  const { group, version, kind } = type;
  return {
    ...own,
    properties: {
      apiVersion: { type: "string", description: "The version of the API that the object is written in." },
      kind: { type: "string", description: "The kind of the object." },
      metadata: {
        description: "Name, namespace, labels and more.",
        allOf: [{ $ref: references.refTo("ObjectMeta") }],
      },
      ...objectAt(own, "properties"),
    },
    "x-kubernetes-group-version-kind": [{ group, version, kind }],
  };
}
