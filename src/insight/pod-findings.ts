/**
 * Why a pod does not run, or runs otherwise than its author may think: one finding for each pod concerned.
 */
import { type Finding, finding, type Subject } from "../base/index.ts";
import { type Node, type Pod, podRequests, tolerates, untolerated } from "../kube/index.ts";
import { shareFindings } from "../sharing/index.ts";
import { Fleet } from "./fleet.ts";
import { badEnds, podMessage } from "./pod-state.ts";
import type { NodeSnapshot } from "./snapshot.ts";

const GPU_RESOURCE_PREFIX = "nvidia.com/";
/** How CUDA's own text begins, as the workload prints it when an allocation exceeds what is left. */
const OUT_OF_MEMORY = "CUDA out of memory";
/**
 * Reasons of the kubelet's admission beside `OutOf<resource>` (kubernetes, pkg/kubelet/lifecycle/predicate.go, and
 * cm/topologymanager).
 */
const refusals: ReadonlySet<string> = new Set([
  "UnexpectedAdmissionError",
  "NodeAffinity",
  "NodePorts",
  "TaintToleration",
  "TopologyAffinityError",
]);
/** How many pods or nodes a message names. */
const shownNames = 4;

/** Findings about pods: not scheduled, refused at admission, ended badly, several shares of one device. */
export function podFindings(
  pods: readonly Pod[],
  nodes: readonly Node[],
  snapshots: readonly NodeSnapshot[],
): readonly Finding[] {
  const fleet = new Fleet(nodes, snapshots);
  return pods.flatMap((pod) => {
    const subject: Subject = { kind: "pod", name: `${pod.metadata.namespace ?? ""}/${pod.metadata.name}` };
    return [
      ...unscheduled(pod, subject, fleet),
      ...refused(pod, subject),
      ...ended(pod, subject, snapshots),
      ...sharesOfPod(pod, subject, snapshots),
    ];
  });
}

function unscheduled(pod: Pod, subject: Subject, fleet: Fleet): readonly Finding[] {
  const condition = (pod.status?.conditions ?? []).find((one) => one.type === "PodScheduled" && one.status === "False");
  if (pod.status?.phase !== "Pending" || pod.spec.nodeName !== undefined || condition === undefined) return [];
  const wanted = gpuRequests(pod);
  const scheduler = condition.message ?? "";
  const nowhere = [...wanted.keys()].filter((resource) => fleet.mostOnOneNode(resource) === 0);
  if (nowhere.length > 0) {
    const remedy = [...new Set(nowhere.map((resource) => remedyFor(resource, fleet)))].join("; ");
    return [
      finding("resource-not-offered", subject, `no node offers ${nowhere.join(", ")}`, {
        remedy,
        evidence: { resources: nowhere, scheduler },
      }),
    ];
  }
  const short = insufficient(scheduler).filter((resource) => wanted.has(resource));
  // Thousands of pods may wait for what thousands hold, so each is told of a few.
  const all = fleet.holdersOf(short);
  const holders = all.slice(0, shownNames);
  const held = all.length === 0 ? "" : `; held by ${fewOf(all)}`;
  const tooMany = [...wanted].find(([resource, amount]) => amount > fleet.mostOnOneNode(resource));
  return [
    finding("pod-unschedulable", subject, `no node fits: ${withoutPreemption(scheduler) || "no reason given"}${held}`, {
      remedy: unscheduledRemedy({ tooMany, holders, fleet, taints: keepingAway(pod, scheduler, fleet) }),
      evidence: { resources: [...wanted.keys()], holders, otherHolders: all.length - holders.length, scheduler },
    }),
  ];
}

/** The first few by name, the rest counted. */
function fewOf(names: readonly string[]): string {
  const shown = names.slice(0, shownNames).join(", ");
  return names.length <= shownNames ? shown : `${shown} and ${names.length - shownNames} more`;
}

interface Lack {
  /** What no node can give however idle it is. */
  readonly tooMany: readonly [resource: string, amount: number] | undefined;
  readonly holders: readonly string[];
  readonly taints: readonly string[];
  readonly fleet: Fleet;
}

function unscheduledRemedy({ tooMany, holders, fleet, taints }: Lack): string {
  if (tooMany !== undefined) {
    const [resource, amount] = tooMany;
    return `no node has ${amount} ${resource}: ask for at most ${fleet.mostOnOneNode(resource)}, or offer more of it`;
  }
  if (holders.length > 0) return "wait until one of the holders ends, or offer more of it";
  if (taints.length === 0) return "change the pod, or a node, so that what the scheduler names is met";
  return `tolerate, or take from the nodes, the ${taints.length === 1 ? "taint" : "taints"} ${fewOf(taints)}`;
}

