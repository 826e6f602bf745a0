/**
 * The report: one stable, versioned value that says what every GPU is cut into, who holds what, and why.
 *
 * Tables, JSON, YAML and the drawing are all made from it.
 */
import type { Finding } from "../base/index.ts";
import type { Gpu, GpuInstance } from "../gpu/index.ts";
import type { Node, Pod } from "../kube/index.ts";
import type { Allocation } from "../kubelet/index.ts";
import { type Device, type Isolation, isolationOf, isReplica, type Offer } from "../sharing/index.ts";
import { podFindings } from "./pod-findings.ts";
import { podMessage } from "./pod-state.ts";
import type { NodeSnapshot } from "./snapshot.ts";

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
  /** `null` when the GPU cannot do MIG; `pending` while a mode change waits for a reset. */
  readonly mig: { readonly enabled: boolean; readonly pending: boolean } | null;
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
  /** Findings from reading files and from choices made on the way. */
  readonly findings: readonly Finding[];
}

/** Puts together what the API and the nodes' agents tell; everything is sorted, so equal input gives equal output. */
export function buildReport({ nodes, pods, snapshots, findings }: ReportInput): Report {
  const byNode = new Map(snapshots.map((snapshot) => [snapshot.node, snapshot]));
  return {
    apiVersion: "tranche.dev/v1alpha1",
    kind: "Report",
    simulated: snapshots.some((snapshot) => snapshot.simulated),
    nodes: [...nodes]
      .sort((a, b) => compare(a.metadata.name, b.metadata.name))
      .map((node) => ({
        name: node.metadata.name,
        labels: node.metadata.labels ?? {},
        allocatable: node.status?.allocatable ?? {},
        gpus: reportGpus(byNode.get(node.metadata.name)),
      })),
    pods: [...pods].sort((a, b) => compare(podName(a), podName(b))).map((pod) => reportPod(pod, snapshots)),
    findings: distinct([
      ...findings,
      ...snapshots.flatMap((snapshot) => snapshot.findings),
      ...podFindings(pods, nodes, snapshots),
    ]),
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
    mig: gpu.mig === undefined ? null : { enabled: gpu.mig.current, pending: gpu.mig.current !== gpu.mig.pending },
    instances: gpu.instances.flatMap((instance) => reportInstances(instance, holders)),
    shares: reportShares(gpu, snapshot.offers, holders),
  }));
}

function reportInstances(instance: GpuInstance, holders: ReadonlyMap<string, string>): ReportInstance[] {
  const isolation: Isolation = instance.computeInstances.length > 1 ? "limited" : "hardware";
  const common = { placement: instance.placement, memoryMiB: instance.memoryMiB, isolation };
  if (instance.computeInstances.length === 0) {
    return [{ uuid: null, profile: instance.profile.name, ...common, pod: null }];
  }
  return instance.computeInstances.map((compute) => ({
    uuid: compute.uuid,
    profile: compute.profile,
    ...common,
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
        isolation: isolationOf(offer, device),
        pod: holders.get(device.id) ?? null,
      })),
  );
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
    containers: pod.spec.containers.map((container) => ({
      name: container.name,
      devices: allocations
        .filter((allocation) => allocation.container === container.name)
        .flatMap(({ resource, deviceIds }) => deviceIds.map((id) => ({ resource, id })))
        .sort((a, b) => compare(`${a.resource} ${a.id}`, `${b.resource} ${b.id}`)),
    })),
  };
}

/** Device id to `namespace/name` of the pod that holds it. */
export function holdersById(allocations: readonly Allocation[]): ReadonlyMap<string, string> {
  return new Map(allocations.flatMap((one) => one.deviceIds.map((id) => [id, `${one.namespace}/${one.pod}`] as const)));
}

/** `namespace/name`. */
export function podName(pod: Pod): string {
  return `${pod.metadata.namespace ?? ""}/${pod.metadata.name}`;
}

function distinct(findings: readonly Finding[]): Finding[] {
  const order = { error: 0, warning: 1, info: 2 };
  const byKey = new Map(
    findings.map((one) => [`${one.code} ${one.subject.kind} ${one.subject.name} ${one.message}`, one]),
  );
  return [...byKey.values()].sort((a, b) => order[a.severity] - order[b.severity]);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
