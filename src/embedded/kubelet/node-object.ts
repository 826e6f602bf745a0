/**
 * The Node object of a simulated node, as the kubelet writes it.
 */
import type { Condition, Node, ResourceList } from "../../kube/index.ts";
import type { ResourceCounts } from "./device-table.ts";
import { nodeAddress, podNetwork } from "./pod-network.ts";
import { timestamp } from "./pod-status.ts";
import { isExtendedResourceName } from "./resource-names.ts";

/** What a simulated machine is. */
export interface Machine {
  readonly name: string;
  /** Number of the node in its cluster, from 0; its addresses follow from it. */
  readonly ordinal: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly maxPods: number;
}

export interface NodeFacts {
  readonly machine: Machine;
  readonly bootId: string;
  readonly counts: ReadonlyMap<string, ResourceCounts>;
  /** Whether extended resources that no plugin stands for are set to zero, as after a start without checkpoint. */
  readonly resetOthers: boolean;
  readonly nowMs: number;
}

/** The Kubernetes release whose kubelet this one stands in for. */
const kubeletVersion = "v1.36.2";

/** What the kubelet keeps back for itself: its threshold for eviction, `memory.available<100Mi`. */
const reservedMemoryMiB = 100;

/** The labels the kubelet sets itself, also on a node that exists. */
export function kubeletLabels(name: string): Readonly<Record<string, string>> {
  return {
    "kubernetes.io/hostname": name,
    "kubernetes.io/arch": "amd64",
    "kubernetes.io/os": "linux",
    "beta.kubernetes.io/arch": "amd64",
    "beta.kubernetes.io/os": "linux",
  };
}

/** The object as it is registered. */
export function newNode(machine: Machine): Node {
  const { name, labels, annotations, ordinal } = machine;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { ...labels, ...kubeletLabels(name) }, annotations: { ...annotations } },
    spec: { podCIDR: podNetwork(ordinal) },
  };
}

/** The status `node` shall have. Keys of extended resources are never taken away, only set to zero. */
export function nodeStatus(node: Node, facts: NodeFacts): NonNullable<Node["status"]> {
  const { machine, bootId, counts, resetOthers, nowMs } = facts;
  const { cpus, memoryMiB, maxPods, name, ordinal } = machine;
  const common = { cpu: String(cpus), pods: String(maxPods), "ephemeral-storage": "1Ti" };
  const capacity: ResourceList = { ...node.status?.capacity, ...common, memory: `${memoryMiB}Mi` };
  const allocatable: ResourceList = {
    ...node.status?.allocatable,
    ...common,
    memory: `${memoryMiB - reservedMemoryMiB}Mi`,
  };
  if (resetOthers) {
    for (const list of [capacity, allocatable]) {
      for (const resource of Object.keys(list)) if (isExtendedResourceName(resource)) list[resource] = "0";
    }
  }
  for (const [resource, count] of counts) {
    capacity[resource] = String(count.capacity);
    allocatable[resource] = String(count.allocatable);
  }
  return {
    capacity,
    allocatable,
    conditions: nodeConditions(node, nowMs),
    addresses: [
      { type: "InternalIP", address: nodeAddress(ordinal) },
      { type: "Hostname", address: name },
    ],
    nodeInfo: {
      architecture: "amd64",
      operatingSystem: "linux",
      kubeletVersion,
      kubeProxyVersion: "",
      containerRuntimeVersion: "simulated://1.0",
      osImage: "simulated",
      kernelVersion: "simulated",
      machineID: name,
      systemUUID: name,
      bootID: bootId,
    },
  };
}

/** The conditions of a status that is about to be written: the kubelet vouches for its own as of now. */
export function withHeartbeat(conditions: readonly Condition[], nowMs: number): Condition[] {
  const isOwn = ({ type }: Condition): boolean => healthyConditions.some(([own]) => own === type);
  return conditions.map((one) => (isOwn(one) ? { ...one, lastHeartbeatTime: timestamp(nowMs) } : one));
}

const healthyConditions = [
  ["MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
  ["DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
  ["Ready", "True", "KubeletReady", "kubelet is posting ready status"],
] as const;

/** The kubelet's conditions, as old as they were told last; those of others stay. */
function nodeConditions(node: Node, nowMs: number): Condition[] {
  const old = node.status?.conditions ?? [];
  const own = healthyConditions.map(([type, status, reason, message]): Condition => {
    const known = old.find((one) => one.type === type && one.status === status);
    return {
      type,
      status,
      reason,
      message,
      lastHeartbeatTime: known?.lastHeartbeatTime ?? timestamp(nowMs),
      lastTransitionTime: known?.lastTransitionTime ?? timestamp(nowMs),
    };
  });
  return [...old.filter((one) => !own.some((mine) => mine.type === one.type)), ...own];
}