/** Taints that the pod does not tolerate, where the scheduler says that there are some; it does not say which. */
function keepingAway({ spec }: Pod, scheduler: string, { taints }: Fleet): readonly string[] {
  if (!scheduler.includes(untolerated)) return [];
  const foreign = [...taints].filter(
    ([, taint]) => taint.effect !== "PreferNoSchedule" && !tolerates(spec.tolerations, taint),
  );
  return foreign.map(([text]) => text).sort();
}

/** The resources of which nodes have too little left, as kube-scheduler says it (noderesources/fit.go). */
function insufficient(message: string): readonly string[] {
  return [...message.matchAll(/Insufficient ([^\s,]*[^\s,.])/g)].map(([, resource = ""]) => resource);
}

/** What follows the sentence about nodes, of claims and of preemption, says nothing that it does not. */
function withoutPreemption(message: string): string {
  return message.replace(/(?<=\.) (?:[^.]+, )?preemption: .*$/s, "").replace(/\.$/, "");
}

function refused(pod: Pod, subject: Subject): readonly Finding[] {
  const { reason, message } = podMessage(pod);
  const isRefusal = refusals.has(reason) || reason.startsWith("OutOf");
  if (pod.status?.phase !== "Failed" || !isRefusal) return [];
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  return [
    finding("pod-refused", subject, `node ${pod.spec.nodeName ?? ""} refused it: ${message}`, {
      remedy:
        owner === undefined
          ? "correct the request and create the pod again; a refused pod is never retried"
          : `${owner.kind} ${owner.name} makes another pod; correct the request if that is refused as well`,
      evidence: { reason },
    }),
  ];
}

function ended(pod: Pod, subject: Subject, snapshots: readonly NodeSnapshot[]): readonly Finding[] {
  const { name, namespace = "default", deletionTimestamp } = pod.metadata;
  // Who is asked to go seldom ends with zero.
  if (deletionTimestamp !== undefined) return [];
  return badEnds(pod).map(({ container, message, isRunningAgain }) =>
    message.includes(OUT_OF_MEMORY)
      ? finding("out-of-memory", subject, `container ${container}: ${message}`, {
          remedy: memoryRemedy(pod, snapshots),
        })
      : finding("container-failed", subject, `container ${container}: ${message}`, {
          remedy: `see kubectl logs -n ${namespace} ${name} -c ${container}${isRunningAgain ? " --previous" : ""}`,
        }),
  );
}

function memoryRemedy(pod: Pod, snapshots: readonly NodeSnapshot[]): string {
  const requests = gpuRequests(pod);
  const offered = snapshots.filter(({ node }) => node === pod.spec.nodeName).flatMap(({ offers }) => offers);
  const sharings = new Set(offered.filter(({ resource }) => requests.has(resource)).map(({ sharing }) => sharing));
  if (sharings.has("mps"))
    return "an MPS share has its part of the memory: ask for less, or share the GPU between fewer";
  return sharings.has("time-slicing")
    ? "shares of a GPU have one memory together: ask for less, start fewer pods per GPU, or use MIG slices"
    : "ask for less memory, or for a slice or GPU with more of it";
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
          return shareFindings(subject.name, devices, offer?.sharing ?? "none");
        }),
    );
}

function gpuRequests(pod: Pod): ReadonlyMap<string, number> {
  const requests = [...podRequests(pod)].filter(([name, amount]) => name.startsWith(GPU_RESOURCE_PREFIX) && amount > 0);
  return new Map(requests.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function remedyFor(resource: string, fleet: Fleet): string {
  const nodes = fleet.nodesWith(resource);
  if (nodes.length > 0) {
    const subject = nodes.length === 1 ? `node ${nodes[0]} has` : `nodes ${fewOf(nodes)} have`;
    return `${subject} devices that are unhealthy or about to be changed: kubectl describe node ${nodes[0]} tells why, and the pod follows once they are back`;
  }
  const unshared = /^(.+)\.shared$/.exec(resource)?.[1];
  if (unshared !== undefined && fleet.mostOnOneNode(unshared) > 0) {
    return `ask for ${unshared}, or have it shared under this name: renameByDefault: true under sharing in the device plugin's config`;
  }
  const mig = /^nvidia\.com\/mig-(.+)$/.exec(resource);
  return mig === null
    ? "check the name of the resource, and that a node's GPUs are free of MIG or shared under this name"
    : `label a node with a mig-parted config that has this profile: kubectl label node NODE nvidia.com/mig.config=CONFIG`;
}
