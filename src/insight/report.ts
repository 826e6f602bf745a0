/**
 * The report: one stable, versioned value that says what every GPU is cut into, who holds what, and why.
 *
 * Tables, JSON, YAML and the drawing are all made from it.
 */
import type { Finding } from "../base/index.ts";
import type { Gpu, GpuInstance } from "../gpu/index.ts";
import { isSidecar, type Node, type Pod } from "../kube/index.ts";
import type { Allocation } from "../kubelet/index.ts";
import { type Device, type Isolation, isolationOf, isReplica, mpsShareLimits, type Offer } from "../sharing/index.ts";
import { distinctFindings } from "./distinct-findings.ts";
import { podFindings } from "./pod-findings.ts";
import { podMessage } from "./pod-state.ts";
import type { NodeSnapshot } from "./snapshot.ts";
import { type Workload, workloadFindings } from "./workload-findings.ts";

export interface Report {
  readonly apiVersion: "tranche.dev/v1alpha1";
  readonly kind: "Report";
  /** Whether any figure comes from simulated GPUs. */
  readonly simulated: boolean;
  readonly nodes: readonly ReportNode[];
  readonly pods: readonly ReportPod[];
  readonly findings: readonly Finding[];
}

export interface ReportNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly gpus: readonly ReportGpu[];
}

export interface ReportGpu {
  readonly index: number;
  readonly uuid: string;
  readonly model: string;
  readonly memoryMiB: number;
  /** `capable`: whether the GPU can do MIG at all; `pending`: whether a change of mode waits for a reset or reboot. */
  readonly mig: { readonly capable: boolean; readonly enabled: boolean; readonly pending: boolean };
  readonly instances: readonly ReportInstance[];
  /** What the kubelet may hand out of the whole GPU or of its shared instances: one entry a share. */
  readonly shares: readonly ReportShare[];
}

export interface ReportInstance {
  /** UUID of the MIG device; `null` for a GPU instance without a compute instance. */
  readonly uuid: string | null;
  /** MIG device name. */
  readonly profile: string;
  /** In memory slices. */
  readonly placement: { readonly start: number; readonly size: number };
  readonly memoryMiB: number;
  readonly isolation: Isolation;
  /** `namespace/name` of the pod that holds it alone; `null` when free or shared (then `shares` tells). */
  readonly pod: string | null;
}

export interface ReportShare {
  readonly id: string;
  readonly resource: string;
  readonly sharing: Offer["sharing"];
  /** What a client of one share may have of the memory at most; `null` when nothing limits it. */
  readonly memoryLimitMiB: number | null;
  readonly isolation: Isolation;
  readonly pod: string | null;
}

export interface ReportPod {
  readonly namespace: string;
  readonly name: string;
  readonly phase: string;
  readonly reason: string;
  readonly message: string;
  readonly node: string;
  readonly containers: readonly {
    readonly name: string;
    readonly devices: readonly { readonly resource: string; readonly id: string }[];
  }[];
}

export interface ReportInput {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly snapshots: readonly NodeSnapshot[];
  /** Deployments, ReplicaSets, DaemonSets and Jobs; default none. */
  readonly workloads?: readonly Workload[];
  /** Findings from reading files and from choices made on the way. */
  readonly findings: readonly Finding[];
}

/** Puts together what the API and the nodes' agents tell; everything is sorted, whatever the order it came in. */
export function buildReport(input: ReportInput): Report {
  const nodes = input.nodes.toSorted((a, b) => compare(a.metadata.name, b.metadata.name));
  const pods = input.pods.toSorted((a, b) => compare(podName(a), podName(b)));
  const snapshots = input.snapshots.toSorted((a, b) => compare(a.node, b.node));
  const byNode = new Map(snapshots.map((snapshot) => [snapshot.node, snapshot]));
  const fromAgents = snapshots.flatMap((snapshot) => snapshot.findings);
  const ofWorkloads = workloadFindings(input.workloads ?? []);
  return {
    apiVersion: "tranche.dev/v1alpha1",
    kind: "Report",
    simulated: snapshots.some((snapshot) => snapshot.simulated),
    nodes: nodes.map((node) => ({
      name: node.metadata.name,
      labels: sortedByKey(node.metadata.labels),
      allocatable: sortedByKey(node.status?.allocatable),
      gpus: reportGpus(byNode.get(node.metadata.name)),
    })),
    pods: pods.map((pod) => reportPod(pod, snapshots)),
    findings: distinctFindings(input.findings, [...fromAgents, ...ofWorkloads, ...podFindings(pods, nodes, snapshots)]),
  };
}

