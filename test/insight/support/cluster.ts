/** Nodes, pods and what agents know of them, in short forms. */
import assert from "node:assert/strict";
import type { Finding } from "../../../src/base/index.ts";
import type { Gpu } from "../../../src/gpu/index.ts";
import type { NodeSnapshot } from "../../../src/insight/index.ts";
import type { Container, Node, Pod, PodStatus } from "../../../src/kube/index.ts";
import type { Allocation } from "../../../src/kubelet/index.ts";
import { capacity } from "../../../src/sharing/index.ts";
import { type ConfigParts, nodeOffers } from "../../sharing/fixtures.ts";

export interface SnapshotParts extends ConfigParts {
  readonly gpus?: readonly Gpu[];
  /** `ml/train-0 gpu GPU-0::0,GPU-0::1`, the resource without `nvidia.com/`; the container is called `main`. */
  readonly held?: readonly string[];
  readonly findings?: readonly Finding[];
  readonly simulated?: boolean;
}

/** What the agent of a node with these GPUs knows; MIG strategy mixed. */
export function snapshot(node: string, parts: SnapshotParts): NodeSnapshot {
  const { gpus = [], held = [], findings = [], simulated = true } = parts;
  const { offers } = nodeOffers({ ...parts, gpus, settings: { migStrategy: "mixed" } });
  return {
    node,
    simulated,
    gpus,
    processes: new Map(),
    offers,
    unhealthy: new Set(),
    allocations: held.map(allocation),
    migLabel: undefined,
    migConfig: undefined,
    pluginConfig: undefined,
    findings,
  };
}

function allocation(text: string): Allocation {
  const { namespace, pod, resource, ids } =
    /^(?<namespace>\S+)\/(?<pod>\S+) (?<resource>\S+) (?<ids>\S+)$/.exec(text)?.groups ?? {};
  assert.ok(namespace !== undefined && pod !== undefined && resource !== undefined && ids !== undefined, text);
  return { namespace, pod, container: "main", resource: `nvidia.com/${resource}`, deviceIds: ids.split(",") };
}

/** The node of a snapshot, with what its agent offers as allocatable. */
export function nodeOf({ node, offers }: NodeSnapshot, labels: Record<string, string> = {}): Node {
  const amounts = [...capacity(offers)].map(([resource, count]) => [resource, String(count)] as const);
  const allocatable = Object.fromEntries([["cpu", "64"] as const, ...amounts]);
  return { apiVersion: "v1", kind: "Node", metadata: { name: node, labels }, status: { allocatable } };
}

export interface PodParts {
  /** Resource without `nvidia.com/` to amount. */
  readonly wants?: Readonly<Record<string, number>>;
  readonly node?: string;
  readonly status?: PodStatus;
  readonly initContainers?: Container[];
}

/** `ml/train-0` with one container `main`. */
export function podOf(fullName: string, parts: PodParts = {}): Pod {
  const [namespace = "", name = ""] = fullName.split("/");
  const { wants = {}, node, status = { phase: "Running" }, initContainers } = parts;
  const limits = Object.fromEntries(Object.entries(wants).map(([key, amount]) => [`nvidia.com/${key}`, `${amount}`]));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      ...(initContainers === undefined ? {} : { initContainers }),
      containers: [{ name: "main", resources: { limits } }],
    },
    status,
  };
}

/** The status of a pod that the scheduler found no node for. */
export function unscheduled(message: string): PodStatus {
  return {
    phase: "Pending",
    conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
  };
}

/** The status of a pod whose container ended with an error and this message. */
export function ended(message: string, exitCode = 1): PodStatus {
  return {
    phase: "Failed",
    containerStatuses: [
      {
        name: "main",
        state: { terminated: { exitCode, reason: "Error", message } },
        ready: false,
        restartCount: 0,
        image: "",
        imageID: "",
      },
    ],
  };
}
