/**
 * The ClusterPolicy of NVIDIA's GPU operator, described as far as Tranche reads it (NVIDIA gpu-operator,
 * api/nvidia/v1/clusterpolicy_types.go).
 */
import type { TypeTable } from "./schema-text.ts";

export const policyTypes: TypeTable = {
  ClusterPolicySpec: {
    about: "How GPUs are shared on all nodes. Parts that Tranche does not act on may be there and are kept.",
    fields: {
      cdi: "CDIConfig Whether containers get their devices by the Container Device Interface.",
      daemonsets: "object Labels, tolerations and priority of the operator's daemon sets.",
      dcgm: "object The data center GPU manager; not acted on.",
      dcgmExporter: "object The metrics exporter; not acted on.",
      devicePlugin: "DevicePluginConfig How GPUs and slices are offered to the kubelet.",
      driver: "object The driver container; not acted on.",
      gfd: "GPUFeatureDiscoveryConfig Labels of nodes that tell of their GPUs.",
      mig: "MIGConfig How MIG slices are named.",
      migManager: "MIGManagerConfig Which MIG layouts nodes can have.",
      operator: "object The operator itself; not acted on.",
      toolkit: "object The container toolkit; not acted on.",
      validator: "object The validator; not acted on.",
    },
  },
  GPUFeatureDiscoveryConfig: {
    about: "Labels of nodes that tell of their GPUs.",
    fields: {
      enabled: "boolean Whether nodes are labelled; default true.",
      env: "EnvVar[] Environment of feature discovery, which overrules flags.gfd of its config.",
    },
  },
  MIGConfig: {
    about: "How MIG slices are named.",
    fields: {
      strategy: "string none, single (slices are nvidia.com/gpu) or mixed (each profile is its own resource).",
    },
  },
  MIGManagerConfig: {
    about: "Which MIG layouts nodes can have.",
    fields: {
      config: "NamedConfig The ConfigMap of mig-parted configs, which the label nvidia.com/mig.config picks from.",
      enabled: "boolean Whether layouts are changed; default true.",
      env: "EnvVar[] Environment of the MIG manager.",
    },
  },
  DevicePluginConfig: {
    about: "How GPUs and slices are offered to the kubelet.",
    fields: {
      config: "NamedConfig The ConfigMap of configs, which the label nvidia.com/device-plugin.config picks from.",
      enabled: "boolean Whether devices are offered; default true.",
      env: "EnvVar[] Environment of the plugin, which overrules its config.",
      mps: "MPSConfig Where MPS keeps its pipes and logs.",
    },
  },
  NamedConfig: {
    about: "A ConfigMap with configs, and the one that holds without a label.",
    fields: {
      default: "string The key that holds for nodes without the label.",
      name: "string The ConfigMap, in the operator's namespace.",
    },
  },
  MPSConfig: {
    about: "Where MPS keeps its files.",
    fields: { root: "string Directory of the node; default /run/nvidia/mps." },
  },
  CDIConfig: {
    about: "Whether containers get their devices by the Container Device Interface.",
    fields: {
      default: "boolean Whether it is the default; deprecated.",
      enabled: "boolean Whether it is used.",
    },
  },
  ClusterPolicyStatus: {
    about: "How far the policy is carried out.",
    fields: {
      conditions: "Condition[] Its conditions.",
      namespace: "string The operator's namespace.",
      state: "string! ready, notReady or ignored.",
    },
  },
};
