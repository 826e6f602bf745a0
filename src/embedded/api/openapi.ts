/**
 * OpenAPI documents: which types there are, what their fields are for, and that the server takes part in field
 * validation (kubectl looks for the `fieldValidation` parameter of PATCH).
 *
 * PATCH names no strategic merge body on purpose: kubectl would then take merge keys from the schemas, which do not tell
 * them, instead of from the types it brings along.
 */
import { createHash } from "node:crypto";
import { apiVersionOf } from "../../kube/index.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import type { JsonObject } from "./json.ts";
import { schemaName, schemasOf, subresourceSchemaName } from "./openapi-schemas.ts";
import type { Registry } from "./registry.ts";
import { subresourceFacts } from "./subresources.ts";
import type { ApiType, GroupVersionKind, Subresource } from "./types.ts";

const info = { title: "Kubernetes", version: "v1.35.0" };

/** The answer below `/openapi`; `undefined` where nothing is. */
export function openApiAnswer(registry: Registry, segments: readonly string[]): Answer | undefined {
  const [version, ...rest] = segments;
  if (version === "v2" && rest.length === 0) {
    const definitions = schemasOf(registry.all(), "#/definitions/");
    return jsonAnswer(JSON.stringify({ swagger: "2.0", info, paths: {}, definitions }));
  }
  if (version !== "v3") return undefined;
  if (rest.length === 0) return jsonAnswer(JSON.stringify({ paths: documentPaths(registry) }));
  const types = registry.all().filter((type) => documentName(type) === rest.join("/"));
  return types.length === 0 ? undefined : jsonAnswer(JSON.stringify(documentOf(types)));
}

/** `api/v1` or `apis/apps/v1`, under which the document of a group and version is found. */
function documentName(type: ApiType): string {
  return type.group === "" ? `api/${type.version}` : `apis/${apiVersionOf(type)}`;
}

/** Every document with a digest of its content, by which clients keep what they have read. */
function documentPaths(registry: Registry): JsonObject {
  const byName = Map.groupBy(registry.all(), documentName);
  const entries = [...byName].map(([name, types]) => {
    const hash = createHash("sha256")
      .update(JSON.stringify(documentOf(types)))
      .digest("hex")
      .slice(0, 32);
    return [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }] as const;
  });
  return Object.fromEntries(entries);
}

function documentOf(types: readonly ApiType[]): JsonObject {
  const paths = types.flatMap((type): (readonly [string, JsonObject])[] => {
    const schema = schemaName(type);
    const subject = { kind: type, schema };
    const object = `${collectionPath(type)}/{name}`;
    return [
      [collectionPath(type), operations(["create"], subject)],
      [object, operations(["get", "update", "patch"], subject)],
      ...type.subresources.map((one) => [`${object}/${one}`, subresourceOperations(one, subject)] as const),
    ];
  });
  return {
    openapi: "3.0.0",
    info,
    paths: Object.fromEntries(paths),
    components: { schemas: schemasOf(types, "#/components/schemas/") },
  };
}

function collectionPath(type: ApiType): string {
  return `/${documentName(type)}${type.namespaced ? "/namespaces/{namespace}" : ""}/${type.plural}`;
}

interface Subject {
  readonly kind: GroupVersionKind;
  /** The name of its schema. */
  readonly schema: string;
}

function subresourceOperations(subresource: Subresource, own: Subject): JsonObject {
  const { verbs, takes } = subresourceFacts[subresource];
  return operations(verbs, takes === undefined ? own : { kind: takes, schema: subresourceSchemaName(takes) });
}

const methods: Readonly<Record<string, string>> = { create: "post", get: "get", update: "put", patch: "patch" };

function operations(verbs: readonly string[], { kind: { group, version, kind }, schema }: Subject): JsonObject {
  const content = { "application/json": { schema: { $ref: `#/components/schemas/${schema}` } } };
  const entries = verbs.map((verb) => {
    const names = verb === "get" ? [] : ["dryRun", "fieldManager", "fieldValidation"];
    const method = methods[verb] ?? verb;
    const operation = {
      "x-kubernetes-group-version-kind": { group, version, kind },
      "x-kubernetes-action": method,
      parameters: names.map((name) => ({ name, in: "query", schema: { type: "string", uniqueItems: true } })),
      responses: { "200": { description: "OK", content } },
    };
    return [method, operation] as const;
  });
  return Object.fromEntries(entries);
}
