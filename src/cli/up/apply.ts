/**
 * Applies manifests to the cluster, in an order in which each finds what it needs.
 */
import { type Finding, finding, type Place } from "../../base/index.ts";
import type { Manifest } from "../../config/index.ts";
import { builtInType } from "../../embedded/index.ts";
import { type KubeApi, KubeError, type KubeObject, type ResourceType, resources } from "../../kube/index.ts";
import { applyPatch, withLastApplied } from "./last-applied.ts";
import { objectOf } from "./manifest-object.ts";

/** Lower goes first; kinds not named go in the middle, pods and what makes them last. */
const ORDER: ReadonlyMap<string, number> = new Map([
  ["Namespace", 0],
  ["CustomResourceDefinition", 1],
  ["PriorityClass", 2],
  ["ClusterPolicy", 3],
  ["ConfigMap", 4],
  ["Deployment", 9],
  ["ReplicaSet", 9],
  ["DaemonSet", 9],
  ["Job", 9],
  ["Pod", 9],
]);
const MIDDLE = 5;

/** Stored and shown, but no controller acts on them here. */
const NOT_RUN = new Set(["StatefulSet", "ReplicationController", "CronJob"]);

/** Applies every manifest as `kubectl apply` does. Returns what the user must know; errors mean it was refused. */
export async function applyManifests(api: KubeApi, manifests: readonly Manifest[]): Promise<readonly Finding[]> {
  const { findings, refused: without } = await createNamespaces(api, manifests);
  const rank = (one: Manifest): number => ORDER.get(one.kind) ?? MIDDLE;
  for (const manifest of manifests.toSorted((a, b) => rank(a) - rank(b))) {
    const type = builtInType(manifest.apiVersion, manifest.kind);
    if (type === undefined) {
      findings.push(notServed(manifest));
      continue;
    }
    if (manifest.namespace !== undefined && without.has(manifest.namespace)) continue;
    if (NOT_RUN.has(manifest.kind)) findings.push(notRun(manifest));
    try {
      await applyObject(api, type, objectOf(manifest));
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      findings.push(refused(subjectOf(manifest), manifest.place, error));
    }
  }
  return findings;
}

/**
 * Creates `object`, or changes the one of this name: fields of the object are set, those it was applied with before and
 * lacks now are removed, all others stay. Throws `KubeError` when the server refuses it.
 */
async function applyObject(api: KubeApi, type: ResourceType, object: KubeObject): Promise<void> {
  const wanted = withLastApplied(object);
  await createOrChange(api, type, wanted, async () => applyPatch(await api.get(type, object.metadata), wanted));
}

/**
 * Creates `object`, or sets its fields in the one of this name; all others stay, and nothing is noted as applied from a
 * file. Throws `KubeError` when the server refuses it.
 */
export async function ensureObject(api: KubeApi, type: ResourceType, object: KubeObject): Promise<void> {
  await createOrChange(api, type, object, () => object);
}

async function createOrChange(
  api: KubeApi,
  type: ResourceType,
  object: KubeObject,
  patchOf: () => unknown,
): Promise<void> {
  try {
    await api.create(type, object);
  } catch (error) {
    if (!(error instanceof KubeError) || error.reason !== "AlreadyExists") throw error;
    await api.mergePatch(type, object.metadata, await patchOf());
  }
}

interface CreatedNamespaces {
  readonly findings: Finding[];
  /** Those that the server refuses. */
  readonly refused: ReadonlySet<string>;
}

/** Namespaces that manifests name but nobody declares. */
async function createNamespaces(api: KubeApi, manifests: readonly Manifest[]): Promise<CreatedNamespaces> {
  const there = new Set((await api.list(resources.namespaces)).items.map((one) => one.metadata.name));
  for (const one of manifests) if (one.kind === "Namespace") there.add(one.name);
  const findings: Finding[] = [];
  const without = new Set<string>();
  for (const manifest of manifests) {
    const { namespace } = manifest;
    const isIn = builtInType(manifest.apiVersion, manifest.kind)?.namespaced === true;
    if (!isIn || namespace === undefined || there.has(namespace)) continue;
    there.add(namespace);
    try {
      await ensureObject(api, resources.namespaces, {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name: namespace },
      });
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      without.add(namespace);
      findings.push(refused(subjectOf(manifest), manifest.placeOf(["metadata", "namespace"]), error));
      continue;
    }
    const message = `namespace ${namespace} is not declared, so it was created`;
    const remedy = `on a real cluster: kubectl create namespace ${namespace}`;
    findings.push(finding("namespace-created", subjectOf(manifest), message, { place: manifest.place, remedy }));
  }
  return { findings, refused: without };
}

function notServed(manifest: Manifest): Finding {
  const message = `${manifest.apiVersion} ${manifest.kind} is not served by the embedded cluster; it is left out`;
  const remedy = "nothing depends on it here; on a real cluster apply it as it is";
  return finding("kind-not-served", subjectOf(manifest), message, { place: manifest.place, remedy });
}

function notRun(manifest: Manifest): Finding {
  const message = `${manifest.kind} ${manifest.name} is stored, but no controller makes pods of it here`;
  const remedy = "declare its pods as Pod manifests";
  return finding("kind-not-run", subjectOf(manifest), message, { place: manifest.place, remedy });
}

/** What the server says against an object that somebody declares. */
export function refused(subject: Finding["subject"], place: Place | undefined, error: KubeError): Finding {
  return finding("manifest-refused", subject, error.message, {
    place,
    remedy: "correct the manifest; a real API server refuses it too",
    evidence: { reason: error.reason, status: error.status },
  });
}

function subjectOf(manifest: Manifest): Finding["subject"] {
  const name = manifest.namespace === undefined ? manifest.name : `${manifest.namespace}/${manifest.name}`;
  return { kind: manifest.kind === "Pod" ? "pod" : "config", name };
}
