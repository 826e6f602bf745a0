/**
 * What is declared, together with the configuration that an earlier run left in the cluster: checks and choices that are
 * made before anything runs must see both.
 */
import { type Manifest, readManifests } from "../../config/index.ts";
import type { KubeObject } from "../../kube/index.ts";
import { configMapOf, type Declared } from "./declared.ts";
import { type Kept, type KeptCollection, keptObjects } from "./kept.ts";

/** The declared objects, with the configuration that is there already. */
export function withReturning(declared: Declared, kept: Kept): Declared {
  const configMaps = keptManifests(kept, "configmaps.").map(configMapOf);
  const policies = keptObjects<KubeObject>(kept, "clusterpolicies.nvidia.com").map(asDeclared);
  return {
    ...declared,
    policies: joined(policies, declared.policies, nameOf),
    configMaps: joined(configMaps, declared.configMaps, ({ object }) => nameOf(object)),
  };
}

/** All of `before` that no newer one replaces, then the newer ones. */
function joined<T>(before: readonly T[], newer: readonly T[], keyOf: (one: T) => string): readonly T[] {
  const keys = new Set(newer.map(keyOf));
  return [...before.filter((one) => !keys.has(keyOf(one))), ...newer];
}

/** Kept objects as manifests, cited by what they are. */
function keptManifests(kept: Kept, collection: KeptCollection): readonly Manifest[] {
  const objects = keptObjects<KubeObject>(kept, collection);
  const files = objects.map((one) => ({ file: `${one.kind} ${nameOf(one)}`, text: JSON.stringify(asDeclared(one)) }));
  const read = readManifests(files);
  return read.ok ? read.value : [];
}

/** Without what the server has added. */
function asDeclared<T extends KubeObject>(object: T): T {
  const { name, namespace, labels, annotations } = object.metadata;
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  const { status: _, ...rest } = { status: undefined, ...object };
  return { ...rest, metadata } as unknown as T;
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}
