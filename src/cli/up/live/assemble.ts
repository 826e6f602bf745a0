/**
 * From what is known of the cluster to what the live view shows of it: only what can be in view is looked at closely.
 */
import type { Finding } from "../../../base/index.ts";
import type { Gpu } from "../../../gpu/index.ts";
import {
  buildReport,
  distinctFindings,
  type NodeSnapshot,
  podFindings,
  podName,
  type ReportGpu,
} from "../../../insight/index.ts";
import { amountsOf, type Node, type Pod } from "../../../kube/index.ts";
import { summaryLine } from "../../report/text.ts";
import type { LiveGpu, LiveNode, LivePod, LiveState, LogEntry, Part } from "./state.ts";

/** For so many pods that do not run the reasons are looked for: each takes a look at all nodes. */
const MOST_EXPLAINED = 4;
const GPU_RESOURCE_PREFIX = "nvidia.com/";

export interface LiveInput {
  /** All nodes, by name. */
  readonly nodes: readonly Node[];
  /** All pods, by namespace and name. */
  readonly pods: readonly Pod[];
  /** By node; needed for those `nodesInView` names, and used as far as they are there. */
  readonly snapshots: ReadonlyMap<string, NodeSnapshot>;
  /** Findings from before the cluster started. */
  readonly findings: readonly Finding[];
  readonly log: readonly LogEntry[];
  /** How many GPUs all nodes have, and whether they are simulated. */
  readonly gpus: number;
  readonly simulated: boolean;
  readonly server: string;
  readonly kubeconfigPath: string;
  /** Whether the terminal has keys. */
  readonly hasKeys: boolean;
  readonly view: View;
  readonly nowMs: number;
}

/** Which part of nodes and pods is in view. */
export interface View {
  readonly nodeOffset: number;
  readonly podOffset: number;
  readonly focus: "nodes" | "pods";
  /** No part has more items than the terminal has rows. */
  readonly rows: number;
}

/** The nodes of which something beside the name is in view: themselves, or a pod of theirs. */
export function nodesInView({ nodes, pods, view }: Pick<LiveInput, "nodes" | "pods" | "view">): ReadonlySet<string> {
  const own = windowOf(nodes, view.nodeOffset, view.rows).items.map((node) => node.metadata.name);
  const ofPods = windowOf(pods, view.podOffset, view.rows).items.flatMap(({ spec }) => spec.nodeName ?? []);
  return new Set([...own, ...ofPods]);
}

/** Puts the state together. */
export function assemble(input: LiveInput): LiveState {
  const { nodes, pods, view, log, server, kubeconfigPath, nowMs, gpus, simulated } = input;
  const nodePart = windowOf(nodes, view.nodeOffset, view.rows);
  const podPart = windowOf(pods, view.podOffset, view.rows);
  const snapshots = [...input.snapshots.values()];
  const report = buildReport({ nodes: nodePart.items, pods: podPart.items, snapshots, findings: [] });
  const gpusOf = new Map(report.nodes.map((node) => [node.name, node.gpus]));
  const reportPods = new Map(report.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  const phases = pods.map((pod) => pod.status?.phase ?? "Pending");
  return {
    summary: summaryLine({ nodes: nodes.length, gpus, simulated, phases }),
    server,
    kubeconfigPath,
    nodes: withItems(nodePart, (node) => {
      const { name } = node.metadata;
      return liveNode(node, input.snapshots.get(name), gpusOf.get(name) ?? []);
    }),
    pods: withItems(podPart, (pod): LivePod | undefined => {
      const told = reportPods.get(podName(pod));
      return told && { ...told, createdMs: Date.parse(pod.metadata.creationTimestamp ?? "") || nowMs };
    }),
    findings: findingsOf(input, podPart.items),
    log,
    nowMs,
    focus: input.hasKeys ? view.focus : undefined,
  };
}

/** Of agents in view, and of pods: those in view, and some that do not run wherever they are. */
function findingsOf({ nodes, pods, snapshots, findings }: LiveInput, inView: readonly Pod[]): readonly Finding[] {
  const told = [...snapshots.values()];
  const explained = [...new Set([...inView, ...pods].filter(isStuck))].slice(0, MOST_EXPLAINED);
  const others = inView.filter((pod) => !isStuck(pod));
  const fromAgents = told.flatMap((snapshot) => snapshot.findings);
  return distinctFindings(findings, [...fromAgents, ...podFindings([...explained, ...others], nodes, told)]);
}

function isStuck({ status }: Pod): boolean {
  return status?.phase === undefined || status.phase === "Pending" || status.phase === "Failed";
}

function liveNode(node: Node, snapshot: NodeSnapshot | undefined, gpus: readonly ReportGpu[]): LiveNode {
  const config = snapshot?.migConfig;
  return {
    name: node.metadata.name,
    notes: notesOf(node),
    migConfig: config === undefined ? undefined : `${config.name}: ${config.state}`,
    gpus: snapshot?.gpus.flatMap((gpu) => liveGpu(gpu, snapshot, gpus)),
  };
}

function notesOf({ status = {}, spec }: Node): readonly string[] {
  const ready = (status.conditions ?? []).find((one) => one.type === "Ready");
  const allocatable = amountsOf(status.allocatable);
  const missing = [...amountsOf(status.capacity)].flatMap(([resource, count]) => {
    const lack = count - (allocatable.get(resource) ?? 0);
    return resource.startsWith(GPU_RESOURCE_PREFIX) && lack > 0 ? [`${lack} ${resource} unavailable`] : [];
  });
  return [
    ...(ready?.status === "True" ? [] : ["NotReady"]),
    ...(spec?.unschedulable === true ? ["cordoned"] : []),
    ...missing,
  ];
}

function liveGpu(gpu: Gpu, { node, processes, findings }: NodeSnapshot, told: readonly ReportGpu[]): LiveGpu[] {
  const subject = `${node} GPU ${gpu.index}`;
  const severe = (severity: Finding["severity"]): readonly Finding[] =>
    findings.filter((one) => one.severity === severity && one.subject.kind === "gpu" && one.subject.name === subject);
  const usedMiB = (processes.get(gpu.uuid) ?? []).reduce((sum, one) => sum + one.memoryMiB, 0);
  const memorySlices = Math.max(0, ...gpu.profiles.map((one) => Math.max(...one.starts) + one.memorySlices));
  const troubles = [...severe("error"), ...severe("warning")];
  return told.filter((one) => one.uuid === gpu.uuid).map((one) => ({ ...one, usedMiB, memorySlices, troubles }));
}

/** Never past the end, so that something stays in view when things go. */
function windowOf<T>(all: readonly T[], wantedOffset: number, count: number): Part<T> {
  const offset = Math.max(0, Math.min(wantedOffset, all.length - 1));
  return { total: all.length, offset, items: all.slice(offset, offset + count) };
}

function withItems<T, U>(part: Part<T>, make: (item: T) => U | undefined): Part<U> {
  return { ...part, items: part.items.flatMap((item) => make(item) ?? []) };
}
