/**
 * What the manifests declare, sorted by the part each plays in `up`.
 */
import { type Finding, finding, type Outcome } from "../../base/index.ts";
import { type ContentKind, configMapContents, type Manifest } from "../../config/index.ts";
import type { ConfigMap, KubeObject, Pod } from "../../kube/index.ts";
import { objectOf } from "./manifest-object.ts";
import { defaultFleet, parseNodeManifest, parseNodeOption, type SimulatedNode } from "./nodes.ts";
import { mergedNodes, returningFindings } from "./returning-nodes.ts";
import { podsOf } from "./workloads.ts";

/** A ConfigMap and what each of its keys holds. */
export interface DeclaredConfigMap {
  readonly manifest: Manifest;
  readonly object: ConfigMap;
  readonly contents: ReadonlyMap<string, ContentKind>;
}

export interface Declared {
  readonly nodes: readonly SimulatedNode[];
  readonly policies: readonly KubeObject[];
  readonly configMaps: readonly DeclaredConfigMap[];
  /** Those that the manifests ask for, also through Deployments and the like. */
  readonly pods: readonly Pod[];
  /** Everything but nodes, in the order of the files. */
  readonly manifests: readonly Manifest[];
  readonly findings: readonly Finding[];
}

/**
 * Sorts manifests and `--node` options; nodes of both kinds and those from `before`, an earlier run, add up, and without
 * any there is the default fleet.
 */
export function sortManifests(
  manifests: readonly Manifest[],
  nodeOptions: readonly string[],
  before: readonly SimulatedNode[] = [],
): Outcome<Declared> {
  const nodeManifests = manifests.filter((one) => one.apiVersion === "v1" && one.kind === "Node");
  const reads = [...nodeManifests.map(parseNodeManifest), ...nodeOptions.map(parseNodeOption)];
  const findings: Finding[] = reads.flatMap((read) => read.findings);
  const named = reads.flatMap((read) => (read.ok ? [read.value] : []));
  findings.push(...doubles(named));
  if (findings.some((one) => one.severity === "error")) return { ok: false, findings };
  const rest = manifests.filter((one) => !nodeManifests.includes(one));
  const isEmpty = named.length === 0 && before.length === 0;
  const nodes = isEmpty ? defaultFleet() : mergedNodes(named, before);
  if (isEmpty) findings.push(defaultFleetUsed());
  if (named.length > 0) findings.push(...returningFindings(named, before));
  const declared: Declared = {
    nodes,
    policies: rest.filter((one) => one.kind === "ClusterPolicy").map((one) => objectOf<KubeObject>(one)),
    configMaps: rest.filter((one) => one.kind === "ConfigMap").map(configMapOf),
    pods: rest.flatMap((one) => podsOf(one, nodes)),
    manifests: rest,
    findings,
  };
  return { ok: true, value: declared, findings: declared.findings };
}

/** A ConfigMap's manifest, looked into. */
export function configMapOf(manifest: Manifest): DeclaredConfigMap {
  const object = objectOf<ConfigMap>(manifest);
  const texts = Object.entries(object.data ?? {}).filter(([, text]) => typeof text === "string");
  return { manifest, object, contents: configMapContents(Object.fromEntries(texts)) };
}

function doubles(nodes: readonly SimulatedNode[]): readonly Finding[] {
  const seen = new Set<string>();
  return nodes.flatMap(({ name, place }) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const remedy = "give each node a name of its own";
    return [finding("bad-node", { kind: "node", name }, `node ${name} is declared twice`, { place, remedy })];
  });
}

function defaultFleetUsed(): Finding {
  const subject = { kind: "cluster", name: "cluster" } as const;
  return finding(
    "default-fleet",
    subject,
    "no node is declared, so the cluster has an A100-80GB, an H100-80GB and a T4",
    {
      remedy: "declare nodes with --node NAME=MODEL[:COUNT] or as Node manifests",
    },
  );
}
