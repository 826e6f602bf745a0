/**
 * What the node lifecycle controller makes of a node: its conditions when its kubelet has fallen silent, and the taints
 * that follow from conditions and cordon (Kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go).
 */
import { isDeepStrictEqual } from "node:util";
import type { Condition, Node, Taint } from "../../kube/index.ts";

/** The conditions a kubelet vouches for. */
const kubeletConditions: readonly string[] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** The keys of the taints that are this controller's. */
const ownKeys = {
  notReady: "node.kubernetes.io/not-ready",
  unreachable: "node.kubernetes.io/unreachable",
  unschedulable: "node.kubernetes.io/unschedulable",
} as const;

/** The conditions of a node that has shown no sign of life for too long; `undefined` when they say so already. */
export function silentConditions(node: Node, now: string): Condition[] | undefined {
  const old = node.status?.conditions ?? [];
  const unknown = kubeletConditions.map((type): Condition => {
    const known = old.find((one) => one.type === type);
    if (known?.status === "Unknown") return known;
    const why =
      known === undefined
        ? { reason: "NodeStatusNeverUpdated", message: "Kubelet never posted node status." }
        : { reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status." };
    return { ...known, type, status: "Unknown", ...why, lastTransitionTime: now };
  });
  const others = old.filter((one) => !kubeletConditions.includes(one.type));
  const conditions = [...others, ...unknown];
  return unknown.every((one) => old.includes(one)) ? undefined : conditions;
}

/** The taints the node shall have, those of others untouched; `undefined` when it has them. */
export function wantedTaints(node: Node, now: string): Taint[] | undefined {
  const old = node.spec?.taints ?? [];
  const own: readonly string[] = Object.values(ownKeys);
  const wanted = taintsOf(node).map(
    (taint): Taint =>
      old.find((one) => one.key === taint.key && one.effect === taint.effect) ?? { ...taint, timeAdded: now },
  );
  const taints = [...old.filter((one) => !own.includes(one.key)), ...wanted];
  const isSame = taints.length === old.length && old.every((one) => taints.some((two) => isDeepStrictEqual(one, two)));
  return isSame ? undefined : taints;
}

function taintsOf(node: Node): readonly Taint[] {
  const ready = node.status?.conditions?.find((one) => one.type === "Ready")?.status;
  const taints: Taint[] = [];
  if (node.spec?.unschedulable === true) taints.push({ key: ownKeys.unschedulable, effect: "NoSchedule" });
  // Without any condition the node has just been made; its kubelet is about to speak.
  if (ready === undefined || ready === "True") return taints;
  const key = ready === "Unknown" ? ownKeys.unreachable : ownKeys.notReady;
  return [...taints, { key, effect: "NoSchedule" }, { key, effect: "NoExecute" }];
}
