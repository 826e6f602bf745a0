/**
 * Whether a node lets a pod on, whatever it has free: cordon, taints, node selector, node affinity.
 */
import { isRecord } from "./json.ts";
import { matchesLabels, type Requirement } from "./selector.ts";
import type { Node, Pod, Taint, Toleration } from "./types.ts";

/** kube-scheduler's words for taints that keep a pod away; since 1.35 it does not say which. */
export const untolerated = "node(s) had untolerated taint(s)";

/** Taint that a cordoned node is treated as having (kube-scheduler plugin NodeUnschedulable). */
const cordonTaint: Taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/**
 * Why `node` does not let `pod` on, in kube-scheduler's words, for example `node(s) were unschedulable`; `undefined` when
 * it does. Checks go in the order of kube-scheduler's filter plugins, and the first that fails speaks.
 */
export function placementObstacle(pod: Pod, node: Node): string | undefined {
  const { tolerations, nodeName } = pod.spec;
  if (node.spec?.unschedulable === true && !tolerates(tolerations, cordonTaint)) return "node(s) were unschedulable";
  if (nodeName !== undefined && nodeName !== "" && nodeName !== node.metadata.name) {
    return "node(s) didn't match the requested node name";
  }
  if (untoleratedTaints(pod, node).some(({ effect }) => effect !== "PreferNoSchedule")) return untolerated;
  return matchesNodeAffinity(pod, node) ? undefined : "node(s) didn't match Pod's node affinity/selector";
}

/** The node's taints that the pod does not tolerate, whatever their effect. */
export function untoleratedTaints(pod: Pod, node: Node): Taint[] {
  return (node.spec?.taints ?? []).filter((taint) => !tolerates(pod.spec.tolerations, taint));
}

/** Whether any toleration covers the taint (core v1 `Toleration.ToleratesTaint`). */
export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some(({ key = "", operator = "", value = "", effect = "" }) => {
    if (effect !== "" && effect !== taint.effect) return false;
    // Only with Exists may the key be empty; it then covers every taint.
    if (key === "" ? operator !== "Exists" : key !== taint.key) return false;
    return operator === "Exists" || value === (taint.value ?? "");
  });
}

/** The weights of the preferred node affinity terms that the node meets, summed. */
export function preferenceWeight(pod: Pod, node: Node): number {
  const preferred = nodeAffinity(pod)["preferredDuringSchedulingIgnoredDuringExecution"];
  const terms = Array.isArray(preferred) ? preferred.filter(isRecord) : [];
  const met = terms.filter(({ preference }) => isRecord(preference) && meetsTerm(preference, node));
  return met.reduce((sum, { weight }) => sum + (typeof weight === "number" ? weight : 0), 0);
}

/** Whether the node meets the pod's node selector and its required node affinity. */
export function matchesNodeAffinity(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selector = Object.entries(pod.spec.nodeSelector ?? {});
  if (!selector.every(([key, value]) => labels[key] === value)) return false;
  // Terms are alternatives; a list without any matches nothing.
  return requiredTerms(pod)?.some((term) => meetsTerm(term, node)) ?? true;
}

/**
 * Whether each term of the pod's required node affinity names nodes, and none of them this one; kube-scheduler then does
 * not look at the node at all (plugin NodeAffinity, `PreFilter`).
 */
export function namesOtherNodes(pod: Pod, { metadata }: Node): boolean {
  const terms = requiredTerms(pod) ?? [];
  const namings = terms.map((term) =>
    (parseRequirements(term["matchFields"]) ?? []).filter(
      ({ key, operator }) => key === "metadata.name" && operator === "In",
    ),
  );
  return (
    namings.length > 0 &&
    namings.every((named) => named.length > 0 && named.some(({ values }) => !values.includes(metadata.name)))
  );
}

function requiredTerms(pod: Pod): readonly Record<string, unknown>[] | undefined {
  const required = nodeAffinity(pod)["requiredDuringSchedulingIgnoredDuringExecution"];
  if (!isRecord(required)) return undefined;
  const terms = required["nodeSelectorTerms"];
  return Array.isArray(terms) ? terms.filter(isRecord) : [];
}

function nodeAffinity(pod: Pod): Record<string, unknown> {
  const { affinity } = pod.spec;
  const forNodes = isRecord(affinity) ? affinity["nodeAffinity"] : undefined;
  return isRecord(forNodes) ? forNodes : {};
}

/** All expressions of a term must hold; an empty term matches nothing (core v1 `NodeSelectorTerm`). */
function meetsTerm(term: Record<string, unknown>, node: Node): boolean {
  const expressions = parseRequirements(term["matchExpressions"]);
  const fields = parseRequirements(term["matchFields"]);
  if (expressions === undefined || fields === undefined || expressions.length + fields.length === 0) return false;
  const { labels, name } = node.metadata;
  return matchesLabels(expressions, labels) && matchesLabels(fields, { "metadata.name": name });
}

const operators = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] as const;

/**
 * Reads a list of `{key, operator, values}`, a missing one as none. `undefined` when an entry cannot be read: a term that
 * is not understood must not let a pod through.
 */
export function parseRequirements(list: unknown): Requirement[] | undefined {
  const requirements: Requirement[] = [];
  for (const entry of Array.isArray(list) ? list : []) {
    const { key, operator: word, values = [] } = isRecord(entry) ? entry : {};
    const operator = operators.find((one) => one === word);
    if (typeof key !== "string" || operator === undefined || !Array.isArray(values)) return undefined;
    requirements.push({ key, operator, values: values.map(String) });
  }
  return requirements;
}
