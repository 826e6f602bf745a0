/** Workloads and pods as the API would give them, in few words. */
import type { Deployment, ReplicaSet, Share } from "../../src/embedded/controllers/types.ts";
import type { Condition, Pod } from "../../src/kube/index.ts";

/** When everything in these tests happens. */
export const nowMs = Date.parse("2026-01-01T12:00:00Z");

/** A time as the API writes it. */
export function at(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly node?: string;
  readonly phase?: "Pending" | "Running" | "Succeeded" | "Failed";
  /** Milliseconds ago; left out, it is not ready. */
  readonly readyFor?: number;
  readonly age?: number;
  readonly restarts?: number;
  readonly exitCode?: number;
  readonly isLeaving?: boolean;
  readonly finalizers?: string[];
  readonly owner?: { readonly kind: string; readonly name: string; readonly uid: string };
}

/** A pod whose name is its UID; it runs on a node if options do not say otherwise. */
export function podOf(name: string, options: PodOptions = {}): Pod {
  const {
    labels = {},
    annotations = {},
    node = "a",
    phase = "Running",
    readyFor,
    age = 60_000,
    restarts = 0,
  } = options;
  const { exitCode, isLeaving = false, finalizers, owner } = options;
  const ready: Condition =
    readyFor === undefined
      ? { type: "Ready", status: "False" }
      : { type: "Ready", status: "True", lastTransitionTime: at(nowMs - readyFor) };
  const state = exitCode === undefined ? {} : { terminated: { exitCode, finishedAt: at(nowMs - (readyFor ?? 0)) } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      labels,
      annotations,
      creationTimestamp: at(nowMs - age),
      ...(isLeaving ? { deletionTimestamp: at(nowMs) } : {}),
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: "apps/v1", controller: true, ...owner }] }),
    },
    spec: { ...(node === "" ? {} : { nodeName: node }), containers: [{ name: "main", image: "app:1" }] },
    status: {
      phase,
      conditions: [ready],
      containerStatuses: [
        { name: "main", state, ready: readyFor !== undefined, restartCount: restarts, image: "app:1", imageID: "" },
      ],
    },
  };
}

export interface DeploymentOptions {
  readonly replicas?: number;
  readonly maxSurge?: Share;
  readonly maxUnavailable?: Share;
  readonly recreate?: boolean;
}

/** A deployment named web of image `app:1`. */
export function deploymentOf(options: DeploymentOptions = {}): Deployment {
  const { replicas = 1, maxSurge = "25%", maxUnavailable = "25%", recreate = false } = options;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default", uid: "web", generation: 1 },
    spec: {
      replicas,
      strategy: recreate
        ? { type: "Recreate" }
        : { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } },
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "app:1" }] } },
      progressDeadlineSeconds: 600,
    },
  };
}

let created = 0;

/** A set of so many pods, each made after the one before. `size/available` with available left out means all. */
export function setOf(name: string, sizes: string, annotations: Record<string, string> = {}): ReplicaSet {
  const [size = "0", available = size] = sizes.split("/");
  created += 1;
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name,
      namespace: "default",
      uid: name,
      generation: 1,
      annotations,
      creationTimestamp: at(nowMs - 3_600_000 + created * 1000),
    },
    spec: {
      replicas: Number(size),
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: name }] } },
    },
    status: { replicas: Number(size), availableReplicas: Number(available), observedGeneration: 1 },
  };
}
