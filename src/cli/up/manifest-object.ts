/**
 * From a manifest to the object that is applied.
 */
import type { Manifest } from "../../config/index.ts";
import { builtInType } from "../../embedded/index.ts";
import type { KubeObject } from "../../kube/index.ts";

const DEFAULT_NAMESPACE = "default";

/** The manifest's object in its namespace. Its fields are as written: the API server is who validates them. */
export function objectOf<T extends KubeObject>(manifest: Manifest): T {
  const metadata = manifest.object["metadata"];
  const inNamespace = { ...(typeof metadata === "object" ? metadata : {}), ...namespaceOf(manifest) };
  return { ...manifest.object, metadata: inNamespace } as unknown as T;
}

function namespaceOf(manifest: Manifest): { readonly namespace?: string } {
  const namespaced = builtInType(manifest.apiVersion, manifest.kind)?.namespaced ?? true;
  return !namespaced ? {} : { namespace: manifest.namespace ?? DEFAULT_NAMESPACE };
}
