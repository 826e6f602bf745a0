/**
 * What a pod's priority class means in numbers (kubernetes, plugin/pkg/admission/priority).
 */
import type { ApiContext } from "./context.ts";
import { forbidden } from "./errors.ts";
import { type JsonObject, numberAt, objectAt, textAt } from "./json.ts";

/** The classes every cluster has. */
export const systemPriorityClasses: readonly JsonObject[] = [
  systemClass(
    "system-cluster-critical",
    2_000_000_000,
    "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
  ),
  systemClass(
    "system-node-critical",
    2_000_001_000,
    "Used for system critical pods that must not be moved from their current node.",
  ),
];

function systemClass(name: string, value: number, description: string): JsonObject {
  return { apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name }, value, description };
}

/** Resolves `priorityClassName`, or takes the default class; throws 403 for a class that is not there. */
export function withPriority(pod: JsonObject, context: ApiContext): JsonObject {
  const spec = objectAt(pod, "spec");
  const classes = context.store.collection("priorityclasses.scheduling.k8s.io");
  const name = textAt(spec, "priorityClassName");
  const chosen = name === "" ? defaultClass(classes.list().map((one) => one.object)) : classes.find("", name)?.object;
  if (chosen === undefined && name !== "") {
    const pods = { group: "", plural: "pods", kind: "Pod" };
    throw forbidden(pods, textAt(pod, "metadata", "name"), `no PriorityClass with name ${name} was found`);
  }
  const className = textAt(chosen, "metadata", "name");
  const priority = numberAt(chosen, "value") ?? 0;
  const preemptionPolicy = textAt(chosen, "preemptionPolicy") || "PreemptLowerPriority";
  const named = className === "" ? {} : { priorityClassName: className };
  return { ...pod, spec: { ...spec, ...named, priority, preemptionPolicy } };
}

/** Of several classes marked as default the smallest counts. */
function defaultClass(classes: readonly JsonObject[]): JsonObject | undefined {
  const defaults = classes.filter((one) => one["globalDefault"] === true);
  return defaults.sort((a, b) => (numberAt(a, "value") ?? 0) - (numberAt(b, "value") ?? 0))[0];
}
