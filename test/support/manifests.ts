/** Kubernetes objects as tests apply them, and the text of a file that holds them. */
import type { ConfigMap, KubeObject, Node, Pod } from "../../src/kube/index.ts";

/** The namespace of the ConfigMaps that a ClusterPolicy names. */
export const operatorNamespace = "gpu-operator";

/** YAML of one file; JSON is YAML too. */
export function manifestText(...objects: readonly KubeObject[]): string {
  return objects.map((one) => `${JSON.stringify(one, undefined, 2)}\n`).join("---\n");
}

export interface PolicyOptions {
  /** Default `mixed`. */
  readonly strategy?: "none" | "single" | "mixed";
  /** ConfigMap of mig-parted configs. */
  readonly mig?: string;
  /** ConfigMap of device-plugin configs. */
  readonly plugin?: string;
  /** The device-plugin config of nodes without a label. */
  readonly pluginDefault?: string;
}

/** A ClusterPolicy with every section that its CRD requires. */
export function clusterPolicy({ strategy = "mixed", mig, plugin, pluginDefault }: PolicyOptions = {}): KubeObject {
  const sections = ["operator", "daemonsets", "driver", "toolkit", "dcgm", "dcgmExporter", "nodeStatusExporter", "gfd"];
  const spec = {
    ...Object.fromEntries(sections.map((section) => [section, {}])),
    mig: { strategy },
    migManager: mig === undefined ? {} : { config: { name: mig } },
    devicePlugin: plugin === undefined ? {} : { config: { name: plugin, default: pluginDefault ?? "" } },
  };
  const policy = { apiVersion: "nvidia.com/v1", kind: "ClusterPolicy", metadata: { name: "cluster-policy" }, spec };
  return policy;
}

/** A ConfigMap in the operator's namespace. */
export function configMap(name: string, data: Record<string, string>): ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: operatorNamespace }, data };
}

/** A mig-parted file; each config cuts all GPUs alike, or switches MIG off where it names no profile. */
export function migParted(configs: Readonly<Record<string, Readonly<Record<string, number>>>>): string {
  const entries = Object.entries(configs).map(([name, counts]) => {
    const isOff = Object.keys(counts).length === 0;
    return [name, [{ devices: "all", "mig-enabled": !isOff, ...(isOff ? {} : { "mig-devices": counts }) }]];
  });
  return JSON.stringify({ version: "v1", "mig-configs": Object.fromEntries(entries) });
}

/** A device-plugin file that shares `nvidia.com/gpu` by time-slicing. */
export function timeSliced(replicas: number, flags: Readonly<Record<string, unknown>> = {}): string {
  const timeSlicing = { ...flags, resources: [{ name: "nvidia.com/gpu", replicas }] };
  return JSON.stringify({ version: "v1", sharing: { timeSlicing } });
}

/** A pod in `default` that asks for `limits` and runs until it is deleted, if annotations do not say otherwise. */
export function pod(name: string, limits: Record<string, string>, annotations: Record<string, string> = {}): Pod {
  const image = "nvcr.io/nvidia/cuda:13.0.1-base-ubuntu24.04";
  const metadata = { name, namespace: "default", annotations };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { containers: [{ name: "main", image, resources: { limits } }] },
  };
}

/** A Node manifest with simulated GPUs. */
export function nodeManifest(name: string, gpus: string, labels: Record<string, string> = {}): Node {
  const annotations = { "tranche.dev/simulated-gpus": gpus };
  return { apiVersion: "v1", kind: "Node", metadata: { name, annotations, labels } };
}
