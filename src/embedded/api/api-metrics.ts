/**
 * What the API server counts of itself, in Prometheus' text form, under the names that the real one uses
 * (apiserver, pkg/endpoints/metrics/metrics.go).
 */
import type { ApiContext } from "./context.ts";
import { parseResourcePath, pathSegments, type ResourcePath } from "./paths.ts";
import type { Registry } from "./registry.ts";

/** What can be a verb beside those that are made of `GET` and `DELETE`; all else counts as `other`. */
const methods: readonly string[] = ["CONNECT", "DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

type Labels = Readonly<Record<string, string>>;

/** Counts requests by what they ask for and how they end. */
export class RequestCounts {
  readonly #counts = new Map<string, number>();

  /** Counts a request that was answered with `code`. */
  add(registry: Registry, request: { readonly method: string; readonly url: string }, code: number): void {
    const series = labelText({ code: String(code), component: "apiserver", ...requestLabels(registry, request) });
    this.#counts.set(series, (this.#counts.get(series) ?? 0) + 1);
  }

  /** Label texts and their counts. */
  series(): Iterable<readonly [string, number]> {
    return this.#counts;
  }
}

function requestLabels(registry: Registry, { method, url }: { readonly method: string; readonly url: string }): Labels {
  // The query may be anything, the path of a request that came this far is one.
  const [path = "", query = ""] = url.split("?");
  const asked = resourcePath(registry, path);
  // Requests are counted whoever sends them, so a text of anybody's must not become a series of its own.
  const known = methods.includes(method) ? method : "other";
  if (asked === undefined) return { group: "", resource: "", scope: "", subresource: "", verb: known, version: "" };
  const { type, name, namespace } = asked;
  const subresource = type.subresources.find((one) => one === asked.subresource) ?? "";
  const scope = name !== undefined ? "resource" : namespace !== undefined ? "namespace" : "cluster";
  const verb = verbOf(known, asked, new URLSearchParams(query));
  return { group: type.group, resource: type.plural, scope, subresource, verb, version: type.version };
}

function resourcePath(registry: Registry, path: string): ResourcePath | undefined {
  try {
    return parseResourcePath(pathSegments(path), registry);
  } catch {
    return undefined;
  }
}

function verbOf(method: string, { name }: ResourcePath, query: URLSearchParams): string {
  if (method === "DELETE" && name === undefined) return "DELETECOLLECTION";
  if (method !== "GET") return method;
  if (["", "1", "true"].includes(query.get("watch") ?? "no")) return "WATCH";
  return name === undefined ? "LIST" : "GET";
}

export interface MetricsFacts {
  readonly requests: RequestCounts;
  readonly openWatches: number;
}

/** The answer to `GET /metrics`. */
export function metricsText({ store }: ApiContext, { requests, openWatches }: MetricsFacts): string {
  const objects = [...store.collections()].map(([key, { size }]) => {
    return [labelText({ resource: key.replace(/\.$/, "") }), size] as const;
  });
  const families: readonly (readonly [string, string, string, Iterable<readonly [string, number]>])[] = [
    ["apiserver_request_total", "counter", "Requests that were answered.", requests.series()],
    ["apiserver_longrunning_requests", "gauge", "Watches that are open.", [['{verb="WATCH"}', openWatches]]],
    ["apiserver_storage_objects", "gauge", "Objects that are kept, by resource.", objects],
    ["apiserver_storage_revision", "gauge", "The resource version of the last write.", [["", store.revision]]],
  ];
  return families
    .map(([name, type, help, series]) => {
      const lines = [...series].map(([labels, value]) => `${name}${labels} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.sort().join("")}`;
    })
    .join("");
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `{${pairs.sort().join(",")}}`;
}
