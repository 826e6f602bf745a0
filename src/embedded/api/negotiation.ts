/**
 * In which form a client wants its answer (apiserver, pkg/endpoints/handlers/negotiation).
 */
import { notAcceptable } from "./errors.ts";

/** Plain objects, server-made tables, or metadata alone. */
export type Form = "object" | "table" | "metadata";

interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads an `Accept` header, in the order in which the client prefers things. */
function parseAccept(header: string): readonly MediaType[] {
  return header.split(",").map((part) => {
    const [type = "", ...parameters] = part.split(";").map((one) => one.trim());
    const pairs = parameters.map((one): [string, string] => {
      const [key = "", value = ""] = one.split("=");
      return [key, value];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });
}

const jsonTypes: ReadonlySet<string> = new Set(["", "*/*", "application/*", "application/json"]);

/** The first form that this server can give; throws 406 when there is none. */
export function chooseForm(accept: string): Form {
  for (const { type, parameters } of parseAccept(accept)) {
    if (!jsonTypes.has(type)) continue;
    const as = parameters.get("as");
    if (as === undefined) return "object";
    if (parameters.get("g") !== "meta.k8s.io" || parameters.get("v") !== "v1") continue;
    if (as === "Table") return "table";
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") return "metadata";
  }
  throw notAcceptable();
}

/** Whether the client wants discovery in its aggregated form, version 2. */
export function wantsAggregatedDiscovery(accept: string): boolean {
  const first = parseAccept(accept).find(({ type, parameters }) => {
    const as = parameters.get("as");
    if (!jsonTypes.has(type)) return false;
    return as === undefined || (as === "APIGroupDiscoveryList" && parameters.get("v") === "v2");
  });
  return first?.parameters.get("as") === "APIGroupDiscoveryList";
}
