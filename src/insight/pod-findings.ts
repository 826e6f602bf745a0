/**
 * Why a pod does not run, or runs otherwise than its author may think: one finding for each pod concerned.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import type { Node, Pod } from "../kube/index.ts";
import { shareFindings } from "../sharing/index.ts";
import { badEnds, podMessage } from "./pod-state.ts";
import type { NodeSnapshot } from "./snapshot.ts";

const GPU_RESOURCE_PREFIX = "nvidia.com/";
/** How CUDA's own text begins, as the workload prints it when an allocation exceeds what is left. */
const OUT_OF_MEMORY = "CUDA out of memory";

/** Findings about pods: not scheduled, refused at admission, ended badly, several shares of one device. */
export function podFindings(
  pods: readonly Pod[],
  nodes: readonly Node[],
  snapshots: readonly NodeSnapshot[],
): readonly Finding[] {
  return pods.flatMap((pod) => {
    const subject: Subject = { kind: "pod", name: `${pod.metadata.namespace ?? ""}/${pod.metadata.name}` };
    return [
      ...unscheduled(pod, subject, nodes, snapshots),
      ...refused(pod, subject),
      ...ended(pod, subject),
      ...sharesOfPod(pod, subject, snapshots),
    ];
  });
}

function unscheduled(
  pod: Pod,
  subject: Subject,
  nodes: readonly Node[],
  snapshots: readonly NodeSnapshot[],
): readonly Finding[] {
  const condition = (pod.status?.conditions ?? []).find((one) => one.type === "PodScheduled" && one.status === "False");
  if (pod.status?.phase !== "Pending" || pod.spec.nodeName !== undefined || condition === undefined) return [];
  const wanted = gpuRequests(pod);
  const nowhere = wanted.filter((resource) => capacityOf(resource, nodes) === 0);
  if (nowhere.length > 0) {
    return [
      finding("resource-not-offered", subject, `no node offers ${nowhere.join(", ")}`, {
        remedy: remedyFor(nowhere[0] ?? ""),
        evidence: { resources: nowhere, scheduler: condition.message },
      }),
    ];
  }
  const holders = wanted.flatMap((resource) => holdersOf(resource, snapshots));
  const held = holders.length === 0 ? "" : `; held by ${[...new Set(holders)].sort().join(", ")}`;
  return [
    finding("pod-unschedulable", subject, `no node fits: ${condition.message ?? "no reason given"}${held}`, {
      remedy: "wait until one of the holders ends, or offer more of it",
      evidence: { resources: wanted, holders },
    }),
  ];
}

function refused(pod: Pod, subject: Subject): readonly Finding[] {
  const { reason, message } = podMessage(pod);
  if (pod.status?.phase !== "Failed" || (reason !== "UnexpectedAdmissionError" && !reason.startsWith("OutOf")))
    return [];
  return [
    finding("pod-refused", subject, `node ${pod.spec.nodeName ?? ""} refused it: ${message}`, {
      remedy: "correct the request and create the pod again; a refused pod is never retried",
      evidence: { reason },
    }),
  ];
}

function ended(pod: Pod, subject: Subject): readonly Finding[] {
  return badEnds(pod).map(({ container, message }) =>
    message.includes(OUT_OF_MEMORY)
      ? finding("out-of-memory", subject, `container ${container}: ${message}`, {
          remedy: "time slices share one memory: ask for less, start fewer pods per GPU, or use MIG slices",
        })
      : finding("container-failed", subject, `container ${container}: ${message}`, {
          remedy: `see kubectl logs -n ${pod.metadata.namespace ?? "default"} ${pod.metadata.name} -c ${container}`,
        }),
  );
}

function sharesOfPod(pod: Pod, subject: Subject, snapshots: readonly NodeSnapshot[]): readonly Finding[] {
  return snapshots
    .filter((snapshot) => snapshot.node === pod.spec.nodeName)
    .flatMap((snapshot) =>
      snapshot.allocations
        .filter((one) => one.namespace === (pod.metadata.namespace ?? "") && one.pod === pod.metadata.name)
        .flatMap((allocation) => {
          const offer = snapshot.offers.find((one) => one.resource === allocation.resource);
          const devices = (offer?.devices ?? []).filter((device) => allocation.deviceIds.includes(device.id));
          return shareFindings(subject.name, devices);
        }),
    );
}

function gpuRequests(pod: Pod): readonly string[] {
  const names = pod.spec.containers.flatMap((container) => Object.keys(container.resources?.limits ?? {}));
  return [...new Set(names)].filter((name) => name.startsWith(GPU_RESOURCE_PREFIX)).sort();
}

function capacityOf(resource: string, nodes: readonly Node[]): number {
  return nodes.reduce((sum, node) => sum + Number(node.status?.capacity?.[resource] ?? 0), 0);
}

function holdersOf(resource: string, snapshots: readonly NodeSnapshot[]): readonly string[] {
  return snapshots.flatMap((snapshot) =>
    snapshot.allocations.filter((one) => one.resource === resource).map((one) => `${one.namespace}/${one.pod}`),
  );
}

function remedyFor(resource: string): string {
  const mig = /^nvidia\.com\/mig-(.+)$/.exec(resource);
  return mig === null
    ? "check the name of the resource, and that a node's GPUs are free of MIG or shared under this name"
    : `label a node with a mig-parted config that has this profile: kubectl label node NODE nvidia.com/mig.config=CONFIG`;
}
