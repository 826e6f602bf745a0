/**
 * Which manifests ask for pods, and for how many: what planning has to reckon with before any controller has run.
 */
import type { Manifest } from "../../config/index.ts";
import type { Pod } from "../../kube/index.ts";
import { objectOf } from "./manifest-object.ts";
import type { SimulatedNode } from "./nodes.ts";

/** Kinds that are pods or make pods at once. */
const WORKLOADS = new Set(["v1 Pod", "apps/v1 Deployment", "apps/v1 ReplicaSet", "apps/v1 DaemonSet", "batch/v1 Job"]);

/** What a kubelet takes; more pods than all nodes hold need not be looked at. */
const PODS_PER_NODE = 110;

/** Whether pods come of the manifest, so that it waits until the GPUs are as they are to be. */
export function isWorkload({ apiVersion, kind }: Manifest): boolean {
  return WORKLOADS.has(`${apiVersion} ${kind}`);
}

/** The pods that the manifest asks for at a time; none where it has no containers, which the API server refuses. */
export function podsOf(manifest: Manifest, nodes: readonly SimulatedNode[]): readonly Pod[] {
  if (!isWorkload(manifest)) return [];
  const spec = recordAt(manifest.object, "spec");
  if (manifest.kind === "Pod") return hasContainers(spec) ? [objectOf<Pod>(manifest)] : [];
  const template = recordAt(spec, "template");
  if (!hasContainers(recordAt(template, "spec")) || spec["suspend"] === true) return [];
  const pods = Array.from({ length: countOf(manifest.kind, spec, nodes) }, (_, at): Pod => {
    const { name, namespace = "default" } = objectOf(manifest).metadata;
    const metadata = { ...recordAt(template, "metadata"), name: `${name}-${at + 1}`, namespace };
    return objectOf<Pod>({ ...manifest, kind: "Pod", apiVersion: "v1", object: { ...template, metadata } });
  });
  return manifest.kind === "DaemonSet" ? pods.map((pod, at) => onNode(pod, nodes[at]?.name ?? "")) : pods;
}

function countOf(kind: string, spec: Fields, nodes: readonly SimulatedNode[]): number {
  if (kind === "DaemonSet") return nodes.length;
  const { replicas = 1, parallelism = 1, completions } = spec;
  const wanted =
    kind === "Job" ? Math.min(numberOf(parallelism), numberOf(completions ?? parallelism)) : numberOf(replicas);
  return Math.min(wanted, nodes.length * PODS_PER_NODE);
}

/** A daemon set's pod is for one node, by an affinity for its name. */
function onNode(pod: Pod, nodeName: string): Pod {
  const terms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [nodeName] }] }];
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } };
  return { ...pod, spec: { ...pod.spec, affinity: { nodeAffinity } } };
}

type Fields = Readonly<Record<string, unknown>>;

function hasContainers(spec: Fields): boolean {
  const { containers } = spec;
  return Array.isArray(containers) && containers.every((one) => typeof one === "object" && one !== null);
}

function recordAt(fields: Fields, key: string): Fields {
  const value = fields[key];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** Counts that cannot be read are the API server's to refuse. */
function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : 0;
}
