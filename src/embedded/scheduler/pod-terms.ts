/**
 * What a pod asks of the pods around it, read from its affinity and its spread constraints (core v1 `PodAffinityTerm`,
 * `TopologySpreadConstraint`).
 */
import { matchesLabels, type Pod, parseLabelSelector, type Requirement, type Selector } from "../../kube/index.ts";

/** Pods meant by one term, and how near they are to be or not to be. */
export interface AffinityTerm {
  /** Names of namespaces in which pods are meant. */
  readonly namespaces: ReadonlySet<string>;
  /** Namespaces by their labels, beside those named; `undefined` adds none. */
  readonly namespaceSelector: Selector | undefined;
  /** `undefined` means no pod. */
  readonly selector: Selector | undefined;
  /** The node label whose value tells what is near: equal values are one place. */
  readonly topologyKey: string;
  /** From 1 to 100 for a preference, below zero where it is to be avoided; 0 for what is required. */
  readonly weight: number;
}

/** One spread constraint. */
export interface SpreadConstraint {
  readonly topologyKey: string;
  /** By how much a place may be ahead of the emptiest. */
  readonly maxSkew: number;
  /** With fewer places than this the emptiest counts as empty. */
  readonly minDomains: number;
  /** Whether it keeps pods from nodes, or is only a preference (`ScheduleAnyway`). */
  readonly hard: boolean;
  readonly selector: Selector | undefined;
  /** Whether nodes that the pod's node affinity excludes count as places, and whether those with foreign taints do. */
  readonly honorsAffinity: boolean;
  readonly honorsTaints: boolean;
}

/** All terms of one pod. */
export interface PodTerms {
  readonly affinity: readonly AffinityTerm[];
  readonly antiAffinity: readonly AffinityTerm[];
  readonly preferred: readonly AffinityTerm[];
  readonly spread: readonly SpreadConstraint[];
}

/** Most pods ask nothing of others. */
const noTerms: PodTerms = { affinity: [], antiAffinity: [], preferred: [], spread: [] };

/** Reads a pod's terms. What cannot be read means no pod, so that it lets nothing through by mistake. */
export function parsePodTerms(pod: Pod): PodTerms {
  const { affinity, topologySpreadConstraints } = pod.spec;
  if (affinity === undefined && topologySpreadConstraints === undefined) return noTerms;
  const near = recordAt(recordOf(affinity), "podAffinity");
  const apart = recordAt(recordOf(affinity), "podAntiAffinity");
  const required = "requiredDuringSchedulingIgnoredDuringExecution";
  return {
    affinity: recordsAt(near, required).map((term) => parseTerm(pod, term, 0)),
    antiAffinity: recordsAt(apart, required).map((term) => parseTerm(pod, term, 0)),
    preferred: [...parsePreferred(pod, near, 1), ...parsePreferred(pod, apart, -1)],
    spread: recordsOf(topologySpreadConstraints).map((constraint) => parseConstraint(pod, constraint)),
  };
}

/** Whether any term speaks of other pods' nearness; spread constraints bind only the pod that has them. */
export function hasAffinityTerms({ affinity, antiAffinity, preferred }: PodTerms): boolean {
  return affinity.length + antiAffinity.length + preferred.length > 0;
}

function parsePreferred(pod: Pod, source: Fields, sign: 1 | -1): AffinityTerm[] {
  return recordsAt(source, "preferredDuringSchedulingIgnoredDuringExecution").map((entry) => {
    const weight = typeof entry["weight"] === "number" ? entry["weight"] : 0;
    return parseTerm(pod, recordAt(entry, "podAffinityTerm"), sign * weight);
  });
}

function parseTerm(pod: Pod, term: Fields, weight: number): AffinityTerm {
  const named = textsAt(term, "namespaces");
  const namespaceSelector = parseLabelSelector(term["namespaceSelector"]);
  // Without either, the pod's own namespace is meant.
  const own = named.length === 0 && term["namespaceSelector"] === undefined;
  return {
    namespaces: new Set(own ? [pod.metadata.namespace ?? "default"] : named),
    namespaceSelector,
    selector: withOwnLabels(pod, term),
    topologyKey: textAt(term, "topologyKey"),
    weight,
  };
}

function parseConstraint(pod: Pod, constraint: Fields): SpreadConstraint {
  const { maxSkew, minDomains } = constraint;
  return {
    topologyKey: textAt(constraint, "topologyKey"),
    maxSkew: typeof maxSkew === "number" ? maxSkew : 1,
    minDomains: typeof minDomains === "number" ? minDomains : 1,
    hard: constraint["whenUnsatisfiable"] !== "ScheduleAnyway",
    selector: withOwnLabels(pod, constraint),
    honorsAffinity: constraint["nodeAffinityPolicy"] !== "Ignore",
    honorsTaints: constraint["nodeTaintsPolicy"] === "Honor",
  };
}

/** The label selector, narrowed to pods whose labels at the named keys are like (or unlike) this pod's. */
function withOwnLabels(pod: Pod, term: Fields): Selector | undefined {
  const selector = parseLabelSelector(term["labelSelector"]);
  if (selector === undefined) return undefined;
  const labels = pod.metadata.labels ?? {};
  const narrowed = (field: string, operator: "In" | "NotIn"): Requirement[] =>
    textsAt(term, field).flatMap((key) => {
      const value = labels[key];
      return value === undefined ? [] : [{ key, operator, values: [value] }];
    });
  return [...selector, ...narrowed("matchLabelKeys", "In"), ...narrowed("mismatchLabelKeys", "NotIn")];
}

/** Whether labels meet a selector that may be missing, which then means none. */
export function isSelected(selector: Selector | undefined, labels: Readonly<Record<string, string>>): boolean {
  return selector !== undefined && matchesLabels(selector, labels);
}

type Fields = Readonly<Record<string, unknown>>;

function recordOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function recordAt(fields: Fields, key: string): Fields {
  return recordOf(fields[key]);
}

function recordsOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

function recordsAt(fields: Fields, key: string): Fields[] {
  return recordsOf(fields[key]);
}

function textAt(fields: Fields, key: string): string {
  const value = fields[key];
  return typeof value === "string" ? value : "";
}

function textsAt(fields: Fields, key: string): string[] {
  const value = fields[key];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
