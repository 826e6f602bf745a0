/**
 * Looks at every node as its agent will, before anything runs.
 *
 * A config that no GPU can follow is then one clear finding with its place in the user's file, and nothing is started.
 */
import { desiredState, type InputValues, withNode } from "../../agent/index.ts";
import type { Finding } from "../../base/index.ts";
import { embeddedFile, parseDevicePluginConfig, parseMigParted, readClusterPolicy } from "../../config/index.ts";
import type { Gpu } from "../../gpu/index.ts";
import { distinctFindings } from "../../insight/index.ts";
import { planGpu } from "../../partition/index.ts";
import type { Declared } from "./declared.ts";
import { objectOf } from "./manifest-object.ts";
import type { SimulatedNode } from "./nodes.ts";

/** Findings about files (whoever uses them) and about what each node's labels ask for; each mistake once. */
export function preflight(declared: Declared, gpusOf: ReadonlyMap<string, readonly Gpu[]>): readonly Finding[] {
  const ofNodes = declared.nodes.flatMap((node) => nodeFindings(declared, node, gpusOf.get(node.name) ?? []));
  return distinctFindings(fileFindings(declared), ofNodes);
}

function nodeFindings(declared: Declared, node: SimulatedNode, gpus: readonly Gpu[]): readonly Finding[] {
  const desired = desiredState(inputsOf(declared, node), gpus, undefined);
  const ofPlans = desired.wanted.flatMap((wanted) => {
    const gpu = gpus.find((one) => one.uuid === wanted.gpuUuid);
    return gpu === undefined ? [] : planGpu({ gpu, wanted, holders: new Map() }).findings;
  });
  return [...desired.findings, ...withNode(node.name, ofPlans)];
}

/** What a node's agent would read of the API, if everything declared stood there; places are those of the files. */
export function inputsOf(declared: Declared, node: SimulatedNode): InputValues {
  return {
    node: { apiVersion: "v1", kind: "Node", metadata: { name: node.name, labels: { ...node.labels } } },
    policies: declared.policies,
    configMaps: declared.configMaps.map((one) => one.object),
    placeAtOf: (map, key) => {
      const found = declared.configMaps.find((one) => one.object === map);
      return found === undefined ? undefined : embeddedFile(found.manifest, key)?.placeAt;
    },
  };
}

/** Every NVIDIA file in the manifests is read, chosen or not: a mistake is told when it is made, not when it is used. */
function fileFindings(declared: Declared): readonly Finding[] {
  const inConfigMaps = declared.configMaps.flatMap(({ manifest, contents }) =>
    [...contents].flatMap(([key, kind]) => {
      const file = embeddedFile(manifest, key);
      if (file === undefined) return [];
      if (kind === "mig-parted") return parseMigParted(file.text, file.file, file.placeAt).findings;
      return kind === "device-plugin" ? parseDevicePluginConfig(file.text, file.file, file.placeAt).findings : [];
    }),
  );
  const inPolicies = declared.manifests
    .filter((one) => one.kind === "ClusterPolicy")
    .flatMap((one) => readClusterPolicy({ ...objectOf(one) }, one.placeOf).findings);
  return [...inPolicies, ...inConfigMaps];
}
