/**
 * Finds ConfigMaps by name and cites what they hold.
 */
import { type Finding, finding } from "../base/index.ts";
import type { ConfigMap } from "../kube/index.ts";

/** The operator's own namespace comes first, since ClusterPolicy names ConfigMaps there. */
export function configMapNamed(
  configMaps: readonly ConfigMap[],
  name: string,
  namespace?: string,
): ConfigMap | undefined {
  const found = configMaps.filter(
    ({ metadata }) => metadata.name === name && (namespace === undefined || metadata.namespace === namespace),
  );
  const rank = (one: ConfigMap): string =>
    `${one.metadata.namespace === "gpu-operator" ? 0 : 1} ${one.metadata.namespace}`;
  return found.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}

/** How findings cite the text under a key of a ConfigMap. */
export function configMapFile(map: ConfigMap, key: string): string {
  return `configmap/${map.metadata.namespace ?? "default"}/${map.metadata.name}/${key}`;
}

/** `seen` tells what is there instead; `by` names who asks for the ConfigMap. */
export function missingConfigMap(name: string, seen: string, by = "the ClusterPolicy"): Finding {
  const message = `${by} names ConfigMap ${name}, but ${seen}`;
  const remedy = "create it in the operator's namespace, or correct the name";
  return finding("config-map-missing", { kind: "config", name }, message, { remedy });
}
