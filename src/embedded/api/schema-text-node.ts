/**
 * Nodes, metadata and what other types share, described (kubernetes, staging/src/k8s.io/api/core/v1/types.go and
 * apimachinery, pkg/apis/meta/v1/types.go).
 */
import type { TypeTable } from "./schema-text.ts";

export const nodeTypes: TypeTable = {
  NodeSpec: {
    about: "What is asked of a node.",
    fields: {
      podCIDR: "string Addresses for its pods.",
      podCIDRs: "string[] Addresses for its pods, one range a family.",
      providerID: "string Its name at the cloud provider.",
      taints: "Taint[] Marks that keep pods away.",
      unschedulable: "boolean Whether new pods are kept away; kubectl cordon sets it.",
    },
  },
  NodeStatus: {
    about: "What a node has and how it is; the kubelet writes it.",
    fields: {
      addresses: "NodeAddress[] How it is reached.",
      allocatable: "{Quantity} What pods can have: of a device, those that are healthy.",
      capacity: "{Quantity} All it has: CPU, memory, pods, devices such as nvidia.com/gpu and GPU slices.",
      conditions: "Condition[] Ready, MemoryPressure, DiskPressure, PIDPressure and others.",
      daemonEndpoints: "object Ports of the kubelet.",
      images: "object[] Images that are on the node.",
      nodeInfo: "NodeSystemInfo Versions and ids.",
      volumesAttached: "object[] Volumes attached to it.",
      volumesInUse: "string[] Volumes that pods use.",
    },
  },
  NodeAddress: {
    about: "An address of a node.",
    fields: { address: "string! The address.", type: "string! Its kind." },
  },
  NodeSystemInfo: {
    about: "Versions and ids of a node.",
    fields: {
      architecture: "string! For example amd64.",
      bootID: "string! Changes at each boot.",
      containerRuntimeVersion: "string! The container runtime.",
      kernelVersion: "string! The kernel.",
      kubeProxyVersion: "string! Deprecated, always empty or the kubelet's.",
      kubeletVersion: "string! The kubelet.",
      machineID: "string! The machine.",
      operatingSystem: "string! For example linux.",
      osImage: "string! The distribution.",
      systemUUID: "string! The machine, as its firmware says.",
    },
  },
  Taint: {
    about: "A mark on a node that keeps pods away which do not tolerate it.",
    fields: {
      effect: "string! NoSchedule, PreferNoSchedule or NoExecute.",
      key: "string! Its key.",
      timeAdded: "Time When it was set.",
      value: "string Its value.",
    },
  },
  Condition: {
    about: "One aspect of the state of an object.",
    fields: {
      lastTransitionTime: "Time When the status last changed.",
      message: "string Why, for people.",
      observedGeneration: "integer The generation it was seen at.",
      reason: "string Why, in one word.",
      status: "string! True, False or Unknown.",
      type: "string! Which aspect.",
    },
  },
  LabelSelector: {
    about: "Which objects, by their labels; all terms must hold.",
    fields: {
      matchExpressions: "LabelSelectorRequirement[] Terms with an operator.",
      matchLabels: "{string} Labels with their values.",
    },
  },
  LabelSelectorRequirement: {
    about: "A term of a label selector.",
    fields: {
      key: "string! The label.",
      operator: "string! In, NotIn, Exists or DoesNotExist.",
      values: "string[] Values, for In and NotIn.",
    },
  },
  ObjectMeta: {
    about: "What every object has.",
    fields: {
      annotations: "{string} Notes for tools; not selected by.",
      creationTimestamp: "Time When it was created; the server sets it.",
      deletionGracePeriodSeconds: "integer Seconds it has left when it is deleted.",
      deletionTimestamp: "Time When it shall be gone; set by a deletion that has to wait.",
      finalizers: "string[] Who must agree before it goes.",
      generateName: "string Start of a name that the server completes.",
      generation: "integer Counts changes of what is wanted.",
      labels: "{string} Labels, to select it by.",
      managedFields: "object[] Who owns which fields, for server-side apply.",
      name: "string Its name, unique in its namespace.",
      namespace: "string Its namespace; default default.",
      ownerReferences: "OwnerReference[] Objects it goes with.",
      resourceVersion: "string Changes at each write; opaque.",
      uid: "string Its own for all time.",
    },
  },
  OwnerReference: {
    about: "An object that another goes with.",
    fields: {
      apiVersion: "string! Its API version.",
      blockOwnerDeletion: "boolean Whether the owner waits for this object in a foreground deletion.",
      controller: "boolean Whether it is the one that manages this object.",
      kind: "string! Its kind.",
      name: "string! Its name.",
      uid: "string! Its uid.",
    },
  },
  ObjectReference: {
    about: "Names any object.",
    fields: {
      apiVersion: "string Its API version.",
      fieldPath: "string A part of it.",
      kind: "string Its kind.",
      name: "string Its name.",
      namespace: "string Its namespace.",
      resourceVersion: "string Its resource version.",
      uid: "string Its uid.",
    },
  },
};
