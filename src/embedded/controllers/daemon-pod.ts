/**
 * A daemon set's pod for one node (kubernetes, pkg/controller/daemon/util/daemonset_util.go): the scheduler binds it, led
 * by an affinity for the node's name.
 */
import {
  type Node,
  type Pod,
  parseRequirements,
  placementObstacle,
  type Toleration,
  tolerates,
  untoleratedTaints,
} from "../../kube/index.ts";
import { podFromTemplate } from "./pod-control.ts";
import type { DaemonSet } from "./types.ts";

/** Label that tells from which template a pod is. */
export const revisionLabel = "controller-revision-hash";

const required = "requiredDuringSchedulingIgnoredDuringExecution";

/** A node's troubles that its daemons bear. */
const tolerated: readonly Toleration[] = [
  { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute" },
  { key: "node.kubernetes.io/disk-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/pid-pressure", operator: "Exists", effect: "NoSchedule" },
  { key: "node.kubernetes.io/unschedulable", operator: "Exists", effect: "NoSchedule" },
];

/** The pod of the template of this hash for the node of this name. */
export function daemonPod(set: DaemonSet, hash: string, nodeName: string): Pod {
  const pod = podFromTemplate(set.spec.template, set);
  const { affinity, tolerations = [] } = pod.spec;
  const terms = [{ matchFields: [{ key: "metadata.name", operator: "In", values: [nodeName] }] }];
  const nodeAffinity = { ...fieldsOf(at(affinity, "nodeAffinity")), [required]: { nodeSelectorTerms: terms } };
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [revisionLabel]: hash } },
    spec: {
      ...pod.spec,
      affinity: { ...fieldsOf(affinity), nodeAffinity },
      tolerations: [...tolerations, ...tolerated.filter((one) => !tolerations.some((given) => isSame(given, one)))],
    },
  };
}

function isSame(a: Toleration, b: Toleration): boolean {
  return a.key === b.key && a.effect === b.effect;
}

/** The node that a daemon pod is on or is meant for. */
export function nodeOf({ spec }: Pod): string | undefined {
  if (spec.nodeName !== undefined && spec.nodeName !== "") return spec.nodeName;
  const terms = at(spec.affinity, "nodeAffinity", required, "nodeSelectorTerms");
  for (const term of Array.isArray(terms) ? terms : []) {
    const fields = parseRequirements(at(term, "matchFields")) ?? [];
    const named = fields.find(({ key, operator }) => key === "metadata.name" && operator === "In");
    if (named !== undefined) return named.values[0];
  }
  return undefined;
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let here = value;
  for (const key of path) here = fieldsOf(here)[key];
  return here;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Whether a daemon belongs on a node, and whether one that is there may stay. */
export interface Fit {
  readonly belongs: boolean;
  readonly mayStay: boolean;
}

/** A taint keeps a daemon from coming; only one of effect NoExecute makes it go. */
export function fitOf(set: DaemonSet, node: Node): Fit {
  const { template } = set.spec;
  const tolerations = [...(template.spec.tolerations ?? []), ...tolerated];
  const pod = { ...podFromTemplate(template, set), spec: { ...template.spec, tolerations } };
  const { taints = [], ...spec } = node.spec ?? {};
  const bare = { ...node, spec };
  if (placementObstacle(pod, bare) !== undefined) return { belongs: false, mayStay: false };
  const keeping = untoleratedTaints(pod, node).filter(({ effect }) => effect !== "PreferNoSchedule");
  const expels = taints.some((taint) => taint.effect === "NoExecute" && !tolerates(tolerations, taint));
  return { belongs: keeping.length === 0, mayStay: !expels };
}
