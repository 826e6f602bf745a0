/**
 * Tells when a cluster has come to rest: everything declared has been acted upon, and nothing is going on.
 */
import { setImmediate as turn } from "node:timers/promises";
import { MIG_CONFIG_LABEL } from "../../agent/index.ts";
import type { Clock } from "../../base/index.ts";
import type { NodeSnapshot, Workload } from "../../insight/index.ts";
import { type Node, type Pod, resources } from "../../kube/index.ts";
import { capacity } from "../../sharing/index.ts";
import type { Cluster } from "./cluster.ts";

/** What a settled cluster looks like, read in one go. */
export interface ClusterState {
  readonly nodes: readonly Node[];
  readonly pods: readonly Pod[];
  readonly snapshots: readonly NodeSnapshot[];
  readonly workloads: readonly Workload[];
  readonly settled: boolean;
}

/** Nothing may have been written for this long. */
const QUIET_MS = 60;
const POLL_MS = 15;

/** Waits until the cluster rests, `timeoutMs` at the longest, and returns what it looks like then. */
export async function settle(
  cluster: Cluster,
  { clock, timeoutMs, signal }: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ClusterState> {
  const endMs = clock.now() + timeoutMs;
  for (;;) {
    await quiet(cluster, clock, endMs, signal);
    const state = await readState(cluster);
    if (state.settled || clock.now() >= endMs) return state;
    await clock.sleep(POLL_MS, signal);
  }
}

/** Resolves when nobody is busy and nothing has changed for a while, or when the time is over. */
async function quiet(cluster: Cluster, clock: Clock, endMs: number, signal: AbortSignal): Promise<void> {
  let version = cluster.api.lastChange();
  let sinceMs = clock.now();
  for (;;) {
    await clock.sleep(POLL_MS, signal);
    await turn();
    const now = clock.now();
    if (version !== cluster.api.lastChange() || !cluster.idle()) {
      version = cluster.api.lastChange();
      sinceMs = now;
    }
    if (now - sinceMs >= QUIET_MS || now >= endMs) return;
  }
}

/** Nodes, pods and snapshots, and whether they agree with each other. */
export async function readState(cluster: Cluster): Promise<ClusterState> {
  const [nodes, pods, snapshots, workloads] = await Promise.all([
    cluster.client.list<Node>(resources.nodes),
    cluster.client.list<Pod>(resources.pods),
    cluster.snapshots(),
    readWorkloads(cluster),
  ]);
  const settled =
    cluster.idle() &&
    workloads.every(isSeen) &&
    pods.items.every(podRests) &&
    nodes.items.every((node) =>
      nodeRests(
        node,
        snapshots.find((one) => one.node === node.metadata.name),
      ),
    );
  return { nodes: nodes.items, pods: pods.items, snapshots, workloads, settled };
}

/** Everything a controller acts upon. */
async function readWorkloads({ client }: Cluster): Promise<readonly Workload[]> {
  const { deployments, replicaSets, daemonSets, jobs } = resources;
  const lists = await Promise.all(
    [deployments, replicaSets, daemonSets, jobs].map((type) => client.list<Workload>(type)),
  );
  return lists.flatMap(({ items }) => items);
}

/**
 * Whether its controller has seen what is wanted now. What it could do about it is done when the controllers are idle: a
 * rollout that cannot go on rests too. A job says by its status that it has begun, or that it may not.
 */
function isSeen({ kind, metadata, status }: Workload): boolean {
  if (kind === "Job") return status?.startTime !== undefined || status?.conditions !== undefined;
  return (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
}

/** A pod rests when it runs, has ended, was found unschedulable, or waits for a stated reason. */
function podRests(pod: Pod): boolean {
  const { phase, conditions = [], containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  if (phase !== "Pending") return phase !== undefined;
  if (pod.spec.nodeName === undefined) {
    return conditions.some((one) => one.type === "PodScheduled" && one.status === "False");
  }
  const waiting = [...initContainerStatuses, ...containerStatuses].map((one) => one.state.waiting?.reason);
  return waiting.some((reason) => reason !== undefined && /BackOff|Error/.test(reason));
}

/** A node rests when its agent acts upon the label it has and the kubelet offers what of the agent's offers is healthy. */
function nodeRests(node: Node, snapshot: NodeSnapshot | undefined): boolean {
  // A node without a machine, as kubectl can make one, has nobody who acts for it.
  if (snapshot === undefined) return true;
  const label = node.metadata.labels?.[MIG_CONFIG_LABEL];
  if ((label ?? "") !== (snapshot.migLabel ?? "")) return false;
  const shown = node.status?.allocatable ?? {};
  const healthy = snapshot.offers.map((offer) => ({
    ...offer,
    devices: offer.devices.filter((device) => !snapshot.unhealthy.has(device.uuid)),
  }));
  return [...capacity(healthy)].every(([resource, count]) => Number(shown[resource] ?? 0) === count);
}
