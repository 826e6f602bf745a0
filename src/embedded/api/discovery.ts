/**
 * What a client can find out about the API: its groups, versions and types (KEP-3352 aggregated discovery).
 */
import { apiVersionOf } from "../../kube/index.ts";
import { type Answer, jsonAnswer } from "./answer.ts";
import type { ApiContext } from "./context.ts";
import { methodNotAllowed } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";
import { wantsAggregatedDiscovery } from "./negotiation.ts";
import { openApiAnswer } from "./openapi.ts";
import type { Registry } from "./registry.ts";
import { subresourceFacts } from "./subresources.ts";
import type { ApiType, Subresource } from "./types.ts";

export interface MetaRequest {
  readonly method: string;
  readonly segments: readonly string[];
  readonly accept: string;
}

/** The answer to a request for the API itself; `undefined` for a path below the types. */
export function answerMeta(context: ApiContext, request: MetaRequest): Answer | undefined {
  const document = metaDocument(context.registry, request);
  if (document === undefined) return undefined;
  if (request.method !== "GET") throw methodNotAllowed();
  return document;
}

function metaDocument(registry: Registry, { segments, accept }: MetaRequest): Answer | undefined {
  const [root, second = "", third = ""] = segments;
  if (root === undefined) return jsonAnswer(JSON.stringify({ paths: rootPaths(registry) }));
  if (root === "version" && segments.length === 1) return jsonAnswer(JSON.stringify(versionInfo));
  if (root === "openapi") return openApiAnswer(registry, segments.slice(1));
  if (root !== "api" && root !== "apis") return undefined;
  const isCore = root === "api";
  if (segments.length === 1) {
    if (wantsAggregatedDiscovery(accept)) return aggregatedAnswer(registry, isCore ? [""] : namedGroups(registry));
    return jsonAnswer(JSON.stringify(isCore ? coreVersions : groupList(registry)));
  }
  if (isCore) return segments.length === 2 ? groupVersionAnswer(registry, "", second) : undefined;
  if (segments.length === 2) return groupAnswer(registry, second);
  return segments.length === 3 ? groupVersionAnswer(registry, second, third) : undefined;
}

/** The version of Kubernetes whose API this is. */
const versionInfo = {
  major: "1",
  minor: "35",
  gitVersion: "v1.35.0+tranche",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: "linux/amd64",
};

const coreVersions = { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };

function namedGroups(registry: Registry): readonly string[] {
  return [...registry.groups().keys()].filter((group) => group !== "");
}

function rootPaths(registry: Registry): readonly string[] {
  const groups = [...registry.groups()].flatMap(([group, versions]) =>
    group === "" ? [] : [`/apis/${group}`, ...versions.map((version) => `/apis/${group}/${version}`)],
  );
  return [
    "/api",
    "/api/v1",
    "/apis",
    ...groups,
    "/healthz",
    "/livez",
    "/openapi/v2",
    "/openapi/v3",
    "/readyz",
    "/version",
  ];
}

function groupEntry(registry: Registry, group: string): JsonObject {
  const versions = (registry.groups().get(group) ?? []).map((version) => ({
    groupVersion: `${group}/${version}`,
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] ?? null };
}

function groupList(registry: Registry): JsonObject {
  const groups = namedGroups(registry).map((group) => groupEntry(registry, group));
  return { kind: "APIGroupList", apiVersion: "v1", groups };
}

function groupAnswer(registry: Registry, group: string): Answer | undefined {
  if (!registry.groups().has(group)) return undefined;
  return jsonAnswer(JSON.stringify({ kind: "APIGroup", apiVersion: "v1", ...groupEntry(registry, group) }));
}

function typesOf(registry: Registry, group: string, version: string): readonly ApiType[] {
  return registry.all().filter((type) => type.group === group && type.version === version);
}

function groupVersionAnswer(registry: Registry, group: string, version: string): Answer | undefined {
  const types = typesOf(registry, group, version);
  const [first] = types;
  if (first === undefined) return undefined;
  const resources = types.flatMap((type) => [
    plainEntry(type),
    ...type.subresources.map((subresource) => plainSubresource(type, subresource)),
  ]);
  return jsonAnswer(
    JSON.stringify({ kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf(first), resources }),
  );
}

function verbsOf(type: ApiType): readonly string[] {
  return type.stored ? objectVerbs : ["create"];
}

const objectVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

function plainEntry(type: ApiType): JsonObject {
  const { plural, singular, namespaced, kind, shortNames, categories } = type;
  return {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: verbsOf(type),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
}

function plainSubresource(type: ApiType, subresource: Subresource): JsonObject {
  const { verbs, takes = { kind: type.kind } } = subresourceFacts[subresource];
  return { name: `${type.plural}/${subresource}`, singularName: "", namespaced: type.namespaced, ...takes, verbs };
}

/** The discovery of whole groups in one document, which kubectl asks for first. */
function aggregatedAnswer(registry: Registry, groups: readonly string[]): Answer {
  const items = groups.map((group) => ({
    metadata: { name: group, creationTimestamp: null },
    versions: (registry.groups().get(group) ?? []).map((version) => ({
      version,
      resources: typesOf(registry, group, version).map(aggregatedEntry),
      freshness: "Current",
    })),
  }));
  const text = JSON.stringify({
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items,
  });
  const contentType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  return { kind: "body", code: 200, contentType, text };
}

function aggregatedEntry(type: ApiType): JsonObject {
  const { plural, singular, namespaced, shortNames, categories, group, version, kind } = type;
  const subresources: Json[] = type.subresources.map((subresource) => {
    const { verbs, takes = { group, version, kind } } = subresourceFacts[subresource];
    return { subresource, responseKind: takes, verbs };
  });
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs: verbsOf(type),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