function reportGpus(snapshot: NodeSnapshot | undefined): ReportGpu[] {
  if (snapshot === undefined) return [];
  const holders = holdersById(snapshot.allocations);
  return snapshot.gpus.map((gpu) => ({
    index: gpu.index,
    uuid: gpu.uuid,
    model: gpu.name,
    memoryMiB: gpu.memoryMiB,
    mig: migOf(gpu),
    instances: gpu.instances.flatMap((instance) => reportInstances(instance, holders)),
    shares: reportShares(gpu, snapshot.offers, holders),
  }));
}

function migOf({ mig }: Gpu): ReportGpu["mig"] {
  if (mig === undefined) return { capable: false, enabled: false, pending: false };
  return { capable: true, enabled: mig.current, pending: mig.current !== mig.pending };
}

function reportInstances(instance: GpuInstance, holders: ReadonlyMap<string, string>): ReportInstance[] {
  const { placement, memoryMiB, profile } = instance;
  const common = { placement, memoryMiB };
  if (instance.computeInstances.length === 0) {
    return [{ uuid: null, profile: profile.name, ...common, isolation: "hardware", pod: null }];
  }
  return instance.computeInstances.map((compute) => ({
    uuid: compute.uuid,
    profile: compute.profile,
    ...common,
    // One that is narrower than its GPU instance shares the memory with others, or may have to.
    isolation: compute.profile === profile.name ? "hardware" : "limited",
    pod: holders.get(compute.uuid) ?? null,
  }));
}

function reportShares(gpu: Gpu, offers: readonly Offer[], holders: ReadonlyMap<string, string>): ReportShare[] {
  const isShare = (device: Device): boolean => device.migProfile === undefined || isReplica(device.id);
  return offers.flatMap((offer) =>
    offer.devices
      .filter((device) => device.gpuUuid === gpu.uuid && isShare(device))
      .map((device) => ({
        id: device.id,
        resource: offer.resource,
        sharing: offer.sharing,
        memoryLimitMiB: memoryLimitMiB(offer, device),
        isolation: isolationOf(offer, device),
        pod: holders.get(device.id) ?? null,
      })),
  );
}

function memoryLimitMiB(offer: Offer, { id, uuid }: Device): number | null {
  if (offer.sharing !== "mps" || !isReplica(id)) return null;
  return mpsShareLimits(offer, uuid, 1).memoryMiB ?? null;
}

function reportPod(pod: Pod, snapshots: readonly NodeSnapshot[]): ReportPod {
  const { reason, message } = podMessage(pod);
  const { namespace = "", name } = pod.metadata;
  const allocations = snapshots
    .filter((snapshot) => snapshot.node === pod.spec.nodeName)
    .flatMap((snapshot) => snapshot.allocations)
    .filter((allocation) => allocation.namespace === namespace && allocation.pod === name);
  return {
    namespace,
    name,
    phase: pod.status?.phase ?? "Pending",
    reason,
    message,
    node: pod.spec.nodeName ?? "",
    containers: lastingContainers(pod).map((container) => ({
      name: container.name,
      devices: allocations
        .filter((allocation) => allocation.container === container.name)
        .flatMap(({ resource, deviceIds }) => deviceIds.map((id) => ({ resource, id })))
        .sort((a, b) => compare(`${a.resource} ${a.id}`, `${b.resource} ${b.id}`)),
    })),
  };
}

/** Those that hold devices as long as the pod runs: sidecars and app containers. */
function lastingContainers({ spec }: Pod): Pod["spec"]["containers"] {
  return [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
}

/** Device id to `namespace/name` of the pod that holds it. */
function holdersById(allocations: readonly Allocation[]): ReadonlyMap<string, string> {
  return new Map(allocations.flatMap((one) => one.deviceIds.map((id) => [id, `${one.namespace}/${one.pod}`] as const)));
}

/** `namespace/name`. */
export function podName(pod: Pod): string {
  return `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
}

function sortedByKey(map: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(map ?? {}).sort(([a], [b]) => compare(a, b)));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
