/** Nodes and pods for the scheduler's tests, and what is decided on them as text. */
import type { DisruptionBudget } from "../../src/embedded/scheduler/budgets.ts";
import { ClusterState } from "../../src/embedded/scheduler/cluster-state.ts";
import { type Decision, decide } from "../../src/embedded/scheduler/pass.ts";
import type { Node, ObjectMeta, Pod, PodSpec } from "../../src/kube/index.ts";

export const gpu = "nvidia.com/gpu";

/** A ready node with 8 GPUs unless told otherwise; its name is its hostname. */
export function nodeOf(name: string, gpus = 8, labels: Record<string, string> = {}): Node {
  const allocatable = { cpu: "64", memory: "256Gi", pods: "110", [gpu]: String(gpus) };
  const metadata = { name, labels: { "kubernetes.io/hostname": name, ...labels } };
  const status = { allocatable, conditions: [{ type: "Ready", status: "True" as const }] };
  return { apiVersion: "v1", kind: "Node", metadata, status };
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly on?: string;
  readonly priority?: number;
  readonly metadata?: Partial<ObjectMeta>;
  readonly startTime?: string;
  readonly spec?: Partial<PodSpec>;
}

/** A pod that asks for so many GPUs. */
export function podOf(name: string, gpus = 0, options: PodOptions = {}): Pod {
  const { labels = {}, on, priority = 0, startTime } = options;
  const containers = [{ name: "c", resources: { requests: { [gpu]: String(gpus) } } }];
  const bound = on === undefined ? {} : { nodeName: on };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, uid: name, namespace: "ml", labels, ...options.metadata },
    spec: { containers, priority, ...bound, ...options.spec },
    ...(startTime === undefined ? {} : { status: { startTime } }),
  };
}

/** `app=NAME` as a label selector. */
export function apps(...names: string[]): object {
  return { matchExpressions: [{ key: "app", operator: "In", values: names }] };
}

/** A cluster that knows all of these. */
export function clusterOf(nodes: readonly Node[], pods: readonly Pod[]): ClusterState {
  const state = new ClusterState();
  for (const node of nodes) state.setNode(node);
  for (const pod of pods) state.setPod(pod);
  return state;
}

/** Decisions in short: `p to n`, `p waits: …`, `p evicts v,w from n`, `p is gated`. */
export function decided(state: ClusterState, budgets: readonly DisruptionBudget[] = []): string[] {
  return decide(state, budgets).map(textOf);
}

function textOf(one: Decision): string {
  const { name } = one.pod.metadata;
  if (one.kind === "gated") return `${name} is gated`;
  if (one.kind === "bind") return `${name} to ${one.node}`;
  if (one.victims.length === 0) return `${name} waits: ${one.message}`;
  const victims = one.victims.map(({ metadata }) => metadata.name).sort();
  return `${name} evicts ${victims.join(",")} from ${one.nominatedNode ?? "nowhere"}`;
}
