/**
 * Which collection a manifest belongs to, for clients in this process that apply files.
 */
import type { ResourceType } from "../../kube/index.ts";
import { builtInTypes } from "./types.ts";

/** The built-in type of these words of a manifest; `undefined` when none can be stored. */
export function builtInType(apiVersion: string, kind: string): ResourceType | undefined {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  const found = builtInTypes.find((type) => type.kind === kind && type.group === group && type.version === version);
  if (found === undefined || !found.stored) return undefined;
  const { plural, namespaced } = found;
  return { group, version, plural, kind, namespaced };
}
