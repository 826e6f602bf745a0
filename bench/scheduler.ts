/** How fast the embedded scheduler decides: one pass, counting only, without an API server. */
import { performance } from "node:perf_hooks";
import { ClusterState, decide } from "../src/embedded/index.ts";
import type { Node, Pod } from "../src/kube/index.ts";
import type { BenchResult, BenchRow } from "./row.ts";

const gpu = "nvidia.com/gpu";
const hostname = "kubernetes.io/hostname";
const aimPerSecond = 1_000;

/** From how many templates the pods are made, as by so many Deployments and Jobs. */
const templates = 20;

interface Scenario {
  readonly nodes: number;
  readonly pods: number;
  /** How the pods differ: by template only, or each a little from every other. */
  readonly kind: "templates" | "all different" | "spread and apart" | "preempting";
}

export const rows: readonly BenchRow[] = [
  row("scheduler: pass over 100 nodes × 2,000 pods", { nodes: 100, pods: 2_000, kind: "templates" }),
  row("scheduler: pass over 1,000 nodes × 10,000 pods", { nodes: 1_000, pods: 10_000, kind: "templates" }),
  row("scheduler: 1,000 nodes × 10,000 pods, no two alike", { nodes: 1_000, pods: 10_000, kind: "all different" }),
  row("scheduler: 1,000 nodes × 10,000 pods, spread and apart", {
    nodes: 1_000,
    pods: 10_000,
    kind: "spread and apart",
  }),
  row("scheduler: 1,000 full nodes, each pod evicts another", { nodes: 1_000, pods: 10_000, kind: "preempting" }),
];

function row(name: string, scenario: Scenario): BenchRow {
  return { name, aim: "at least 1,000 decisions a second", run: async (mode) => measure(mode, scenario) };
}

function measure(mode: "small" | "full", { nodes, pods, kind }: Scenario): BenchResult {
  // What is slow to decide is measured on fewer pods when time is short.
  const count = mode === "small" && kind !== "templates" ? Math.ceil(pods / 10) : pods;
  const state = new ClusterState();
  for (let index = 0; index < nodes; index++) state.setNode(nodeNamed(`node-${index}`));
  if (kind === "preempting") fillNodes(state, nodes);
  for (let index = 0; index < count; index++) state.setPod(podOf(index, kind));
  const startMs = performance.now();
  const decisions = decide(state);
  const tookMs = performance.now() - startMs;
  const bound = decisions.filter((one) => one.kind === "bind").length;
  const victims = decisions.reduce((sum, one) => sum + (one.kind === "wait" ? one.victims.length : 0), 0);
  const perSecond = (decisions.length * 1_000) / tookMs;
  return {
    figure: `${Math.round(perSecond)} a second`,
    met: perSecond >= aimPerSecond,
    note: `${decisions.length} pods in ${tookMs.toFixed(0)} ms: ${bound} bound, ${victims} evicted, the others wait`,
  };
}

function nodeNamed(name: string): Node {
  const allocatable = { cpu: "128", memory: "1Ti", pods: "110", [gpu]: "8" };
  const metadata = { name, labels: { [hostname]: name } };
  const status = { allocatable, conditions: [{ type: "Ready", status: "True" as const }] };
  return { apiVersion: "v1", kind: "Node", metadata, status };
}

function fillNodes(state: ClusterState, nodes: number): void {
  for (let index = 0; index < nodes * 8; index++) {
    const pod = podOf(index, "templates");
    const spec = { ...pod.spec, priority: 0, nodeName: `node-${index % nodes}` };
    state.setPod({ ...pod, metadata: { ...pod.metadata, name: `held-${index}`, uid: `held-${index}` }, spec });
  }
}

function podOf(index: number, kind: Scenario["kind"]): Pod {
  const app = `app-${index % templates}`;
  const cpu = kind === "all different" ? `${500 + index}m` : "1";
  const containers = [{ name: "main", resources: { requests: { cpu, memory: "4Gi", [gpu]: "1" } } }];
  const metadata = { name: `pod-${index}`, uid: `pod-${index}`, namespace: "default", labels: { app } };
  const labelSelector = { matchLabels: { app } };
  const preferred = [{ weight: 1, podAffinityTerm: { labelSelector, topologyKey: hostname } }];
  const spread = {
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: preferred } },
    topologySpreadConstraints: [
      { maxSkew: 2, topologyKey: hostname, whenUnsatisfiable: "DoNotSchedule", labelSelector },
    ],
  };
  const priority = kind === "preempting" ? 10 : 0;
  const spec = { containers, priority, ...(kind === "spread and apart" ? spread : {}) };
  return { apiVersion: "v1", kind: "Pod", metadata, spec };
}
