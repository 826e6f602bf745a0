/**
 * From a URL to what it asks for (apiserver, pkg/endpoints/request/requestinfo.go).
 */
import { badRequest, noSuchPath } from "./errors.ts";
import type { Registry } from "./registry.ts";
import type { ApiType } from "./types.ts";

/** A collection, an object or a subresource. */
export interface ResourcePath {
  readonly type: ApiType;
  /** Undefined on paths that span all namespaces, and for cluster-scoped types. */
  readonly namespace: string | undefined;
  /** Undefined for the collection. */
  readonly name: string | undefined;
  /** Undefined for the object itself. */
  readonly subresource: string | undefined;
}

/** The parts of a path, decoded; throws 400 for escapes that are none. */
export function pathSegments(path: string): readonly string[] {
  try {
    return path
      .split("/")
      .filter((part) => part !== "")
      .map(decodeURIComponent);
  } catch {
    throw badRequest(`the path ${path} cannot be decoded`);
  }
}

/** What stands under `/api/v1/…` or `/apis/group/version/…`; throws 404 when no such type is served. */
export function parseResourcePath(segments: readonly string[], registry: Registry): ResourcePath {
  const isCore = segments[0] === "api";
  const group = isCore ? "" : (segments[1] ?? "");
  const version = (isCore ? segments[1] : segments[2]) ?? "";
  const rest = segments.slice(isCore ? 2 : 3);
  const { namespace, parts } = splitNamespace(rest);
  const [plural = "", name, subresource, tooMany] = parts;
  const type = registry.find(group, version, plural);
  if (type === undefined || tooMany !== undefined) throw noSuchPath();
  if (namespace !== undefined && !type.namespaced) throw noSuchPath();
  if (namespace === undefined && type.namespaced && name !== undefined) throw noSuchPath();
  return { type, namespace, name, subresource };
}

/** `namespaces/x` is the namespace itself, `namespaces/x/pods` the pods in it. */
function splitNamespace(rest: readonly string[]): { namespace: string | undefined; parts: readonly string[] } {
  const [first, namespace, third] = rest;
  const isScope = first === "namespaces" && third !== undefined && third !== "status" && third !== "finalize";
  return isScope ? { namespace, parts: rest.slice(2) } : { namespace: undefined, parts: rest };
}
